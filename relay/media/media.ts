// What a relay that keeps media has for it: ledger and blobs, parts under way, and what removes them. Always true: whoever
// opens it closes it, after the last request for media and before the backend.
import { type Blobs, type MediaLedger, StoreClosedError } from "@lethe/queue";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { Collecting } from "./collecting.ts";
import { Transfers } from "./transfers.ts";

/** How long parts that are under way have when the relay closes, ms. */
const GRACE_MS = 5_000;

export interface RelayMediaParts {
  readonly ledger: MediaLedger;
  readonly blobs: Blobs;
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

  constructor({ ledger, blobs, metrics, log }: RelayMediaParts) {
    const instant = (): number => performance.now();
    this.ledger = ledger;
    this.blobs = blobs;
    this.coming = new Transfers(instant);
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
