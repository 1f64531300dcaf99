// What the relay counts, for Prometheus: stable names, labels with few values, nothing about people.
import type { ProblemCode } from "@lethe/protocol";
import type { MailboxStats, MediaLedger } from "@lethe/queue";
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { ChoreName } from "./chores.ts";
import type { Counted } from "./delivery/types.ts";
import type { LinkEnd } from "./link/frames.ts";

/** Blobs that wait, and their bytes. */
type MediaTotals = Awaited<ReturnType<MediaLedger["totals"]>>;

export interface Sizes {
  readonly connections: number;
  readonly sessions: number;
  readonly unsettledBytes: number;
  readonly mailbox: MailboxStats;
  /** Other nodes that live, and links that stand. */
  readonly nodes: number;
  readonly links: number;
  readonly now: number;
  /** Parts of blobs that are under way. */
  readonly transfers: number;
}

export class Metrics {
  readonly registry = new Registry();
  readonly #counted: Record<Counted, Counter>;
  readonly #refused: Counter;
  readonly #ended: Counter;
  readonly #linkEnds: Counter;
  readonly #chores: Counter;
  readonly #media: Record<"parts" | "bytes" | "removed", Counter>;
  readonly #totals: Record<Counted, number>;

  /** @param media is asked when the figures are. */
  constructor(sizes: () => Sizes, media: () => Promise<MediaTotals>) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    const counter = (name: string, help: string): Counter => new Counter({ name, help, registers });
    this.#counted = {
      accepted: counter("lethe_accepted_total", "Envelopes accepted"),
      "delivered-live": counter(
        "lethe_delivered_live_total",
        "Envelopes acknowledged by a live device without touching a store",
      ),
      stored: counter("lethe_stored_total", "Envelopes made durable in a mailbox"),
      spilled: counter("lethe_spilled_total", "Envelopes that a live session gave to its mailbox"),
      pushed: counter("lethe_pushed_total", "Envelopes pushed to devices"),
      drained: counter("lethe_drained_total", "Sessions whose mailbox became empty"),
      refused: counter("lethe_envelopes_refused_total", "Envelopes refused by delivery"),
      unresolved: counter("lethe_unresolved_total", "Stored references that could not be resolved"),
    };
    this.#totals = {
      accepted: 0,
      "delivered-live": 0,
      stored: 0,
      spilled: 0,
      pushed: 0,
      drained: 0,
      refused: 0,
      unresolved: 0,
    };
    this.#refused = new Counter({
      name: "lethe_refused_total",
      help: "Refusals by code",
      labelNames: ["code"],
      registers,
    });
    this.#ended = new Counter({
      name: "lethe_connections_ended_total",
      help: "Connections ended by code",
      labelNames: ["code"],
      registers,
    });
    this.#linkEnds = new Counter({
      name: "lethe_link_ends_total",
      help: "Links to other nodes that ended or did not come to stand, by reason",
      labelNames: ["why"],
      registers,
    });
    this.#chores = new Counter({
      name: "lethe_chores_total",
      help: "Runs of deferred work at this node, by chore and outcome",
      labelNames: ["chore", "outcome"],
      registers,
    });
    this.#media = {
      parts: new Counter({
        name: "lethe_media_parts_total",
        help: "Parts of files that came in and went out as a whole",
        labelNames: ["way"],
        registers,
      }),
      bytes: new Counter({
        name: "lethe_media_bytes_total",
        help: "Bytes of those parts",
        labelNames: ["way"],
        registers,
      }),
      removed: new Counter({
        name: "lethe_media_removed_total",
        help: "Files removed by this node: collected after their end, or orphans that no ledger knew",
        labelNames: ["why"],
        registers,
      }),
    };
    this.#gauges(sizes);
    this.#mediaGauges(media);
  }

  #mediaGauges(totals: () => Promise<MediaTotals>): void {
    const gauge = (name: string, help: string, what: keyof MediaTotals): void => {
      const registers = [this.registry];
      new Gauge({
        name,
        help,
        registers,
        // A store that is away leaves the figure as it was: the others are asked for most when it is.
        async collect() {
          const known = await totals().catch(() => undefined);
          if (known !== undefined) this.set(known[what]);
        },
      });
    };
    gauge("lethe_media_blobs", "Files that wait for their recipients", "blobs");
    gauge("lethe_media_blob_bytes", "Bytes of files that wait for their recipients", "bytes");
  }

  #gauges(sizes: () => Sizes): void {
    const gauge = (name: string, help: string, value: (sizes: Sizes) => number): void => {
      const registers = [this.registry];
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(value(sizes()));
        },
      });
    };
    gauge("lethe_connections", "Open client connections", (s) => s.connections);
    gauge("lethe_sessions", "Devices with a session at this node", (s) => s.sessions);
    gauge("lethe_nodes", "Other nodes whose leases live", (s) => s.nodes);
    gauge("lethe_links", "Links to other nodes that stand", (s) => s.links);
    gauge("lethe_unsettled_bytes", "Bytes of envelopes that are not settled yet", (s) => s.unsettledBytes);
    gauge("lethe_media_transfers", "Parts of files that are under way", (s) => s.transfers);
    gauge("lethe_mailboxes", "Mailboxes with undelivered mail", (s) => s.mailbox.mailboxes);
    gauge("lethe_mailbox_envelopes", "Undelivered envelopes", (s) => s.mailbox.envelopes);
    gauge("lethe_mailbox_bytes", "Undelivered bytes", (s) => s.mailbox.bytes);
    new Counter({
      name: "lethe_expired_total",
      help: "Envelopes that expired undelivered and were removed",
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(sizes().mailbox.expired);
      },
    });
    gauge(
      "lethe_forget_lag_seconds",
      "Age of the oldest removal whose bytes may still be in a file",
      (s) => s.mailbox.forgetLag / 1_000,
    );
    gauge("lethe_oldest_undelivered_seconds", "Age of the oldest undelivered envelope", (s) =>
      s.mailbox.oldest === undefined ? 0 : Math.max(0, s.now - s.mailbox.oldest) / 1_000,
    );
  }

  count(what: Counted, by: number): void {
    this.#totals[what] += by;
  }

  refused(code: ProblemCode): void {
    this.#refused.inc({ code });
  }

  ended(code: ProblemCode): void {
    this.#ended.inc({ code });
  }

  linkEnded(why: LinkEnd): void {
    this.#linkEnds.inc({ why });
  }

  chore(chore: ChoreName, outcome: "done" | "failed"): void {
    this.#chores.inc({ chore, outcome });
  }

  mediaPart(way: "in" | "out", bytes: number): void {
    this.#media.parts.inc({ way });
    this.#media.bytes.inc({ way }, bytes);
  }

  mediaRemoved(why: "collected" | "orphan", count: number): void {
    if (count > 0) this.#media.removed.inc({ why }, count);
  }

  totals(): Readonly<Record<Counted, number>> {
    return { ...this.#totals };
  }

  total(what: Counted): number {
    return this.#totals[what];
  }

  /** The Prometheus text. Totals are kept as plain numbers on the message path and put into the registry only here. */
  async text(): Promise<string> {
    for (const what of Object.keys(this.#counted) as Counted[]) {
      const counter = this.#counted[what];
      counter.reset();
      counter.inc(this.#totals[what]);
    }
    return this.registry.metrics();
  }
}
