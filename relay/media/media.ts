// What a relay that keeps media has for it: ledger and blobs, parts under way, and what removes them. Always true: whoever
// opens it closes it, after the last request for media and before the backend.
import { type Blobs, type MediaLedger, StoreClosedError } from "@lethe/queue";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { Collecting } from "./collecting.ts";
import { GATHERED_LIMITS, TRANSFER_LIMITS, Transfers } from "./transfers.ts";

/** How long parts that are under way have when the relay closes, ms. */
const GRACE_MS = 5_000;
/** How old the totals may be, ms: whoever scrapes figures asks for them more often than a shared store should be asked. */
const TOTALS_MS = 10_000;

type Totals = ReturnType<MediaLedger["totals"]>;

export interface RelayMediaParts {
  readonly ledger: MediaLedger;
  readonly blobs: Blobs;
  /** A part that comes is held as a whole before it is kept. */
  readonly gathers: boolean;
  readonly metrics: Metrics;
  readonly log: Log;
}

export class RelayMedia {
  readonly ledger: MediaLedger;
  readonly blobs: Blobs;
  readonly collecting: Collecting;
  /** Parts that are put, and parts that are had: those who are slow at one keep nobody from the other. */
  readonly coming: Transfers;
  readonly going: Transfers;
  #totals: { readonly at: number; readonly are: Totals } | undefined;

  constructor({ ledger, blobs, gathers, metrics, log }: RelayMediaParts) {
    const instant = (): number => performance.now();
    this.ledger = ledger;
    this.blobs = blobs;
    this.coming = new Transfers(instant, gathers ? GATHERED_LIMITS : TRANSFER_LIMITS);
    this.going = new Transfers(instant);
    this.collecting = new Collecting({
      ...{ ledger, blobs, instant },
      removed: (why, count) => metrics.mediaRemoved(why, count),
      failed(error) {
        if (!(error instanceof StoreClosedError))
          log.warn({ code: "storage-failed", reason: String(error) }, "media have to wait to be removed");
      },
    });
  }

  /** Parts that are under way. */
  get transfers(): number {
    return this.coming.count + this.going.count;
  }

  /** Blobs that wait and their bytes, as of not long ago. */
  totals(): Totals {
    const now = performance.now();
    if (this.#totals === undefined || now - this.#totals.at > TOTALS_MS)
      this.#totals = { at: now, are: this.ledger.totals() };
    return this.#totals.are;
  }

  tick(): void {
    this.coming.tick();
    this.going.tick();
  }

  /** No further part is begun; those under way get to their end, or are cut. */
  async leave(): Promise<void> {
    await Promise.all([this.coming.close(GRACE_MS), this.going.close(GRACE_MS)]);
  }

  async close(): Promise<void> {
    await this.collecting.settled();
    await this.blobs.close();
  }
}
