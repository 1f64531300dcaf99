// The requests of the half that moves files, by what they do.
export const REQUEST_KINDS = ["begin", "put", "finish", "tokens", "get", "release"] as const;
export type RequestKind = (typeof REQUEST_KINDS)[number];

/** Undefined: another request. */
export function requestKind(method: string, url: string): RequestKind | undefined {
  const [, under] = /\/v1\/media\/[0-9a-f]{32}(.*)$/.exec(url) ?? [];
  if (under === undefined) return undefined;
  if (under.startsWith("/parts/")) return method === "PUT" ? "put" : "get";
  if (under === "" && method === "PUT") return "begin";
  return REQUEST_KINDS.find((kind) => under === `/${kind}`);
}
