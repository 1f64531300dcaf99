// Draws results as one SVG: panels of bars with the spread of the repetitions and the bar that is asked for. It needs no
// font, script or colour of the page that shows it, and reads on light and dark alike.
import { number } from "./report.ts";
import type { Figure, Result } from "./results.ts";

interface Row {
  readonly label: string;
  readonly figure: Figure;
  /** Shown for comparison only. */
  readonly isBaseline: boolean;
}

interface Panel {
  readonly title: string;
  readonly rows: readonly Row[];
}

const WIDTH = 860;
const LABEL = 250;
const PLOT = 480;
const ROW = 30;
const PANEL_HEAD = 44;
const STYLE = `
  text { font: 14px system-ui, sans-serif; fill: #3b424c } .title { font-weight: 600 } .small { font-size: 12px; fill: #6b7480 }
  .ours { fill: #2f7fd1 } .base { fill: #9aa4b0 } .spread { stroke: #22272e; stroke-width: 1.5 } .bar { stroke: #d1462f; stroke-width: 1.5; stroke-dasharray: 5 4 } .asked { fill: #d1462f; font-size: 12px }
  @media (prefers-color-scheme: dark) { text { fill: #c9d1d9 } .small { fill: #98a2ae } .ours { fill: #58a6ff } .base { fill: #6b7480 } .spread { stroke: #f0f3f6 } .bar { stroke: #ff7b6b } .asked { fill: #ff7b6b } }`;

