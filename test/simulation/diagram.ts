// Draws what happened as a sequence diagram (SVG): a lifeline for each client, node and the store, time downwards, faults
// in red. Always true: rows are events in the order of time, not a scale of it; the time stands at the left.
import type { Arrow, Note, Trace } from "./trace.ts";

/** Rows drawn: what came last is what broke the promise. */
const MAX_ROWS = 260;
const ROW = 17;
const COLUMN = 190;
const LEFT = 90;
const TOP = 86;
const BORING = /^(look |ping|pong|ping, pong)/;

export interface Drawing {
  readonly title: string;
  readonly subtitle: string;
  readonly trace: Trace;
  /** Lifelines from left to right; those that nothing happens on are left out. */
  readonly lines: readonly string[];
}

type Mark = { readonly at: number } & (
  | { readonly is: "sent"; readonly arrow: Arrow }
  | { readonly is: "got"; readonly arrow: Arrow }
  | { readonly is: "note"; readonly note: Note }
);

export function draw({ title, subtitle, trace, lines }: Drawing): string {
  const marks = marksOf(trace);
  const used = new Set(marks.flatMap(linesOf));
  const columns = new Map(
    lines.filter((line) => used.has(line)).map((line, i) => [line, LEFT + COLUMN * (i + 0.5)]),
  );
  const rows = new Map<Mark, number>(marks.map((mark, i) => [mark, TOP + ROW * (i + 1)]));
  const width = LEFT + COLUMN * columns.size + 20;
  const height = TOP + ROW * (marks.length + 2) + 20;
  const parts = [
    ...[...columns].map(([line, x]) => lifeline(line, x, height)),
    ...marks.map((mark) => shown(mark, { rows, columns, marks })),
  ];
  return page({ width, height, title, subtitle, body: parts.join("\n") });
}

function marksOf({ arrows, notes }: Trace): Mark[] {
  const marks: Mark[] = notes.map((note) => ({ at: note.at, is: "note", note }));
  for (const arrow of arrows) {
    if (BORING.test(arrow.label)) continue;
    marks.push({ at: arrow.sent, is: "sent", arrow });
    if (arrow.got !== undefined && arrow.got > arrow.sent) marks.push({ at: arrow.got, is: "got", arrow });
  }
  marks.sort((a, b) => a.at - b.at);
  return marks.slice(-MAX_ROWS);
}

function linesOf(mark: Mark): string[] {
  return mark.is === "note" ? [mark.note.on] : [mark.arrow.from, mark.arrow.to];
}

interface Sheet {
  readonly rows: ReadonlyMap<Mark, number>;
  readonly columns: ReadonlyMap<string, number>;
  readonly marks: readonly Mark[];
}

function lifeline(line: string, x: number, height: number): string {
  return (
    `<line class="life" x1="${x}" y1="${TOP}" x2="${x}" y2="${height - 20}"/>` +
    `<rect class="head" x="${x - 44}" y="${TOP - 26}" width="88" height="24" rx="5"/>` +
    `<text class="name" x="${x}" y="${TOP - 9}">${escaped(line)}</text>`
  );
}

function shown(mark: Mark, sheet: Sheet): string {
  const y = sheet.rows.get(mark) ?? 0;
  const time = `<text class="time" x="${LEFT - 12}" y="${y + 4}">${(mark.at / 1_000).toFixed(3)} s</text>`;
  if (mark.is === "note") return time + noteShown(mark.note, y, sheet);
  return mark.is === "sent" ? time + arrowShown(mark.arrow, y, sheet) : time;
}

function noteShown({ on, text, fault }: Note, y: number, { columns }: Sheet): string {
  const x = columns.get(on) ?? LEFT;
  const width = text.length * 6.2 + 12;
  return (
    `<rect class="note${fault ? " fault" : ""}" x="${x - width / 2}" y="${y - 8}" width="${width}" height="15" rx="3"/>` +
    `<text class="on${fault ? " fault" : ""}" x="${x}" y="${y + 3.5}">${escaped(text)}</text>`
  );
}

function arrowShown(arrow: Arrow, y: number, { columns, marks, rows }: Sheet): string {
  const from = columns.get(arrow.from) ?? LEFT;
  const to = columns.get(arrow.to) ?? LEFT;
  const got = marks.find((mark) => mark.is === "got" && mark.arrow === arrow);
  const lost = arrow.got === undefined;
  const end = got === undefined ? y : (rows.get(got) ?? y);
  const x2 = lost ? from + (to - from) * 0.55 : to;
  const label = `<text class="label${lost ? " fault" : ""}" x="${from + Math.sign(to - from) * 8}" y="${y - 3}" text-anchor="${to > from ? "start" : "end"}">${escaped(arrow.label)}</text>`;
  const kind = lost ? " fault" : arrow.to === "store" ? " call" : "";
  const line = `<line class="arrow${kind}" x1="${from}" y1="${y}" x2="${x2}" y2="${end}" marker-end="url(#${lost ? "cross" : "head"})"/>`;
  return line + label;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

interface Page {
  readonly width: number;
  readonly height: number;
  readonly title: string;
  readonly subtitle: string;
  readonly body: string;
}

function page({ width, height, title, subtitle, body }: Page): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<style>
  text { font: 11px ui-sans-serif, "Helvetica Neue", Arial, sans-serif; fill: #24303c; }
  .title { font-size: 16px; font-weight: 600; fill: #b3261e; }
  .name { text-anchor: middle; font-weight: 600; font-size: 12px; }
  .time { text-anchor: end; fill: #8a94a0; font-size: 10px; }
  .label { paint-order: stroke; stroke: #ffffff; stroke-width: 3px; }
  .on { text-anchor: middle; }
  .on.fault, .label.fault { fill: #b3261e; }
  .head { fill: #eef3f8; stroke: #9fb2c6; }
  .life { stroke: #c6d0da; stroke-dasharray: 3 4; }
  .note { fill: #f6f8fa; stroke: #c6d0da; }
  .note.fault { fill: #fdecea; stroke: #e0837c; }
  .arrow { stroke: #3d6da8; stroke-width: 1.2; }
  .arrow.call { stroke: #7a8b6b; }
  .arrow.fault { stroke: #d0382e; stroke-dasharray: 5 3; }
</style>
<defs>
  <marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#3d6da8"/></marker>
  <marker id="cross" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="9" markerHeight="9" orient="auto"><path d="M1 1 7 7M7 1 1 7" stroke="#d0382e" stroke-width="1.6"/></marker>
</defs>
<rect width="100%" height="100%" fill="#ffffff"/>
<text class="title" x="20" y="26">${escaped(title)}</text>
<text x="20" y="46">${escaped(subtitle)}</text>
${body}
</svg>
`;
}
