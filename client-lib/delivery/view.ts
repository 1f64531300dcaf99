// What may be looked at of the core from outside.
import type { AccountId } from "@lethe/protocol";
import type { GroupId } from "@lethe/crypto";
import type { Groups } from "../groups/groups.ts";
import type { Connections } from "./connections.ts";
import type { Contacts } from "./contacts.ts";
import type { Inbox } from "./inbox.ts";
import type { Outbox } from "./outbox.ts";
import type { SentLog } from "./sent-log.ts";
import type { Watching } from "./watching.ts";
import type { KnownGroup } from "../groups/group-store.ts";
import type { SentRow as GroupSentRow } from "../groups/rows.ts";
import type { Disappearing } from "./disappearing.ts";
import type { MessageId, Presence, Where } from "./events.ts";
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
  };
}
