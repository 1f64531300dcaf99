// Unsigned requests, counted for each network address. Always true: one over the rate is refused before anything is looked up.
import { Refusal } from "@lethe/protocol";
import type { FastifyRequest } from "fastify";
import { Rates } from "../edge/rates.ts";
import type { HttpOptions } from "./options.ts";
import { remoteOf } from "./remote.ts";

/**
 * Counts a request, and gives the address that limits count; undefined where it has none. @throws Refusal rate-limited
 *
 * @param rate requests a second. @param burst requests at once.
 */
export function requestCounter(
  { gateway, terms }: Pick<HttpOptions, "gateway" | "terms">,
  rate: number,
  burst: number,
): (request: FastifyRequest) => string | undefined {
  const requests = new Rates(rate, burst, () => performance.now());
  return (request) => {
    const remote = remoteOf(request.raw, terms().trustProxy);
    if (!gateway.addresses.isLimited(remote)) return undefined;
    allowed(requests.take(remote));
    return remote;
  };
}

/** @param wait ms, 0 where it may be. @throws Refusal rate-limited */
export function allowed(wait: number): void {
  if (wait > 0) throw new Refusal("rate-limited", undefined, wait);
}
