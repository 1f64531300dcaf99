// The redis backend over Sentinels: it finds the master by its name, and the next one when that one is killed.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { anAddress } from "../contracts/world.ts";
import { aFolder } from "../support/folder.ts";
import { freePort, RedisServer, runCli } from "../support/redis-server.ts";
import { eventually, within } from "../support/waiting.ts";
import { expectKept, open, PATIENCE_MS, stream } from "./redis-streams.ts";

const NAME = "mail";

/** One that watches a master, and takes its word alone. */
async function startSentinel(folder: string, master: number): Promise<AsyncDisposable & { port: number }> {
  const port = await freePort();
  const file = join(folder, "sentinel.conf");
  const lines = [
    `port ${port}`,
    "bind 127.0.0.1",
    `dir ${folder}`,
    `sentinel monitor ${NAME} 127.0.0.1 ${master} 1`,
    `sentinel down-after-milliseconds ${NAME} 1000`,
    `sentinel failover-timeout ${NAME} 5000`,
  ];
  await writeFile(file, `${lines.join("\n")}\n`);
  const child: ChildProcess = spawn("redis-server", [file, "--sentinel"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const killed = (): void => void child.kill("SIGKILL");
  process.once("exit", killed);
  void exited.then(() => process.off("exit", killed));
  let said = "";
  const watches = new Promise<void>((resolve) =>
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-8_192);
      if (said.includes("+monitor")) resolve();
    }),
  );
  await within(PATIENCE_MS, "the sentinel", watches);
  return {
    port,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

it("loses nothing that was answered when the master is killed and the Sentinel promotes the replica", async () => {
  await using folder = await aFolder();
  await using master = await RedisServer.start();
  await using replica = await RedisServer.start({
    configuration: { replicaof: `127.0.0.1 ${master.port}` },
  });
  await master.hasReplica();
  await using sentinel = await startSentinel(folder.path, master.port);
  await eventually(PATIENCE_MS, "a replica that the sentinel knows", async () =>
    (await runCli("redis-server", ["-p", String(sentinel.port), "sentinel", "replicas", NAME])).includes(
      String(replica.port),
    )
      ? true
      : undefined,
  );
  const url = `redis-sentinel://127.0.0.1:${sentinel.port}/${NAME}`;
  const addresses = Array.from({ length: 8 }, anAddress);
  const kept = await (async () => {
    await using on = await open(url, { replicas: 1, commandMs: 2_000 });
    const streams = addresses.map((address) => stream(on, address));
    await Promise.all(streams.map((one) => one.atLeast(20)));
    await master.kill();
    // A promotion closes the connections of others, the one that asks for the role among them.
    await eventually(PATIENCE_MS, "the new master", async () =>
      (await replica.cli("role").catch(() => "closed")).startsWith("master") ? true : undefined,
    );
    // The old one comes back, is told its place, and counts as the replica that is waited for.
    await master.restart();
    const counts = streams.map((one) => one.stored.length);
    await Promise.all(streams.map((one, i) => one.atLeast((counts[i] ?? 0) + 20)));
    await Promise.all(streams.map((one) => one.stop()));
    expect(streams.reduce((sum, one) => sum + one.failures(), 0)).toBeGreaterThan(0);
    expect(on.events.some(({ is }) => is === "store-moved")).toBe(true);
    return streams.map(({ stored }) => stored);
  })();
  await using again = await open(url);
  for (const [i, address] of addresses.entries()) await expectKept(again, address, kept[i] ?? []);
});
