// What the relay asks of a store of undelivered mail. Each verb is atomic for each item of its batch, may be executed
// twice, and answers in the order of its batch. Leases are not its business: who owns is only what is on record.
import type { DeviceAddress, EnvelopeId, Position, Time } from "@lethe/protocol";

declare const nodeBrand: unique symbol;
/** A relay process between one start (or lost lease) and the next: new each time, never used again. */
export type NodeId = string & { readonly [nodeBrand]: "NodeId" };

/** One connection of one device at one node. `session` is never used again within its node id. */
export interface Owner {
  readonly node: NodeId;
  readonly session: number;
}

export type EnvelopeKind = "pairwise" | "group";

declare const payloadBrand: unique symbol;
/** BLAKE2b-256 of a ciphertext that many envelopes have in common: 32 bytes, one character a byte. */
export type PayloadId = string & { readonly [payloadBrand]: "PayloadId" };

export interface Envelope {
  readonly id: EnvelopeId;
  readonly kind: EnvelopeKind;
  readonly expiry: Time;
  readonly ciphertext: Uint8Array;
  /** Of a group's envelope: its ciphertext is that of every envelope with the same one, and is kept once (M15). */
  readonly payload?: PayloadId;
}

export interface Entry extends Envelope {
  readonly position: Position;
}

/** What became of one envelope of an append. After the first `mailbox-full` of a batch item the rest is full too. */
export type Appended = Position | "mailbox-full" | "expired";

/** A store that could not do it. Nothing of the item may be taken as done; it may have been done all the same. */
export type StoreFailure = { readonly is: "failed"; readonly code: "storage-full" | "storage-failed" };
export type NoDevice = { readonly is: "no-device" };
/** Somebody else owns the mailbox, or nobody: nothing was done. */
export type Fenced = { readonly is: "fenced"; readonly owner: Owner | undefined };

export interface LookUpResult {
  readonly is: "found";
  readonly owner: Owner | undefined;
  /** Minute of the last release by an owner, 0 if never or unknown. */
  readonly lastSeen: Time;
}

export interface Claim {
  readonly address: DeviceAddress;
  readonly owner: Owner;
  /** The device's connection epoch, raised durably by the device before each connection. */
  readonly epoch: number;
}

export type ClaimResult =
  | { readonly is: "claimed"; readonly previous: Owner | undefined }
  | { readonly is: "behind"; readonly last: number }
  | NoDevice
  | StoreFailure;

export interface AppendUnlessOwned {
  readonly address: DeviceAddress;
  /** An owner that the caller takes for dead: it does not stop the append, and is named in the answer to be woken. */
  readonly suspect: Owner | undefined;
  readonly envelopes: readonly Envelope[];
}

export type AppendUnlessOwnedResult =
  | { readonly is: "stored"; readonly outcomes: readonly Appended[]; readonly wake: Owner | undefined }
  | { readonly is: "owned"; readonly owner: Owner }
  | NoDevice
  | StoreFailure;

export interface OwnerAppend {
  readonly address: DeviceAddress;
  readonly owner: Owner;
  readonly envelopes: readonly Envelope[];
}

export type OwnerAppendResult =
  | { readonly is: "stored"; readonly outcomes: readonly Appended[] }
  | Fenced
  | NoDevice
  | StoreFailure;

export interface Read {
  readonly address: DeviceAddress;
  /** Entries with a position above this one; 0 reads from the start. */
  readonly after: Position;
  readonly maxEntries: number;
  /** At least one entry is given, however large, if there is one. */
  readonly maxBytes: number;
}

export type ReadResult =
  | { readonly is: "page"; readonly entries: readonly Entry[]; readonly owner: Owner | undefined }
  | NoDevice
  | StoreFailure;

export interface Remove {
  readonly address: DeviceAddress;
  readonly entries: readonly { readonly position: Position; readonly id: EnvelopeId }[];
}

export type LookResult =
  | { readonly is: "seen"; readonly owner: Owner | undefined; readonly waiting: number }
  | NoDevice
  | StoreFailure;

export interface MailboxStats {
  readonly mailboxes: number;
  readonly envelopes: number;
  readonly bytes: number;
  /** Time of the oldest undelivered envelope's append, undefined if there is none. */
  readonly oldest: Time | undefined;
  /** Envelopes that expired undelivered and were removed, since this store was opened. */
  readonly expired: number;
  /** Milliseconds since the oldest removal whose bytes may still be in a file; 0 if there is none. */
  readonly forgetLag: number;
}

