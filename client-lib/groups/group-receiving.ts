// From a group's envelope, or from what a member's library tells, to what this device knows of the group. Always true: chains
// and inbox row are one commit; what may open later is kept aside, durably, before it is acknowledged, and tried again
// whenever its group has changed.
import {
  type AccountId,
  accountOf,
  type DeviceAddress,
  type EnvelopeId,
  fromHex,
  type Time,
} from "@lethe/protocol";
import {
  type GroupId,
  type GroupOutcomeCode,
  type OpenedInGroup,
  type SenderChains,
  groupSealId,
  isSilentInGroup,
  mayOpenLater,
  senderKeys,
  decodeTold,
} from "@lethe/crypto";
import { type ReadContent, readContent } from "../content/content.ts";
import { soonest } from "../delivery/connection-ends.ts";
import type { StreamId } from "../delivery/events.ts";
import type { Contacts } from "../delivery/contacts.ts";
import type { LibraryMail } from "../delivery/library-mail.ts";
import type { Turn } from "../delivery/turn.ts";
import type { GroupStore, KnownGroup } from "./group-store.ts";
import {
  ASK_AGAIN_MS,
  MAX_GROUP_WAITING,
  MAX_GROUP_WAITING_BYTES,
  MAX_TOLD_WAITING,
  MAX_UNKNOWN_WAITING,
  MAX_UNKNOWN_WAITING_BYTES,
  MISSING_CHAIN_MS,
} from "./limits.ts";
import { type Membership, stateIn } from "./membership.ts";
import type { GroupKeys, Reach } from "./reach.ts";
import { decodeTelling, encodeTelling, type GroupTelling } from "./told.ts";
import type { Arrived, GroupWaiting, Share } from "./waiting.ts";

/** What an opened envelope of a group has said. */
export interface GroupOpened extends ReadContent {
  readonly id: EnvelopeId;
  readonly group: GroupId;
  readonly from: DeviceAddress;
}

/** Where what comes out goes: the core's inbox and contacts. */
export interface GroupInbox {
  opened(turn: Turn, opened: GroupOpened): void;
  quarantine(turn: Turn, id: EnvelopeId, ciphertext: Uint8Array, code: string): void;
  /** The first number to expect of a device in a group, where none is known yet. */
  expect(turn: Turn, from: DeviceAddress, group: GroupId, place: { stream: StreamId; next: number }): void;
  /** This device is not in the group any more: what is said there until it is in again is not for it. */
  left(turn: Turn, group: GroupId): void;
  learnKey(turn: Turn, account: AccountId, accessKey: Uint8Array): void;
}

export interface GroupReceivingParts {
  readonly self: AccountId;
  readonly store: GroupStore;
  readonly reach: Reach;
  readonly keys: GroupKeys;
  readonly contacts: Contacts;
  readonly mail: LibraryMail;
  readonly membership: Membership;
  readonly waiting: GroupWaiting;
  readonly inbox: GroupInbox;
}

type Heard = "done" | "wait";

/** What comes out where the group is another one with the same seal key. */
const OF_ANOTHER: ReadonlySet<GroupOutcomeCode> = new Set([
  "not-a-member",
  "untrusted-device",
  "wrong-state",
]);

export class GroupReceiving {
  readonly #parts: GroupReceivingParts;
  /** Devices that were asked, or answered, about a group, and until when not again. */
  readonly #asked = new Map<string, number>();
  /** Waiting envelopes, and whose chain they wait for. */
  readonly #missing = new Map<EnvelopeId, { readonly group: GroupId; readonly sender: DeviceAddress }>();
  #stirred = true;
  /** When what waits for a list is looked at again. */
  #againAt = Number.POSITIVE_INFINITY;

  constructor(parts: GroupReceivingParts) {
    this.#parts = parts;
  }

  get isStirred(): boolean {
    return this.#stirred;
  }

  /** A group, a list or a chain is another than before: what waits is looked at again. */
  stir(): void {
    this.#stirred = this.#parts.waiting.size > 0;
  }

  // --- envelopes -----------------------------------------------------------------------------------------------------

