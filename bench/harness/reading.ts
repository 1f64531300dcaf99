// Two readings of a server under load, and what lies between them.
import type { Server } from "./server.ts";

export interface Reading {
  readonly cpu: number;
  readonly at: number;
  readonly count: number;
}

export function read(server: Server, counted: { readonly count: number }): Reading {
  return { cpu: server.cpu(), at: performance.now(), count: counted.count };
}

/** CPU a message, µs, and messages a second. */
export function between(before: Reading, after: Reading): { cpu: number; rate: number } {
  const messages = after.count - before.count;
  return {
    cpu: ((after.cpu - before.cpu) / messages) * 1e6,
    rate: (messages / (after.at - before.at)) * 1e3,
  };
}
