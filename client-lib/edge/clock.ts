// Time as a parameter of the edge. Always true: what was cancelled is not called any more.
import type { Time } from "@lethe/protocol";

export interface Clock {
  /** Milliseconds since 1970. */
  now(): Time;
  /** Calls once, in about so many ms; the result cancels it. */
  after(ms: number, call: () => void): () => void;
  /** Calls once, when what has already happened around the process has been heard of. */
  soon(call: () => void): void;
}

/** The longest time that a timer of the platform takes: a longer one is asked for again. */
const MAX_TIMER_MS = 0x7fff_ffff;

export const systemClock: Clock = {
  now: () => Date.now() as Time,
  after(ms, call) {
    const timer = setTimeout(call, Math.min(Math.max(0, ms), MAX_TIMER_MS));
    return () => clearTimeout(timer);
  },
  soon: typeof setImmediate === "function" ? (call) => void setImmediate(call) : viaMessage(),
};

/** Where there is no `setImmediate`: a message to oneself is a turn of its own, and is not held back as timers are. */
function viaMessage(): (call: () => void) => void {
  const calls: (() => void)[] = [];
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => calls.shift()?.();
  return (call) => {
    calls.push(call);
    port2.postMessage(undefined);
  };
}

/** Lets everything else have its turn: between two pieces of long work. */
export function pause(): Promise<void> {
  return new Promise((resolve) => systemClock.soon(resolve));
}
