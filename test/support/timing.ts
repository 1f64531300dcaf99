// Whether two classes of requests take alike: medians and first deciles over rounds in which every class is asked once, in
// random order, against those of random halves of one class. Whatever slows the machine slows all classes alike, and widens
// what is chance; the first decile is of the moments in which nothing else ran.
import type { Chance } from "./chance.ts";

/** Halvings of each class that the null distribution is made of. */
const HALVINGS = 400;
/**
 * How far beyond the largest of them a difference is real. Halves spread √2 times as far as wholes, and the largest of 800 is
 * more than three standard deviations out: by chance a difference gets beyond once in a thousand million comparisons.
 */
const BEYOND = 1.5;

/** Which parts of the sorted times are compared. */
const PARTS = [0.1, 0.5] as const;

/** Times of one class, one a round, ms. */
export type Times = readonly number[];

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
  const classes = Object.entries(times).map(([name, of]) => ({ name, of, spreads: spreads(of, chance) }));
  const us = (ms: number): string => `${Math.round(ms * 1_000)} µs`;
  return classes.flatMap((a, i) =>
    classes.slice(i + 1).flatMap((b) => {
      const found = PARTS.map((part, at) => ({
        apart: partOf(a.of, part) - partOf(b.of, part),
        bound: Math.max(a.spreads[at] as number, b.spreads[at] as number),
      })).find(({ apart, bound }) => Math.abs(apart) > bound);
      if (found === undefined) return [];
      return [`${a.name}, ${b.name}: ${us(found.apart)} apart, where ${us(found.bound)} are chance`];
    }),
  );
}

/**
 * For each part, the largest difference that is still chance, ms. It is of the spread within one class: what differs between
 * two does not widen it.
 */
export function spreads(times: Times, chance: Chance): number[] {
  const half = times.length >> 1;
  const most = PARTS.map(() => 0);
  for (let halving = 0; halving < HALVINGS; halving++) {
    const mixed = shuffled(times, chance);
    const [one, other] = [mixed.slice(0, half), mixed.slice(half)];
    PARTS.forEach((part, i) => {
      most[i] = Math.max(most[i] as number, Math.abs(partOf(one, part) - partOf(other, part)));
    });
  }
  return most.map((ms) => BEYOND * ms);
}

function partOf(times: Times, part: number): number {
  const sorted = Float64Array.from(times).sort();
  return sorted[Math.floor(sorted.length * part)] as number;
}

function shuffled<T>(items: readonly T[], chance: Chance): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = chance.below(i + 1);
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}
