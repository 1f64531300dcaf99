// Latency from the wish to send to the hand-over: over time, and by whether something was broken. The scale is
// logarithmic: what takes a millisecond and what takes a minute stand on one sheet.
import type { Message } from "../judge/messages.ts";
import { latencies, type Phase, type Recovery, spreadOf } from "../judge/recovery.ts";
import type { Nemeses } from "../nemesis-log.ts";
import {
  duration,
  faultLanes,
  LEFT,
  legend,
  PLOT,
  sheet,
  shade,
  type TimeAxis,
  timeAxis,
  timeLabels,
} from "./chart.ts";

const TOP = 96;
const HEIGHT = 260;
const LOW_MS = 1;
const COLOURS = { p50: "#2f6db3", p99: "#c0392b" } as const;
const PHASES: Readonly<Record<Phase, { readonly says: string; readonly colour: string }>> = {
  before: { says: "nothing broken, all recovered", colour: "#2e8b57" },
  during: { says: "while something is broken", colour: "#c0392b" },
  after: { says: "healed, not recovered yet", colour: "#d68910" },
};
const ROW = 52;

export interface LatencyInput {
  readonly messages: readonly Message[];
  readonly recoveries: readonly Recovery[];
  readonly nemeses: Nemeses;
}

export function latencyPicture({ messages, recoveries, nemeses }: LatencyInput, subtitle: string): string {
  const handed = messages.filter((message) => message.handed !== undefined);
  const most = handed.reduce((max, { sending, handed: at = sending }) => Math.max(max, at - sending), 100);
  const decades = Math.ceil(Math.log10(most / LOW_MS));
  const axis = timeAxis(nemeses, (handed.at(-1)?.sending ?? nemeses.began) + 2_000);
  const up = (ms: number): number =>
    TOP + HEIGHT - (HEIGHT * Math.log10(Math.max(ms, LOW_MS) / LOW_MS)) / decades;
  const lanes = faultLanes(nemeses, axis, TOP + HEIGHT + 30);
  const below = TOP + HEIGHT + 60 + lanes.height;
  return sheet({
    title: "Latency of messages, by the moment at which they were begun",
    subtitle,
    height: below + 66 + 3 * ROW,
    body: [
      legend(
        [
          [COLOURS.p50, "median"],
          [COLOURS.p99, "99th percentile"],
          ["#fbeceb", "something is broken"],
        ],
        80,
      ),
      shade(nemeses, axis, TOP, HEIGHT),
      decadeLines(decades, up),
      timeLabels(axis, TOP, TOP + HEIGHT),
      overTime(handed, nemeses.began, axis, up),
      lanes.svg,
      byPhase(latencies(messages, recoveries), decades, below),
    ].join("\n"),
  });
}

function decadeLines(decades: number, up: (ms: number) => number): string {
  return Array.from({ length: decades + 1 }, (_, i) => LOW_MS * 10 ** i)
    .map(
      (ms) =>
        `<line class="grid" x1="${LEFT}" y1="${up(ms).toFixed(1)}" x2="${LEFT + PLOT}" y2="${up(ms).toFixed(1)}"/>` +
        `<text class="tick" x="${LEFT - 8}" y="${(up(ms) + 4).toFixed(1)}" text-anchor="end">${duration(ms)}</text>`,
    )
    .join("");
}

function overTime(
  messages: readonly Message[],
  began: number,
  axis: TimeAxis,
  up: (ms: number) => number,
): string {
  const binS = Math.max(0.5, axis.seconds / 240);
  const bins = new Map<number, number[]>();
  for (const { sending, handed = sending } of messages) {
    const bin = Math.floor((sending - began) / 1_000 / binS);
    const list = bins.get(bin);
    if (list === undefined) bins.set(bin, [handed - sending]);
    else list.push(handed - sending);
  }
  const points = [...bins]
    .sort(([a], [b]) => a - b)
    .map(([bin, list]) => ({ bin, list: list.sort((a, b) => a - b) }));
  const line = (pick: "p50" | "p99"): string => {
    let path = "";
    let before = Number.NaN;
    for (const { bin, list } of points) {
      const [x, y] = [axis.x((bin + 0.5) * binS), up(spreadOf(list)[pick])];
      path += `${bin === before + 1 ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
      before = bin;
    }
    return `<path class="line" d="${path}" stroke="${COLOURS[pick]}"/>`;
  };
  return line("p99") + line("p50");
}

/** One row a phase: a bar from the median to the 99th percentile, with marks at what is between. */
function byPhase(by: Readonly<Record<Phase, readonly number[]>>, decades: number, top: number): string {
  const left = LEFT + 210;
  const width = PLOT - 210 - 190;
  const across = (ms: number): number => left + (width * Math.log10(Math.max(ms, LOW_MS) / LOW_MS)) / decades;
  const bottom = top + 30 + 3 * ROW;
  const scale = Array.from({ length: decades + 1 }, (_, i) => LOW_MS * 10 ** i)
    .map(
      (ms) =>
        `<line class="grid" x1="${across(ms).toFixed(1)}" y1="${top + 18}" x2="${across(ms).toFixed(1)}" y2="${bottom}"/>` +
        `<text class="tick" x="${across(ms).toFixed(1)}" y="${bottom + 16}" text-anchor="middle">${duration(ms)}</text>`,
    )
    .join("");
  const rows = (Object.keys(PHASES) as Phase[]).map((phase, row) => {
    const { says, colour } = PHASES[phase];
    const { count, p50, p90, p99, max } = spreadOf(by[phase]);
    const y = top + 44 + row * ROW;
    const name = `<text x="${LEFT}" y="${y}">${says}</text><text class="tick" x="${LEFT}" y="${y + 15}">${count.toLocaleString("en")} messages</text>`;
    if (count === 0) return name;
    const mark = (ms: number, height: number): string =>
      `<rect x="${(across(ms) - 1.5).toFixed(1)}" y="${y - height / 2}" width="3" height="${height}" fill="${colour}"/>`;
    return (
      name +
      `<rect x="${across(p50).toFixed(1)}" y="${y - 6}" width="${Math.max(1, across(p99) - across(p50)).toFixed(1)}" height="12" fill="${colour}" fill-opacity="0.25"/>` +
      mark(p50, 24) +
      mark(p90, 16) +
      mark(p99, 16) +
      `<text class="tick" x="${left + width + 14}" y="${y - 3}">p50 ${duration(p50)}, p90 ${duration(p90)}</text>` +
      `<text class="tick" x="${left + width + 14}" y="${y + 12}">p99 ${duration(p99)}, most ${duration(max)}</text>`
    );
  });
  return scale + rows.join("");
}
