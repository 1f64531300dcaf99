// What the doctor finds: each fault by name, with what mends it.

export interface Finding {
  readonly check: string;
  readonly state: "well" | "doubtful" | "wrong";
  readonly says: string;
  /** What to do about it. */
  readonly mend?: string;
}

export interface Machine {
  readonly now: number;
  /** Files that a process may have open; infinity where that is not known. */
  readonly openFiles: number;
  readonly node: string;
  /** Variables of the environment that look like settings and are none. */
  readonly strangers: readonly string[];
}

export const well = (check: string, says: string): Finding => ({ check, state: "well", says });
export const doubtful = (check: string, says: string, mend: string): Finding => ({
  check,
  state: "doubtful",
  says,
  mend,
});
export const wrong = (check: string, says: string, mend: string): Finding => ({
  check,
  state: "wrong",
  says,
  mend,
});
