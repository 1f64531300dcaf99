// What the devices of one account tell each other beside what was sent: the layouts. Always true: a note is believed only
// of a device of one's own account; of two changes of one thing the later counts, and of the same moment that of the
// device with the higher number, so that all devices come to the same.
import {
  accountId,
  binary,
  type Codec,
  fixed,
  list,
  MalformedError,
  type Of,
  oneOf,
  optional,
  struct,
  text,
  time,
  u16,
} from "@lethe/protocol";
import type { MessageId, OfMessages } from "./events.ts";
import { MAX_NOTED_CONTACTS, MAX_NOTED_IDS } from "./limits.ts";
import { timerRow, where } from "./rows.ts";

/** When something was changed, and by which device of the account; 0 and 0: before anybody kept count. */
export interface Made {
  readonly at: number;
  readonly by: number;
}

export function isLater(a: Made, b: Made): boolean {
  return a.at !== b.at ? a.at > b.at : a.by > b.by;
}

const contact = struct({
  account: accountId,
  decision: oneOf({ accepted: 1, blocked: 2 }),
  at: time,
  by: u16,
  accessKey: optional(fixed(16)),
  name: optional(text(32)),
  nameFrom: oneOf({ claimed: 0, found: 1 }),
  /** The account key that the safety number was compared for. */
  verified: optional(fixed(32)),
});
export type NotedContact = Of<typeof contact>;

const contacts = struct({ contacts: list(contact, MAX_NOTED_CONTACTS) });
const messages = struct({
  conversation: accountId,
  messages: list(binary<MessageId>(16, "message id"), MAX_NOTED_IDS),
});
const timers = struct({ timers: list(struct({ ...where, timer: timerRow }), MAX_NOTED_CONTACTS) });
export type NotedTimer = Of<typeof timers>["timers"][number];
const profileKey = struct({ key: fixed(32), at: time, by: u16 });

export type OwnNote =
  | { readonly kind: "contacts"; readonly contacts: readonly NotedContact[] }
  /** Messages of that account that a person has read, or removed, on another device. */
  | ForApplication
  | { readonly kind: "timers"; readonly timers: readonly NotedTimer[] }
  /** The secret that the access key follows from. */
  | ({ readonly kind: "profile-key"; readonly key: Uint8Array } & Made);

export type ForApplication = OfMessages<"read"> | OfMessages<"deleted">;

const KINDS = { contacts: 1, read: 2, deleted: 3, "profile-key": 4, timers: 5 } as const;

export const ownNote: Codec<OwnNote> = {
  read(r) {
    const kind = r.u8();
    if (kind === KINDS.contacts) return { kind: "contacts", ...contacts.read(r) };
    if (kind === KINDS.read) return { kind: "read", ...messages.read(r) };
    if (kind === KINDS.deleted) return { kind: "deleted", ...messages.read(r) };
    if (kind === KINDS["profile-key"]) return { kind: "profile-key", ...profileKey.read(r) };
    if (kind === KINDS.timers) return { kind: "timers", ...timers.read(r) };
    throw new MalformedError(); // a note of a later version
  },
  write(w, v) {
    w.u8(KINDS[v.kind]);
    if (v.kind === "contacts") contacts.write(w, { contacts: [...v.contacts] });
    else if (v.kind === "profile-key") profileKey.write(w, { ...v, at: v.at as NotedContact["at"] });
    else if (v.kind === "timers") timers.write(w, { timers: [...v.timers] });
    else messages.write(w, { conversation: v.conversation, messages: [...v.messages] });
  },
};
