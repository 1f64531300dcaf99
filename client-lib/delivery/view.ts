// What may be looked at of the core from outside.
import type { AccountId } from "@lethe/protocol";
import type { GroupId } from "@lethe/crypto";
import type { KnownGroup } from "../groups/group-store.ts";
import type { SentRow as GroupSentRow } from "../groups/rows.ts";
import type { MessageId, Presence } from "./events.ts";
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
  groups(): Iterable<KnownGroup>;
  group(group: GroupId): KnownGroup | undefined;
  groupSent(message: MessageId): Readonly<GroupSentRow> | undefined;
}
