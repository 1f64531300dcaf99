// One row of the table of settings, and how the text of a flag or variable becomes its value. Always true: what does not fit
// is told as what would, and never guessed at.

export interface Row<T> {
  readonly flag: string;
  readonly env: string;
  readonly fallback: T;
  readonly unit: string;
  readonly says: string;
  /** The value, or why not. */
  readonly read: (text: string) => T | Fault;
}

interface Fault {
  readonly fault: string;
}

export function row<T>(flag: string, fallback: T, unit: string, says: string, read: Row<T>["read"]): Row<T> {
  return { flag, env: `LETHE_${flag.toUpperCase().replaceAll("-", "_")}`, fallback, unit, says, read };
}

export function integer(min: number, max: number): (text: string) => number | Fault {
  return (text) => {
    const value = Number(text);
    if (!/^[0-9]+$/.test(text) || value < min || value > max)
      return { fault: `is a whole number from ${min} to ${max}` };
    return value;
  };
}

/** A time that may be a fraction of its unit. */
export function fraction(min: number, max: number): (text: string) => number | Fault {
  return (text) => {
    const value = Number(text);
    if (!/^[0-9]+(?:\.[0-9]+)?$/.test(text) || value < min || value > max)
      return { fault: `is a number from ${min} to ${max}` };
    return value;
  };
}

export function string(pattern: RegExp, what: string): (text: string) => string | Fault {
  return (text) => (pattern.test(text) ? text : { fault: `is ${what}` });
}

export const anything = string(/^.{0,2048}$/s, "at most 2048 characters");

export function onOff(text: string): boolean | Fault {
  return text === "on" || text === "off" ? text === "on" : { fault: "is on or off" };
}

export function oneOf<T extends string>(words: readonly T[]): (text: string) => T | Fault {
  return (text) => words.find((word) => word === text) ?? { fault: `is one of ${words.join(", ")}` };
}
