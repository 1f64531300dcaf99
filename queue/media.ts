// Media that wait for their recipients: the ledger of what is kept for how long, and the blobs themselves. Whom a blob is for is
// not kept: its release tokens are random to the relay, and each stands for one device that has not fetched it yet.
import type { AccountId, Time } from "@lethe/protocol";

declare const brand: unique symbol;
/** 16 random bytes that the uploader has made up, one character a byte. */
export type MediaId = string & { readonly [brand]: "MediaId" };
/** The first 16 bytes of BLAKE2b-256 of a capability (an upload key or a release token), one character a byte. */
export type CapabilityMark = string & { readonly [brand]: "CapabilityMark" };

export interface MediaUpload {
  readonly media: MediaId;
  /** Whose quota it counts for, while it is there. */
  readonly account: AccountId;
  /** Bytes of the whole blob. */
  readonly bytes: number;
  readonly uploadKey: CapabilityMark;
  /** It is removed then in any case. */
  readonly expires: Time;
  /** It is removed then if it is not ready. */
  readonly unfinished: Time;
}

export interface MediaRecord {
  readonly bytes: number;
  readonly expires: Time;
  readonly state: "open" | "ready";
}

/** What one account may have at the relay. */
export interface MediaQuota {
  readonly bytes: number;
  readonly blobs: number;
}

export interface TokenChange {
  readonly add: readonly CapabilityMark[];
  readonly strike: readonly CapabilityMark[];
  readonly close: boolean;
}

/** `gone`: there is none, or it has ended. `not-permitted`: the capability is not one of this blob. */
export type MediaRefused = "gone" | "not-permitted";

/**
 * Promises:
 * - E1 durable: what a verb has answered survives SIGKILL and power loss.
 * - E2 quota: what an account has begun counts until it is forgotten; over the quota nothing is begun.
 * - E3 once: the same upload again (account, bytes, upload key) is `same`, and its times stay as they were; another under its
 *   id is `taken`. Both also after it has ended, until it is forgotten. Another account's are `full` first.
 * - E4 ready: nothing is had before `finish`; nothing is taken after it.
 * - E5 release: a mark is struck once; striking or adding it again changes nothing, nor does striking one that was never
 *   added. A blob ends when its list is closed and every mark is struck, when it is withdrawn, when it has expired, or when it
 *   was not ready in time. What has ended is `gone` for everybody at once.
 * - E6 forgetting: what has ended stands in `ended` until `forget`; after that nothing of it is in any answer, nor in the
 *   files one checkpoint later.
 * - E7 account: `leave` ends what an account has not finished, and forgets whose the rest was.
 * - E8 closed: as the mailbox's M13.
 *
 * A verb that could not be done (disk full or failing) rejects with a StoreFailedError.
 */
export interface MediaLedger {
  begin(upload: MediaUpload, quota: MediaQuota): Promise<"begun" | "same" | "taken" | "full">;
  /** For whoever has the upload key. */
  upload(media: MediaId, uploadKey: CapabilityMark): Promise<MediaRecord | MediaRefused>;
  /** All parts are there. The same again is `ready`. */
  finish(media: MediaId, uploadKey: CapabilityMark): Promise<"ready" | MediaRefused>;
  /** `closed`: the list is closed, and this would add to it. `too-many`: over MAX_MEDIA_TOKENS. Both change nothing. */
  tokens(
    media: MediaId,
    uploadKey: CapabilityMark,
    change: TokenChange,
  ): Promise<"done" | "closed" | "too-many" | MediaRefused>;
  withdraw(media: MediaId, uploadKey: CapabilityMark): Promise<"ended" | MediaRefused>;
  /** For whoever has a release token: `gone` where it is struck, `unfinished` before `finish`. */
  download(media: MediaId, token: CapabilityMark): Promise<MediaRecord | "unfinished" | MediaRefused>;
  /** Strikes a release token, also one that is struck already. `last`: the blob has ended by it. */
  release(media: MediaId, token: CapabilityMark): Promise<"released" | "last" | MediaRefused>;
  /** Ends what is due, and gives up to `count` of those that have ended and are not forgotten. */
  ended(count: number): Promise<readonly MediaId[]>;
  /** The bytes are removed. Does nothing where there is none, or where it has not ended. */
  forget(media: readonly MediaId[]): Promise<void>;
  /** Which of these the ledger knows, ended ones included. */
  known(media: readonly MediaId[]): Promise<readonly boolean[]>;
  leave(account: AccountId): Promise<void>;
  /** Blobs that are not forgotten, and their bytes. */
  totals(): Promise<{ readonly blobs: number; readonly bytes: number }>;
}

/** Where the bytes could not be read or written. */
export type BlobFault = "full" | "failed" | "cut-short" | "too-long";

export class BlobError extends Error {
  override readonly name = "BlobError";
  readonly fault: BlobFault;

  constructor(fault: BlobFault, options?: ErrorOptions) {
    super(`a part of a blob: ${fault}`, options);
    this.fault = fault;
  }
}

/**
 * The bytes of blobs, part by part, without any idea of whose they are or how long they stay.
 * - Q1: a part is there as a whole or not at all, and durable once `put` has resolved; putting it again replaces it.
 * - Q2: a part that comes short, or longer than was said, is refused (`cut-short`, `too-long`) and leaves nothing.
 * - Q3: after `remove` nothing of the blob is there; removing what is not there does nothing.
 * - Q4: `list` names every blob that has a part, or a piece of an unfinished one, also after a crash.
 * - Q5: memory does not grow with parts, blobs or their sizes, but with what is under way.
 */
export interface Blobs {
  /** A chunk is the put's until it asks for the next one. @throws BlobError */
  put(media: MediaId, part: number, length: number, bytes: AsyncIterable<Uint8Array>): Promise<void>;
  /** Bytes `from` to `to`, exclusive, in chunks that are the caller's; undefined where the part is not there or not so long. @throws BlobError, also while iterating */
  get(media: MediaId, part: number, from: number, to: number): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** Length of each part that is there, by its number. */
  parts(media: MediaId): Promise<ReadonlyMap<number, number>>;
  remove(media: MediaId): Promise<void>;
  list(): AsyncIterable<MediaId>;
  /** A presigned URL for one part, for so many seconds; undefined where parts go through the relay. */
  place(media: MediaId, part: number, method: "GET" | "PUT", seconds: number): Promise<string | undefined>;
  close(): Promise<void>;
}
