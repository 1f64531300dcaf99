// Forgetting: within the bound no byte of removed mail is in any file. A pass unlinks segments in which nothing lives,
// copies survivors out of segments that hold few or cannot be trusted, and overwrites what is dead in the others.
// Always true: passes do not overlap, and a segment that was copied out of is gone from the folder, durably, before
// anything else is unlinked or overwritten, so that no old copy outlives the tombstone of the new one.
import { type FileLayer } from "./files.ts";
import type { Timers } from "../timers.ts";
import { Leaving } from "./leaving.ts";
import {
  EVACUATE_BELOW,
  PASSES_A_BOUND,
  PASSES_TO_WAIT,
  SMALL_SEGMENT_PART,
  SMALL_SEGMENTS_TO_GATHER,
} from "./limits.ts";
import type { Segment } from "./segments.ts";
import { type StoreParts } from "./parts.ts";
import { Wiping } from "./wiping.ts";

export interface ForgettingParts extends StoreParts {
  readonly files: FileLayer;
  readonly timers: Timers;
  /** Forgets what else there is to forget, in the same rhythm. */
  readonly also: () => Promise<void>;
}

export class Forgetting {
  readonly #parts: ForgettingParts;
  readonly #leaving: Leaving;
  readonly #wiping: Wiping;
  #cancel: () => void = () => undefined;
  #passing: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(parts: ForgettingParts) {
    this.#parts = parts;
    this.#leaving = new Leaving(parts);
    this.#wiping = new Wiping(parts);
  }

  start(): void {
    if (this.#isClosed) return;
    const ms = this.#parts.tuning.forgetMs / PASSES_A_BOUND;
    this.#cancel = this.#parts.timers.after(ms, () => void this.pass("due").finally(() => this.start()));
  }

  /** One pass; "all" does not wait until mail has been dead for a while. Never rejects: what failed is tried again. */
  pass(which: "due" | "all"): Promise<void> {
    this.#passing = this.#passing.then(() => this.#pass(which)).catch(() => undefined);
    return this.#passing;
  }

  /** Resolves when the passes that were asked for have come to their end. */
  idle(): Promise<void> {
    return this.#passing;
  }

  /** Nothing that was removed is left in a file of a store that was closed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancel();
    await this.pass("all");
  }

  async #pass(which: "due" | "all"): Promise<void> {
    const { segments } = this.#parts.mail;
    segments.pass++;
    const oldest = which === "all" ? segments.pass : segments.pass - PASSES_TO_WAIT;
    const isDue = ({ deadSince }: Segment): boolean => deadSince !== undefined && deadSince.pass <= oldest;
    await this.#unlinkEmpty(isDue);
    const small = this.#small();
    for (const segment of segments.all()) {
      const isSparse = isDue(segment) && segment.liveBytes < segment.end * EVACUATE_BELOW;
      const isLeft = segment.state === "sealed" && (isSparse || small.has(segment));
      if (isLeft || segment.state === "spoiled") await this.#leave(segment);
    }
    for (const segment of segments.all()) if (isDue(segment)) await this.#wiping.wipe(segment);
    if (segments.pass % PASSES_TO_WAIT === 0 || which === "all") await this.#parts.also();
  }

  async #unlinkEmpty(isDue: (segment: Segment) => boolean): Promise<void> {
    const { mail, log, files } = this.#parts;
    let unlinked = 0;
    for (const segment of mail.segments.all()) {
      if (segment.state === "active" && isDue(segment)) await log.sealIfEmpty(segment);
      if (segment.state === "active" || segment.live > 0) continue;
      await this.#unlink(segment);
      unlinked++;
    }
    if (unlinked > 0) await files.syncNames();
  }

  async #leave(segment: Segment): Promise<void> {
    if (!(await this.#leaving.copyForward(segment)) || segment.live > 0) return;
    await this.#unlink(segment);
    await this.#parts.files.syncNames();
  }

  async #unlink(segment: Segment): Promise<void> {
    await this.#parts.files.unlink(segment.name);
    this.#parts.mail.segments.delete(segment);
    await segment.gone();
  }

  /** Small sealed segments, once they are so many that gathering them is worth it. */
  #small(): ReadonlySet<Segment> {
    const { mail, tuning } = this.#parts;
    const isSmall = ({ state, end }: Segment): boolean =>
      state === "sealed" && end < tuning.segmentBytes * SMALL_SEGMENT_PART;
    const small = mail.segments.all().filter(isSmall);
    return new Set(small.length < SMALL_SEGMENTS_TO_GATHER ? [] : small);
  }
}
