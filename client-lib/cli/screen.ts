// The chat on a terminal: keys in, rows out. Always true: the terminal is given back as it was, whatever ends the chat;
// a row is written only when it changed, so that ticks change in place and nothing flickers.
import { emitKeypressEvents } from "node:readline";
import type { ReadStream, WriteStream } from "node:tty";
import type { Chat } from "./conversation.ts";
import { EMPTY, type Editing, type Key, press, textOf } from "./editor.ts";
import { ImageLayer } from "./image-layer.ts";
import type { ImageProtocol } from "./terminal-image.ts";
import { painter } from "./text.ts";
import { type Drawing, draw } from "./view.ts";

export interface ScreenRun {
  readonly user: string;
  readonly relay: string;
  readonly stdin: ReadStream;
  readonly stdout: WriteStream;
  readonly colour: boolean;
  readonly images: ImageProtocol | undefined;
  readonly signal: AbortSignal;
}

// ECMA-48 and xterm: alternate screen, cursor, erase to the end of the line.
const ENTER = "\u001b[?1049h\u001b[2J";
const LEAVE = "\u001b[?1049l";
const ERASE_REST = "\u001b[K";
const at = (row: number, column: number): string => `\u001b[${row + 1};${column + 1}H`;

const NOTHING: Drawing = { rows: [], cursor: 0, images: [] };
const NOBODY = { state: "unknown", lastSeen: undefined } as const;

export async function runScreen(chat: Chat, run: ScreenRun): Promise<number> {
  const screen = new Screen(chat, run);
  try {
    await screen.run();
    return 0;
  } finally {
    screen.leave();
  }
}

class Screen {
  readonly #chat: Chat;
  readonly #run: ScreenRun;
  #editing: Editing = EMPTY;
  #shown: Drawing = NOTHING;
  readonly #layer: ImageLayer | undefined;
  #planned = false;
  #clearing: NodeJS.Timeout | undefined;
  readonly #end = Promise.withResolvers<void>();
  readonly #onKey = (typed: string | undefined, key: Key): void => this.#key(typed, key);
  readonly #onResize = (): void => this.#redraw();

  constructor(chat: Chat, run: ScreenRun) {
    this.#chat = chat;
    this.#run = run;
    this.#layer = run.images === undefined ? undefined : new ImageLayer(run.images);
  }

  run(): Promise<void> {
    const { stdin, stdout, signal } = this.#run;
    stdout.write(ENTER);
    emitKeypressEvents(stdin);
    stdin.setRawMode(true);
    stdin.on("keypress", this.#onKey);
    stdin.on("end", () => this.#end.resolve());
    stdin.resume();
    stdout.on("resize", this.#onResize);
    signal.addEventListener("abort", () => this.#end.resolve(), { once: true });
    this.#chat.onHappening(() => this.#plan());
    this.#plan();
    return this.#end.promise;
  }

  leave(): void {
    const { stdin, stdout } = this.#run;
    if (this.#clearing !== undefined) clearTimeout(this.#clearing);
    stdin.off("keypress", this.#onKey);
    stdout.off("resize", this.#onResize);
    stdin.setRawMode(false);
    stdin.pause();
    stdout.write((this.#layer?.end() ?? "") + LEAVE);
  }

  #key(typed: string | undefined, key: Key): void {
    const ends =
      key.ctrl === true && (key.name === "c" || (key.name === "d" && textOf(this.#editing) === ""));
    if (ends) return this.#end.resolve();
    if (key.ctrl === true && key.name === "l") return this.#redraw();
    if (key.name === "return" || key.name === "enter") {
      const text = textOf(this.#editing);
      this.#editing = EMPTY;
      if (this.#chat.enter(text) === "quit") return this.#end.resolve();
    } else {
      this.#editing = press(this.#editing, typed, key);
      const text = textOf(this.#editing);
      if (text !== "" && !text.startsWith("/")) this.#chat.writes(Date.now());
    }
    this.#plan();
  }

  /** Many changes at once are one drawing. */
  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    setImmediate(() => {
      this.#planned = false;
      this.#draw();
    });
  }

  #redraw(): void {
    this.#shown = NOTHING;
    this.#plan();
  }

  #draw(): void {
    const { stdout, user, relay, colour } = this.#run;
    const { client, peer, connection, lines } = this.#chat;
    const presence = peer === undefined ? NOBODY : client.presence(peer);
    const typing = this.#typing();
    const before = this.#editing.before.join("");
    const after = this.#editing.after.join("");
    const view = { user, peer, presence, relay, connection, typing, lines, before, after };
    const next = draw(view, { rows: stdout.rows, columns: stdout.columns }, painter(colour));
    const images = this.#layer?.turn(next.images, this.#shown === NOTHING);
    let out = images?.first ?? "";
    next.rows.forEach((row, i) => {
      if (row !== this.#shown.rows[i] || images?.rewrite.has(i) === true) out += at(i, 0) + row + ERASE_REST;
    });
    for (const { row, text } of images?.last ?? []) out += at(row, 0) + text;
    out += at(next.rows.length - 1, next.cursor);
    this.#shown = next;
    stdout.write(out);
  }

  /** Who is writing still; when that is over, it is drawn again. */
  #typing(): string[] {
    const now = Date.now();
    let soonest = Number.POSITIVE_INFINITY;
    for (const [who, until] of this.#chat.typing) {
      if (until <= now) this.#chat.typing.delete(who);
      else soonest = Math.min(soonest, until);
    }
    if (this.#clearing !== undefined) clearTimeout(this.#clearing);
    this.#clearing =
      soonest === Number.POSITIVE_INFINITY ? undefined : setTimeout(() => this.#plan(), soonest - now);
    return [...this.#chat.typing.keys()];
  }
}
