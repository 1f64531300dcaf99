// What was promised of media, and whether it holds. Told of each thing as it happens, it checks each promise at the step at which
// it could break. Always true: the first promise that breaks is kept, and ends the schedule.
import { fromHex, MEDIA_PART_BYTES, toHex } from "@lethe/protocol";
import type { CapabilityMark, MediaId, MediaUpload, TokenChange } from "@lethe/queue";
import type { Coverage } from "../coverage.ts";
import type { MediaEvent } from "./events.ts";
import { type AllFacts, endOf, type Executed, type Facts, learn } from "./facts.ts";

export type MediaPromise =
  | "a nothing is collected before its time"
  | "b what is ready can be had, bit for bit"
  | "c nothing is kept longer than it may be"
  | "d a message goes after its file"
  | "e a release is for one device, and after the file"
  | "f quotas return to zero"
  | "no part is sent in two versions"
  | "who has the message gets the file"
  | "nothing is stuck"
  | "the machines do not throw";

export interface Broken {
  readonly promise: MediaPromise;
  readonly detail: string;
}

/** What the judge looks at. */
export interface JudgePort {
  readonly wall: () => number;
  readonly cover: Coverage<MediaEvent>;
  /** Bytes of a part as they are kept. */
  readonly kept: (media: MediaId, part: number) => Uint8Array | undefined;
  readonly note: (text: string) => void;
}

export class Judge {
  readonly facts: AllFacts = new Map();
  broken: Broken | undefined;
  readonly #port: JudgePort;
  /** Every part that was sent, whether or not it came. */
  readonly #sent = new Map<string, Uint8Array>();
  /** Tokens that their devices may show for a release: they have the file, or do not want it. */
  readonly #released = new Set<string>();
  readonly #withdrawn = new Set<MediaId>();
  readonly #removed = new Set<MediaId>();
  /** Parts that nodes are taking in; those of nodes that have crashed stay. */
  readonly #puts = new Map<MediaId, number>();
  readonly #expires = new Map<MediaId, number>();
  /** How often each was begun: a request that comes late begins again what has ended. */
  readonly #begun = new Map<MediaId, number>();

  constructor(port: JudgePort) {
    this.#port = port;
  }

  breaks(promise: MediaPromise, detail: string): void {
    this.broken ??= { promise, detail: `${promise}: ${detail}` };
  }

  /** A device has begun to send a part. */
  partSent(media: MediaId, part: number, bytes: Uint8Array): void {
    const key = `${media}/${part}`;
    const before = this.#sent.get(key);
    if (before === undefined) this.#sent.set(key, bytes);
    else if (Buffer.compare(before, bytes) !== 0)
      this.breaks("no part is sent in two versions", `part ${part} of ${nameOf(media)}`);
  }

  /** Somebody has taken a blob back, or its ledger was asked to. */
  withdraws(media: MediaId): void {
    this.#withdrawn.add(media);
  }

  wasWithdrawn(media: MediaId): boolean {
    return this.#withdrawn.has(media);
  }

  /** It had to go by now, whatever else. */
  isPastItsTime(media: MediaId): boolean {
    return (this.#expires.get(media) ?? Number.POSITIVE_INFINITY) <= this.#port.wall();
  }

  wasBegunAgain(media: MediaId): boolean {
    return (this.#begun.get(media) ?? 0) > 1;
  }

  mayRelease(media: MediaId, mark: CapabilityMark): void {
    this.#released.add(media + mark);
  }

  hasReleased(media: MediaId, mark: CapabilityMark): boolean {
    return this.#released.has(media + mark);
  }

  /** A device asks for its token to be struck. */
  releaseAsked(media: MediaId, mark: CapabilityMark): void {
    if (!this.hasReleased(media, mark))
      this.breaks(
        "e a release is for one device, and after the file",
        `${nameOf(media)} is released before it is there`,
      );
  }

  executed(executed: Executed): void {
    const { verb, args, result } = executed;
    const { note } = this.#port;
    if (verb !== "ended" || (result as readonly unknown[]).length > 0) note(wordsOf(executed));
    if (verb === "forget") this.#forgets(args[0] as readonly MediaId[]);
    const media = mediaOf(executed);
    const before = this.facts.get(media);
    const struck = before === undefined ? [] : struckOf(before);
    learn(this.facts, executed);
    this.#count(executed, before);
    if (verb === "withdraw") this.#withdrawn.add(media);
    const facts = this.facts.get(media);
    if (facts === undefined) return;
    if (facts !== before) this.#begins(media, facts);
    if (verb === "release") this.#onlyOneStruck(facts, struck);
    if (verb === "finish" && result === "ready") this.#whole(media, facts);
  }

  #count({ verb, args, result }: Executed, before: Facts | undefined): void {
    const { cover } = this.#port;
    const change = verb === "tokens" && result === "done" ? (args[2] as TokenChange) : undefined;
    if (verb === "begin" && result === "full") cover.count("over the quota");
    if (verb === "finish" && result === "ready") cover.count("ready");
    if (verb === "release" && result === "released") cover.count("release");
    if (verb === "release" && result === "last") cover.count("last release");
    if (verb === "download" && result === "not-permitted") cover.count("fetched too early");
    if (change?.close === true) cover.count("list closed");
    if (change !== undefined && change.add.length > 0 && (before?.marks.size ?? 0) > change.add.length)
      cover.count("token added late");
  }

  #begins(media: MediaId, { upload }: Facts): void {
    this.#expires.set(media, upload.expires);
    this.#begun.set(media, (this.#begun.get(media) ?? 0) + 1);
    if (this.wasBegunAgain(media)) this.#port.cover.count("begun again after its end");
  }

