// Scripts, keys and URLs of the redis backend, without a server: what is checked before anything is sent.
import type { AccountId, DeviceAddress } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { encodeCommand } from "../../queue/redis/command.ts";
import { Keys, shardOf } from "../../queue/redis/keys.ts";
import { loadScripts, scriptOf } from "../../queue/redis/scripts.ts";
import { slotOf } from "../../queue/redis/slots.ts";
import { parseStoreUrl } from "../../queue/redis/url.ts";

const HEADER = "#!lua\n-- Does it.\n-- KEYS: one\n-- ARGV: one\n-- RETURNS: it\n";
const NO_PARTS = new Map<string, string>();

describe("scripts", () => {
  it("are all loaded with a header that is whole", () => {
    const names = [...loadScripts().keys()];
    expect(names).toEqual(expect.arrayContaining(["append", "claim", "read", "remove", "retire", "wake"]));
  });

  it("are refused without a shebang, without a part of the header, or where header and body disagree", () => {
    const load = (text: string) => () => scriptOf("it", text, NO_PARTS);
    const body = "return { KEYS[1], ARGV[1] }\n";
    expect(load(HEADER + body)).not.toThrow();
    expect(load(HEADER.replace("#!lua\n", "") + body)).toThrow(/first line/);
    for (const heading of ["KEYS", "ARGV", "RETURNS"])
      expect(load(HEADER.replace(new RegExp(`-- ${heading}: .*\n`), "") + body)).toThrow(`no ${heading}`);
    expect(load(`${HEADER}return KEYS[1]\n`)).toThrow(/disagree on ARGV/);
    expect(load(HEADER.replace("KEYS: one", "KEYS: none") + body)).toThrow(/disagree on KEYS/);
    expect(load(HEADER.replace("-- KEYS", "-- USES: nothing\n-- KEYS") + body)).toThrow(/no part nothing/);
  });

  it("are short, and so are their parts", () => {
    for (const [name, { text }] of loadScripts())
      expect([name, text.split("\n").length < 180]).toEqual([name, true]);
  });
});

describe("keys", () => {
  it("hold the shard as the hash tag and the address as it is, and are 24 bytes", () => {
    const address = `${"\0".repeat(15)}\xff\0\x01` as DeviceAddress;
    const keys = new Keys(256);
    const tag = keys.shardOf(address).toString(16).padStart(2, "0");
    expect(keys.mailbox(address).toString("latin1")).toBe(`l{${tag}}m${address}`);
    expect(keys.owner(address)).toHaveLength(24);
  });

  it("of one account are in one shard, and accounts are spread over all of them", () => {
    const seen = new Set<number>();
    for (let i = 0; i < 4_096; i++)
      seen.add(shardOf(String.fromCharCode(i >> 8, i & 255).padEnd(16, "x") as AccountId, 256));
    expect(seen.size).toBe(256);
    expect(Math.max(...seen)).toBe(255);
  });

  it("are in the slots that Redis computes", () => {
    // CLUSTER KEYSLOT of `l{00}m`, `l{7f}m` and `l{ff}m` on Redis 7.0.
    expect(["l{00}m", "l{7f}m", "l{ff}m"].map((key) => slotOf(Buffer.from(key)))).toEqual([
      13_254, 4_194, 11_756,
    ]);
  });
});

describe("a command", () => {
  it("is encoded as Redis reads it, byte by byte", () => {
    expect(encodeCommand("SET", [Buffer.from([0, 255]), "é", 7]).toString("latin1")).toBe(
      "*4\r\n$3\r\nSET\r\n$2\r\n\0\xff\r\n$2\r\n\xc3\xa9\r\n$1\r\n7\r\n",
    );
  });
});

describe("a store's URL", () => {
  it("names one server, Sentinels or a cluster, with TLS and a login", () => {
    expect(parseStoreUrl("redis://127.0.0.1")).toMatchObject({
      is: "one",
      tls: false,
      address: { host: "127.0.0.1", port: 6_379 },
      database: 0,
    });
    expect(parseStoreUrl("rediss://anna:p%40ss@[::1]:7000/3")).toMatchObject({
      tls: true,
      login: { username: "anna", password: "p@ss" },
      address: { host: "::1", port: 7_000 },
      database: 3,
    });
    expect(parseStoreUrl("redis-sentinel://a,b:1/mymaster")).toMatchObject({
      is: "sentinel",
      sentinels: [
        { host: "a", port: 26_379 },
        { host: "b", port: 1 },
      ],
      master: "mymaster",
    });
    expect(parseStoreUrl("redis-cluster://:secret@a:1,b:2")).toMatchObject({
      is: "cluster",
      login: { password: "secret" },
      nodes: [
        { host: "a", port: 1 },
        { host: "b", port: 2 },
      ],
    });
  });

  it("that is malformed is refused with a code, and is not repeated", () => {
    const wrong = [
      "",
      "http://a",
      "redis://a,b",
      "redis://a:0",
      "redis://a:65536",
      "redis://a/x",
      "redis-sentinel://a",
      "redis-cluster://a/1",
      "redis://:s%zecret@a",
    ];
    for (const url of wrong) {
      expect(() => parseStoreUrl(url), url).toThrow(
        expect.objectContaining({ code: "url-malformed" }) as Error,
      );
    }
    expect(() => parseStoreUrl("redis://:secret@a:b")).not.toThrow(/secret/);
  });
});
