// The line that a person writes, with a cursor in it. Pure: a key in, the next state out.
// Always true: the cursor stands between graphemes, so that one backspace takes one thing that a person sees.

export interface Editing {
  /** Graphemes before and after the cursor. */
  readonly before: readonly string[];
  readonly after: readonly string[];
}

export interface Key {
  readonly name?: string | undefined;
  readonly ctrl?: boolean | undefined;
  readonly meta?: boolean | undefined;
  readonly sequence?: string | undefined;
}

export const EMPTY: Editing = { before: [], after: [] };
/** Graphemes of one message: what can be typed is always short enough to be sent. */
const MAX_GRAPHEMES = 4_000;
const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });

export function textOf({ before, after }: Editing): string {
  return [...before, ...after].join("");
}

/** The state after a key. `typed`: what the key inserts, if it does. */
export function press(editing: Editing, typed: string | undefined, key: Key): Editing {
  const { before, after } = editing;
  const all = [...before, ...after];
  if (key.ctrl === true)
    switch (key.name) {
      case "a":
        return { before: [], after: all };
      case "e":
        return { before: all, after: [] };
      case "u":
        return { before: [], after };
      case "k":
        return { before, after: [] };
      case "w":
        return { before: beforeWord(before), after };
      default:
        return editing;
    }
  switch (key.name) {
    case "backspace":
      return { before: before.slice(0, -1), after };
    case "delete":
      return { before, after: after.slice(1) };
    case "left":
      return before.length === 0
        ? editing
        : { before: before.slice(0, -1), after: [before.at(-1) ?? "", ...after] };
    case "right":
      return after.length === 0 ? editing : { before: [...before, after[0] ?? ""], after: after.slice(1) };
    case "home":
      return { before: [], after: all };
    case "end":
      return { before: all, after: [] };
    default:
      return typed === undefined || key.meta === true ? editing : insert(editing, typed);
  }
}

function insert({ before, after }: Editing, typed: string): Editing {
  const plain = typed.replaceAll(/\p{Cc}/gu, "");
  if (plain === "" || before.length + after.length >= MAX_GRAPHEMES) return { before, after };
  // What is typed may join with what stands before it: an accent, a skin tone.
  const joined = [...segmenter.segment(before.join("") + plain)].map(({ segment }) => segment);
  return { before: joined, after };
}

function beforeWord(before: readonly string[]): string[] {
  let at = before.length;
  while (at > 0 && before[at - 1] === " ") at -= 1;
  while (at > 0 && before[at - 1] !== " ") at -= 1;
  return before.slice(0, at);
}
