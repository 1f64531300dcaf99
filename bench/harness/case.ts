// What a benchmark is: a rig that is opened once and measured several times, and the metrics that come out of it.
// Always true: a measurement that went wrong (a refusal, a spill, a closed connection) throws; it gives no number.

/** One figure of a case: how it is named, what it is counted in, and the bar it is held against, if there is one. */
export interface Metric {
  readonly name: string;
  readonly says: string;
  readonly unit: string;
  /** At most this (for `less`) or at least this (for `more`) is what the project asks for. */
  readonly bar?: number;
  readonly better: "less" | "more" | "neither";
}

/** What one repetition measured, by the metric's name. */
export type Measured = Readonly<Record<string, number>>;

export interface Rig {
  /** One repetition. */
  once(): Promise<Measured>;
  close(): Promise<void>;
}

/** Sizes of the run: `--quick` shrinks everything to a smoke test whose figures mean nothing. */
export interface Scale {
  readonly quick: boolean;
  /** Messages of a measurement, and before it, while the code is still being compiled. */
  readonly messages: number;
  readonly warmUp: number;
  readonly offline: number;
  readonly stored: number;
  readonly idle: number;
  readonly latencySeconds: number;
  readonly schedules: number;
}

export const FULL: Scale = {
  quick: false,
  messages: 200_000,
  warmUp: 200_000,
  offline: 1_000,
  stored: 1_000_000,
  idle: 15_000,
  latencySeconds: 15,
  schedules: 3_000,
};

export const QUICK: Scale = {
  quick: true,
  messages: 10_000,
  warmUp: 4_000,
  offline: 100,
  stored: 20_000,
  idle: 300,
  latencySeconds: 1,
  schedules: 100,
};

export interface Context {
  readonly scale: Scale;
  /** Folder for CPU profiles of the servers, undefined where none are taken. */
  readonly profile: string | undefined;
  /** Says what is going on, for whoever watches. */
  readonly note: (text: string) => void;
}

export interface BenchCase {
  readonly name: string;
  readonly title: string;
  /** How it is measured, in a few sentences: printed with the results. */
  readonly method: string;
  readonly metrics: readonly Metric[];
  /** What all repetitions share. */
  open(context: Context): Rig | Promise<Rig>;
}

/** Says why a case cannot be measured here; it is then left out, with the reason. */
export class Unmeasurable extends Error {
  override readonly name = "Unmeasurable";
}
