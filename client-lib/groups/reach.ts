// Who of a group can be written to now. Always true: what is missing is asked the relay for once a step; a member that was
// asked about in vain holds nobody up for a while.
import {
  type AccountId,
  accountOf,
  addressOf,
  type DeviceAddress,
  deviceOf,
  type Time,
} from "@lethe/protocol";
import {
  type GroupId,
  type GroupRoster,
  type GroupSigner,
  type GroupState,
  type Identity,
  type PinnedAccount,
  type Random,
  rosterOf,
} from "@lethe/crypto";
import type { Cipher } from "../delivery/events.ts";
import { soonest } from "../delivery/connection-ends.ts";
import type { Contacts } from "../delivery/contacts.ts";
import type { Ended } from "../delivery/lookups.ts";
import type { Sending } from "../delivery/sending.ts";
import type { Turn } from "../delivery/turn.ts";
import { MAX_GROUPS, MISSING_CHAIN_MS, ROSTER_MS, UNREACHED_MS } from "./limits.ts";

/** The keys that groups look at: this device's, and what is verified of others. */
export interface GroupKeys {
  readonly random: Random;
  identity(): Identity;
  /** What is pinned of an account, one's own included. */
  account(account: AccountId): PinnedAccount | undefined;
  signer(device: DeviceAddress): GroupSigner | undefined;
  readonly name: string;
  /** Another one whenever a device or a list of anybody has become known. */
  lists(): string;
}

/** A roster of 256 members costs a millisecond: it is kept until somebody's devices, or so much time, have changed. */
interface KeptRoster {
  readonly of: GroupState;
  readonly lists: string;
  readonly until: number;
  readonly roster: GroupRoster;
}

export interface ReachParts {
  readonly self: AccountId;
  readonly cipher: Cipher;
  readonly contacts: Contacts;
  readonly sending: Sending;
  readonly keys: GroupKeys;
}

export class Reach {
  readonly #parts: ReachParts;
  /** Accounts and devices that were asked about in vain, and until when that is believed. */
  readonly #inVain = new Map<AccountId | DeviceAddress, number>();
  /** Accounts whose list may be newer than the known one, and when it may be asked for again. */
  readonly #relisted = new Map<AccountId, number>();

  /** One for each group: of its state now. */
  readonly #rosters = new Map<GroupId, KeptRoster>();

  constructor(parts: ReachParts) {
    this.#parts = parts;
  }

  roster(state: GroupState, now: Time): GroupRoster {
    const { keys } = this.#parts;
    const lists = keys.lists();
    const kept = this.#rosters.get(state.group);
    if (kept?.of === state && kept.lists === lists && now < kept.until) return kept.roster;
    const accounts = new Map<AccountId, PinnedAccount>();
    for (const { account } of state.members) {
      const pinned = keys.account(account);
      if (pinned !== undefined) accounts.set(account, pinned);
    }
    const roster = rosterOf(state, accounts, now);
    this.#rosters.set(state.group, { of: state, lists, until: now + ROSTER_MS, roster });
    return roster;
  }

  /**
   * Whether an account's devices are known. `waits`: they were asked for just now, or are being. `nobody`: it is one's own, and
   * has no other device.
   */
  account(turn: Turn, account: AccountId): "known" | "waits" | "in-vain" | "nobody" {
    const { self, cipher, contacts, sending, keys } = this.#parts;
    const isSelf = account === self;
    if (isSelf && keys.identity().list.devices.length === 1) return "nobody";
    if (cipher.peer(account, turn.now) !== undefined) return "known";
    if (this.#isInVain(account, turn.now)) return "in-vain";
    // What lets us write to a member is told behind the state that names it.
    if (isSelf || contacts.of(account).accessKey !== undefined) sending.askDevices(turn, account);
    return "waits";
  }

  /** Something was said by a device that is not listed: it may be by now. Whoever names devices that never will be has no
   *  question asked time and again. */
  relist(turn: Turn, account: AccountId): void {
    const again = this.#relisted.get(account);
    if (again !== undefined && again > turn.now) return;
    if (this.#relisted.size >= MAX_GROUPS) this.#relisted.clear();
    this.#relisted.set(account, turn.now + (again === undefined ? MISSING_CHAIN_MS : UNREACHED_MS));
    this.#parts.sending.askDevices(turn, account);
  }

  /** When the next of them may be. */
  relistAt(now: Time): number {
    let at = Number.POSITIVE_INFINITY;
    for (const again of this.#relisted.values()) at = soonest(now, at, again);
    return at;
  }

  /** The same for one device, whose account is known. */
  device(turn: Turn, device: DeviceAddress): "ready" | "waits" | "in-vain" {
    const { cipher, sending, contacts, self } = this.#parts;
    const account = accountOf(device);
    const own = cipher.peer(account, turn.now)?.devices.find((each) => each.device === deviceOf(device));
    if (own?.ready === true) return "ready";
    if (own === undefined || this.#isInVain(device, turn.now)) return "in-vain";
    if (account !== self && contacts.of(account).accessKey === undefined) return "in-vain";
    sending.askPrekeys(turn, device);
    return "waits";
  }

  /** The devices of an account as its newest list names them, this one excepted. */
  devices(account: AccountId, now: Time): DeviceAddress[] {
    const peer = this.#parts.cipher.peer(account, now);
    return (peer?.devices ?? []).map(({ device }) => addressOf(account, device));
  }

  #isInVain(whom: AccountId | DeviceAddress, now: Time): boolean {
    return (this.#inVain.get(whom) ?? 0) > now;
  }

  /** A question has ended: an answer that did not help is one in vain. */
  ended(turn: Turn, { question, how }: Ended): void {
    if (question.about === "name") return;
    const whom = question.about === "devices" ? question.account : question.address;
    const { cipher } = this.#parts;
    const peer = cipher.peer(
      question.about === "devices" ? question.account : accountOf(question.address),
      turn.now,
    );
    const helped =
      question.about === "devices"
        ? peer !== undefined
        : peer?.devices.some(({ device, ready }) => ready && device === deviceOf(question.address)) === true;
    if (how === "answered" && helped) this.#inVain.delete(whom);
    else this.giveUp(whom, turn.now);
  }

  giveUp(whom: AccountId | DeviceAddress, now: Time): void {
    if (this.#inVain.size > 10_000) this.#inVain.clear();
    this.#inVain.set(whom, now + UNREACHED_MS);
  }
}
