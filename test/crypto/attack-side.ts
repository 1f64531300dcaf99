// One device of one person in a world of attacks: its store, its keys, its core, and what has come out of it.
import { type AccountId, accountOf, type DeviceAddress, type EnvelopeId } from "@lethe/protocol";
import type { ClientCore } from "../../client-lib/delivery/core.ts";
import type { Entry, SocketName, Told, Write } from "../../client-lib/delivery/events.ts";
import { type KeyState, OWN, putKey } from "../../client-lib/keys/key-rows.ts";
import type { Alarm, PairwiseCipher } from "../../client-lib/keys/pairwise-cipher.ts";
import { firstPrekeys, putPrekeys } from "../../client-lib/keys/prekey-keeper.ts";
import {
  addressOfIdentity,
  createIdentity,
  encodeIdentity,
  type Identity,
  publicIdentity,
} from "../../crypto/index.ts";
import { START, seededRandom } from "./support.ts";

export type Tables = Map<string, Map<string, Uint8Array>>;
export type MailKind = "pairwise" | "group";

/** One device of one person. */
export class Side {
  readonly name: string;
  /** The name of its account: another device's where it was linked. */
  readonly user: string;
  readonly identity: Identity;
  tables: Tables = new Map();
  keys: KeyState;
  cipher: PairwiseCipher;
  core: ClientCore;
  readonly sockets = new Map<SocketName, number>();
  wakeAt = Number.POSITIVE_INFINITY;
  /** What the relay holds of this account. */
  accessHash: Uint8Array;
  epoch = 0;
  readonly mailbox: { id: EnvelopeId; ciphertext: Uint8Array; kind: MailKind }[] = [];
  /** Not connected: its mail stays in the mailbox. */
  away = false;
  readonly told: Told[] = [];
  readonly alarms: Alarm[] = [];
  readonly texts: string[] = [];
  readonly receipts: string[] = [];
  readonly entries: Entry[] = [];
  /** What another device of this account has sent, as "account: text". */
  readonly own: string[] = [];

  constructor(name: string, seed: number, linked?: { readonly user: string; readonly identity: Identity }) {
    const random = seededRandom(seed);
    this.name = name;
    this.user = linked?.user ?? name;
    this.identity = linked?.identity ?? createIdentity({ random, now: START });
    this.accessHash = publicIdentity(this.identity).accessKeyHash;
    const prekeys = firstPrekeys(this.identity, random, START).filter(
      ({ kind }, i) => kind !== "oneTime" || i < 12,
    );
    this.write([putKey("identity", OWN, encodeIdentity(this.identity)), ...putPrekeys(prekeys)]);
    this.keys = undefined as never;
    this.cipher = undefined as never;
    this.core = undefined as never;
  }

  get address(): DeviceAddress {
    return addressOfIdentity(this.identity);
  }

  get account(): AccountId {
    return accountOf(this.address);
  }

  write(writes: readonly Write[]): void {
    for (const { table, key, value } of writes) {
      const rows = this.tables.get(table) ?? new Map<string, Uint8Array>();
      this.tables.set(table, rows);
      if (value === undefined) rows.delete(key);
      else rows.set(key, value.slice());
    }
  }

  /** The store as it is now, to be put back later. */
  copy(): Tables {
    return new Map([...this.tables].map(([table, rows]) => [table, new Map(rows)]));
  }

  tellsOf<T extends Told["tell"]>(tell: T): (Told & { tell: T })[] {
    return this.told.filter((told): told is Told & { tell: T } => told.tell === tell);
  }

  get codes(): string[] {
    return this.tellsOf("quarantined").map(({ code }) => code);
  }
}
