// How long it takes after a fault until everything that waited at its healing has arrived, and what latency was before,
// during and after faults. All times ms.
import type { Strike } from "../nemesis-log.ts";
import type { Message } from "./messages.ts";

export interface Recovery {
  readonly strike: Strike;
  /** From the healing until the last message that had been taken before it was handed over. */
  readonly ms: number;
  /** Another fault was there before it was over. */
  readonly disturbed: boolean;
}

export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export type Phase = "before" | "during" | "after";

export function recoveriesOf(strikes: readonly Strike[], messages: readonly Message[]): readonly Recovery[] {
  return strikes.map((strike) => {
    let last = strike.healed;
    for (const { queued, handed } of messages)
      if (queued !== undefined && queued < strike.healed && handed !== undefined && handed > last)
        last = handed;
    const disturbed = strikes.some((other) => other.begun > strike.healed && other.begun < last);
    return { strike, ms: last - strike.healed, disturbed };
  });
}

/** Latencies, from the wish to send until the hand-over, by when the message was begun. */
export function latencies(
  messages: readonly Message[],
  recoveries: readonly Recovery[],
): Readonly<Record<Phase, readonly number[]>> {
  const out: Record<Phase, number[]> = { before: [], during: [], after: [] };
  for (const { sending, handed } of messages)
    if (handed !== undefined) out[phaseAt(sending, recoveries)].push(handed - sending);
  for (const list of Object.values(out)) list.sort((a, b) => a - b);
  return out;
}

/** "before" is every moment at which nothing is broken and nothing recovers. */
function phaseAt(mono: number, recoveries: readonly Recovery[]): Phase {
  let phase: Phase = "before";
  for (const { strike, ms } of recoveries) {
    if (mono >= strike.begun && mono < strike.healed) return "during";
    if (mono >= strike.healed && mono < strike.healed + ms) phase = "after";
  }
  return phase;
}

export function spreadOf(sorted: readonly number[]): Spread {
  const at = (part: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
  return { count: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}
