// What the operator sees of a relay: sizes, times and counts by name, never whose.
import type { Backend, Doubt } from "@lethe/queue";
import type { Member } from "./cluster/member.ts";
import type { DeliveryNode } from "./delivery/node.ts";
import type { Gateway } from "./edge/gateway.ts";
import type { Metrics } from "./metrics.ts";

export interface FiguresOf {
  readonly metrics: Metrics;
  readonly gateway: Gateway;
  readonly node: DeliveryNode;
  readonly backend: Backend;
  readonly member: Member;
  readonly doubts: readonly Doubt[];
  /** How long bytes of delivered mail may be in a file, ms. */
  readonly forgetMs: number;
  /** Wall clock, ms. */
  readonly started: number;
}

export function figuresOf(of: FiguresOf): Record<string, number | string> {
  const { metrics, gateway, node, backend, forgetMs, started } = of;
  const { mailboxes, envelopes, bytes, oldest, expired, forgetLag } = backend.mailbox.stats();
  const now = Date.now();
  return {
    now,
    uptimeMs: now - started,
    residentBytes: process.memoryUsage.rss(),
    connections: gateway.connections,
    ...node.sizes(),
    mailboxes,
    envelopes,
    mailboxBytes: bytes,
    oldestMs: oldest === undefined ? 0 : Math.max(0, now - oldest),
    expired,
    forgetLagMs: forgetLag,
    forgetBoundMs: forgetMs,
    ...clusterFigures(of),
    ...metrics.totals(),
  };
}

/** The other nodes: those that live, those that a link stands to, their clocks and what they own, as they have told. */
function clusterFigures({ member, doubts }: FiguresOf): Record<string, number | string> {
  const { alive, links } = member.standing();
  const told = links.flatMap((link) => (link === undefined ? [] : [link]));
  return {
    nodes: alive,
    links: links.length,
    clockAheadMs: told.reduce(
      (most, { clockAhead }) => (Math.abs(clockAhead) > Math.abs(most) ? clockAhead : most),
      0,
    ),
    otherSessions: told.map(({ sessions }) => sessions).join(" "),
    storeDoubts: doubts.map(({ code }) => code).join(" "),
  };
}
