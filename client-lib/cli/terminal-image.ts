// Pictures in a terminal, by the graphics protocol of kitty or the inline images of iTerm2: whether it can, how many cells one takes,
// and the bytes. Pure. Always true: nothing of a picture reaches the terminal but as base64.
// https://sw.kovidgoyal.net/kitty/graphics-protocol/ and https://iterm2.com/documentation-images.html
import { imageHeader } from "./image-header.ts";

export type ImageProtocol = "kitty" | "iterm2";

export interface TerminalImage {
  /** Of this picture in the terminal, 1 to 2^31. */
  readonly id: number;
  readonly bytes: Uint8Array;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
}

export interface Cells {
  readonly rows: number;
  readonly columns: number;
}

/** Larger files are not shown; with iTerm2's protocol a picture goes to the terminal again whenever it moves. */
export const MAX_IMAGE_BYTES: Readonly<Record<ImageProtocol, number>> = {
  kitty: 4_194_304,
  iterm2: 1_048_576,
};
/** A terminal unpacks it: a small file may be a picture of any size. */
const MAX_PIXELS = 50_000_000;
const MAX_ROWS = 12;
/** What most terminals' cells are near to, pixels. */
const CELL = { width: 10, height: 20 } as const;
/** Characters of base64 in one escape of kitty's protocol, a multiple of 4. */
const CHUNK = 4_096;
const ITERM2: readonly string[] = ["iTerm.app", "WezTerm", "mintty"];
const KITTY: readonly string[] = ["kitty", "ghostty"];
/** The first Konsole that knows the protocol. */
const KONSOLE = 220_400;

/** What the terminal understands, by what it says of itself. In tmux and screen nothing: they would have to pass it on. */
export function imageProtocolOf(
  env: Readonly<Record<string, string | undefined>>,
): ImageProtocol | undefined {
  const { TERM: term = "", TERM_PROGRAM: program = "" } = env;
  if (env["TMUX"] !== undefined || env["STY"] !== undefined || /^(?:screen|tmux)/.test(term))
    return undefined;
  if (KITTY.includes(program)) return "kitty";
  // What other terminals were started from is in the environment still: their own word is before it.
  if (program !== "") return ITERM2.includes(program) ? "iterm2" : undefined;
  if (term === "xterm-kitty" || term === "xterm-ghostty" || env["KITTY_WINDOW_ID"] !== undefined)
    return "kitty";
  if (env["LC_TERMINAL"] === "iTerm2") return "iterm2";
  return Number(env["KONSOLE_VERSION"] ?? 0) >= KONSOLE ? "kitty" : undefined;
}

/** Undefined: it is not to be shown. kitty's protocol takes PNG alone. */
export function terminalImage(
  protocol: ImageProtocol,
  bytes: Uint8Array,
  id: number,
): TerminalImage | undefined {
  if (bytes.length > MAX_IMAGE_BYTES[protocol]) return undefined;
  const header = imageHeader(bytes);
  if (header === undefined || header.width * header.height > MAX_PIXELS) return undefined;
  if (protocol === "kitty" && header.type !== "image/png") return undefined;
  return { id, bytes, width: header.width, height: header.height };
}

/** As large as it is where there is room, never larger. */
export function cellsOf({ width, height }: TerminalImage, columns: number): Cells {
  const scale = Math.min(1, (MAX_ROWS * CELL.height) / height, (columns * CELL.width) / width);
  const cells = (pixels: number, cell: number): number => Math.max(1, Math.round((pixels * scale) / cell));
  return { rows: cells(height, CELL.height), columns: cells(width, CELL.width) };
}

/** kitty: gives the terminal the picture, unseen. q=2: it is not to answer. */
export function kittyTransmit({ id, bytes }: TerminalImage): string {
  const base64 = Buffer.from(bytes).toString("base64");
  let out = "";
  for (let at = 0; at < base64.length; at += CHUNK) {
    const keys = at === 0 ? `a=t,f=100,t=d,i=${id},q=2` : "q=2";
    const more = at + CHUNK < base64.length ? 1 : 0;
    out += `\u001b_G${keys},m=${more};${base64.slice(at, at + CHUNK)}\u001b\\`;
  }
  return out;
}

/** kitty: shows it at the cursor, which stays; where it was before it is no longer. */
export function kittyPlace({ id }: TerminalImage, { rows, columns }: Cells): string {
  return `\u001b_Ga=p,i=${id},p=1,c=${columns},r=${rows},C=1,q=2\u001b\\`;
}

/** kitty: takes it off the screen; `forget`: out of the terminal's memory as well. */
export function kittyDelete(id: number, forget: boolean): string {
  return `\u001b_Ga=d,d=${forget ? "I" : "i"},i=${id},q=2\u001b\\`;
}

/** iTerm2: shows it at the cursor, in the cells that it then takes. */
export function iterm2Image({ bytes }: TerminalImage, { rows, columns }: Cells): string {
  const keys = `size=${bytes.length};width=${columns};height=${rows};preserveAspectRatio=1;inline=1`;
  return `\u001b]1337;File=${keys}:${Buffer.from(bytes).toString("base64")}\u0007`;
}
