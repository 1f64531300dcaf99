// The verbs of a mailbox as script calls: how their items are packed and their answers read; the scripts are in lua/.
import { randomBytes } from "node:crypto";
import type { DeviceAddress, Position } from "@lethe/protocol";
import type {
  Appended,
  AppendUnlessOwned,
  Claim,
  ClaimResult,
  Entry,
  Fenced,
  LookResult,
  NoDevice,
  Owner,
  OwnerAppend,
  PayloadId,
  Read,
  ReadResult,
  Remove,
} from "../mailbox.ts";
import { StoreFailedError } from "../mailbox.ts";
import { entryIn, MARK_BYTES, ownerIn, Packer } from "./packing.ts";
import { nowArg, type RedisParts } from "./parts.ts";

export interface AppendItem {
  readonly mode: "u" | "o" | "r";
  readonly by: Owner | undefined;
  readonly append: AppendUnlessOwned | OwnerAppend;
}

export type AppendAnswer =
  | { readonly is: "stored"; readonly outcomes: readonly Appended[]; readonly wake: Owner | undefined }
  | { readonly is: "owned"; readonly owner: Owner }
  | Fenced
  | NoDevice;

const NO_DEVICE: NoDevice = { is: "no-device" };

export class Verbs {
  readonly #parts: RedisParts;

  constructor(parts: RedisParts) {
    this.#parts = parts;
  }

  async append(items: readonly AppendItem[]): Promise<readonly AppendAnswer[]> {
    const { scripts, config } = this.#parts;
    const packer = new Packer();
    for (const { mode, by, append } of items) {
      packer.binary(mode).owner(by).envelopes(append.envelopes);
    }
    const { envelopes, bytes } = config.limits;
    const { at, named } = this.#payloads(items);
    const carried = at.length === 0 ? [] : [at.length, randomBytes(MARK_BYTES), ...named];
    const args = [nowArg(this.#parts), envelopes, bytes, packer.done(), ...carried];
    const keys = this.#keys(
      items.map(({ append }) => append),
      at,
    );
    return answers(await scripts.run("append", keys, args), appendAnswer);
  }

  /** Where the payloads of a call are kept, once a shard; and their names and bytes, once a call. */
  #payloads(items: readonly AppendItem[]): { at: Buffer[]; named: Buffer[] } {
    const { keys } = this.#parts;
    const at = new Map<string, Buffer>();
    const named = new Map<PayloadId, Buffer[]>();
    for (const { append } of items)
      for (const { payload, ciphertext } of append.envelopes) {
        if (payload === undefined) continue;
        const key = keys.payload(keys.shardOf(append.address), payload);
        at.set(key.toString("latin1"), key);
        if (!named.has(payload)) named.set(payload, [Buffer.from(payload, "latin1"), bytesOf(ciphertext)]);
      }
    return { at: [...at.values()], named: [...named.values()].flat() };
  }

