// The pictures of a run, by file name.
import type { Options } from "../options.ts";
import type { Finished } from "../run.ts";
import { flightPicture } from "./flight.ts";
import { latencyPicture } from "./latency.ts";
import { recoveryPicture } from "./recoveries.ts";

export function pictures(finished: Finished, options: Options): Readonly<Record<string, string>> {
  const { verdict, messages, recoveries, nemeses } = finished;
  const { sent, strikes } = verdict.counts;
  const { nodes, store, seed } = options;
  const subtitle = `${nodes} ${nodes === 1 ? "relay" : "relays"} on ${store}, ${sent.toLocaleString("en")} messages accepted, ${strikes} faults, seed ${seed}: ${verdict.verdict}`;
  return {
    "in-flight.svg": flightPicture(messages, nemeses, subtitle),
    "latency.svg": latencyPicture({ messages, recoveries, nemeses }, subtitle),
    "recovery.svg": recoveryPicture(recoveries, subtitle),
  };
}
