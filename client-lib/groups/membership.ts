// Who is in a group: states made here, and states heard. Always true: a state is stored, owed to all whom it concerns and
// told to the application in one commit; of two rivals every device comes to hold the same; one's own change that lost is
// made again on the winner.
import { type AccountId, accountOf, type DeviceAddress, type Time } from "@lethe/protocol";
import {
  acceptGroupState,
  changeGroup,
  type ChangedGroup,
  createGroup,
  decodeTold,
  equal,
  type GroupChange,
  type GroupId,
  type GroupState,
  type GroupView,
  joinGroup,
  type MadeGroupState,
  memberOf,
  parseGroupState,
  type PinnedAccount,
  type Secret,
} from "@lethe/crypto";
import type { Contacts } from "../delivery/contacts.ts";
import type { RefusalCode } from "../delivery/events.ts";
import type { Turn } from "../delivery/turn.ts";
import type { GroupStore, KnownGroup } from "./group-store.ts";
import { MAX_INVITATIONS } from "./limits.ts";
import type { GroupInbox } from "./group-receiving.ts";
import type { OwedStates } from "./owed.ts";
import type { GroupKeys, Reach } from "./reach.ts";
import type { Change } from "./rows.ts";

/** What is asked for here, until the lists of those whom it adds are known. */
interface Asked {
  readonly ask: number;
  /** Undefined: a new one. */
  readonly group: GroupId | undefined;
  readonly change: Change;
}

export interface MembershipParts {
  readonly self: AccountId;
  readonly store: GroupStore;
  readonly owed: OwedStates;
  readonly reach: Reach;
  readonly keys: GroupKeys;
  readonly contacts: Contacts;
  readonly inbox: Pick<GroupInbox, "left">;
  /** A group is another than before: what waits for it may go on. */
  readonly changed: (group: GroupId) => void;
}

/** Asked at once by one application. */
const MAX_ASKED = 100;

export class Membership {
  readonly #parts: MembershipParts;
  #asked: Asked[] = [];

  constructor(parts: MembershipParts) {
    this.#parts = parts;
  }

  // --- made here -----------------------------------------------------------------------------------------------------

  /** A new group, or a change of one. Answered by `group-done`. */
  ask(turn: Turn, ask: number, group: GroupId | undefined, change: Change): void {
    if (this.#asked.length >= MAX_ASKED) this.#refuse(turn, ask, "busy");
    else this.#asked.push({ ask, group, change });
    this.goOn(turn);
  }

  /** Lists may have come: what waited for them goes on. */
  goOn(turn: Turn): void {
    if (this.#asked.length === 0) return;
    this.#asked = this.#asked.filter((asked) => this.#try(turn, asked) === "waits");
  }

  #try(turn: Turn, { ask, group, change }: Asked): "done" | "waits" {
    const { contacts, reach, store, self } = this.#parts;
    const adds = change.kind === "add" ? change.accounts.filter((account) => account !== self) : [];
    if (adds.some((account) => contacts.of(account).accessKey === undefined))
      return this.#refuse(turn, ask, "not-a-contact");
    const known = adds.map((account) => reach.account(turn, account));
    if (known.includes("waits")) return "waits";
    if (known.includes("in-vain")) return this.#refuse(turn, ask, "not-sealable");
    if (group === undefined && !store.makeRoom(turn)) return this.#refuse(turn, ask, "too-many-groups");
    const made = group === undefined ? this.#create(change) : this.#change(group, change);
    if (made.code !== "ok") return this.#refuse(turn, ask, made.code);
    this.#made(turn, made, change);
    turn.tellAfter({ tell: "group-done", ask, code: "ok", group: made.state.group });
    return "done";
  }

  #refuse(turn: Turn, ask: number, code: RefusalCode): "done" {
    turn.tell({ tell: "group-done", ask, code, group: undefined });
    return "done";
  }

