// What a relay says of itself, for an application that has no client yet: whether it takes new accounts, and how.
import { systemRandom } from "@lethe/crypto";
import { baseOf } from "./client-options.ts";
import { systemClock } from "./edge/clock.ts";
import { RelayHttp } from "./edge/relay-http.ts";
import { type RelayPolicy, readPolicy } from "./policy.ts";

/** Asks the relay at an http or https address. @throws ClientError relay-unreachable, policy-malformed */
export async function relayPolicy(relay: string): Promise<RelayPolicy> {
  const http = new RelayHttp({ urls: [baseOf(relay)], clock: systemClock, random: systemRandom });
  return readPolicy((await http.policy()).json);
}
