// Where a request comes from: the page in whose name a browser speaks, and the network that limits count. Always true: what
// a client says of itself in a header counts only where the operator has said that a proxy writes it.
import type { IncomingMessage } from "node:http";

/** Whoever is no browser sends no origin, and is not kept out by it. */
export function isFrom(allowed: ReadonlySet<string> | undefined, origin: string | undefined): boolean {
  return allowed === undefined || origin === undefined || allowed.has(origin);
}

/** The network that a request comes from, as limits count it. */
export function remoteOf(request: IncomingMessage, trustProxy: boolean): string {
  return networkOf(addressOf(request, trustProxy));
}

function addressOf({ headers, socket }: IncomingMessage, trustProxy: boolean): string {
  const named = trustProxy
    ? String(headers["x-forwarded-for"] ?? "")
        .split(",")
        .at(-1)
        ?.trim()
    : undefined;
  return named === undefined || named === "" ? (socket.remoteAddress ?? "") : named;
}

/** What limits count as one: an IPv4 address, or an IPv6 network of 64 bits, which is what one customer has (RFC 6177). */
export function networkOf(address: string): string {
  const v4 = /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1];
  if (v4 !== undefined) return v4;
  const [front = "", back] = address.split("%")[0]?.split("::") ?? [];
  const groups = front === "" ? [] : front.split(":");
  if (back !== undefined) while (groups.length < 4) groups.push("0");
  return groups.slice(0, 4).join(":");
}