  #create({ name, writers, accounts }: Change): ChangedGroup {
    const { keys } = this.#parts;
    const random = keys.random;
    return createGroup({
      identity: keys.identity(),
      name,
      writers,
      accounts: this.#pinned(accounts),
      random,
    });
  }

  #change(group: GroupId, change: Change): ChangedGroup {
    const { keys, store } = this.#parts;
    const known = store.of(group);
    const may = known?.standing === "joined" || (known?.standing === "invited" && change.kind === "leave");
    if (known === undefined || !may) return { code: "not-a-member" };
    const { state } = known.view;
    return changeGroup({
      identity: keys.identity(),
      state,
      change: this.#dataOf(change),
      random: keys.random,
    });
  }

  #pinned(accounts: readonly AccountId[]): PinnedAccount[] {
    const { keys, self } = this.#parts;
    return accounts.filter((account) => account !== self).flatMap((account) => keys.account(account) ?? []);
  }

  #dataOf({ kind, accounts, name, writers }: Change): GroupChange {
    const account = accounts[0] ?? this.#parts.self;
    switch (kind) {
      case "add":
        return { kind, accounts: this.#pinned(accounts) };
      case "remove":
        return { kind, accounts };
      case "promote":
      case "demote":
        return { kind, account };
      case "rename":
        return { kind, name };
      case "writers":
        return { kind, writers };
      default:
        return { kind };
    }
  }

  #made(turn: Turn, { state, sealKey }: MadeGroupState, change: Change): void {
    const { store, self, keys } = this.#parts;
    const before = store.of(state.group);
    const view = viewAfter(before?.view, { state, sealKey, keys, now: turn.now });
    const left = memberOf(state, self) === undefined;
    this.#take(turn, { id: state.group, standing: left ? "left" : "joined", by: before?.by ?? self, view });
    this.#owe(turn, before?.view.state, state, { sealKey, change });
    turn.tellAfter({
      tell: "group",
      group: state.group,
      how: before === undefined ? "created" : left ? "left" : "changed",
    });
  }

  /** Everybody in the old state and the new one is to be told. */
  #owe(
    turn: Turn,
    before: GroupState | undefined,
    state: GroupState,
    { sealKey, change }: { readonly sealKey: Secret | undefined; readonly change: Change | undefined },
  ): void {
    const all = new Set([...state.members, ...(before?.members ?? [])].map(({ account }) => account));
    const added = state.members
      .map(({ account }) => account)
      .filter((account) => before === undefined || memberOf(before, account) === undefined);
    this.#parts.owed.add(turn, { state, sealKey, change, added, accounts: [...all] });
  }

  /**
   * The state that is current once more for an account: a device of it is new, or has missed something; then with those
   * behind the one that it has.
   */
  retell(turn: Turn, group: KnownGroup, account: AccountId, behind = 0): void {
    const { view } = group;
    const states = behind === 0 ? [view.state] : this.#parts.store.statesBehind(group, behind);
    for (const state of states) {
      const past = view.past.find(({ hash }) => equal(hash, state.hash));
      const sealKey = state === view.state ? view.sealKey : past?.sealKey;
      if (sealKey === undefined) continue;
      const added = state === view.state ? [account] : [];
      this.#parts.owed.add(turn, { state, sealKey, change: undefined, added, accounts: [account] });
    }
  }

  #take(turn: Turn, group: KnownGroup): void {
    const { store, inbox, changed } = this.#parts;
    store.put(turn, group);
    if (group.standing === "left") {
      store.dropKeys(turn, group.id);
      inbox.left(turn, group.id);
    }
    changed(group.id);
  }

  // --- heard ---------------------------------------------------------------------------------------------------------

  /** "wait": something that is under way has to come first. */
  hear(turn: Turn, from: DeviceAddress, plaintext: Uint8Array): "done" | "wait" {
    const told = decodeTold(plaintext);
    if (told?.kind !== "state") return "done";
    const state = stateIn(told.state);
    if (state === undefined) return "done";
    const { keys, reach, store } = this.#parts;
    const signer = keys.signer(state.signer);
    if (signer === undefined) {
      reach.relist(turn, accountOf(state.signer));
      return "wait";
    }
    const known = store.of(state.group);
    if (known !== undefined && known.standing !== "left") {
      const heard = { view: known.view, bytes: told.state, signer, sealKey: told.sealKey, now: turn.now };
      const accepted = acceptGroupState(heard);
      if (accepted.code === "ok") {
        if (accepted.how === "same" && accepted.view === known.view) return "done";
        this.#accepted(turn, known, accepted.view, accepted.how === "same");
        if (accepted.how === "replaces") this.#again(turn, accepted.lost);
        return "done";
      }
      if (accepted.code !== "forked" && accepted.code !== "epoch-gap") return "done";
    }
    const identity = keys.identity();
    if (told.sealKey === undefined) return known === undefined ? "done" : "wait";
    const joined = joinGroup({
      identity,
      bytes: told.state,
      signer,
      sealKey: told.sealKey,
      known: known?.view,
      now: turn.now,
    });
    if (joined.code === "ok") {
      this.#joined(turn, known, joined.view, accountOf(from));
      return "done";
    }
    return known !== undefined && state.epoch > known.view.state.epoch + 1 ? "wait" : "done";
  }

  #accepted(turn: Turn, known: KnownGroup, view: GroupView, quiet: boolean): void {
    const left = memberOf(view.state, this.#parts.self) === undefined;
    this.#take(turn, { ...known, standing: left ? "left" : known.standing, view });
    if (!quiet) turn.tellAfter({ tell: "group", group: known.id, how: left ? "removed" : "changed" });
  }

  /** A change of this device's has lost: it is made on the state that won, if it still can be. */
  #again(turn: Turn, lost: GroupState): void {
    const change = this.#parts.owed.lost(turn, lost);
    if (change === undefined) return;
    const made = this.#change(lost.group, change);
    if (made.code === "ok") this.#made(turn, made, change);
    else turn.tellAfter({ tell: "group", group: lost.group, how: "change-lost" });
  }

  /** Somebody has put this account into a group: a contact at once, of a stranger the person decides. */
  #joined(turn: Turn, known: KnownGroup | undefined, view: GroupView, by: AccountId): void {
    const { contacts, self, store } = this.#parts;
    const trusted = by === self || contacts.of(by).decision === "accepted";
    const isIn = known !== undefined && known.standing !== "left";
    if (!isIn && contacts.of(by).decision === "blocked") return;
    if (!isIn && !trusted && this.#invitations() >= MAX_INVITATIONS) return;
    if (known === undefined && !store.makeRoom(turn)) return;
    const standing = known?.standing === "joined" || trusted ? "joined" : "invited";
    this.#take(turn, { id: view.state.group, standing, by, view });
    turn.tellAfter({ tell: "group", group: view.state.group, how: standing });
  }

  #invitations(): number {
    let count = 0;
    for (const { standing } of this.#parts.store.all()) if (standing === "invited") count += 1;
    return count;
  }

  /** A device of this account is gone: where it is an admin, what comes next is sealed with keys that it never had. */
  renew(turn: Turn, group: KnownGroup): void {
    const change: Change = { kind: "renew", accounts: [], name: "", writers: "members" };
    const made = this.#change(group.id, change);
    if (made.code === "ok") this.#made(turn, made, change);
  }

  /** The person's answer to an invitation. */
  join(turn: Turn, ask: number, group: GroupId): void {
    const known = this.#parts.store.of(group);
    if (known === undefined || known.standing === "left") {
      this.#refuse(turn, ask, "not-a-member");
      return;
    }
    if (known.standing === "invited") this.#take(turn, { ...known, standing: "joined" });
    turn.tellAfter({ tell: "group-done", ask, code: "ok", group });
  }
}

/** Undefined: it is none. */
export function stateIn(bytes: Uint8Array): GroupState | undefined {
  try {
    return parseGroupState(bytes);
  } catch {
    return undefined;
  }
}

interface Following {
  readonly state: GroupState;
  readonly sealKey: Secret;
  readonly keys: GroupKeys;
  readonly now: Time;
}

/** One's own state, taken by the same code as anybody's. @throws Error where it does not take it: a defect */
function viewAfter(before: GroupView | undefined, { state, sealKey, keys, now }: Following): GroupView {
  const identity = keys.identity();
  const { account, device, accountKey, signingKey } = identity.certificate;
  const signer = { account, device, accountKey, signingKey };
  const taken =
    before === undefined
      ? joinGroup({ identity, bytes: state.bytes, signer, sealKey, known: undefined, now })
      : acceptGroupState({ view: before, bytes: state.bytes, signer, sealKey, now });
  if (taken.code !== "ok") throw new Error(taken.code);
  return taken.view;
}
