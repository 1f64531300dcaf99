// How a connection ended, and how long to wait for what. Pure arithmetic of the machines in this folder.
import { type ProblemCode, PROBLEMS, problemOf, type Retry, type Time } from "@lethe/protocol";
import type { Chance } from "./events.ts";

export interface ConnectionEnd {
  /** The code of the close status, where it has one. */
  readonly code: ProblemCode | undefined;
}

/** What a relay's frame says about the end that is coming. */
export function endOf(
  number: number,
  retryAfter: number,
): { code: ProblemCode | undefined; retryAfter: number } {
  return { code: problemOf(number), retryAfter };
}

/** What a refusal's number says. One of a later version can be tried again. */
export function refusalOf(number: number): { readonly code: ProblemCode; readonly retry: Retry } {
  const code = problemOf(number);
  return code === undefined ? { code: "internal", retry: "later" } : { code, retry: PROBLEMS[code].retry };
}

export function addTime(at: Time, ms: number): Time {
  return (at + ms) as Time;
}

/** Whole milliseconds from now, never 0: what waits, waits. */
export function later(now: Time, ms: number): Time {
  return (now + Math.max(1, Math.ceil(ms))) as Time;
}

/** Full jitter: anywhere in [0, min(cap, base × 2^tries)). */
export function fullJitter(chance: Chance, base: number, cap: number, tries: number): number {
  return chance.fraction() * Math.min(cap, base * 2 ** Math.min(tries, 30));
}

/** The earlier of two times, of which `candidate` counts only when it lies ahead: what is past waits for something else. */
export function soonest(now: Time, at: number, candidate: number): number {
  return candidate > now && candidate < at ? candidate : at;
}