  push(turn: Turn, id: EnvelopeId, ciphertext: Uint8Array): void {
    if (this.#parts.waiting.has(id)) return;
    if (this.#open(turn, id, ciphertext) === "wait") this.#keep(turn, id, ciphertext, undefined);
  }

  /** Typing: what does not open at once says nothing any more. Undefined where it is of no group. */
  signal(
    turn: Turn,
    id: EnvelopeId,
    ciphertext: Uint8Array,
  ): { from: DeviceAddress; group: GroupId } | undefined {
    const { known, result } = this.#decryptAny(turn, id, ciphertext) ?? {};
    if (known === undefined || result === undefined) return undefined;
    if (result.code !== "ok" || result.content !== "passing") return undefined;
    this.#parts.store.putChains(turn, result.theirs);
    const isTyping = readContent(result.plaintext)?.content.kind === "signal";
    return isTyping && accountOf(result.sender) !== this.#parts.self
      ? { from: result.sender, group: known.id }
      : undefined;
  }

  #open(turn: Turn, id: EnvelopeId, ciphertext: Uint8Array): Heard {
    const { store, inbox } = this.#parts;
    const seal = groupSealId(ciphertext);
    if (seal === undefined) {
      inbox.quarantine(turn, id, ciphertext, "malformed");
      return "done";
    }
    const opened = this.#decryptAny(turn, id, ciphertext);
    if (opened === undefined) {
      const left = store.bySeal(seal);
      return left.length > 0 && left.every(({ standing }) => standing === "left") ? "done" : "wait";
    }
    const { known, result } = opened;
    if (result.code === "unknown-chain") this.#missing.set(id, { group: known.id, sender: result.sender });
    if (result.code === "untrusted-device") this.#parts.reach.relist(turn, accountOf(result.sender));
    if (mayOpenLater(result.code)) return "wait";
    if ("theirs" in result) store.putChains(turn, result.theirs);
    const read = result.code === "ok" ? readContent(result.plaintext) : undefined;
    if (result.code === "ok" && read !== undefined) {
      if (result.content === "lasting")
        inbox.opened(turn, { ...read, id, group: known.id, from: result.sender });
    } else if (!isSilentInGroup(result.code))
      inbox.quarantine(turn, id, ciphertext, result.code === "ok" ? "malformed-content" : result.code);
    return "done";
  }

  /** In the group that it is of; undefined where its seal is none of a group that this device is in. */
  #decryptAny(turn: Turn, id: EnvelopeId, ciphertext: Uint8Array) {
    const seal = groupSealId(ciphertext);
    let opened: { known: KnownGroup; result: OpenedInGroup<SenderChains> } | undefined;
    for (const known of seal === undefined ? [] : this.#parts.store.bySeal(seal)) {
      if (known.standing !== "joined") continue;
      opened = { known, result: this.#decrypt(turn, known, id, ciphertext) };
      if (!OF_ANOTHER.has(opened.result.code)) break;
    }
    return opened;
  }

  #decrypt(turn: Turn, { id: group, view }: KnownGroup, envelope: EnvelopeId, ciphertext: Uint8Array) {
    const { store, reach, keys } = this.#parts;
    const roster = reach.roster(view.state, turn.now);
    const theirs = (sender: DeviceAddress) => store.chains(group, sender);
    return senderKeys.open({
      identity: keys.identity(),
      view,
      roster,
      now: turn.now,
      ciphertext,
      envelope,
      theirs,
    });
  }

  #keep(turn: Turn, id: EnvelopeId, given: Uint8Array, teller: DeviceAddress | undefined): void {
    const { waiting } = this.#parts;
    const by = teller === undefined ? undefined : accountOf(teller);
    const isTheirs = (item: Arrived): boolean => item.teller !== undefined && accountOf(item.teller) === by;
    if (waiting.count(isTheirs) >= MAX_TOLD_WAITING) return;
    const arrived = { id, bytes: given.slice(), teller };
    for (const gone of waiting.add(turn, arrived, this.#shareOf(arrived))) this.#giveUp(turn, gone);
  }

  #giveUp(turn: Turn, { id, bytes, teller }: Arrived): void {
    this.#missing.delete(id);
    if (teller === undefined) this.#parts.inbox.quarantine(turn, id, bytes, "keys-missing");
  }