  #forgets(media: readonly MediaId[]): void {
    for (const each of media)
      if (this.#port.kept(each, 0) !== undefined && !this.#removed.has(each))
        this.breaks(
          "c nothing is kept longer than it may be",
          `${nameOf(each)} is forgotten before its bytes are`,
        );
  }

  #onlyOneStruck(facts: Facts, before: readonly CapabilityMark[]): void {
    if (struckOf(facts).length > before.length + 1)
      this.breaks(
        "e a release is for one device, and after the file",
        `${nameOf(facts.upload.media)}: several`,
      );
  }

  /** The ledger has lost its newest verbs. */
  failedOver(log: readonly Executed[]): void {
    this.facts.clear();
    for (const executed of log) learn(this.facts, executed);
    for (const [media, facts] of this.facts) this.#whole(media, facts);
  }

  /** A node takes a part in. */
  putBegins(media: MediaId): void {
    this.#puts.set(media, (this.#puts.get(media) ?? 0) + 1);
  }

  /** And has answered, whatever: what was removed before it came is not there again. */
  putEnds(media: MediaId, part: number, status: number): void {
    const left = (this.#puts.get(media) ?? 0) - 1;
    this.#puts.set(media, left);
    if (left > 0 || status >= 500 || !this.#removed.has(media)) return;
    const facts = this.facts.get(media);
    const hasEnded = facts === undefined || endOf(facts, this.#port.wall()) !== undefined;
    if (hasEnded) this.#port.cover.count("part of a blob that had ended");
    if (hasEnded && this.#port.kept(media, part) !== undefined)
      this.breaks(
        "c nothing is kept longer than it may be",
        `a part of ${nameOf(media)} stays that came after its end`,
      );
  }

  /** A blob is removed, whether or not it has bytes. */
  removed(media: MediaId): void {
    this.#removed.add(media);
  }

  /** The bytes of a blob are about to be removed. */
  removes(media: MediaId): void {
    const facts = this.facts.get(media);
    if (facts === undefined) {
      this.#port.cover.count("orphan");
      return;
    }
    const end = endOf(facts, this.#port.wall());
    if (end === undefined)
      this.breaks(
        "a nothing is collected before its time",
        `${nameOf(media)}, ${waits(facts)} have not released it`,
      );
    if (end === "expired") this.#port.cover.count("expired");
    if (end === "unfinished") this.#port.cover.count("unfinished in time");
    this.#port.cover.count("collected");
    this.#port.note(`removes ${nameOf(media)}: ${end ?? "too early"}`);
  }

  /** Something of its bytes has changed. */
  changed(media: MediaId): void {
    const facts = this.facts.get(media);
    if (facts !== undefined) this.#whole(media, facts);
  }

  #whole(media: MediaId, facts: Facts): void {
    if (!facts.isReady || endOf(facts, this.#port.wall()) !== undefined) return;
    const parts = Math.ceil(facts.upload.bytes / MEDIA_PART_BYTES);
    for (let part = 0; part < parts; part++) {
      const kept = this.#port.kept(media, part);
      const sent = this.#sent.get(`${media}/${part}`);
      if (kept !== undefined && sent !== undefined && Buffer.compare(kept, sent) === 0) continue;
      const how = kept === undefined ? "is not there" : "is another";
      return this.breaks(
        "b what is ready can be had, bit for bit",
        `part ${part} of ${nameOf(media)} ${how}`,
      );
    }
  }

  /** A message that names it is in an outbox. */
  said(media: MediaId): void {
    const facts = this.facts.get(media);
    const mayBeGone =
      facts === undefined ? this.wasWithdrawn(media) : endOf(facts, this.#port.wall()) !== undefined;
    if (facts?.isReady === true || mayBeGone) return;
    this.breaks("d a message goes after its file", nameOf(media));
  }
}

function struckOf({ marks }: Facts): CapabilityMark[] {
  return [...marks].filter(([, isStruck]) => isStruck).map(([mark]) => mark);
}

function waits({ marks, isClosed }: Facts): string {
  const count = [...marks.values()].filter((isStruck) => !isStruck).length;
  return `${count} devices${isClosed ? "" : " and those to come"}`;
}

function mediaOf({ verb, args: [first] }: Executed): MediaId {
  return verb === "begin" ? (first as MediaUpload).media : (first as MediaId);
}

function wordsOf(executed: Executed): string {
  const { verb, args, result } = executed;
  const media = Array.isArray(args[0]) ? (args[0][0] as MediaId) : mediaOf(executed);
  const outcome = typeof result === "string" ? result : JSON.stringify(result ?? "");
  return `${verb} ${typeof media === "string" ? nameOf(media) : ""} → ${outcome.slice(0, 60)}`;
}

/** For people. */
export function nameOf(media: MediaId): string {
  return toHex(media).slice(0, 6);
}

export function mediaIn(path: string): MediaId {
  return fromHex<MediaId>(/\/([0-9a-f]{32})(?:\/|$)/.exec(path)?.[1] ?? "", 16);
}
