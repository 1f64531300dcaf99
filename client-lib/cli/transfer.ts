// A file that is on its way, as the chat shows it: a bar that moves, and a word at each step of ten percent. Always true: the bar is
// gone when the file has come to its end, whichever that is.
import { percentOf } from "./file-text.ts";
import type { Happening, Line } from "./happenings.ts";

export interface Showing {
  readonly say: (what: Happening) => void;
  readonly note: (text: string) => void;
  readonly show: (line: Line) => void;
  readonly hide: (line: Line) => void;
}

const STEP = 10;

/**
 * Shows a bar while the work is under way. @param name as it is shown. @param told is given each step once, 10 to 100.
 */
export async function withBar<T>(
  { say, show, hide }: Showing,
  { name, size, told }: { name: string; size: number; told: (percent: number) => Happening },
  work: (progress: (done: number) => void) => Promise<T>,
): Promise<T> {
  const line: Line & { kind: "transfer" } = { kind: "transfer", name, done: 0, of: size };
  let step = 0;
  show(line);
  try {
    return await work((done) => {
      line.done = done;
      const now = Math.floor(percentOf(done, size) / STEP) * STEP;
      say(now > step ? told(now) : { is: "moved" });
      step = Math.max(step, now);
    });
  } finally {
    hide(line);
  }
}