/**
 * The verbs. Their promises (ids are the names of the contract suite's tests):
 * - M1 order: a mailbox is read in the order in which its appends took effect; positions rise and are never reused,
 *   not after removal, restart or emptying.
 * - M2 durable: `stored` and `claimed` are answered only after the bytes are synced; they survive SIGKILL and power loss.
 * - M3 once removed: a removed entry is never read again, except after a crash before its removal reached the disk.
 *   A removal names position and id together; one that fits nothing does nothing.
 * - M4 repeat: a claim repeated by the same owner with the same epoch succeeds; a removal repeated does nothing; an
 *   append repeated makes a second copy.
 * - M5 epoch: a claim whose epoch is not above the highest one seen answers `behind` with it, except M4's repeat.
 *   The epoch outlives an empty mailbox and restarts.
 * - M6 fence: the owner's own appends do nothing unless `{node, session}` is on record; release clears the record only then.
 * - M7 unless owned: an append unless owned changes nothing and names the owner if one other than `suspect` is on record.
 * - M8 caps: envelopes and bytes of a mailbox; the first envelope over a cap and all behind it in its item are
 *   `mailbox-full`; nothing that was accepted is pushed out. Expired entries do not count.
 * - M9 expiry: an envelope at or past its expiry by the store's clock is never stored (`expired`) and never read, and
 *   is gone from the files one sweep and the forget bound later.
 * - M10 retired: after `retire` every verb answers `no-device`, also after a restart, and the mailbox's mail is removed.
 * - M11 forget: within the forget bound no byte of a removed entry's ciphertext is in any of the store's files.
 * - M12 failure: a full or failing disk answers `failed` with its code, loses nothing that was answered `stored`, and
 *   the store goes on reading; after a full disk has room again appends succeed again. A failed sync is never retried.
 * - M13 closed: `close` settles what was begun, then every verb rejects with a StoreClosedError; closing twice is fine.
 * - M14 wakes: a wake reaches the node that it is for, each address at least once after the last wake of it.
 * - M15 payload: of envelopes that name the same payload the ciphertext is kept once a shard, however many mailboxes hold
 *   them and whenever each was appended; caps and `bytes` count it in full for each mailbox. The last removal, expiry or
 *   retirement removes it, within the forget bound. An entry whose payload is gone is reported, skipped and removed, and
 *   never blocks what is behind it.
 */
export interface Mailbox {
  lookUp(addresses: readonly DeviceAddress[]): Promise<readonly (LookUpResult | NoDevice | StoreFailure)[]>;
  claim(batch: readonly Claim[]): Promise<readonly ClaimResult[]>;
  appendUnlessOwned(batch: readonly AppendUnlessOwned[]): Promise<readonly AppendUnlessOwnedResult[]>;
  appendAsOwner(batch: readonly OwnerAppend[]): Promise<readonly OwnerAppendResult[]>;
  /** Appends and clears the owner, in one step; with no envelopes it only releases. */
  appendAndRelease(batch: readonly OwnerAppend[]): Promise<readonly OwnerAppendResult[]>;
  read(batch: readonly Read[]): Promise<readonly ReadResult[]>;
  remove(batch: readonly Remove[]): Promise<readonly ({ readonly is: "done" } | StoreFailure)[]>;
  /** The owner on record and how many entries wait: a live session's look at its own mailbox. */
  look(addresses: readonly DeviceAddress[]): Promise<readonly LookResult[]>;
  /** Notes durably enough to outlive the caller that the owner at `node` must drain these mailboxes from the start. */
  wake(node: NodeId, addresses: readonly DeviceAddress[]): Promise<void>;
  /** Resolves with the next wakes for `node`, once there are any; with an empty list when the store closes. */
  takeWakes(node: NodeId): Promise<readonly DeviceAddress[]>;
  /** Removes the mailbox of a device for good: tombstone first, then its mail. Returns the owner then on record. */
  retire(address: DeviceAddress): Promise<Owner | undefined>;
  /** Removes what has expired; returns how many entries. */
  sweep(): Promise<number>;
  stats(): MailboxStats;
}

/** A verb was called on a store that has been closed. */
export class StoreClosedError extends Error {
  override readonly name = "StoreClosedError";
}

/** What a verb without a failure among its answers rejects with; nothing of it may be taken as done. */
export class StoreFailedError extends Error {
  override readonly name = "StoreFailedError";
  readonly code: StoreFailure["code"];

  constructor(code: StoreFailure["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** The store cannot be used; the message says why and what to do. */
export class StoreOpenError extends Error {
  override readonly name = "StoreOpenError";
  readonly code:
    | "folder-in-use"
    | "folder-unusable"
    | "format-unknown"
    | "shards-differ"
    | "corrupt"
    | "url-malformed"
    | "unreachable"
    | "promise-broken";

  constructor(code: StoreOpenError["code"], message: string) {
    super(message);
    this.code = code;
  }
}
