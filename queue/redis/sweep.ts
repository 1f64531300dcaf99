// The sweep: goes over the mailboxes of every master in small steps and has each remove what has expired. It keeps nothing
// in memory; what a scan misses while slots move, the next one meets.
import { ADDRESS_BYTES, type DeviceAddress, fromBytes, type Time } from "@lethe/protocol";
import type { RedisParts } from "./parts.ts";
import type { Server } from "./server.ts";

/** Keys that a server goes over in one step of the scan. */
const STEP = 1_000;
/** Mailboxes in one call. */
const MAX_ITEMS = 100;
/** Every mailbox's key, and no other. */
const PATTERN = "l{??}m*";
const PREFIX_BYTES = 6;

export interface Swept {
  readonly removed: number;
  /** When the oldest envelope that is left was appended. */
  readonly oldest: Time | undefined;
}

export class Sweep {
  readonly #parts: RedisParts;

  constructor(parts: RedisParts) {
    this.#parts = parts;
  }

  /** @throws StoreFailedError */
  async run(isOver: () => boolean): Promise<Swept> {
    let swept: Swept = { removed: 0, oldest: undefined };
    for (const master of this.#parts.connection.masters())
      swept = both(swept, await this.#master(master, isOver));
    return swept;
  }

  async #master(master: Server, isOver: () => boolean): Promise<Swept> {
    let swept: Swept = { removed: 0, oldest: undefined };
    let cursor: Buffer | string = "0";
    do {
      const reply = await master.call("SCAN", [cursor, "MATCH", PATTERN, "COUNT", STEP]);
      const [next, found] = reply as [Buffer, Buffer[]];
      cursor = next;
      for (const group of this.#grouped(found)) swept = both(swept, await this.#some(group));
    } while (cursor.toString() !== "0" && !isOver());
    return swept;
  }

  #grouped(found: readonly Buffer[]): DeviceAddress[][] {
    const { connection } = this.#parts;
    const groups: DeviceAddress[][] = [];
    const open = new Map<number, DeviceAddress[]>();
    for (const key of found) {
      if (key.length !== PREFIX_BYTES + ADDRESS_BYTES) continue;
      const place = connection.placeOf(key);
      let group = open.get(place);
      if (group === undefined || group.length >= MAX_ITEMS) {
        group = [];
        groups.push(group);
        open.set(place, group);
      }
      group.push(fromBytes(key.subarray(PREFIX_BYTES)));
    }
    return groups;
  }

  async #some(addresses: readonly DeviceAddress[]): Promise<Swept> {
    const { keys, scripts } = this.#parts;
    const [first] = addresses;
    if (first === undefined) return { removed: 0, oldest: undefined };
    const all = [keys.counters(keys.shardOf(first))];
    for (const address of addresses) all.push(keys.owner(address), keys.mailbox(address));
    const reply = await scripts.look("sweep", all, [this.#parts.config.now?.() ?? 0]);
    const [removed, oldest] = reply as [number, Buffer];
    return { removed, oldest: oldest.length === 0 ? undefined : (Number(oldest.toString()) as Time) };
  }
}

function both(a: Swept, b: Swept): Swept {
  const times = [a.oldest, b.oldest].filter((time) => time !== undefined);
  const oldest = times.length === 0 ? undefined : (Math.min(...times) as Time);
  return { removed: a.removed + b.removed, oldest };
}
