// Trying again: growing pauses with full jitter, cut short when the relay is back. Always true: a pause ends when its signal does.
import { PROBLEMS } from "@lethe/protocol";
import { fullJitter } from "../delivery/connection-ends.ts";
import type { Chance } from "../delivery/events.ts";
import type { Clock } from "../edge/clock.ts";
import { ClientError } from "../errors.ts";
import { PAUSE_BASE_MS, PAUSE_CAP_MS } from "./limits.ts";

export class Patience {
  readonly #clock: Clock;
  readonly #chance: Chance;
  readonly #pauses = new Set<() => void>();

  constructor({ clock, chance }: { readonly clock: Clock; readonly chance: Chance }) {
    this.#clock = clock;
    this.#chance = chance;
  }

  /** The relay is there again: nobody waits any longer. */
  wake(): void {
    for (const end of [...this.#pauses]) end();
  }

  /** @throws the signal's reason */
  async pause(tries: number, atLeastMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<void>();
    const ms = atLeastMs + fullJitter(this.#chance, PAUSE_BASE_MS, PAUSE_CAP_MS, tries);
    const cancel = this.#clock.after(ms, resolve);
    // Whom the relay asks to wait, waits.
    if (atLeastMs === 0) this.#pauses.add(resolve);
    const end = (): void => resolve();
    signal.addEventListener("abort", end);
    await promise;
    signal.removeEventListener("abort", end);
    cancel();
    this.#pauses.delete(resolve);
    signal.throwIfAborted();
  }

  /** Until it is done, or fails for another reason than one that passes. @throws what `work` throws, the signal's reason */
  async retrying<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let tries = 0; ; tries++)
      try {
        signal.throwIfAborted();
        return await work();
      } catch (error) {
        signal.throwIfAborted();
        if (!passes(error)) throw error;
        await this.pause(tries, error.retryAfter ?? 0, signal);
      }
  }
}

/** Whether what went wrong passes by itself. A quota does not: people have to fetch what waits for them. */
export function passes(error: unknown): error is ClientError {
  if (!(error instanceof ClientError) || error.code === "media-quota") return false;
  const problems: Readonly<Record<string, { readonly retry: string }>> = PROBLEMS;
  return error.code === "relay-unreachable" || problems[error.code]?.retry === "later";
}
