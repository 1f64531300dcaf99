// Whether two classes of requests take alike: medians over rounds in which every class is asked once, in random order, against
// the medians of random halves of one class. Whatever slows the machine slows all classes alike, and widens what is chance.
import type { Chance } from "./chance.ts";

/** Halvings of each class that the null distribution is made of. */
const HALVINGS = 400;
/**
 * How far beyond the largest of them a difference is real. Halves spread √2 times as far as wholes, and the largest of 800 is
 * more than three standard deviations out: by chance a difference gets beyond once in a thousand million comparisons.
 */
const BEYOND = 1.5;

/** Times of one class, one a round, ms. */
export type Times = readonly number[];

export interface Comparison {
  /** Of the medians, ms. */
  readonly difference: number;
  /** The largest that is still chance, ms. */
  readonly bound: number;
  readonly isReal: boolean;
}

/** Runs `rounds` rounds, each asking every class once in random order. */
export async function inRounds<Class extends string>(
  classes: readonly Class[],
  rounds: number,
  chance: Chance,
  measure: (of: Class, round: number) => Promise<number>,
): Promise<Record<Class, number[]>> {
  const times = Object.fromEntries(classes.map((name) => [name, []])) as unknown as Record<Class, number[]>;
  for (let round = 0; round < rounds; round++)
    for (const name of shuffled(classes, chance)) times[name].push(await measure(name, round));
  return times;
}

/** Every two of the classes whose times differ for real, in words. */
export function differences(times: Readonly<Record<string, Times>>, chance: Chance): string[] {
  const names = Object.keys(times);
  return names.flatMap((a, i) =>
    names.slice(i + 1).flatMap((b) => {
      const { difference, bound, isReal } = compare(times[a] ?? [], times[b] ?? [], chance);
      const us = (ms: number): string => `${Math.round(ms * 1_000)} µs`;
      return isReal ? [`${a}, ${b}: ${us(difference)} apart, where ${us(bound)} are chance`] : [];
    }),
  );
}

/** The bound is of the spread within each class: what differs between them does not widen it. */
export function compare(a: Times, b: Times, chance: Chance): Comparison {
  const difference = median(a) - median(b);
  const bound = BEYOND * Math.max(spread(a, chance), spread(b, chance));
  return { difference, bound, isReal: Math.abs(difference) > bound };
}

/** How far apart the medians of two random halves of one class get. */
function spread(times: Times, chance: Chance): number {
  const half = times.length >> 1;
  let most = 0;
  for (let i = 0; i < HALVINGS; i++) {
    const mixed = shuffled(times, chance);
    most = Math.max(most, Math.abs(median(mixed.slice(0, half)) - median(mixed.slice(half))));
  }
  return most;
}

function shuffled<T>(items: readonly T[], chance: Chance): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = chance.below(i + 1);
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}

export function median(times: Times): number {
  const sorted = Float64Array.from(times).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
