// What this device holds of its groups, in memory and as rows. Always true: every change is staged in the turn that makes it;
// an envelope is found by the seal id of an epoch that its group knows.
import type { DeviceAddress, Time } from "@lethe/protocol";
import {
  decodeGroupView,
  encodeGroupView,
  equal,
  expirePast,
  type GroupId,
  type GroupSealId,
  type GroupState,
  type GroupView,
  type OwnSenderKeys,
  parseGroupState,
  type SenderChains,
  sealIdsOf,
  senderKeys,
} from "@lethe/crypto";
import type { Chance, StoredRows, StreamId } from "../delivery/events.ts";
import type { Turn } from "../delivery/turn.ts";
import { fromBytes } from "@lethe/protocol";
import { MAX_GROUPS, MAX_HISTORY } from "./limits.ts";
import { put, remove, readTable } from "../delivery/rows.ts";
import { chainsKey, historyRow, owedKey, type GroupRow, groupRow, ownRow } from "./rows.ts";

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
  readonly #bySeal = new Map<GroupSealId, GroupId[]>();
  readonly #chance: Chance;
  /** Past states of each group, oldest first. */
  readonly #history = new Map<GroupId, GroupState[]>();

  constructor(chance: Chance, rows: StoredRows) {
    this.#chance = chance;
    for (const [key, { standing, by, view }] of readTable(rows, "group", groupRow))
      this.#index({ id: key as GroupId, standing, by, view: decodeGroupView(view) });
    for (const [key, { stream, next, keys }] of readTable(rows, "group-own", ownRow)) {
      const decoded = keys === undefined ? undefined : senderKeys.decodeOwn(keys);
      this.#own.set(key as GroupId, { stream, next, keys: decoded });
    }
    for (const [key, { state }] of readTable(rows, "group-history", historyRow))
      this.#remember(key.slice(0, 16) as GroupId, parseGroupState(state));
    for (const { key, value } of rows["group-chains"] ?? [])
      this.#chains.set(key, senderKeys.decodeTheirs(value));
  }

  /** Room for one more group: where there is none, the one that was left first is forgotten. */
  makeRoom(turn: Turn): boolean {
    if (this.#groups.size < MAX_GROUPS) return true;
    for (const { id, standing } of this.#groups.values()) {
      if (standing !== "left") continue;
      this.#unindex(id);
      this.#groups.delete(id);
      turn.stage(remove("group", id));
      return true;
    }
    return false;
  }

  of(group: GroupId): KnownGroup | undefined {
    return this.#groups.get(group);
  }

  all(): Iterable<KnownGroup> {
    return this.#groups.values();
  }

  /** The groups of which an epoch is sealed so: one, unless a member of it has given another group the same key. */
  bySeal(seal: GroupSealId): KnownGroup[] {
    return (this.#bySeal.get(seal) ?? []).flatMap((id) => this.#groups.get(id) ?? []);
  }

  /** The states behind an epoch that lead to the current one, oldest first, as far as they are kept. */
  statesBehind({ id, view }: KnownGroup, epoch: number): GroupState[] {
    const found = [view.state];
    for (const state of (this.#history.get(id) ?? []).toReversed())
      if (state.epoch > epoch && equal(state.hash, (found[0] as GroupState).previousHash))
        found.unshift(state);
    return found;
  }

  #remember(group: GroupId, state: GroupState): GroupState[] {
    const kept = [...(this.#history.get(group) ?? []).filter(({ epoch }) => epoch !== state.epoch), state];
    this.#history.set(group, kept.slice(-MAX_HISTORY));
    return kept.slice(0, -MAX_HISTORY);
  }

  #keepPast(turn: Turn, { id, view: { state } }: KnownGroup): void {
    const row = { format: "one", state: state.bytes } as const;
    turn.stage(put("group-history", owedKey(id, state.epoch), historyRow, row));
    for (const old of this.#remember(id, state)) turn.stage(remove("group-history", owedKey(id, old.epoch)));
  }

  put(turn: Turn, group: KnownGroup): void {
    const before = this.#groups.get(group.id);
    if (before !== undefined && before.view.state !== group.view.state) this.#keepPast(turn, before);
    this.#unindex(group.id);
    this.#index(group);
    const { standing, by, view } = group;
    const row = { format: "one", standing, by, view: encodeGroupView(view) } as const;
    turn.stage(put("group", group.id, groupRow, row));
  }

  #index(group: KnownGroup): void {
    this.#groups.set(group.id, group);
    for (const seal of sealIdsOf(group.view))
      this.#bySeal.set(seal, [...new Set([...(this.#bySeal.get(seal) ?? []), group.id])]);
  }

  #unindex(group: GroupId): void {
    const before = this.#groups.get(group);
    for (const seal of before === undefined ? [] : sealIdsOf(before.view)) {
      const others = (this.#bySeal.get(seal) ?? []).filter((id) => id !== group);
      if (others.length === 0) this.#bySeal.delete(seal);
      else this.#bySeal.set(seal, others);
    }
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
    for (const { epoch } of this.#history.get(group) ?? [])
      turn.stage(remove("group-history", owedKey(group, epoch)));
    this.#history.delete(group);
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
