// The contracts, held by the redis backend over real servers: one Redis, and a cluster of three masters with a replica
// each; and over Valkey where it is installed. A restart is a kill -9: what was answered must be there without a farewell.
import { Keys } from "../../queue/redis/keys.ts";
import { openRedis, type RedisBackend } from "../../queue/redis/open.ts";
import { RedisCluster } from "../support/redis-cluster.ts";
import { RedisServer, versionOf } from "../support/redis-server.ts";
import { filesHolding } from "../support/folder.ts";
import { valuesOf } from "../support/redis-values.ts";
import { afterAll, describe, it } from "vitest";
import { leasesContract } from "./leases.ts";
import { linkingContract } from "./linking.ts";
import { mailboxContract } from "./mailbox.ts";
import { mailboxOwnersContract } from "./mailbox-owners.ts";
import { mailboxPayloadContract } from "./mailbox-payload.ts";
import { mediaContract } from "./media.ts";
import { type BackendUnderTest, type BackendWorld, Clock, ROOMY } from "./world.ts";

const KEYS = new Keys(256);

/** The servers of a store under test. */
interface Servers extends AsyncDisposable {
  readonly url: string;
  readonly folder: string;
  masters(): Promise<readonly RedisServer[]>;
  /** Ends all of them as a crash would, and starts them again over what they have on disk. */
  crash(): Promise<void>;
}

function underTest(name: string, start: () => Promise<Servers>): BackendUnderTest {
  return {
    name,
    keeps: true,
    open: async (limits = ROOMY): Promise<BackendWorld> => {
      const servers = await start();
      const clock = new Clock();
      const { url } = servers;
      const open = (): Promise<RedisBackend> =>
        openRedis({ kind: "redis", url, replicas: 0, limits, now: clock.now, report: () => undefined });
      let backend = await open();
      return {
        get backend(): RedisBackend {
          return backend;
        },
        clock,
        elapse: (ms) => Promise.resolve(clock.pass(ms)),
        async counted() {
          await backend.mailbox.sweep();
          await backend.mailbox.count();
        },
        async restart() {
          await servers.crash();
          await backend.close();
          backend = await open();
        },
        async forget() {
          await backend.mailbox.rewriteAofs();
          await backend.mailbox.count();
        },
        holds: async (bytes) => (await filesHolding(servers.folder, bytes)).length > 0,
        payloads: {
          copies: (bytes) => copiesIn(servers, bytes),
          shardOf: (address) => KEYS.shardOf(address),
        },
        async [Symbol.asyncDispose]() {
          await backend.close();
          await servers[Symbol.asyncDispose]();
        },
      };
    },
  };
}

async function one(program: string): Promise<Servers> {
  const server = await RedisServer.start({ program });
  return {
    url: server.url,
    folder: server.folder,
    masters: () => Promise.resolve([server]),
    async crash() {
      await server.kill();
      await server.restart();
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** In mailboxes and beside them. */
async function copiesIn(servers: Servers, bytes: Uint8Array): Promise<number> {
  const values = await Promise.all((await servers.masters()).map(valuesOf));
  return values.flat().filter((value) => value.includes(Buffer.from(bytes))).length;
}

/** One cluster for all tests of a program, empty at the begin of each. */
function shared(program: string): () => Promise<Servers> {
  let cluster: RedisCluster | undefined;
  afterAll(() => cluster?.[Symbol.asyncDispose]());
  return async () => {
    const servers = (cluster ??= await RedisCluster.start({ program }));
    await servers.flush();
    return {
      url: servers.url,
      folder: servers.folder,
      masters: () => servers.masters(),
      crash: () => servers.crash(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  };
}

for (const program of ["redis-server", "valkey-server"]) {
  const version = versionOf(program);
  if (version === undefined) {
    describe(`contracts: ${program}`, () => it.skip("is not installed here", () => undefined));
    continue;
  }
  const kinds = { "": () => one(program), " cluster": shared(program) };
  for (const [kind, start] of Object.entries(kinds)) {
    const backend = underTest(`${program} ${version}${kind}`, start);
    mailboxContract(backend);
    mailboxOwnersContract(backend);
    mailboxPayloadContract(backend);
    leasesContract(backend);
    linkingContract(backend);
    mediaContract(backend);
  }
}
