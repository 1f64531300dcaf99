// What of a Redis server's configuration is doubted, and how much.
import { describe, expect, it } from "vitest";
import { judge } from "../../queue/redis/doubts.ts";
import { SHIPPED_CONFIGURATION } from "../support/redis-server.ts";

const codes = (differs: Readonly<Record<string, string>>, replicas = 0, wished = 0): string[] =>
  judge(
    { settings: new Map(Object.entries({ maxmemory: "0", ...SHIPPED_CONFIGURATION, ...differs })), replicas },
    wished,
  ).map(({ code, is }) => `${code} ${is}`);

describe("the configuration of a store", () => {
  it("is as it should be where it is the shipped one, with the replicas that writes wait for", () => {
    expect(codes({})).toEqual([]);
    expect(codes({}, 2, 2)).toEqual([]);
  });

  it("is doubted for each setting that contradicts what is promised", () => {
    expect(codes({ "maxmemory-policy": "allkeys-lru", maxmemory: "1gb" })).toEqual(["evicts broken"]);
    expect(codes({ "maxmemory-policy": "allkeys-lru" })).toEqual([]); // without a cap nothing is pushed out
    expect(codes({ appendonly: "no" })).toEqual(["no-append-only-file broken"]);
    expect(codes({ appendfsync: "everysec" })).toEqual(["not-synced weak"]);
    expect(codes({ save: "3600 1" })).toEqual(["snapshots weak"]);
    expect(codes({ "repl-diskless-load": "disabled" }, 1)).toEqual(["snapshots weak"]);
    expect(codes({ "repl-diskless-sync": "no" }, 1)).toEqual(["snapshots weak"]);
    expect(codes({ "repl-diskless-load": "disabled" })).toEqual([]); // without replicas nobody is filled
    expect(codes({ "auto-aof-rewrite-percentage": "100" })).toEqual(["rewrites-by-itself weak"]);
    expect(codes({ "stream-node-max-bytes": "4096" })).toEqual(["large-nodes weak"]);
    expect(codes({ "stream-node-max-entries": "100" })).toEqual(["large-nodes weak"]);
    expect(codes({}, 1, 2)).toEqual(["replicas-missing weak"]);
  });
});
