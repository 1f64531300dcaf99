// The contracts of the directory and of chores, held by the redis backend over real servers: one Redis, and a cluster of
// three masters with a replica each; and over Valkey where it is installed. A restart is a kill -9.
import type { Time } from "@lethe/protocol";
import { afterAll, describe, it } from "vitest";
import { openRedis, type RedisBackend } from "../../queue/redis/open.ts";
import { filesHolding } from "../support/folder.ts";
import { RedisCluster } from "../support/redis-cluster.ts";
import { RedisServer, versionOf } from "../support/redis-server.ts";
import { choresContract } from "./chores.ts";
import { directoryContract } from "./directory.ts";
import { directoryPeopleContract } from "./directory-people.ts";
import { type BackendUnderTest, type BackendWorld, Clock, ROOMY } from "./world.ts";

/** BullMQ reads the clocks of processes, and blocks: chores are held to their contract by real time. */
class RealClock extends Clock {
  override readonly now = (): Time => Date.now() as Time;
}

/** The servers of a store under test: the same for all tests, and empty at the begin of each. */
interface Servers extends AsyncDisposable {
  readonly url: string;
  readonly folder: string;
  crash(): Promise<void>;
}

function underTest(name: string, begin: () => Promise<Servers>, clockOf: () => Clock): BackendUnderTest {
  return {
    name,
    keeps: true,
    open: async (limits = ROOMY): Promise<BackendWorld> => {
      const servers = await begin();
      const { url, folder } = servers;
      const clock = clockOf();
      const open = (): Promise<RedisBackend> =>
        openRedis({ kind: "redis", url, replicas: 0, limits, now: clock.now, report: () => undefined });
      let backend = await open();
      return {
        get backend(): RedisBackend {
          return backend;
        },
        clock,
        elapse: (ms) => Promise.resolve(clock.pass(ms)),
        counted: () => Promise.resolve(),
        async restart() {
          // Closed first: its workers would find the servers again, and run what is left for those after the restart.
          await backend.close();
          await servers.crash();
          backend = await open();
        },
        async forget() {
          await backend.mailbox.rewriteAofs();
        },
        holds: async (bytes) => (await filesHolding(folder, bytes)).length > 0,
        [Symbol.asyncDispose]: () => backend.close(),
      };
    },
  };
}

function one(program: string): () => Promise<Servers> {
  let server: RedisServer | undefined;
  afterAll(() => server?.[Symbol.asyncDispose]());
  return async () => {
    await server?.[Symbol.asyncDispose]();
    const started = await RedisServer.start({ program });
    server = started;
    const crash = async (): Promise<void> => {
      await started.kill();
      await started.restart();
    };
    return { url: started.url, folder: started.folder, crash, [Symbol.asyncDispose]: () => started.stop() };
  };
}

function cluster(program: string): () => Promise<Servers> {
  let shared: RedisCluster | undefined;
  afterAll(() => shared?.[Symbol.asyncDispose]());
  return async () => {
    const started = (shared ??= await RedisCluster.start({ program }));
    await started.flush();
    const { url, folder } = started;
    return { url, folder, crash: () => started.crash(), [Symbol.asyncDispose]: () => Promise.resolve() };
  };
}

for (const program of ["redis-server", "valkey-server"]) {
  const version = versionOf(program);
  if (version === undefined) {
    describe(`contracts: ${program}`, () => it.skip("is not installed here", () => undefined));
    continue;
  }
  const kinds = { "": one(program), " cluster": cluster(program) };
  for (const [kind, begin] of Object.entries(kinds)) {
    const name = `${program} ${version}${kind}`;
    const backend = underTest(name, begin, () => new Clock());
    directoryContract(backend, "named");
    directoryPeopleContract(backend);
    choresContract(
      underTest(name, begin, () => new RealClock()),
      "real",
    );
  }
}