/** The picture of everything that is there. */
export function picture(results: ReadonlyMap<string, Result>): string {
  let top = 8;
  const parts: string[] = [];
  for (const panel of panels(results)) {
    if (panel.rows.length === 0) continue;
    parts.push(draw(panel, top));
    top += PANEL_HEAD + panel.rows.length * ROW + 18;
  }
  parts.push(text(12, top + 16, caption(results), "small"));
  const height = top + 30;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>Benchmarks</title>
<style>${STYLE}
</style>
${parts.join("\n")}
</svg>
`;
}

function panels(results: ReadonlyMap<string, Result>): Panel[] {
  const row = (label: string, from: string, metric: string, isBaseline = from === "forwarder"): Row[] => {
    const figure = results.get(from)?.figures.find((f) => f.name === metric);
    return figure === undefined ? [] : [{ label, figure, isBaseline }];
  };
  return [
    {
      title: "CPU of the server for a message, µs (less is better)",
      rows: [
        ...row("live", "live", "cpu"),
        ...row("stored, synced", "store", "cpu"),
        ...row("drained", "store", "drainCpu"),
        ...row("bare forwarder, for comparison", "forwarder", "cpu"),
      ],
    },
    {
      title: "Messages a second, one relay process (more is better)",
      rows: [
        ...row("live", "live", "rate"),
        ...row("stored, synced", "store", "rate"),
        ...row("drained, with logins", "store", "drainRate"),
        ...row("bare forwarder, for comparison", "forwarder", "rate"),
      ],
    },
    {
      title: "CPU of the relay for a delivery of one upload to 1,000 members, µs (less is better)",
      rows: [
        ...row("16 uploads under way", "group", "cpu"),
        ...row("to members who are away", "group", "storeCpu"),
      ],
    },
    {
      title: "The same, one upload at a time, µs (less is better)",
      rows: row("one upload", "group", "oneCpu"),
    },
    {
      title: "Stored for a member who is away, bytes (less is better)",
      rows: [
        ...row("one upload of 4 KiB for 1,000", "group", "storedLarge"),
        ...row("1,000 messages of 4 KiB", "group", "storedLargeApart", true),
        ...row("one upload of 256 B for 1,000", "group", "stored"),
        ...row("1,000 messages of 256 B", "group", "storedApart", true),
      ],
    },
    {
      title: "Start with 1,000,000 stored messages, s (less is better)",
      rows: row("until it listens", "restart", "seconds"),
    },
    {
      title: "Latency at 2,000 messages a second, ms (less is better)",
      rows: [
        ...row("to the recipient, median", "latency", "push50"),
        ...row("to the recipient, 99th percentile", "latency", "push99"),
        ...row("until accepted, median", "latency", "accepted50"),
        ...row("until accepted, 99th percentile", "latency", "accepted99"),
      ],
    },
    {
      title: "Files through the relay, MB a second (more is better)",
      rows: [...row("up, synced", "media", "up"), ...row("down", "media", "down")],
    },
    {
      title: "Relay memory above idle, a file of 64 MiB up and down, MB (less is better)",
      rows: row("one at a time", "media", "memory"),
    },
    {
      title: "The same, 8 files at once, MB (less is better)",
      rows: row("8 at once", "media", "memoryOfEight"),
    },
    {
      title: "Encrypting and decrypting a message, one way: CPU, µs (less is better)",
      rows: [
        ...row("a message", "crypto", "oneWay"),
        ...row("libolm, for comparison", "crypto", "olmOneWay", true),
      ],
    },
    {
      title: "The same, taking turns: CPU, µs (less is better)",
      rows: [
        ...row("a message", "crypto", "pingPong"),
        ...row("libolm, for comparison", "crypto", "olmPingPong", true),
      ],
    },
    {
      title: "Sealing and opening an envelope, one way: CPU, µs (less is better)",
      rows: row("an envelope", "crypto", "sealedOneWay"),
    },
    {
      title: "The same, taking turns: CPU, µs (less is better)",
      rows: row("an envelope", "crypto", "sealedPingPong"),
    },
  ];
}

function draw({ title, rows }: Panel, top: number): string {
  const asked = rows.map((r) => r.figure.bar).find((bar) => bar !== undefined);
  const scale = PLOT / Math.max(...rows.map((r) => r.figure.most), (asked ?? 0) * 1.05);
  const bottom = top + PANEL_HEAD + rows.length * ROW;
  const parts = [text(12, top + 20, title, "title")];
  rows.forEach(({ label, figure, isBaseline }, i) => {
    const y = top + PANEL_HEAD + i * ROW;
    const middle = y + 9;
    const width = figure.median * scale;
    const [least, most] = [LABEL + figure.least * scale, LABEL + figure.most * scale];
    parts.push(
      `<text x="${LABEL - 10}" y="${middle + 5}" text-anchor="end">${label}</text>`,
      `<rect class="${isBaseline ? "base" : "ours"}" x="${LABEL}" y="${y}" width="${at(width)}" height="18" rx="2"/>`,
      `<path class="spread" d="M${at(least)} ${middle}H${at(most)}M${at(least)} ${middle - 4}v8M${at(most)} ${middle - 4}v8"/>`,
      text(Math.max(LABEL + width, most) + 8, middle + 5, number(figure.median)),
    );
  });
  if (asked !== undefined) {
    const x = at(LABEL + asked * scale);
    parts.push(
      `<path class="bar" d="M${x} ${top + PANEL_HEAD - 8}V${bottom - 6}"/>`,
      `<text class="asked" x="${x}" y="${top + PANEL_HEAD - 12}" text-anchor="middle">asked: ${number(asked)}</text>`,
    );
  }
  return parts.join("\n");
}

function caption(results: ReadonlyMap<string, Result>): string {
  const on = [...results.values()][0]?.machine;
  if (on === undefined) return "";
  return `Median and spread of the repetitions. 256 B a message. ${on.processor}, ${on.cores} cores, Node ${on.node}, ${on.at.slice(0, 10)}.`;
}

function text(x: number, y: number, what: string, kind?: string): string {
  return `<text x="${at(x)}" y="${at(y)}"${kind === undefined ? "" : ` class="${kind}"`}>${what}</text>`;
}

function at(value: number): string {
  return value.toFixed(1);
}
