// What stands on the screen of a chat: rows of text from the chat's state. Pure.
// Always true: exactly as many rows as the terminal has, none wider than it, the newest messages above the status line.
import type { Presence } from "../delivery/events.ts";
import { barText } from "./file-text.ts";
import type { Line, State } from "./happenings.ts";
import type { Placed } from "./image-layer.ts";
import { cellsOf } from "./terminal-image.ts";
import { harmless, linesOf, type Paint, tailOf, widthOf, wrap } from "./text.ts";

export interface View {
  readonly user: string;
  readonly peer: string | undefined;
  /** What is known of the peer. */
  readonly presence: Pick<Presence, "state"> & { readonly lastSeen: number | undefined };
  readonly relay: string;
  readonly connection: "connecting" | "online" | "offline";
  readonly typing: readonly string[];
  readonly lines: readonly Line[];
  /** What is being written, before and after the cursor. */
  readonly before: string;
  readonly after: string;
}

export interface Size {
  readonly rows: number;
  readonly columns: number;
}

export interface Drawing {
  readonly rows: readonly string[];
  /** Where the cursor stands in the last row, from 0. */
  readonly cursor: number;
  /** Pictures, all of whose rows are to be seen and empty. */
  readonly images: readonly Placed[];
}

/** A row, and the picture that begins in it. */
interface Row {
  readonly text: string;
  readonly begins?: Omit<Placed, "row">;
}

const MIN_COLUMNS = 20;
const PROMPT = "› ";

export function draw(view: View, size: Size, paint: Paint): Drawing {
  const columns = Math.max(size.columns, MIN_COLUMNS);
  const room = Math.max(size.rows - 2, 1);
  const messages = newest(view, columns, paint, room);
  const blank = Array.from({ length: room - messages.length }, () => "");
  const before = tailOf(harmless(view.before), columns - widthOf(PROMPT) - 1);
  const left = columns - widthOf(PROMPT) - widthOf(before) - 1;
  const input = paint("cyan", PROMPT) + before + headOf(harmless(view.after), left);
  return {
    rows: [...blank, ...messages.map(({ text }) => text), status(view, columns, paint), input],
    cursor: widthOf(PROMPT) + widthOf(before),
    images: messages.flatMap(({ begins }, i) =>
      begins === undefined ? [] : [{ ...begins, row: blank.length + i }],
    ),
  };
}

/** The rows of the newest lines that fit. */
function newest({ lines }: View, columns: number, paint: Paint, room: number): Row[] {
  const out: Row[] = [];
  for (let at = lines.length - 1; at >= 0 && out.length < room; at--) {
    const line = lines[at];
    if (line?.kind === "image") out.unshift(...imageRows(line, columns));
    else if (line !== undefined) out.unshift(...rowsOf(line, columns, paint).map((text) => ({ text })));
  }
  return out.slice(-room);
}

/** A picture takes empty rows, and is drawn over them. */
function imageRows({ image }: Line & { kind: "image" }, columns: number): Row[] {
  const cells = cellsOf(image, columns);
  return Array.from({ length: cells.rows }, (_, i) => ({
    text: "",
    ...(i === 0 ? { begins: { image, ...cells } } : {}),
  }));
}

function rowsOf(line: Exclude<Line, { kind: "image" }>, columns: number, paint: Paint): string[] {
  if (line.kind === "note")
    return linesOf(line.text)
      .flatMap((text) => wrap(`— ${text}`, columns))
      .map((row) => paint("yellow", row));
  if (line.kind === "drawing") return line.columns <= columns ? [...line.rows] : [];
  if (line.kind === "transfer")
    return [paint("cyan", headOf(barText(line.name, line.done, line.of), columns))];
  const time = clock(line.at);
  const who = line.kind === "in" ? harmless(line.from) : "you";
  const tick = line.kind === "out" ? ticks(line.state, paint) : "";
  const tickWidth = line.kind === "out" ? 3 : 0;
  const margin = 6 + widthOf(who) + 2;
  const width = Math.max(columns - margin - tickWidth, 8);
  const rows = linesOf(line.text).flatMap((text) => wrap(text, width));
  const name = paint(line.kind === "in" ? "green" : "cyan", who);
  const late = line.kind === "in" && line.late ? paint("dim", " (late)") : "";
  return rows.map((row, i) => {
    const start = i === 0 ? `${paint("grey", time)} ${name}  ` : " ".repeat(margin);
    const end = i === rows.length - 1 ? late + (tick === "" ? "" : ` ${tick}`) : "";
    return start + row + end;
  });
}

/** One grey tick: the relay has it. Two grey: the other device has it. Two blue: it was read. */
export function ticks(state: State, paint: Paint): string {
  switch (state) {
    case "queued":
      return paint("grey", "…");
    case "sent":
      return paint("grey", "✓");
    case "delivered":
      return paint("grey", "✓✓");
    case "read":
      return paint("blue", "✓✓");
    case "expired":
    case "refused":
      return paint("red", "✗");
  }
}

const DOTS = { online: "green", connecting: "yellow", offline: "red" } as const;

/** Whether the other person is there, as far as is known. */
function presenceOf({ state, lastSeen }: View["presence"]): string {
  if (state === "unknown") return "";
  return lastSeen === undefined ? ` (${state})` : ` (last seen ${dayOf(lastSeen)}${clock(lastSeen)})`;
}

function dayOf(at: number): string {
  const [then, today] = [new Date(at).toDateString(), new Date().toDateString()];
  return then === today ? "" : `${then.slice(4, 10)}, `;
}

function status(view: View, columns: number, paint: Paint): string {
  const { user, peer, relay, connection, typing } = view;
  const writing = typing.length === 0 ? "" : ` · ${typing.map(harmless).join(", ")} is writing…`;
  const withWhom = peer === undefined ? "" : ` → ${harmless(peer)}${presenceOf(view.presence)}`;
  const long = ` ${user}${withWhom} · ${connection}${writing}`;
  const text = widthOf(long) + 2 > columns ? headOf(long, columns - 2) : long;
  const where = `${harmless(relay)} `;
  const gap = columns - widthOf(text) - widthOf(where) - 2;
  const rest = gap > 0 ? " ".repeat(gap) + where : " ".repeat(Math.max(0, columns - widthOf(text) - 2));
  return paint("inverse", ` ${paint(DOTS[connection], "●")}${text}${rest}`);
}

function headOf(text: string, columns: number): string {
  let out = "";
  let width = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    width += widthOf(segment);
    if (width > columns) break;
    out += segment;
  }
  return out;
}

function clock(at: number): string {
  // The sender's word: any number may stand there.
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return "--:--";
  return `${String(date.getHours()).padStart(2, "0")}:${String(date.getMinutes()).padStart(2, "0")}`;
}
