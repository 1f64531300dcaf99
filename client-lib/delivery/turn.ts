// One step of the core: what time it is, what comes out, and what has to be durable first. Always true: an `After` is
// carried out only when the commit that it was staged with has succeeded, in the order of staging.
import type { ConnectionKind, EnvelopeId, FrameOf, Time } from "@lethe/protocol";
import type { Effect, Entry, Told, Write } from "./events.ts";

/** What waits for a commit. */
export type After =
  | { readonly next: "open"; readonly epoch: number }
  | { readonly next: "transmit"; readonly orders: readonly number[] }
  | { readonly next: "upload"; readonly order: number }
  | { readonly next: "acknowledge"; readonly connection: number; readonly id: EnvelopeId }
  | { readonly next: "hand"; readonly entry: Entry }
  | { readonly next: "signal"; readonly socket: ConnectionKind; readonly frame: FrameOf<"signal"> }
  | { readonly next: "tell"; readonly told: Told };

export class Turn {
  readonly now: Time;
  readonly effects: Effect[] = [];
  writes: Write[] = [];
  after: After[] = [];

  constructor(now: Time) {
    this.now = now;
  }

  stage(...writes: readonly Write[]): void {
    this.writes.push(...writes);
  }

  afterwards(...after: readonly After[]): void {
    this.after.push(...after);
  }

  emit(...effects: readonly Effect[]): void {
    this.effects.push(...effects);
  }

  /** Told at once: it follows from nothing durable. */
  tell(told: Told): void {
    this.effects.push({ do: "tell", told });
  }

  /** Told once what has been staged is durable. */
  tellAfter(told: Told): void {
    this.after.push({ next: "tell", told });
  }
}