  async release(items: readonly OwnerAppend[]): Promise<readonly AppendAnswer[]> {
    const packer = new Packer();
    for (const { owner } of items) packer.owner(owner);
    const args = [nowArg(this.#parts), packer.done()];
    return answers(await this.#parts.scripts.run("release", this.#owners(items), args), (bytes) =>
      is(bytes, "s") ? { is: "stored", outcomes: [], wake: undefined } : appendAnswer(bytes),
    );
  }

  async claim(items: readonly Claim[]): Promise<readonly ClaimResult[]> {
    const packer = new Packer();
    for (const { epoch, owner } of items) packer.u64(epoch).owner(owner);
    return answers(
      await this.#parts.scripts.run("claim", this.#owners(items), [packer.done()]),
      (bytes): ClaimResult => {
        if (is(bytes, "n")) return NO_DEVICE;
        if (is(bytes, "b")) return { is: "behind", last: Number(bytes.readBigUInt64BE(1)) };
        return { is: "claimed", previous: ownerIn(bytes, 1) };
      },
    );
  }

  async read(items: readonly Read[]): Promise<readonly ReadResult[]> {
    const packer = new Packer();
    for (const { after, maxEntries, maxBytes } of items) packer.u48(after).u32(maxEntries).u32(maxBytes);
    const args = [nowArg(this.#parts), packer.done()];
    const pages = await this.#parts.scripts.look("read", this.#keys(items), args);
    return (pages as readonly (readonly Buffer[])[]).map((page) => this.#pageOf(page));
  }

  async remove(items: readonly Remove[]): Promise<readonly { readonly is: "done" }[]> {
    const packer = new Packer();
    for (const { entries } of items) {
      packer.u16(entries.length);
      for (const { position, id } of entries) packer.u48(position).binary(id);
    }
    await this.#parts.scripts.look("remove", this.#keys(items), [nowArg(this.#parts), packer.done()]);
    return items.map(() => ({ is: "done" }));
  }

  async look(addresses: readonly DeviceAddress[]): Promise<readonly LookResult[]> {
    const keys = this.#keys(addresses.map((address) => ({ address })));
    return answers(
      await this.#parts.scripts.look("look", keys, [nowArg(this.#parts)]),
      (bytes): LookResult =>
        is(bytes, "n") ? NO_DEVICE : { is: "seen", waiting: bytes.readUInt32BE(1), owner: ownerIn(bytes, 5) },
    );
  }

  async retire(address: DeviceAddress): Promise<Owner | undefined> {
    const keys = this.#keys([{ address }]);
    const owner = await this.#parts.scripts.run("retire", keys, [nowArg(this.#parts)]);
    return ownerIn(owner as Buffer, 0);
  }

  #pageOf([head, ...rest]: readonly Buffer[]): ReadResult {
    if (head === undefined || is(head, "n")) return NO_DEVICE;
    const count = head.readUInt32BE(1);
    if (count > 0) this.#parts.config.report({ is: "payload-missing", count });
    const entries: Entry[] = [];
    for (let i = 0; i + 1 < rest.length; i += 2)
      entries.push(entryIn(rest[i] as Buffer, rest[i + 1] as Buffer));
    return { is: "page", entries, owner: ownerIn(head, 5) };
  }

  /** Counters of the first item's shard, payloads, then owner record and mailbox of each. */
  #keys(items: readonly { readonly address: DeviceAddress }[], payloads: readonly Buffer[] = []): Buffer[] {
    const { keys } = this.#parts;
    const [first] = items;
    if (first === undefined) throw new RangeError("a call without items");
    const all = [keys.counters(keys.shardOf(first.address)), ...payloads];
    for (const { address } of items) all.push(keys.owner(address), keys.mailbox(address));
    return all;
  }

  #owners(items: readonly { readonly address: DeviceAddress }[]): Buffer[] {
    return items.map(({ address }) => this.#parts.keys.owner(address));
  }
}

function is(bytes: Buffer, letter: string): boolean {
  return bytes[0] === letter.charCodeAt(0);
}

function answers<Result>(reply: unknown, read: (bytes: Buffer) => Result): Result[] {
  if (!Array.isArray(reply)) throw new StoreFailedError("storage-failed", "an answer is no list");
  return (reply as readonly Buffer[]).map(read);
}

function appendAnswer(bytes: Buffer): AppendAnswer {
  if (is(bytes, "n")) return NO_DEVICE;
  const owner = ownerIn(bytes, 1);
  if (is(bytes, "f")) return { is: "fenced", owner };
  if (is(bytes, "o") && owner !== undefined) return { is: "owned", owner };
  const count = bytes.readUInt16BE(7);
  let position = bytes.readUIntBE(1, 6);
  const outcomes: Appended[] = [];
  for (let i = 0; i < count; i++) outcomes.push(outcomeOf(bytes[9 + i], () => ++position as Position));
  return { is: "stored", outcomes, wake: ownerIn(bytes, 9 + count) };
}

function outcomeOf(letter: number | undefined, next: () => Position): Appended {
  if (letter === 0x73) return next(); // s
  return letter === 0x78 ? "expired" : "mailbox-full"; // x, f
}

function bytesOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
