// Wake lists: a stream a node, read from its begin by a connection that blocks. Always true: a wake is deleted only
// after it was read whole, so that a connection that breaks loses none; a list goes ten leases after its last wake.
import { ADDRESS_BYTES, type DeviceAddress, fromBytes } from "@lethe/protocol";
import type { NodeId } from "../mailbox.ts";
import type { BlockingReader } from "./connection.ts";
import type { RedisParts } from "./parts.ts";

/** Ten leases of 10 s: by then a node that has not asked is gone, and a session's look each minute mends the rest. */
const WAKE_LIFE_MS = 100_000;
/** Wakes in a list: what would be more is a dead node's, and its oldest go. */
const MAX_WAKES = 65_536;
const BLOCK_MS = 5_000;
const PAGE = 256;
/** Before a read that failed is tried again. */
const PAUSE_MS = 200;

export class RedisWakes {
  readonly #parts: RedisParts;
  readonly #readers = new Map<NodeId, { reader: BlockingReader; last: Promise<unknown> }>();
  readonly #closed = Promise.withResolvers<readonly DeviceAddress[]>();
  #isClosed = false;

  constructor(parts: RedisParts) {
    this.#parts = parts;
  }

  async add(node: NodeId, addresses: readonly DeviceAddress[]): Promise<void> {
    if (addresses.length === 0) return;
    const packed = Buffer.from([...new Set(addresses)].join(""), "latin1");
    await this.#parts.scripts.run("wake", [this.#parts.keys.wakes(node)], [WAKE_LIFE_MS, MAX_WAKES, packed]);
  }

  /** One take of a node's at a time; the next begins when it has its wakes. */
  async take(node: NodeId): Promise<readonly DeviceAddress[]> {
    let line = this.#readers.get(node);
    if (line === undefined) {
      this.#leave();
      const reader = this.#parts.connection.reader(this.#parts.keys.wakes(node));
      line = { reader, last: Promise.resolve() };
      this.#readers.set(node, line);
    }
    const { reader, last } = line;
    const taken = last.then(() => this.#takeFrom(node, reader));
    line.last = taken;
    return Promise.race([taken, this.#closed.promise]);
  }

  close(): void {
    this.#isClosed = true;
    this.#closed.resolve([]);
    this.#leave();
  }

  /** Whoever waits for another node's wakes is answered with nothing: a process is one node at a time. */
  #leave(): void {
    for (const { reader } of this.#readers.values()) reader.close();
    this.#readers.clear();
  }

  /** Never rejects: it tries again until there are wakes or the store closes. */
  async #takeFrom(node: NodeId, reader: BlockingReader): Promise<readonly DeviceAddress[]> {
    const key = this.#parts.keys.wakes(node);
    const { connection } = this.#parts;
    while (!this.#isClosed && this.#readers.get(node)?.reader === reader) {
      try {
        const args = ["COUNT", PAGE, "BLOCK", BLOCK_MS, "STREAMS", key, "0-0"];
        const wakes = wakesIn(await connection.callBlocking(reader, "XREAD", args, BLOCK_MS));
        if (wakes.length === 0) continue;
        await connection.call(key, "XDEL", [key, ...wakes.map(({ id }) => id)]);
        return [...new Set(wakes.flatMap(({ addresses }) => addresses))];
      } catch {
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
    return [];
  }
}

interface Wake {
  readonly id: Buffer;
  readonly addresses: readonly DeviceAddress[];
}

/** A reply of XREAD: `[[key, [[id, [field, value]]]]]`, or null where nothing came. */
function wakesIn(reply: unknown): Wake[] {
  if (!Array.isArray(reply)) return [];
  const [[, entries]] = reply as [[Buffer, [Buffer, [Buffer, Buffer]][]]];
  return entries.map(([id, [, packed]]) => {
    const addresses: DeviceAddress[] = [];
    for (let at = 0; at + ADDRESS_BYTES <= packed.length; at += ADDRESS_BYTES)
      addresses.push(fromBytes(packed.subarray(at, at + ADDRESS_BYTES)));
    return { id, addresses };
  });
}
