// A run of hostile inputs against one relay process, at its sockets and at its HTTP half, and the verdict afterwards.
// Always true: the number of a connection decides its inputs, whichever lane leads it; the relay's memory is read at the
// end of every part, when that part's connections are gone.
import { OPERATOR_PATHS } from "@lethe/protocol";
import { Chance } from "./chance.ts";
import { anHttpTally, type HttpTally, liveHttp } from "./http-life.ts";
import { Life, type Tally } from "./life.ts";
import { ask, Person } from "./person.ts";
import type { RelayProcess } from "./relay-process.ts";
import { eventually } from "./waiting.ts";

const HEAP_MIB = 64;
const AT_ONCE = 24;
const PATIENCE_MS = 20_000;
const MIB = 1_048_576;
/** How much the least of the last parts may be above the most of the first, once everything is warm, bytes. */
const GROWTH = 8 * MIB;

/**
 * How a relay under attack is started. With the heap that it may have by default, nothing is collected before hundreds of
 * MiB: a leak would not show.
 */
export const UNDER_ATTACK = {
  log: "error",
  flags: ["--mailbox-envelopes", "50", "--idle-days", "0"],
  node: [`--max-old-space-size=${HEAP_MIB}`, "--max-semi-space-size=16"],
} as const;

export interface Plan {
  /** Inputs at the sockets, and requests. */
  readonly sockets: number;
  readonly http: number;
  readonly seed: number;
  readonly parts?: number;
  readonly said?: (done: number, part: number) => void;
}

export interface Outcome {
  readonly sockets: Tally;
  readonly http: HttpTally;
  /** The relay's memory after each part, bytes. */
  readonly resident: readonly number[];
  readonly seconds: number;
}

/** @throws Error for the first input that did not become what it should. */
export async function attack(relay: RelayProcess, plan: Plan): Promise<Outcome> {
  const { sockets, http, seed, parts = 20, said = () => undefined } = plan;
  const people = await many(12, () => Person.called("ben").register(relay));
  const strangers = Array.from({ length: 12 }, () => Person.called("nobody"));
  const stage = {
    port: relay.port,
    people: [...people, ...strangers],
    devices: await many(40, () => Person.called("dora").register(relay)),
    callers: await many(120, () => Person.called("carl").register(relay)),
  };
  const tally: Tally = { inputs: 0, connections: 0, answers: 0, ends: new Map() };
  const requests = anHttpTally();
  const chances = { sockets: new Chance(seed), http: new Chance(seed + 1) };
  const began = performance.now();
  const resident: number[] = [];
  for (let part = 1; part <= parts; part++) {
    const lane = async (): Promise<void> => {
      while (tally.inputs < (sockets * part) / parts || requests.inputs < (http * part) / parts) {
        if (tally.inputs < (sockets * part) / parts)
          await new Life(stage, new Chance(chances.sockets.u32())).run(tally);
        if (requests.inputs < (http * part) / parts)
          await liveHttp(stage, new Chance(chances.http.u32()), requests);
        said(tally.inputs + requests.inputs, part);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
    resident.push(await relay.residentBytes());
  }
  const seconds = (performance.now() - began) / 1_000;
  return { sockets: tally, http: requests, resident, seconds };
}

async function many<T>(count: number, one: () => Promise<T>): Promise<T[]> {
  const out: T[] = [];
  while (out.length < count)
    out.push(...(await Promise.all(Array.from({ length: Math.min(8, count - out.length) }, one))));
  return out;
}

/** What is wrong with the relay after the run; nothing, where it took everything as it should. */
export async function faultsAfter(relay: RelayProcess, { resident }: Outcome): Promise<string[]> {
  if (!relay.running) return ["the relay is gone"];
  const faults: string[] = [];
  const health = await ask(relay, "GET", OPERATOR_PATHS.health, Buffer.alloc(0));
  if (health.status !== 200) faults.push(`health answers ${health.status}`);
  if (relay.output.includes('"level":50')) faults.push("the relay has logged an error");
  const warm = Math.max(...resident.slice(2, 6));
  const last = Math.min(...resident.slice(-4));
  if (last > warm + GROWTH) faults.push(`memory grew from ${mib(warm)} to ${mib(last)} MiB`);
  const metrics = await eventually(PATIENCE_MS, "an idle relay", async () => {
    const now = await relay.metrics();
    return now.get("lethe_connections") === 0 && now.get("lethe_unsettled_bytes") === 0 ? now : undefined;
  });
  if (metrics.get("lethe_sessions") !== 0) faults.push(`${metrics.get("lethe_sessions")} sessions are left`);
  for (const [name, value] of metrics)
    if (name.includes('code="internal"') && value > 0) faults.push(`${name} is ${value}`);
  return faults;
}

export function mib(bytes: number): number {
  return Math.round(bytes / MIB);
}
