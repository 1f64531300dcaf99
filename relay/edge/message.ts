// A message as it stands on the stream. Always true: it is one piece, so that one write, and one packet where it fits, carries it.
import type { Writer } from "@lethe/protocol";

/** What the writer holds as one binary message of a server: unmasked, in one frame (RFC 6455, section 5.2). */
export function asMessage(writer: Writer): Buffer {
  const { length } = writer;
  const head = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const out = Buffer.allocUnsafe(head + length);
  out[0] = 0x82;
  if (length < 126) out[1] = length;
  else if (length < 65_536) {
    out[1] = 126;
    out.writeUInt16BE(length, 2);
  } else {
    out[1] = 127;
    out.writeBigUInt64BE(BigInt(length), 2);
  }
  writer.takeInto(out, head);
  return out;
}
