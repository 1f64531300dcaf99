// What this device holds of its groups, in memory and as rows. Always true: every change is staged in the turn that makes it;
// an envelope is found by the seal id of an epoch that its group knows.
import type { DeviceAddress, Time } from "@lethe/protocol";
import {
  decodeGroupView,
  encodeGroupView,
  expirePast,
  type GroupId,
  type GroupSealId,
  type GroupView,
  type OwnSenderKeys,
  type SenderChains,
  sealIdsOf,
  senderKeys,
} from "@lethe/crypto";
import type { Chance, StoredRows, StreamId } from "../delivery/events.ts";
import type { Turn } from "../delivery/turn.ts";
import { fromBytes } from "@lethe/protocol";
import { put, remove, readTable } from "../delivery/rows.ts";
import { chainsKey, type GroupRow, groupRow, ownRow } from "./rows.ts";

export interface KnownGroup {
  readonly id: GroupId;
  readonly standing: GroupRow["standing"];
  /** Who told this device of it first. */
  readonly by: GroupRow["by"];
  readonly view: GroupView;
}

export interface OwnKeys {
  readonly stream: StreamId;
  /** Number of the next message. */
  readonly next: number;
  readonly keys: OwnSenderKeys | undefined;
}

export class GroupStore {
  readonly #groups = new Map<GroupId, KnownGroup>();
  readonly #own = new Map<GroupId, OwnKeys>();
  readonly #chains = new Map<string, SenderChains>();
  readonly #bySeal = new Map<GroupSealId, GroupId>();
  readonly #chance: Chance;

  constructor(chance: Chance, rows: StoredRows) {
    this.#chance = chance;
    for (const [key, { standing, by, view }] of readTable(rows, "group", groupRow))
      this.#index({ id: key as GroupId, standing, by, view: decodeGroupView(view) });
    for (const [key, { stream, next, keys }] of readTable(rows, "group-own", ownRow)) {
      const decoded = keys === undefined ? undefined : senderKeys.decodeOwn(keys);
      this.#own.set(key as GroupId, { stream, next, keys: decoded });
    }
    for (const { key, value } of rows["group-chains"] ?? [])
      this.#chains.set(key, senderKeys.decodeTheirs(value));
  }

  get size(): number {
    return this.#groups.size;
  }

  of(group: GroupId): KnownGroup | undefined {
    return this.#groups.get(group);
  }

  all(): Iterable<KnownGroup> {
    return this.#groups.values();
  }

  bySeal(seal: GroupSealId): KnownGroup | undefined {
    const id = this.#bySeal.get(seal);
    return id === undefined ? undefined : this.#groups.get(id);
  }

  put(turn: Turn, group: KnownGroup): void {
    const before = this.#groups.get(group.id);
    if (before !== undefined) for (const seal of sealIdsOf(before.view)) this.#bySeal.delete(seal);
    this.#index(group);
    const { standing, by, view } = group;
    const row = { format: "one", standing, by, view: encodeGroupView(view) } as const;
    turn.stage(put("group", group.id, groupRow, row));
  }

  #index(group: KnownGroup): void {
    this.#groups.set(group.id, group);
    for (const seal of sealIdsOf(group.view)) this.#bySeal.set(seal, group.id);
  }

  own(group: GroupId): OwnKeys {
    return this.#own.get(group) ?? { stream: fromBytes(this.#chance.bytes(8)), next: 1, keys: undefined };
  }

  putOwn(turn: Turn, group: GroupId, own: OwnKeys): void {
    this.#own.set(group, own);
    const { stream, next } = own;
    const keys = own.keys === undefined ? undefined : senderKeys.encodeOwn(own.keys);
    turn.stage(put("group-own", group, ownRow, { format: "one", stream, next, keys }));
  }

  chains(group: GroupId, device: DeviceAddress): SenderChains | undefined {
    return this.#chains.get(chainsKey(group, device));
  }

  putChains(turn: Turn, chains: SenderChains): void {
    const key = chainsKey(chains.group, chains.sender);
    if (this.#chains.get(key) === chains) return;
    this.#chains.set(key, chains);
    turn.stage({ table: "group-chains", key, value: senderKeys.encodeTheirs(chains) });
  }

  /** This device is not in the group any more: nothing is sent or opened with what it held. */
  dropKeys(turn: Turn, group: GroupId): void {
    if (this.#own.delete(group)) turn.stage(remove("group-own", group));
    for (const key of this.#chains.keys())
      if (key.startsWith(group)) {
        this.#chains.delete(key);
        turn.stage(remove("group-chains", key));
      }
  }

  /** A store that went back: another message under a number that was used would look like a copy's. */
  restored(turn: Turn): void {
    for (const group of [...this.#own.keys()]) {
      this.#own.delete(group);
      turn.stage(remove("group-own", group));
    }
  }

  sweep(turn: Turn): void {
    for (const group of this.#groups.values()) {
      const view = expirePast(group.view, turn.now);
      if (view !== group.view) this.put(turn, { ...group, view });
    }
    for (const chains of this.#chains.values()) this.putChains(turn, tidied(chains, turn.now));
  }
}

/** The same object where nothing was to be dropped. */
function tidied(chains: SenderChains, now: Time): SenderChains {
  const after = senderKeys.tidy(chains, now);
  const same =
    after.chains.length === chains.chains.length &&
    after.chains.every((c, i) => c.skipped.length === chains.chains[i]?.skipped.length);
  return same ? chains : after;
}
