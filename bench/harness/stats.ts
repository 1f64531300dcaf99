// Median and spread of repetitions, and percentiles of many samples.

export interface Summary {
  readonly median: number;
  readonly least: number;
  readonly most: number;
  readonly values: readonly number[];
}

/** @throws RangeError for no values */
export function summary(values: readonly number[]): Summary {
  if (values.length === 0) throw new RangeError("no values");
  const sorted = Float64Array.from(values).sort();
  return {
    median: percentile(sorted, 50),
    least: sorted[0] as number,
    most: sorted.at(-1) as number,
    values,
  };
}

/** The p-th percentile of sorted values, linear between neighbours. */
export function percentile(sorted: Float64Array, p: number): number {
  const at = ((sorted.length - 1) * p) / 100;
  const below = sorted[Math.floor(at)] as number;
  const above = sorted[Math.ceil(at)] as number;
  return below + (above - below) * (at - Math.floor(at));
}