  /** What anybody may send cannot take the room of what is known to be for us, nor what is told that of what is sealed. */
  #shareOf(arrived: Arrived): Share {
    const kindOf = ({ bytes, teller }: Arrived): "told" | "known" | "unknown" => {
      if (teller !== undefined) return "told";
      const seal = groupSealId(bytes);
      const groups = seal === undefined ? [] : this.#parts.store.bySeal(seal);
      return groups.some(({ standing }) => standing === "joined") ? "known" : "unknown";
    };
    const kind = kindOf(arrived);
    const of = (item: Arrived): boolean => kindOf(item) === kind;
    return kind === "known"
      ? { of, count: MAX_GROUP_WAITING, bytes: MAX_GROUP_WAITING_BYTES }
      : { of, count: MAX_UNKNOWN_WAITING, bytes: MAX_UNKNOWN_WAITING_BYTES };
  }

  /** Tries again what waits, once a step. */
  pump(turn: Turn): void {
    for (let round = 0; this.#stirred && round < 3; round++) {
      this.#stirred = false;
      for (const item of this.#parts.waiting.all()) {
        const { teller, id, bytes } = item;
        const telling = teller === undefined ? undefined : decodeTelling(bytes);
        const heard =
          teller === undefined
            ? this.#open(turn, id, bytes)
            : telling === undefined
              ? "done"
              : this.#hear(turn, teller, telling);
        if (heard === "wait") {
          if (teller !== undefined && telling !== undefined) this.#miss(id, teller, telling);
          continue;
        }
        this.#parts.waiting.remove(turn, item);
        this.#missing.delete(id);
      }
    }
    const { reach, waiting } = this.#parts;
    this.#againAt = waiting.size > 0 ? reach.relistAt(turn.now) : Number.POSITIVE_INFINITY;
  }

  sweep(turn: Turn): void {
    for (const gone of this.#parts.waiting.sweep(turn)) this.#giveUp(turn, gone);
  }

  // --- what is told --------------------------------------------------------------------------------------------------

  /** A member's library has something to say of a group. `id`: of the envelope that it came in. */
  told(turn: Turn, from: DeviceAddress, id: EnvelopeId, plaintext: Uint8Array): void {
    const telling = decodeTelling(plaintext);
    if (telling === undefined) return;
    if (this.#hear(turn, from, telling) === "wait") {
      this.#miss(id, from, telling);
      this.#keep(turn, id, plaintext, from);
    }
  }

  /** What was told is ahead of what is known here: whoever told it has what is between. */
  #miss(id: EnvelopeId, sender: DeviceAddress, telling: GroupTelling): void {
    const group = groupOf(telling);
    if (group !== undefined) this.#missing.set(id, { group, sender });
  }

  #hear(turn: Turn, from: DeviceAddress, telling: GroupTelling): Heard {
    switch (telling.kind) {
      case "chain":
        this.#meet(turn, from, telling);
        return this.#chain(turn, from, telling);
      case "state":
        this.#meet(turn, from, telling);
        return this.#parts.membership.hear(turn, from, telling.told);
      case "keys":
        return this.#keys(turn, from, telling);
      case "ask":
        this.#isAsked(turn, from, telling);
        return "done";
    }
  }

  #meet(turn: Turn, from: DeviceAddress, { accessKey, name }: { accessKey: Uint8Array; name: string }): void {
    const account = accountOf(from);
    if (account === this.#parts.self) return;
    this.#parts.inbox.learnKey(turn, account, accessKey.slice());
    if (name !== "") this.#parts.contacts.claim(turn, account, name);
  }

  /** Keys of others are believed from a member, and only where nothing better is known: a wrong one is refused, and mended by its owner. */
  #keys(turn: Turn, from: DeviceAddress, { group, keys }: GroupTelling & { kind: "keys" }): Heard {
    const { store, contacts, self, inbox } = this.#parts;
    const known = store.of(group);
    if (known === undefined) return "wait";
    const members = new Set(known.view.state.members.map(({ account }) => account));
    if (!members.has(accountOf(from))) return "done";
    for (const { account, accessKey } of keys)
      if (account !== self && members.has(account) && contacts.of(account).accessKey === undefined)
        inbox.learnKey(turn, account, accessKey.slice());
    return "done";
  }

  #chain(turn: Turn, from: DeviceAddress, { told, stream, next }: GroupTelling & { kind: "chain" }): Heard {
    const { store, reach, keys, inbox } = this.#parts;
    const decoded = decodeTold(told);
    if (decoded?.kind !== "chain") return "done";
    const known = store.of(decoded.group);
    if (known === undefined) return "wait";
    const { view } = known;
    // The state that it was told in is under way: another member's word, or this account is being put in again.
    if (decoded.state.epoch > view.state.epoch) return "wait";
    if (known.standing === "left") return "done";
    const roster = reach.roster(view.state, turn.now);
    const theirs = store.chains(known.id, from);
    const heard = senderKeys.hear({
      identity: keys.identity(),
      view,
      roster,
      now: turn.now,
      theirs,
      told,
      teller: from,
    });
    if (heard.code !== "ok" && heard.code !== "known") {
      if (heard.code === "untrusted-device") reach.relist(turn, accountOf(from));
      return heard.code === "unknown-state" || heard.code === "untrusted-device" ? "wait" : "done";
    }
    store.putChains(turn, heard.theirs);
    if (heard.view !== view) store.put(turn, { ...known, view: heard.view });
    inbox.expect(turn, from, known.id, { stream, next });
    this.#stirred = true;
    return "done";
  }

  // --- asking again --------------------------------------------------------------------------------------------------

  /** A device that cannot open what it gets asks to be told once more; it is, if it is in the group. */
  #isAsked(turn: Turn, from: DeviceAddress, { group, epoch }: GroupTelling & { kind: "ask" }): void {
    const { store, reach, membership } = this.#parts;
    const known = store.of(group);
    if (known?.standing !== "joined" || !this.#mayAsk(turn, "answered", group, from)) return;
    const roster = reach.roster(known.view.state, turn.now);
    if (!roster.devices.has(from)) return;
    const own = store.own(group);
    if (own.keys !== undefined) {
      const holders = new Set(own.keys.holders);
      holders.delete(from);
      store.putOwn(turn, group, { ...own, keys: { ...own.keys, holders } });
    }
    membership.retell(turn, known, accountOf(from), epoch);
  }

  /** A chain that has been missing for a while is asked for: what told it may be lost with a ratchet. */
  tick(turn: Turn): void {
    if (turn.now >= this.#againAt) this.stir();
    for (const { id, at } of this.#parts.waiting.all()) {
      const missing = this.#missing.get(id);
      if (missing === undefined || turn.now < at + MISSING_CHAIN_MS) continue;
      const { group, sender } = missing;
      if (this.#parts.reach.device(turn, sender) !== "ready" || !this.#mayAsk(turn, "asked", group, sender))
        continue;
      const epoch = this.#parts.store.of(group)?.view.state.epoch ?? 0;
      const told = encodeTelling({ kind: "ask", group, epoch });
      this.#parts.mail.control(turn, sender, { kind: "group", told });
    }
  }

  nextAt(now: Time): number {
    let at = soonest(now, Number.POSITIVE_INFINITY, this.#againAt);
    for (const { id, at: since } of this.#parts.waiting.all())
      if (this.#missing.has(id)) at = soonest(now, at, since + MISSING_CHAIN_MS);
    return at;
  }

  #mayAsk(turn: Turn, how: string, group: GroupId, device: DeviceAddress): boolean {
    const key = how + group + device;
    if ((this.#asked.get(key) ?? 0) > turn.now) return false;
    if (this.#asked.size > 10_000) this.#asked.clear();
    this.#asked.set(key, turn.now + ASK_AGAIN_MS);
    return true;
  }
}

function groupOf(telling: GroupTelling): GroupId | undefined {
  if (telling.kind === "keys" || telling.kind === "ask") return telling.group;
  const told = decodeTold(telling.told);
  if (told?.kind === "chain") return told.group;
  return told === undefined ? undefined : stateIn(told.state)?.group;
}

/** A group's id from its hexadecimal digits; undefined where they are none. */
export function groupIdOf(hex: string): GroupId | undefined {
  return /^[0-9a-f]{32}$/.test(hex) ? fromHex<GroupId>(hex, 16) : undefined;
}
