// The media ledger of the Redis backend: each verb one atomic script, but for those that touch a quota, which lies in another
// shard (see room.ts). Always true: several relays do this at the same time; nothing is remembered between two calls; what was
// begun before `close` is settled before it resolves.
import { type AccountId, MAX_MEDIA_TOKENS, type Time } from "@lethe/protocol";
import { StoreFailedError } from "../../mailbox.ts";
import type {
  CapabilityMark,
  MediaId,
  MediaLedger,
  MediaQuota,
  MediaRecord,
  MediaUpload,
  TokenChange,
} from "../../media.ts";
import type { Arg } from "../connection.ts";
import { buffersOf, bytesOf, byPlace, unexpected, wordOf } from "../directory/store.ts";
import { closedError } from "../failures.ts";
import { nowArg, type RedisParts } from "../parts.ts";
import { MediaKeys } from "./keys.ts";
import { RESERVED_MS, Room } from "./room.ts";

type Answer<V extends keyof MediaLedger> = Awaited<ReturnType<MediaLedger[V]>>;

export class RedisMediaLedger implements MediaLedger {
  readonly #parts: RedisParts;
  readonly #keys: MediaKeys;
  readonly #room: Room;
  readonly #begun = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(parts: RedisParts) {
    this.#parts = parts;
    this.#keys = new MediaKeys(parts.keys);
    this.#room = new Room(parts, this.#keys);
  }

  begin(upload: MediaUpload, quota: MediaQuota): Promise<Answer<"begin">> {
    return this.#do(async () => {
      const reserved = await this.#room.reserve(upload, quota);
      if (reserved.is !== "reserved") return reserved.is;
      const { room, at } = reserved;
      const { is, countsBy } = await this.#begin(upload, room.reservation, at);
      if (is === "late") throw new StoreFailedError("storage-failed", "an upload took too long to begin");
      const isIts = countsBy.equals(room.reservation);
      const isThere = await this.#room.settle(room, isIts ? "keep" : "free");
      // Its account has left in between: what nobody's quota counts is not kept.
      if (is === "begun" && !isThere) await this.#leave(upload.media, upload.account, "all");
      return is;
    });
  }

  upload(media: MediaId, uploadKey: CapabilityMark): Promise<Answer<"upload">> {
    return this.#do(async () => {
      const answer = await this.#look("uploaded-media", media, [bytesOf(uploadKey)]);
      return Array.isArray(answer) ? recordIn(answer) : word(answer, "gone", "not-permitted");
    });
  }

  finish(media: MediaId, uploadKey: CapabilityMark): Promise<Answer<"finish">> {
    return this.#do(async () => {
      const answer = await this.#run("finish-media", media, [bytesOf(uploadKey), bytesOf(media)]);
      return word(answer, "ready", "gone", "not-permitted");
    });
  }

  tokens(
    media: MediaId,
    uploadKey: CapabilityMark,
    { add, strike, close }: TokenChange,
  ): Promise<Answer<"tokens">> {
    return this.#do(async () => {
      const args = [uploadKey, add.join(""), strike.join("")].map(bytesOf);
      const all = [...args, close ? 1 : 0, MAX_MEDIA_TOKENS];
      const answer = await this.#run("change-tokens", media, all);
      return word(answer, "done", "closed", "too-many", "gone", "not-permitted");
    });
  }

  withdraw(media: MediaId, uploadKey: CapabilityMark): Promise<Answer<"withdraw">> {
    return this.#do(async () => {
      const answer = await this.#run("withdraw-media", media, [bytesOf(uploadKey)]);
      return word(answer, "ended", "gone", "not-permitted");
    });
  }

  download(media: MediaId, token: CapabilityMark): Promise<Answer<"download">> {
    return this.#do(async () => {
      const answer = await this.#look("download-media", media, [bytesOf(token)]);
      return Array.isArray(answer) ? recordIn(answer) : word(answer, "unfinished", "gone", "not-permitted");
    });
  }

  release(media: MediaId, token: CapabilityMark): Promise<Answer<"release">> {
    return this.#do(async () => {
      const answer = await this.#run("release-media", media, [bytesOf(token)]);
      return word(answer, "released", "last", "gone", "not-permitted");
    });
  }

  /** Also settles the room of uploads whose relay ended while it began them. */
  ended(count: number): Promise<readonly MediaId[]> {
    return this.#do(async () => {
      await this.#room.settleDoubts();
      const { scripts } = this.#parts;
      const places = this.#byPlace((shard) => [this.#keys.ends(shard)]);
      const args = [nowArg(this.#parts), count];
      const found = await Promise.all(places.map((some) => scripts.run("ended-media", some, args)));
      const ended = found.flatMap((some) => buffersOf(some, "ended-media"));
      return ended.slice(0, count).map((media) => wordOf(media) as MediaId);
    });
  }

  forget(media: readonly MediaId[]): Promise<void> {
    return this.#do(async () => {
      await Promise.all(media.map((each) => this.#forget(each)));
    });
  }

  known(media: readonly MediaId[]): Promise<readonly boolean[]> {
    return this.#do(() =>
      Promise.all(
        media.map(async (each) => {
          const key = this.#keys.blob(each);
          return (await this.#parts.connection.call(key, "EXISTS", [key])) === 1;
        }),
      ),
    );
  }

  leave(account: AccountId): Promise<void> {
    return this.#do(async () => {
      const blobs = await this.#room.blobsOf(account);
      await Promise.all(blobs.map((media) => this.#leave(media, account, "unfinished")));
      await this.#room.forgetAccount(account);
    });
  }

  totals(): Promise<Answer<"totals">> {
    return this.#do(async () => {
      const { scripts } = this.#parts;
      const places = this.#byPlace((shard) => [this.#keys.ends(shard), this.#keys.bytes(shard)]);
      const found = await Promise.all(places.map((some) => scripts.look("media-totals", some, [])));
      if (!found.every((some) => Array.isArray(some))) throw unexpected("media-totals");
      const sum = (at: number): number => found.reduce((all, some) => all + Number(String(some[at])), 0);
      return { blobs: sum(0), bytes: sum(1) };
    });
  }

  /** Before the connection is closed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#begun);
  }

  async #begin(
    { media, account, bytes, uploadKey, expires, unfinished }: MediaUpload,
    reservation: Buffer,
    at: number,
  ): Promise<{ is: "begun" | "same" | "taken" | "late"; countsBy: Buffer }> {
    const shard = this.#keys.shardOf(media);
    const keys = [this.#keys.blob(media), this.#keys.ends(shard), this.#keys.bytes(shard)];
    const whose = [bytesOf(media), bytesOf(account), reservation, bytes, bytesOf(uploadKey)];
    const args = [nowArg(this.#parts), at, RESERVED_MS, ...whose, expires, unfinished];
    const [is, countsBy] = buffersOf(await this.#parts.scripts.run("begin-media", keys, args), "begin-media");
    if (countsBy === undefined) throw unexpected("begin-media");
    return { is: word(is, "begun", "same", "taken", "late"), countsBy };
  }

  /** Its room first: what was begun counts as long as it is there. */
  async #forget(media: MediaId): Promise<void> {
    const whose = await this.#look("whose-media", media, []);
    if (!Array.isArray(whose)) return;
    const [account, reservation] = whose as (Buffer | null)[];
    if (Buffer.isBuffer(account) && Buffer.isBuffer(reservation))
      await this.#room.settle({ account: wordOf(account) as AccountId, media, reservation }, "free");
    const shard = this.#keys.shardOf(media);
    const shared = [this.#keys.ends(shard), this.#keys.bytes(shard), this.#keys.counters(shard)];
    const args = [nowArg(this.#parts), bytesOf(media)];
    await this.#parts.scripts.run("forget-media", [this.#keys.blob(media), ...shared], args);
  }

  async #leave(media: MediaId, account: AccountId, which: "unfinished" | "all"): Promise<void> {
    await this.#run("leave-media", media, [bytesOf(account), which]);
  }

  #run(script: string, media: MediaId, args: readonly Arg[]): Promise<unknown> {
    const keys = [this.#keys.blob(media), this.#keys.ends(this.#keys.shardOf(media))];
    return this.#parts.scripts.run(script, keys, [nowArg(this.#parts), ...args]);
  }

  #look(script: string, media: MediaId, args: readonly Arg[]): Promise<unknown> {
    return this.#parts.scripts.look(script, [this.#keys.blob(media)], [nowArg(this.#parts), ...args]);
  }

  #byPlace(keysOf: (shard: number) => readonly [Buffer, ...Buffer[]]): Buffer[][] {
    return byPlace({ connection: this.#parts.connection, keys: this.#keys }, keysOf);
  }

  #do<Result>(verb: () => Promise<Result>): Promise<Result> {
    if (this.#isClosed) return Promise.reject(closedError());
    const begun = verb();
    this.#begun.add(begun);
    const end = (): unknown => this.#begun.delete(begun);
    begun.then(end, end);
    return begun;
  }
}

function recordIn([bytes, expires, ready]: readonly unknown[]): MediaRecord {
  return {
    bytes: Number(String(bytes)),
    expires: Number(String(expires)) as Time,
    state: ready === null ? "open" : "ready",
  };
}

/** One of the words that a script answers with. */
function word<Word extends string>(answer: unknown, ...words: readonly Word[]): Word {
  const said = words.find((each) => each === wordOf(answer));
  if (said === undefined) throw new Error("a script of the media ledger answered what it never answers");
  return said;
}
