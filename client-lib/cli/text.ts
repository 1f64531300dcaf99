// Text for a terminal: made harmless, measured, wrapped, coloured. Pure.
// Always true: nothing that somebody else wrote can move the cursor, change colours or reverse the reading direction.

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });
// biome-ignore format: one range a line would hide the pattern
const WIDE = /^(?:\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}])/u;
/** C0 and C1 controls, and the marks that change the reading direction. */
const HARMFUL = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** One line without anything that a terminal would obey. */
export function harmless(text: string): string {
  return text.replaceAll(HARMFUL, "\u00b7");
}

/** Lines of what somebody wrote, each harmless. */
export function linesOf(text: string): string[] {
  return text.replaceAll("\r\n", "\n").replaceAll("\t", "  ").split("\n").map(harmless);
}

/** Columns that a text takes. */
export function widthOf(text: string): number {
  let width = 0;
  for (const { segment } of segmenter.segment(text))
    width += WIDE.test(segment) || segment.includes("\ufe0f") ? 2 : 1;
  return width;
}

/** Breaks one line at spaces where it can, anywhere where it must. */
export function wrap(line: string, columns: number): string[] {
  const out: string[] = [];
  let current = "";
  let width = 0;
  for (const word of line.split(/(?<= )/u)) {
    const wide = widthOf(word);
    if (width > 0 && width + wide > columns) {
      out.push(current);
      current = "";
      width = 0;
    }
    if (wide <= columns) {
      current += word;
      width += wide;
      continue;
    }
    for (const { segment } of segmenter.segment(word)) {
      const each = widthOf(segment);
      if (width + each > columns) {
        out.push(current);
        current = "";
        width = 0;
      }
      current += segment;
      width += each;
    }
  }
  out.push(current);
  return out;
}

/** The end of a line, in at most so many columns. */
export function tailOf(line: string, columns: number): string {
  const graphemes = [...segmenter.segment(line)].map(({ segment }) => segment);
  let width = 0;
  let at = graphemes.length;
  while (at > 0 && width + widthOf(graphemes[at - 1] ?? "") <= columns) {
    width += widthOf(graphemes[at - 1] ?? "");
    at -= 1;
  }
  return graphemes.slice(at).join("");
}

const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [94, 39],
  cyan: [36, 39],
  grey: [90, 39],
  inverse: [7, 27],
} as const;
export type Style = keyof typeof CODES;

/** Puts a style around a text, or leaves it alone. */
export type Paint = (style: Style, text: string) => string;

export function painter(colour: boolean): Paint {
  return (style, text) => (colour ? `\u001b[${CODES[style][0]}m${text}\u001b[${CODES[style][1]}m` : text);
}
