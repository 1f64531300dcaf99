// One command as the bytes that go over the wire, made in one piece: a call carries hundreds of keys, and ioredis would
// make three buffers of each argument.
import { Command } from "ioredis";

export type Arg = Buffer | string | number;

export class PackedCommand extends Command {
  readonly #bytes: Buffer;

  constructor(name: string, args: readonly Arg[]) {
    super(name, [], { replyEncoding: null });
    this.#bytes = encodeCommand(name, args);
  }

  override toWritable(): Buffer {
    return this.#bytes;
  }
}

/** RESP: `*n`, then each argument as `$length` and its bytes. */
export function encodeCommand(name: string, args: readonly Arg[]): Buffer {
  const texts = args.map((arg) => (typeof arg === "number" ? String(arg) : arg));
  let size = 16;
  for (const arg of [name, ...texts]) size += byteLength(arg) + 16;
  const out = Buffer.allocUnsafe(size);
  let at = out.write(`*${args.length + 1}\r\n`, 0, "latin1");
  for (const arg of [name, ...texts]) {
    at += out.write(`$${byteLength(arg)}\r\n`, at, "latin1");
    at += typeof arg === "string" ? out.write(arg, at, "utf8") : arg.copy(out, at);
    out[at++] = 13;
    out[at++] = 10;
  }
  return out.subarray(0, at);
}

function byteLength(arg: Buffer | string): number {
  return typeof arg === "string" ? Buffer.byteLength(arg) : arg.length;
}
