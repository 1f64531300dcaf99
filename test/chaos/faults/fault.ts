// What a fault is to a run: a name, what it needs, how it strikes and how it is healed.
import type { Chance } from "../../support/chance.ts";
import type { World } from "../world/world.ts";

export type FaultGroup = "relay" | "link" | "store" | "client" | "machine";

/** A fault that has struck. */
export interface Struck {
  /** What it struck, and how hard. */
  readonly says: string;
  /** Takes it back; resolves when what was struck works again by itself. */
  heal(): Promise<void>;
}

export interface Blow {
  readonly world: World;
  readonly chance: Chance;
  /** How long it will stay, ms; some faults take longer by themselves. */
  readonly holdMs: number;
  /** The run is long: long faults are in order. */
  readonly isLong: boolean;
}

export interface FaultKind {
  readonly name: string;
  readonly group: FaultGroup;
  readonly says: string;
  /** Whether a world of this kind can have it. */
  fits(store: "embedded" | "redis", nodes: number): boolean;
  /** Undefined: there was nothing left to strike at. */
  strike(blow: Blow): Promise<Struck | undefined>;
}

export const anywhere = (): boolean => true;
export const onlyEmbedded = (store: "embedded" | "redis"): boolean => store === "embedded";
export const onlyRedis = (store: "embedded" | "redis"): boolean => store === "redis";

/** Resolves after so long: only faults wait for a while, never tests. */
export function lasting(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
