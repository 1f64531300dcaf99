// The media ledger in memory: the slow, readable twin of the real ones, for oracles and quick tests.
import { type AccountId, MAX_MEDIA_TOKENS, type Time } from "@lethe/protocol";
import { StoreClosedError } from "../mailbox.ts";
import type {
  CapabilityMark,
  MediaId,
  MediaLedger,
  MediaQuota,
  MediaRecord,
  MediaRefused,
  MediaUpload,
  TokenChange,
} from "../media.ts";

interface Blob {
  /** Undefined once its account has left. */
  account: AccountId | undefined;
  readonly upload: MediaUpload;
  state: "open" | "ready" | "ended";
  isClosed: boolean;
  /** Release tokens, and whether each is struck. */
  readonly struck: Map<CapabilityMark, boolean>;
}

export class MemoryMediaLedger implements MediaLedger {
  readonly #now: () => Time;
  readonly #blobs = new Map<MediaId, Blob>();
  #closed = false;

  constructor(now: () => Time) {
    this.#now = now;
  }

  async begin(upload: MediaUpload, quota: MediaQuota): Promise<"begun" | "same" | "taken" | "full"> {
    this.#open();
    const known = this.#blobs.get(upload.media);
    const isOwn = known?.account === upload.account;
    if (!isOwn && this.#isOver(upload, quota)) return "full";
    if (known !== undefined) return isOwn && isSame(known.upload, upload) ? "same" : "taken";
    const { account } = upload;
    this.#blobs.set(upload.media, { account, upload, state: "open", isClosed: false, struck: new Map() });
    return "begun";
  }

  async upload(media: MediaId, uploadKey: CapabilityMark): Promise<MediaRecord | MediaRefused> {
    const blob = this.#uploaded(media, uploadKey);
    return typeof blob === "string" ? blob : recordOf(blob);
  }

  async finish(media: MediaId, uploadKey: CapabilityMark): Promise<"ready" | MediaRefused> {
    const blob = this.#uploaded(media, uploadKey);
    if (typeof blob === "string") return blob;
    blob.state = "ready";
    return "ready";
  }

  async tokens(
    media: MediaId,
    uploadKey: CapabilityMark,
    { add, strike, close }: TokenChange,
  ): Promise<"done" | "closed" | "too-many" | MediaRefused> {
    const blob = this.#uploaded(media, uploadKey);
    if (typeof blob === "string") return blob;
    const added = new Set(add.filter((token) => !blob.struck.has(token)));
    if (blob.isClosed && added.size > 0) return "closed";
    if (blob.struck.size + added.size > MAX_MEDIA_TOKENS) return "too-many";
    for (const token of added) blob.struck.set(token, false);
    for (const token of strike) if (blob.struck.has(token)) blob.struck.set(token, true);
    blob.isClosed ||= close;
    endIfStruck(blob);
    return "done";
  }

  async withdraw(media: MediaId, uploadKey: CapabilityMark): Promise<"ended" | MediaRefused> {
    const blob = this.#uploaded(media, uploadKey);
    if (typeof blob === "string") return blob;
    blob.state = "ended";
    return "ended";
  }

  async download(media: MediaId, token: CapabilityMark): Promise<MediaRecord | "unfinished" | MediaRefused> {
    const blob = this.#here(media);
    if (blob === undefined) return "gone";
    const isStruck = blob.struck.get(token);
    if (isStruck === undefined) return "not-permitted";
    if (isStruck) return "gone";
    return blob.state === "open" ? "unfinished" : recordOf(blob);
  }

  async release(media: MediaId, token: CapabilityMark): Promise<"released" | "last" | MediaRefused> {
    const blob = this.#here(media);
    if (blob === undefined) return "gone";
    if (!blob.struck.has(token)) return "not-permitted";
    blob.struck.set(token, true);
    return endIfStruck(blob) ? "last" : "released";
  }

  async ended(count: number): Promise<readonly MediaId[]> {
    this.#open();
    const isEnded = (media: MediaId): boolean => this.#here(media) === undefined;
    return [...this.#blobs.keys()].filter(isEnded).slice(0, count);
  }

  async forget(media: readonly MediaId[]): Promise<void> {
    this.#open();
    for (const each of media) if (this.#here(each) === undefined) this.#blobs.delete(each);
  }

  async known(media: readonly MediaId[]): Promise<readonly boolean[]> {
    this.#open();
    return media.map((each) => this.#blobs.has(each));
  }

  async leave(account: AccountId): Promise<void> {
    this.#open();
    for (const [media, blob] of this.#blobs) {
      if (blob.account !== account) continue;
      blob.account = undefined;
      if (this.#here(media)?.state === "open") blob.state = "ended";
    }
  }

  async totals(): Promise<{ readonly blobs: number; readonly bytes: number }> {
    this.#open();
    return { blobs: this.#blobs.size, bytes: bytesOf([...this.#blobs.values()]) };
  }

  close(): void {
    this.#closed = true;
  }

  #open(): void {
    if (this.#closed) throw new StoreClosedError("the store is closed");
  }

  #isOver({ account, bytes }: MediaUpload, quota: MediaQuota): boolean {
    const own = [...this.#blobs.values()].filter((blob) => blob.account === account);
    return own.length + 1 > quota.blobs || bytesOf(own) + bytes > quota.bytes;
  }

  /** A blob that has not ended; one that is due ends here. */
  #here(media: MediaId): Blob | undefined {
    this.#open();
    const blob = this.#blobs.get(media);
    if (blob === undefined) return undefined;
    const { expires, unfinished } = blob.upload;
    const due = blob.state === "open" ? Math.min(expires, unfinished) : expires;
    if (due <= this.#now()) blob.state = "ended";
    return blob.state === "ended" ? undefined : blob;
  }

  #uploaded(media: MediaId, uploadKey: CapabilityMark): Blob | MediaRefused {
    const blob = this.#here(media);
    if (blob === undefined) return "gone";
    return blob.upload.uploadKey === uploadKey ? blob : "not-permitted";
  }
}

function endIfStruck(blob: Blob): boolean {
  const isOver = blob.isClosed && [...blob.struck.values()].every((isStruck) => isStruck);
  if (isOver) blob.state = "ended";
  return isOver;
}

function isSame(a: MediaUpload, b: MediaUpload): boolean {
  return a.bytes === b.bytes && a.uploadKey === b.uploadKey;
}

function recordOf({ upload: { bytes, expires }, state }: Blob): MediaRecord {
  return { bytes, expires, state: state === "open" ? "open" : "ready" };
}

function bytesOf(blobs: readonly Blob[]): number {
  return blobs.reduce((sum, { upload }) => sum + upload.bytes, 0);
}
