// The Redis of docker-compose.yml, started by its own script: durable, forgetful, and closed to what the relay does not need.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { aFolder, type Folder } from "../support/folder.ts";
import { projectPath } from "../support/project.ts";
import { ChatProcess } from "../support/chat-process.ts";
import { freePort, SHIPPED_CONFIGURATION, versionOf } from "../support/redis-server.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { within } from "../support/waiting.ts";

const PATIENCE_MS = 30_000;
const PASSWORD = "b".repeat(64);

let folder: Folder;
let port: number;
let server: ChildProcess;
let redis: Redis;

function connect(username: string | undefined, password: string | undefined): Redis {
  const own = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
  const made = new Redis({ port, lazyConnect: true, retryStrategy: () => null, ...own });
  made.on("error", () => undefined); // a call's own answer tells
  return made;
}

function start(env: Readonly<Record<string, string>>): ChildProcess {
  const { PATH = "" } = process.env;
  const args = [projectPath("deploy/redis-start.sh"), "--port", String(port)];
  const where = { REDIS_RUN: join(folder.path, "run"), REDIS_DATA: join(folder.path, "data") };
  return spawn("sh", args, { env: { PATH, ...where, ...env }, stdio: ["ignore", "pipe", "pipe"] });
}

const says = (child: ChildProcess, pattern: RegExp): Promise<void> =>
  within(
    PATIENCE_MS,
    `${pattern} of Redis`,
    new Promise((resolve, reject) => {
      let said = "";
      child.stdout?.setEncoding("utf8").on("data", (text: string) => {
        said += text;
        if (pattern.test(said)) resolve();
      });
      child.once("exit", () => reject(new Error(said)));
    }),
  );

const setting = async (name: string): Promise<string> =>
  ((await redis.call("CONFIG", "GET", name)) as string[])[1] ?? "?";

describe.skipIf(versionOf("redis-server") === undefined)("the Redis of docker-compose.yml", () => {
  beforeAll(async () => {
    folder = await aFolder();
    port = await freePort();
    for (const each of ["run", "data"]) await mkdir(join(folder.path, each));
    server = start({ REDIS_PASSWORD: PASSWORD, REDIS_MAXMEMORY: "64mb" });
    await says(server, /Ready to accept connections/);
    redis = connect("lethe", PASSWORD);
    await redis.connect();
  });
  afterAll(async () => {
    redis.disconnect();
    const exited = once(server, "exit");
    server.kill("SIGTERM");
    await within(PATIENCE_MS, "Redis's end", exited);
    await folder[Symbol.asyncDispose]();
  });

  it("is configured as every test of the store has it", async () => {
    for (const [name, value] of Object.entries(SHIPPED_CONFIGURATION))
      expect(await setting(name), name).toBe(value);
    expect(await setting("maxmemory")).toBe(String(64 * 1_024 * 1_024));
  });

  it("quotes no command in a log, where an envelope would be in it", async () => {
    expect(await setting("slowlog-log-slower-than")).toBe("-1");
    expect(await setting("crash-log-enabled")).toBe("no");
  });

  it("serves two relays and their chores without refusing them anything, and without a doubt of theirs", async () => {
    const refusals = async (): Promise<string> =>
      /errorstat_NOPERM:\S+/.exec(await redis.info("errorstats"))?.[0] ?? "none";
    const before = await refusals();
    const relayOn = (name: string): Promise<RelayProcess> => {
      const store = `redis://lethe:${PASSWORD}@127.0.0.1:${port}`;
      const flags = ["--store", store, "--cluster-secret", "c".repeat(32), "--link-port", "0"];
      return RelayProcess.start({ data: join(folder.path, name), log: "warn", flags });
    };
    const [one, two] = await Promise.all([relayOn("one"), relayOn("two")]);
    const chat = (user: string, other: string, relay: string): ChatProcess =>
      new ChatProcess({ user, with: other, relay, store: join(folder.path, `${user}.db`) });
    const ben = chat("ben", "anna", one.url);
    await ben.line("connection online");
    await using anna = chat("anna", "ben", two.url);
    await anna.line("connection online");
    anna.type("from node to node");
    await ben.line("< anna: from node to node");
    await ben.end();
    anna.type("while you are away");
    await anna.line("sent 2");
    await using again = chat("ben", "anna", two.url);
    await again.line("< anna: while you are away");
    for (const relay of [one, two]) {
      expect(await relay.stop()).toEqual({ code: 0, signal: null });
      expect(relay.output.toString()).not.toMatch(/"level"/);
    }
    expect(await refusals()).toBe(before);
  });

  it("lets nobody in without the password", async () => {
    for (const [user, password] of [
      [undefined, undefined],
      [undefined, PASSWORD],
      ["lethe", "wrong"],
      ["default", ""],
    ] as const) {
      const other = connect(user, password);
      await expect(other.get("a"), `${user} ${password}`).rejects.toThrow();
      other.disconnect();
    }
  });

  it("lets the relay do what it does", async () => {
    const allowed: [string, ...string[]][] = [
      ["PING"],
      ["TIME"],
      ["INFO", "persistence"],
      ["ROLE"],
      ["WAIT", "0", "0"],
      ["SCAN", "0"],
      ["BGREWRITEAOF"],
      ["CLIENT", "SETNAME", "relay"],
      ["SCRIPT", "LOAD", "return 1"],
      [
        "EVAL",
        "redis.call('XADD', KEYS[1], '1-1', 'e', ARGV[1]) return redis.call('XLEN', KEYS[1])",
        "1",
        "s",
        "x",
      ],
      ["HSET", "h", "f", "v"],
      ["ZADD", "z", "1", "m"],
      ["BZPOPMIN", "z", "1"],
      ["MULTI"],
      ["EXEC"],
      ["DEL", "s", "h"],
    ];
    for (const [command, ...args] of allowed)
      await expect(redis.call(command, ...args), command).resolves.toBeDefined();
  });

  it("lets the relay do nothing else", async () => {
    const refused: [string, ...string[]][] = [
      ["KEYS", "*"],
      ["FLUSHALL"],
      ["FLUSHDB"],
      ["SWAPDB", "0", "1"],
      ["CONFIG", "SET", "appendfsync", "no"],
      ["CONFIG", "REWRITE"],
      ["SHUTDOWN", "NOSAVE"],
      ["REPLICAOF", "127.0.0.1", "1"],
      ["MONITOR"],
      ["ACL", "LIST"],
      ["CLIENT", "KILL", "TYPE", "normal"],
      ["SCRIPT", "FLUSH"],
      ["FUNCTION", "LIST"],
      ["SAVE"],
      ["BGSAVE"],
      ["RESTORE", "a", "0", "x"],
      ["MODULE", "LIST"],
      ["PUBLISH", "a", "b"],
      ["CLUSTER", "FAILOVER"],
    ];
    for (const [command, ...args] of refused)
      await expect(redis.call(command, ...args), command).rejects.toThrow("NOPERM");
    await expect(redis.call("DEBUG", "SLEEP", "0")).rejects.toThrow(/not allowed|NOPERM/);
    await expect(redis.call("EVAL", "return redis.call('FLUSHALL')", "0")).rejects.toThrow(
      "can't run this command",
    );
  });

  it("has the password in no file, and does not start without one", async () => {
    const users = await readFile(join(folder.path, "run/users.acl"), "utf8");
    expect(users).not.toContain(PASSWORD);
    expect(users).toMatch(/^user lethe .*#[0-9a-f]{64}/m);
    const [code] = (await once(start({}), "exit")) as [number];
    expect(code).toBe(2);
  });
});
