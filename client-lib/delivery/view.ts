// What may be looked at of the core from outside.
import { type AccountId, addressOf, type DeviceAddress, type Time } from "@lethe/protocol";
import type { GroupId } from "@lethe/crypto";
import type { Groups } from "../groups/groups.ts";
import type { Connections } from "./connections.ts";
import type { Contacts } from "./contacts.ts";
import type { Inbox } from "./inbox.ts";
import type { Outbox } from "./outbox.ts";
import type { Sending } from "./sending.ts";
import type { SentLog } from "./sent-log.ts";
import type { Watching } from "./watching.ts";
import type { KnownGroup } from "../groups/group-store.ts";
import type { SentRow as GroupSentRow } from "../groups/rows.ts";
import type { Disappearing } from "./disappearing.ts";
import type { Cipher, MessageId, Presence, Where } from "./events.ts";
import type { ResendLog } from "./resend-log.ts";
import type { ContactRow, SentRow } from "./rows.ts";

/** What the application may look at between steps. */
export interface CoreView {
  readonly connection: "online" | "connecting" | "offline";
  /** Envelopes that no `accepted` has come for. */
  readonly outbox: number;
  readonly epoch: number;
  contact(account: AccountId): Readonly<ContactRow>;
  contacts(): ReadonlyMap<AccountId, Readonly<ContactRow>>;
  requests(): readonly AccountId[];
  /** The last that is known of somebody who is watched; unknown of everybody else. */
  presence(account: AccountId): Presence;
  sent(message: MessageId): Readonly<SentRow> | undefined;
  /** How long what is said in a conversation stays, ms, 0: as long as one likes; and when that was set. */
  timer(where: Where): { readonly ms: number; readonly setAt: number };
  groups(): Iterable<KnownGroup>;
  group(group: GroupId): KnownGroup | undefined;
  groupSent(message: MessageId): Readonly<GroupSentRow> | undefined;
  /** An account's devices by its newest list, of one's own account the others; undefined where none is known. `ready`: mail can be sealed for it. */
  devices(
    account: AccountId,
    now: Time,
  ): readonly { readonly address: DeviceAddress; readonly ready: boolean }[] | undefined;
  /** Devices that a message of ours has been sealed for, own ones included: all of them while any has not confirmed it. */
  carriers(message: MessageId): readonly DeviceAddress[];
  /** Whether anything of a message is still to be sealed, or to be taken by the relay, own copies included. */
  isPending(message: MessageId): boolean;
}

/** The parts that are looked into. */
export interface Viewed {
  readonly connections: Connections;
  readonly outbox: Outbox;
  readonly contacts: Contacts;
  readonly watching: Watching;
  readonly inbox: Inbox;
  readonly sent: SentLog;
  readonly disappearing: Disappearing;
  readonly groups: Groups | undefined;
  readonly cipher: Cipher;
  readonly sending: Sending;
  readonly resends: ResendLog;
}

export function viewOf(viewed: Viewed): CoreView {
  const { connections, outbox, contacts, watching, inbox, sent, disappearing, groups } = viewed;
  return {
    connection: connections.state,
    outbox: outbox.size + (groups?.unsettled ?? 0),
    epoch: connections.device.epoch,
    contact: (account) => contacts.of(account),
    contacts: () => contacts.all(),
    presence: (account) => watching.of(account),
    requests: () => inbox.requests.accounts(),
    sent: (message) => sent.of(message),
    timer: (where) => disappearing.timer(where),
    groups: () => groups?.all() ?? [],
    group: (group) => groups?.of(group),
    groupSent: (message) => groups?.sent(message),
    devices: (account, now) =>
      viewed.cipher
        .peer(account, now)
        ?.devices.map(({ device, ready }) => ({ address: addressOf(account, device), ready })),
    carriers: (message) => [...viewed.resends.carriers(message), ...(groups?.carriers(message) ?? [])],
    isPending: (message) =>
      viewed.sending.waits(message) || outbox.holds(message) || groups?.isPending(message) === true,
  };
}
