// Files in words: a file in one line, how much of it is there, a path as a person types it. Pure. Always true: of what a sender
// claims only a safe name, a well-formed type and the caption are shown.
import { sep } from "node:path";
import type { ReceivedMedia } from "../media/received.ts";
import { safeName } from "../media/safe-name.ts";
import { harmless, widthOf } from "./text.ts";

export type AboutFile = Pick<ReceivedMedia, "name" | "type" | "size" | "width" | "height">;

const UNITS = ["bytes", "kB", "MB", "GB"] as const;
const TYPE = /^[\w.+-]{1,64}\/[\w.+-]{1,64}$/;
const MAX_NAME_COLUMNS = 32;
const CELLS = 8;
/** A cell filled by so many eighths. */
const EIGHTHS = [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"] as const;

/** `📎 holiday.jpg, image/jpeg, 7.1 MB, 4032×3024`; what the file is called is what it would be saved as. */
export function fileText({ name, type, size, width, height }: AboutFile): string {
  const pixels = width === undefined || height === undefined ? [] : [`${width}×${height}`];
  const kind = TYPE.test(type) ? [type] : [];
  return `📎 ${[safeName(name), ...kind, sizeText(size), ...pixels].join(", ")}`;
}

export function sizeText(bytes: number): string {
  const unit = unitOf(bytes);
  return bytes === 1 ? "1 byte" : `${inUnit(bytes, unit)} ${UNITS[unit]}`;
}

/** `holiday.jpg ▕████▌   ▏ 45 % 3.2 of 7.1 MB` */
export function barText(name: string, done: number, of: number): string {
  const unit = unitOf(of);
  const much = `${inUnit(done, unit)} of ${inUnit(of, unit)} ${UNITS[unit]}`;
  return `${shortName(name)} ▕${bar(done, of)}▏ ${percentOf(done, of)} % ${much}`;
}

/** Whole percent, rounded down: 100 only when all of it is there. */
export function percentOf(done: number, of: number): number {
  return of === 0 ? 100 : Math.floor((Math.min(done, of) / of) * 100);
}

function bar(done: number, of: number): string {
  const filled = Math.floor((percentOf(done, of) / 100) * CELLS * 8);
  const cell = (i: number): string => EIGHTHS[Math.min(8, Math.max(0, filled - i * 8))] ?? " ";
  return Array.from({ length: CELLS }, (_, i) => cell(i)).join("");
}

function unitOf(bytes: number): number {
  let unit = 0;
  while (unit < UNITS.length - 1 && bytes / 1_000 ** unit >= 999.95) unit += 1;
  return unit;
}

function inUnit(bytes: number, unit: number): string {
  return unit === 0 ? String(bytes) : (bytes / 1_000 ** unit).toFixed(1);
}

function shortName(name: string): string {
  let out = "";
  for (const character of harmless(name)) {
    if (widthOf(out + character) > MAX_NAME_COLUMNS - 1) return `${out}…`;
    out += character;
  }
  return out;
}

/**
 * The path that a line begins with, and what stands behind it: as in a shell a space is part of a path inside quotes or behind a
 * backslash, but for Windows, where a backslash is a path's own. @throws Error where a quote has no end
 */
export function pathAndRest(text: string, separator: string = sep): { path: string; rest: string } {
  let path = "";
  let quote = "";
  let at = 0;
  for (; at < text.length; at++) {
    const character = text[at] ?? "";
    const escapes = character === "\\" && separator === "/" && quote !== "'" && at + 1 < text.length;
    if (quote === "" && /\s/.test(character)) break;
    if (escapes) path += text[++at] ?? "";
    else if (quote === "" && (character === '"' || character === "'")) quote = character;
    else if (character === quote) quote = "";
    else path += character;
  }
  if (quote !== "") throw new Error(`There is no second ${quote} in this path.`);
  return { path, rest: text.slice(at).trim() };
}
