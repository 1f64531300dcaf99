// Messages in flight over time: those that no relay has accepted yet, and those accepted and not handed over yet.
import type { Message } from "../judge/messages.ts";
import type { Nemeses } from "../nemesis-log.ts";
import { faultLanes, LEFT, legend, PLOT, sheet, shade, ticks, timeAxis, timeLabels } from "./chart.ts";

const TOP = 96;
const HEIGHT = 340;
const COLOURS = { waiting: "#9db8d9", held: "#2f6db3" } as const;

interface Counts {
  readonly waiting: Float64Array;
  readonly held: Float64Array;
}

export function flightPicture(messages: readonly Message[], nemeses: Nemeses, subtitle: string): string {
  const last = messages.reduce((most, { handed }) => Math.max(most, handed ?? 0), nemeses.began);
  const axis = timeAxis(nemeses, last + 2_000);
  const { waiting, held } = inFlight(messages, nemeses.began, axis.seconds);
  const most = Math.max(4, ...waiting.map((count, i) => count + (held[i] as number)));
  const y = (count: number): number => TOP + HEIGHT - (HEIGHT * count) / (most * 1.05);
  const x = (bin: number): number => LEFT + ((bin + 0.5) * PLOT) / waiting.length;
  const area = (low: (bin: number) => number, high: (bin: number) => number, colour: string): string => {
    const bins = Array.from(waiting.keys());
    const above = bins.map((bin) => `${x(bin).toFixed(1)} ${y(high(bin)).toFixed(1)}`);
    const below = bins.toReversed().map((bin) => `${x(bin).toFixed(1)} ${y(low(bin)).toFixed(1)}`);
    return `<path d="M${[...above, ...below].join("L")}Z" fill="${colour}"/>`;
  };
  const at = (list: Float64Array, bin: number): number => list[bin] ?? 0;
  const lanes = faultLanes(nemeses, axis, TOP + HEIGHT + 30);
  const grid = ticks(most, 6).map(
    (count) =>
      `<line class="grid" x1="${LEFT}" y1="${y(count).toFixed(1)}" x2="${LEFT + PLOT}" y2="${y(count).toFixed(1)}"/>` +
      `<text class="tick" x="${LEFT - 8}" y="${(y(count) + 4).toFixed(1)}" text-anchor="end">${count}</text>`,
  );
  return sheet({
    title: "Messages in flight",
    subtitle,
    height: TOP + HEIGHT + 50 + lanes.height,
    body: [
      legend(
        [
          [COLOURS.held, "accepted, not handed over yet"],
          [COLOURS.waiting, "in the sender's outbox"],
          ["#fbeceb", "something is broken"],
        ],
        80,
      ),
      shade(nemeses, axis, TOP, HEIGHT),
      ...grid,
      timeLabels(axis, TOP, TOP + HEIGHT),
      area(
        () => 0,
        (bin) => at(held, bin),
        COLOURS.held,
      ),
      area(
        (bin) => at(held, bin),
        (bin) => at(held, bin) + at(waiting, bin),
        COLOURS.waiting,
      ),
      lanes.svg,
    ].join("\n"),
  });
}

/** The counts at the middle of each of as many bins as the picture has points. */
function inFlight(messages: readonly Message[], began: number, seconds: number): Counts {
  const bins = PLOT;
  const change = { waiting: new Float64Array(bins + 1), held: new Float64Array(bins + 1) };
  const binOf = (mono: number): number =>
    Math.min(bins, Math.max(0, Math.ceil(((mono - began) / 1_000 / seconds) * bins - 0.5)));
  const span = (list: Float64Array, from: number, to: number): void => {
    const [first, last] = [binOf(from), binOf(to)];
    list[first] = (list[first] ?? 0) + 1;
    list[last] = (list[last] ?? 0) - 1;
  };
  for (const { queued, sent, handed } of messages) {
    if (queued === undefined) continue;
    const gone = handed ?? Number.MAX_SAFE_INTEGER;
    const taken = Math.min(sent ?? gone, gone);
    span(change.waiting, queued, taken);
    if (taken < gone) span(change.held, taken, gone);
  }
  return { waiting: summed(change.waiting, bins), held: summed(change.held, bins) };
}

function summed(change: Float64Array, bins: number): Float64Array {
  let sum = 0;
  return Float64Array.from({ length: bins }, (_, i) => (sum += change[i] ?? 0));
}
