// Time to recover by kind of fault: a dot for each time that it struck, filled where it was alone and undisturbed.
import type { Recovery } from "../judge/recovery.ts";
import { duration, escaped, GROUP_COLOURS, LEFT, legend, PLOT, sheet } from "./chart.ts";

const TOP = 100;
const ROW = 26;
const NAME = 90;
const LOW_MS = 10;
const RIGHT_TEXT = 150;

export function recoveryPicture(recoveries: readonly Recovery[], subtitle: string): string {
  const kinds = [...new Set(recoveries.map(({ strike }) => strike.kind))]
    .map((kind) => ({ kind, own: recoveries.filter(({ strike }) => strike.kind === kind) }))
    .map((entry) => ({ ...entry, median: middle(entry.own.map(({ ms }) => ms)) }))
    .sort((a, b) => b.median - a.median);
  const most = recoveries.reduce((max, { ms }) => Math.max(max, ms), 1_000);
  const decades = Math.ceil(Math.log10(most / LOW_MS));
  const left = LEFT + NAME;
  const width = PLOT - NAME - RIGHT_TEXT;
  const x = (ms: number): number => left + (width * Math.log10(Math.max(ms, LOW_MS) / LOW_MS)) / decades;
  const bottom = TOP + kinds.length * ROW;
  const scale = Array.from({ length: decades + 1 }, (_, i) => LOW_MS * 10 ** i).map(
    (ms, i) =>
      `<line class="grid" x1="${x(ms).toFixed(1)}" y1="${TOP}" x2="${x(ms).toFixed(1)}" y2="${bottom}"/>` +
      `<text class="tick" x="${x(ms).toFixed(1)}" y="${bottom + 16}" text-anchor="middle">${i === 0 ? `≤ ${duration(ms)}` : duration(ms)}</text>`,
  );
  const rows = kinds.map(({ kind, own, median }, row) => {
    const y = TOP + row * ROW + ROW / 2;
    const colour = GROUP_COLOURS[own[0]?.strike.group ?? "relay"];
    const dots = own.map((recovery, i) => dot(recovery, x(recovery.ms), y + ((i % 5) - 2) * 2, colour));
    return (
      `<text x="${left - 12}" y="${y + 4}" text-anchor="end">${escaped(kind)}</text>` +
      `<line class="grid" x1="${left}" y1="${y}" x2="${left + width}" y2="${y}"/>` +
      dots.join("") +
      `<line x1="${x(median).toFixed(1)}" y1="${y - 10}" x2="${x(median).toFixed(1)}" y2="${y + 10}" stroke="#24303c" stroke-width="2.5"/>` +
      `<text class="tick" x="${left + width + 14}" y="${y + 4}">median ${duration(median)}, ${own.length} times</text>`
    );
  });
  return sheet({
    title: "Time to recover, from the healing until all that had waited was handed over",
    subtitle,
    height: bottom + 36,
    body: [
      `<g>${legend(
        Object.entries(GROUP_COLOURS).map(([group, colour]) => [colour, group] as const),
        80,
      )}</g>`,
      `<text class="tick" x="${LEFT + PLOT}" y="80" text-anchor="end">filled: alone and undisturbed; hollow: in company, or the next round came; line: median</text>`,
      ...scale,
      ...rows,
    ].join("\n"),
  });
}

function dot({ strike, ms, disturbed }: Recovery, x: number, y: number, colour: string): string {
  const isFilled = strike.alone && !disturbed;
  return `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="4" fill="${isFilled ? colour : "#ffffff"}" fill-opacity="${isFilled ? 0.85 : 0.6}" stroke="${colour}" stroke-width="1.2"><title>${escaped(`${strike.says}: ${duration(ms)}`)}</title></circle>`;
}

function middle(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}
