// What the pictures of a run have in common: a sheet with a time axis, the faults on it in lanes, and numbers that people
// can read. SVG without scripts, so that it opens everywhere.
import type { FaultGroup } from "../faults/fault.ts";
import type { Nemeses, Strike } from "../nemesis-log.ts";

export const GROUP_COLOURS: Readonly<Record<FaultGroup, string>> = {
  relay: "#c0392b",
  link: "#d68910",
  store: "#8e44ad",
  client: "#1f8a8a",
  machine: "#34619c",
};

export const WIDTH = 1_200;
export const LEFT = 78;
export const RIGHT = 24;
export const PLOT = WIDTH - LEFT - RIGHT;
const LANE = 13;

/** From a run's clock, s, to the sheet. */
export interface TimeAxis {
  readonly seconds: number;
  x(seconds: number): number;
}

export function timeAxis({ began, over, calm }: Nemeses, lastMono: number): TimeAxis {
  const seconds = Math.max(1, (Math.min(over, Math.max(calm, lastMono)) - began) / 1_000);
  return { seconds, x: (at) => LEFT + (PLOT * Math.min(Math.max(at, 0), seconds)) / seconds };
}

/** Steps of 1, 2 or 5 times a power of ten, about so many. */
export function ticks(max: number, about: number): number[] {
  const raw = max / about;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= raw) ?? 10) * power;
  return Array.from({ length: Math.floor(max / step) + 1 }, (_, i) => i * step);
}

/** Steps that are whole on a clock. */
export function timeTicks(seconds: number): number[] {
  const step = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600].find((s) => seconds / s <= 12) ?? 7_200;
  return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, i) => i * step);
}

export function clock(seconds: number, whole: number): string {
  if (whole <= 120) return `${seconds} s`;
  return `${Math.floor(seconds / 60)}:${String(Math.round(seconds % 60)).padStart(2, "0")}`;
}

export function duration(ms: number): string {
  if (ms < 1) return "0";
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 10_000 ? `${Number((ms / 1_000).toFixed(1))} s` : `${Math.round(ms / 1_000)} s`;
}

export interface Lanes {
  readonly svg: string;
  readonly height: number;
}

/** The faults as bars, one lane for each group that struck. */
export function faultLanes({ strikes, began }: Nemeses, axis: TimeAxis, top: number): Lanes {
  const groups = (Object.keys(GROUP_COLOURS) as FaultGroup[]).filter((group) =>
    strikes.some((strike) => strike.group === group),
  );
  const bars = groups.map((group, lane) => {
    const y = top + lane * LANE;
    const own = strikes.filter((strike) => strike.group === group);
    return (
      `<text class="lane" x="${LEFT - 8}" y="${y + 9}">${group}</text>` +
      `<rect x="${LEFT}" y="${y + 1}" width="${PLOT}" height="${LANE - 3}" fill="#f3f5f7"/>` +
      own.map((strike) => bar(strike, began, axis, y)).join("")
    );
  });
  return { svg: bars.join("\n"), height: groups.length * LANE };
}

function bar({ kind, group, says, begun, healed }: Strike, began: number, axis: TimeAxis, y: number): string {
  const [from, to] = [(begun - began) / 1_000, (healed - began) / 1_000];
  const x = axis.x(from);
  const width = Math.max(2, axis.x(to) - x);
  return `<rect x="${x.toFixed(1)}" y="${y + 1}" width="${width.toFixed(1)}" height="${LANE - 3}" fill="${GROUP_COLOURS[group]}" fill-opacity="0.75"><title>${escaped(`${kind}: ${says}, ${from.toFixed(1)} to ${to.toFixed(1)} s`)}</title></rect>`;
}

/** Where anything at all is broken, behind the plot. */
export function shade({ strikes, began }: Nemeses, axis: TimeAxis, top: number, height: number): string {
  const spans: [number, number][] = [];
  for (const { begun, healed } of [...strikes].sort((a, b) => a.begun - b.begun)) {
    const last = spans.at(-1);
    if (last !== undefined && begun <= last[1]) last[1] = Math.max(last[1], healed);
    else spans.push([begun, healed]);
  }
  return spans
    .map(([from, to]) => {
      const x = axis.x((from - began) / 1_000);
      const width = Math.max(0.5, axis.x((to - began) / 1_000) - x);
      return `<rect x="${x.toFixed(1)}" y="${top}" width="${width.toFixed(1)}" height="${height}" fill="#fbeceb"/>`;
    })
    .join("");
}

export function timeLabels(axis: TimeAxis, top: number, bottom: number): string {
  return timeTicks(axis.seconds)
    .map((at) => {
      const x = axis.x(at).toFixed(1);
      return (
        `<line class="grid" x1="${x}" y1="${top}" x2="${x}" y2="${bottom}"/>` +
        `<text class="tick" x="${x}" y="${bottom + 16}" text-anchor="middle">${clock(at, axis.seconds)}</text>`
      );
    })
    .join("");
}

export function legend(entries: readonly (readonly [colour: string, says: string])[], y: number): string {
  let x = LEFT;
  return entries
    .map(([colour, says]) => {
      const at = x;
      x += says.length * 6.4 + 40;
      return `<rect x="${at}" y="${y - 9}" width="11" height="11" rx="2" fill="${colour}"/><text x="${at + 17}" y="${y}">${escaped(says)}</text>`;
    })
    .join("");
}

export function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

export interface Sheet {
  readonly title: string;
  readonly subtitle: string;
  readonly height: number;
  readonly body: string;
}

export function sheet({ title, subtitle, height, body }: Sheet): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}">
<style>
  text { font: 12px ui-sans-serif, "Helvetica Neue", Arial, sans-serif; fill: #24303c; }
  .title { font-size: 18px; font-weight: 600; }
  .subtitle { fill: #5b6770; }
  .tick { fill: #6b7680; font-size: 11px; }
  .lane { text-anchor: end; font-size: 11px; fill: #5b6770; }
  .grid { stroke: #e3e8ec; }
  .axis { stroke: #9aa5af; }
  .line { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
</style>
<rect width="100%" height="100%" fill="#ffffff"/>
<text class="title" x="${LEFT}" y="32">${escaped(title)}</text>
<text class="subtitle" x="${LEFT}" y="52">${escaped(subtitle)}</text>
${body}
</svg>
`;
}
