// The words between the deciding code (`core.ts`) and its edge: events in, effects out, both data.
// Always true: an effect that follows a durable write stands in the answer to that write's `committed`, never before;
// a connection is named by its number, so that what comes from an older one is ignored.
import type {
  AccountId,
  ClientFrame,
  ConnectionKind,
  DeviceAddress,
  DeviceNumber,
  EnvelopeId,
  FrameOf,
  ProblemCode,
  RelayFrame,
  Time,
} from "@lethe/protocol";
import type { GroupId } from "@lethe/crypto";
import type { Change } from "../groups/rows.ts";

declare const brand: unique symbol;
/** 16 random bytes that name a message for its conversation, inside the encryption. */
export type MessageId = string & { readonly [brand]: "MessageId" };
/** 8 random bytes that name one run of sequence numbers from one device to another. */
export type StreamId = string & { readonly [brand]: "StreamId" };

/** One change of the store; `value` undefined deletes the row. All writes of one commit happen, or none. */
export interface Write {
  readonly table: string;
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

export interface Row {
  readonly key: string;
  readonly value: Uint8Array;
}

/** Everything that the store holds of the core's tables, each in any order. An absent table is empty. */
export type StoredRows = Readonly<Record<string, readonly Row[]>>;

/** Chance is a parameter: a simulation gives a seeded one. */
export interface Chance {
  bytes(length: number): Uint8Array;
  /** In [0, 1). */
  fraction(): number;
}

/** A message's place in the order of its sender. The first of a stream is 1. */
export interface Place {
  readonly stream: StreamId;
  readonly sequence: number;
}

/** What is sealed. `body` is opaque here. */
export type Content =
  | { readonly kind: "message"; readonly body: Uint8Array }
  | {
      readonly kind: "receipt";
      readonly delivered: readonly MessageId[];
      readonly read: readonly MessageId[];
    }
  | { readonly kind: "signal"; readonly body: Uint8Array };

/** What was opened. `unknown` is of a later version: it survives, and goes to the application. `update` changes what was said. */
export type OpenedContent =
  | Content
  | { readonly kind: "unknown" | "update"; readonly body: Uint8Array }
  /** Of another device's library: believed of one's own account's alone. */
  | { readonly kind: "note"; readonly body: Uint8Array };

/** What two libraries say to each other about ratchets and keys; no person sees it. */
export type Control =
  | {
      readonly kind: "resend";
      /** 16 bytes; undefined where the message that failed named none that is known. */
      readonly ratchet: string | undefined;
      readonly ratchetKey: Uint8Array;
      readonly envelopes: readonly EnvelopeId[];
    }
  | { readonly kind: "access-key"; readonly accessKey: Uint8Array }
  /** Of a group: see `groups/told.ts`. */
  | { readonly kind: "group"; readonly told: Uint8Array };

export interface ControlRequest {
  readonly to: DeviceAddress;
  readonly id: EnvelopeId;
  readonly control: Control;
  readonly now: Time;
}

/** Of an envelope that did not open: what its sender has to know to send it again. */
export interface ResendWish {
  readonly from: DeviceAddress;
  readonly ratchet: string | undefined;
  readonly ratchetKey: Uint8Array;
}

export interface SealRequest {
  readonly to: DeviceAddress;
  readonly id: EnvelopeId;
  readonly message: MessageId;
  /** Undefined for what has no place in the order: receipts and signals. */
  readonly place: Place | undefined;
  readonly content: Content;
  readonly sentAt: Time;
  readonly now: Time;
}

export type Sealed =
  | { readonly code: "ok"; readonly ciphertext: Uint8Array; readonly writes: readonly Write[] }
  | { readonly code: string & {}; readonly ciphertext?: undefined };

export interface OpenRequest {
  readonly id: EnvelopeId;
  readonly kind: FrameOf<"push">["kind"];
  readonly ciphertext: Uint8Array;
  readonly now: Time;
}

/** How an envelope turned out; each is acknowledged (crypto.md 1.6 calls these the outcome classes). */
export type CipherOutcome =
  | {
      readonly outcome: "ok";
      readonly from: DeviceAddress;
      readonly message: MessageId;
      readonly place: Place | undefined;
      readonly sentAt: Time;
      /** The sender's delivery access key, and the name it goes by, where it says them. */
      readonly accessKey: Uint8Array | undefined;
      readonly name: string | undefined;
      /** Of one's own devices: whom the sender has said this to. Whoever else sets it is not believed. */
      readonly conversation?: AccountId | undefined;
      readonly content: OpenedContent;
      /** Accounts of which another device list is known now than before. */
      readonly relisted?: readonly AccountId[];
      readonly writes: readonly Write[];
    }
  /** Of the other side's library, for this one. */
  | {
      readonly outcome: "control";
      readonly from: DeviceAddress;
      readonly control: Control;
      readonly relisted?: readonly AccountId[];
      readonly writes: readonly Write[];
    }
  /** Opened before: acknowledged, silent. */
  | { readonly outcome: "duplicate" }
  /** Never opens: quarantined under its code, acknowledged, and the next flows. `writes` is what must be kept all the same. */
  | {
      readonly outcome: "poison";
      readonly code: string;
      readonly writes: readonly Write[];
      /** Given where its sender is proved to be a known device, and the message is worth asking for. */
      readonly resend?: ResendWish;
    };

export interface PeerDeviceState {
  readonly device: DeviceNumber;
  readonly ready: boolean;
  /** Ready, and its ratchet is due to be replaced: prekeys are asked for, and nothing waits for them. */
  readonly stale?: boolean;
}

/** Whether mail can be sealed to an account's devices. */
export interface PeerState {
  readonly listVersion: number;
  readonly devices: readonly PeerDeviceState[];
}

export type Learned =
  | { readonly code: "ok"; readonly writes: readonly Write[] }
  /** Refused for good: the account key is another than the pinned one, a signature does not fit, ... */
  | { readonly code: string & {}; readonly writes?: undefined };

/**
 * Sealing and opening, synchronous. Its state is rows of the same store: what it would change is in `writes`, and it
 * keeps the changed state in memory at once. A failed commit therefore ends the core (`stopped`), and the edge begins
 * again from the store.
 */
export interface Cipher {
  /** Undefined: the account's device list is not known. Of one's own account: the other devices, if there are any. */
  peer(account: AccountId, now: Time): PeerState | undefined;
  learnDevices(account: AccountId, answer: FrameOf<"has-devices">, now: Time): Learned;
  /** Nothing is kept of an account's devices that its newest list does not name. */
  forgetUnlisted(account: AccountId): readonly Write[];
  learnPrekeys(address: DeviceAddress, answer: FrameOf<"has-prekeys">, now: Time): Learned;
  seal(request: SealRequest): Sealed;
  sealControl(request: ControlRequest): Sealed;
  open(request: OpenRequest): CipherOutcome;
  /** Nothing is sealed for the device before a new ratchet was started with it. */
  renew(address: DeviceAddress, now: Time): readonly Write[];
  /** A new delivery access key: whoever holds the old one alone may not send any more, once the relay knows. */
  newAccessKey(
    now: Time,
  ):
    | { readonly accessKey: Uint8Array; readonly profileKey: ProfileKey; readonly writes: readonly Write[] }
    | undefined;
  /** Another device of this account has replaced the secret: the later one counts. `older`: ours is to be told again. */
  adoptProfileKey(theirs: ProfileKey): {
    readonly is: "taken" | "same" | "older";
    readonly accessKey: Uint8Array;
    readonly writes: readonly Write[];
  };
  /** The account key that the person has compared the safety number for; and: they have, on another device. */
  verified(account: AccountId): Uint8Array | undefined;
  verify(account: AccountId, accountKey: Uint8Array): readonly Write[];
  /** A ratchet that is due for renewal could not be renewed: that is not tried for a while. True: the one there is goes on. */
  goOn(address: DeviceAddress, now: Time): boolean;
  /** The relay has seen a later epoch than the store: ratchets are suspect, nothing is sealed with them again. */
  suspect(now: Time): readonly Write[];
  /** The device's signature over `proofTuple`, 64 bytes. */
  prove(proof: Proof): Uint8Array;
}

/** The secret that the delivery access key follows from, 32 bytes; when it was made, and by which device. */
export interface ProfileKey {
  readonly key: Uint8Array;
  readonly at: number;
  readonly by: number;
}

export interface Proof {
  readonly relay: string;
  readonly nonce: Uint8Array;
  readonly epoch: number;
  readonly version: number;
}

/** A connection of this device, by what it is for: `presence` is a second anonymous one. */
export type SocketName = ConnectionKind | "presence";

/** What is known of somebody who is watched. */
export interface Presence {
  readonly state: "online" | "offline" | "unknown";
  /** The minute in which they were last here, if they are offline and let it be seen. */
  readonly lastSeen: Time | undefined;
}

/** What the relay takes, by its own word. */
export interface RelayTerms {
  readonly maxEnvelopeBytes: number;
  readonly maxTtlMs: number;
}

/** What the application may decide about an account. */
export type Decision = "accepted" | "blocked";

/** Refusals of the client itself, beside the relay's codes and the cipher's. */
export type LocalCode =
  | "outbox-full"
  | "body-too-large"
  | "no-other-device"
  | "blocked"
  | "not-sealable"
  | "answer-lost";
/** Why somebody cannot be watched. */
export type WatchCode = "blocked" | "not-a-contact" | "too-many-watched";
export type RefusalCode = ProblemCode | LocalCode | (string & {});

/** What has become of a group. `change-lost`: one's own change was overtaken by another, and cannot be made any more. */
export type GroupNews = "created" | "joined" | "invited" | "changed" | "removed" | "left" | "change-lost";

/** What has happened. */
export type Happening =
  | { readonly event: "start" }
  /** Ends the connections; `start` begins again. */
  | { readonly event: "stop" }
  | { readonly event: "tick" }
  /** The network came back, or the person wants to connect in spite of a displacement. */
  | { readonly event: "connect" }
  | { readonly event: "opened"; readonly socket: SocketName; readonly connection: number }
  | {
      readonly event: "closed";
      readonly socket: SocketName;
      readonly connection: number;
      readonly status: number;
    }
  | {
      readonly event: "frames";
      readonly socket: SocketName;
      readonly connection: number;
      readonly frames: readonly RelayFrame[];
    }
  | { readonly event: "committed"; readonly commit: number }
  | { readonly event: "commit-failed"; readonly commit: number; readonly why: string }
  | {
      readonly event: "send";
      readonly message: MessageId;
      readonly to: AccountId;
      readonly body: Uint8Array;
      readonly ttl?: number;
    }
  /** A new group (`group` undefined), or a change of one. Answered by `group-done`. */
  | {
      readonly event: "group-change";
      readonly ask: number;
      readonly group: GroupId | undefined;
      readonly change: Change;
    }
  /** Takes an invitation. Answered by `group-done`. */
  | { readonly event: "group-join"; readonly ask: number; readonly group: GroupId }
  | {
      readonly event: "group-send";
      readonly message: MessageId;
      readonly group: GroupId;
      readonly body: Uint8Array;
      readonly ttl?: number;
    }
  | { readonly event: "group-signal"; readonly group: GroupId; readonly body: Uint8Array }
  /** Typing and the like: now or never. */
  | { readonly event: "signal"; readonly to: AccountId; readonly body: Uint8Array }
  /** The application is done with an entry that was handed over. */
  | { readonly event: "settled"; readonly entry: number }
  | {
      readonly event: "read";
      readonly from: AccountId;
      readonly messages: readonly MessageId[];
      /** The group that they stand in, if one. */
      readonly group?: GroupId;
    }
  /** The person has removed messages of somebody: what waits of them goes, here and on one's own other devices. */
  | { readonly event: "forget"; readonly from: AccountId; readonly messages: readonly MessageId[] }
  /** The person has compared a safety number. */
  | { readonly event: "verified"; readonly account: AccountId }
  /** Answered by `watching`. */
  | { readonly event: "watch"; readonly ask: number; readonly account: AccountId }
  | { readonly event: "unwatch"; readonly account: AccountId }
  /** The relay has said what it takes, beside a connection. */
  | { readonly event: "terms"; readonly terms: RelayTerms }
  | { readonly event: "decide"; readonly account: AccountId; readonly decision: Decision }
  /** A device was removed, which knew the access key: contacts get a new one. */
  | { readonly event: "lock-out" }
  /** What a contact link or a card says of somebody. The access key is undefined where a better one is known. */
  | {
      readonly event: "meet";
      readonly account: AccountId;
      readonly accessKey: Uint8Array | undefined;
      readonly name: string | undefined;
    }
  /** A name was found to belong to an account. */
  | { readonly event: "named"; readonly account: AccountId; readonly name: string }
  | { readonly event: "ask-name"; readonly ask: number; readonly name: string; readonly until: Time };

/** Something has happened, or several things: what they stage together is one commit. */
export type CoreEvent = { readonly now: Time } & (
  | Happening
  | { readonly event: "batch"; readonly events: readonly Happening[] }
);

/** Something about messages from or to an account. */
export interface OfMessages<K extends string> {
  readonly kind: K;
  readonly conversation: AccountId;
  readonly messages: readonly MessageId[];
}

/** A conversation with one account, or a group's. */
export interface Where {
  readonly conversation?: AccountId | undefined;
  readonly group?: GroupId | undefined;
}

export interface Disappeared extends Where {
  readonly author: AccountId;
  readonly messages: readonly MessageId[];
}

/** An entry of the inbox, as the application gets it. The same entry comes again until it is settled. */
export interface Entry {
  readonly entry: number;
  readonly from: DeviceAddress;
  /** A gap has an id of its own, the same whenever it comes. */
  readonly message: MessageId;
  /** For a gap: when it was given up. */
  readonly sentAt: Time;
  /** True where the gap before it was reported already. */
  readonly late: boolean;
  readonly content:
    | { readonly kind: "message" | "unknown" | "update"; readonly body: Uint8Array }
    /** Said to a group; of one's own account: on another device. `group-silent`: an update, or unknown. */
    | { readonly kind: "group" | "group-silent"; readonly group: GroupId; readonly body: Uint8Array }
    /** Said to that account on another device of one's own. */
    | { readonly kind: "own"; readonly conversation: AccountId; readonly body: Uint8Array }
    /** On another device of one's own, a person has read or removed messages of that account. */
    | OfMessages<"read-elsewhere">
    | OfMessages<"deleted-elsewhere">
    /** Messages whose time is over. */
    | ({ readonly kind: "disappear" } & Disappeared)
    /** Only ids that this device sent to that account, and that were not told before. */
    | {
        readonly kind: "receipt";
        readonly delivered: readonly MessageId[];
        readonly read: readonly MessageId[];
      }
    /** Missing numbers of one stream, both included, where their messages would have stood. */
    | {
        readonly kind: "gap";
        readonly first: number;
        readonly last: number;
        readonly group?: GroupId | undefined;
      };
}

/** What the application is told. */
export type Told =
  | { readonly tell: "connection"; readonly state: "connecting" | "online" | "offline" }
  | { readonly tell: "drained" }
  /** Another connection of this device took over: nothing is tried until `connect`. */
  | { readonly tell: "displaced" }
  /** Nothing is tried any more: the relay refuses this device for good, or the store failed. */
  | { readonly tell: "stopped"; readonly code: RefusalCode }
  /** The store is older than the relay has seen: prekeys are to be replaced. */
  | { readonly tell: "store-restored" }
  | { readonly tell: "queued"; readonly message: MessageId }
  | { readonly tell: "sent"; readonly message: MessageId; readonly to: AccountId }
  | { readonly tell: "expired"; readonly message: MessageId; readonly to: AccountId }
  | {
      readonly tell: "refused";
      readonly message: MessageId;
      readonly to: AccountId;
      readonly code: RefusalCode;
    }
  /** The relay asks to wait; the message stays in the outbox. */
  | {
      readonly tell: "waiting";
      readonly message: MessageId;
      readonly to: AccountId;
      readonly code: RefusalCode;
    }
  | { readonly tell: "group"; readonly group: GroupId; readonly how: GroupNews }
  | {
      readonly tell: "group-done";
      readonly ask: number;
      readonly code: RefusalCode | "ok";
      readonly group: GroupId | undefined;
    }
  | { readonly tell: "group-sent"; readonly message: MessageId; readonly group: GroupId }
  | {
      readonly tell: "group-refused";
      readonly message: MessageId;
      readonly group: GroupId;
      readonly code: RefusalCode;
    }
  | { readonly tell: "group-signal"; readonly from: DeviceAddress; readonly group: GroupId }
  | { readonly tell: "request"; readonly account: AccountId; readonly name: string | undefined }
  | { readonly tell: "signal"; readonly from: DeviceAddress; readonly body: Uint8Array }
  /** The first that is known of somebody who is watched, and each change. */
  | { readonly tell: "presence"; readonly account: AccountId; readonly presence: Presence }
  | { readonly tell: "watching"; readonly ask: number; readonly code: WatchCode | "ok" }
  /** Mail of a device could not be opened: a new ratchet is begun, and what is missing is asked for. */
  | { readonly tell: "ratchet-reset"; readonly from: DeviceAddress; readonly missing: number }
  /** A device could not open a message of ours, and it was sent again. */
  | { readonly tell: "resent"; readonly message: MessageId; readonly to: AccountId }
  | { readonly tell: "quarantined"; readonly id: EnvelopeId; readonly code: string }
  | { readonly tell: "name"; readonly ask: number; readonly account: AccountId }
  | { readonly tell: "name-refused"; readonly ask: number; readonly code: RefusalCode }
  /** The access key is a new one: the relay is to be told. */
  | { readonly tell: "access-key-changed" }
  /** The relay's clock minus this device's, ms. */
  | { readonly tell: "clock"; readonly offset: number; readonly relay: string };

export type Effect =
  | {
      readonly do: "open";
      readonly socket: SocketName;
      readonly connection: number;
      readonly url: number;
    }
  | { readonly do: "close"; readonly socket: SocketName; readonly connection: number }
  | {
      readonly do: "send";
      readonly socket: SocketName;
      readonly connection: number;
      readonly frames: readonly ClientFrame[];
    }
  /** Atomic and durable; answered by `committed` or `commit-failed`. One is under way at a time. */
  | { readonly do: "commit"; readonly commit: number; readonly writes: readonly Write[] }
  | { readonly do: "hand"; readonly entry: Entry }
  | { readonly do: "tell"; readonly told: Told }
  /** A `tick` no later than at this time replaces every earlier wish. */
  | { readonly do: "wake"; readonly at: Time };
