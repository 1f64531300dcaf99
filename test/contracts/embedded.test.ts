// The contracts, held by the embedded backend and by its twin in memory.
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Backend, openMemoryBackend } from "@lethe/queue";
import { openEmbedded } from "../../queue/embedded/open.ts";
import { SHIPPED } from "../../queue/embedded/limits.ts";
import { choresContract } from "./chores.ts";
import { directoryContract } from "./directory.ts";
import { directoryPeopleContract } from "./directory-people.ts";
import { leasesContract } from "./leases.ts";
import { linkingContract } from "./linking.ts";
import { mailboxContract } from "./mailbox.ts";
import { mailboxOwnersContract } from "./mailbox-owners.ts";
import { mailboxPayloadContract } from "./mailbox-payload.ts";
import { mediaContract } from "./media.ts";
import { type BackendUnderTest, type BackendWorld, Clock, ROOMY } from "./world.ts";

/** Time passes in small steps, and after each what it asked of the directory's thread is answered. */
async function elapse(clock: Clock, ms: number, { directory }: Backend): Promise<void> {
  const step = Math.max(100, ms / 50);
  for (let left = ms; left > 0; left -= step) {
    clock.pass(Math.min(left, step));
    for (let turn = 0; turn < 3; turn++) await directory.count();
  }
}

const embedded: BackendUnderTest = {
  name: "embedded",
  keeps: true,
  open: async (limits = ROOMY): Promise<BackendWorld> => {
    const folder = await mkdtemp(join(tmpdir(), "lethe-queue-"));
    const clock = new Clock();
    const start = () =>
      openEmbedded(
        { kind: "embedded", folder, now: clock.now, limits, report: () => undefined },
        { timers: clock },
      );
    let backend = await start();
    return {
      get backend(): Backend {
        return backend;
      },
      clock,
      elapse: (ms) => elapse(clock, ms, backend),
      counted: () => Promise.resolve(),
      async restart() {
        await backend.close();
        backend = await start();
      },
      async forget() {
        await elapse(clock, SHIPPED.forgetMs, backend);
        await backend.forget("due");
      },
      holds: async (bytes) => (await copies(folder, bytes)) > 0,
      payloads: { copies: (bytes) => copies(folder, bytes), shardOf: () => 0 },
      async [Symbol.asyncDispose]() {
        await backend.close();
        await rm(folder, { recursive: true });
      },
    };
  },
};

async function copies(folder: string, bytes: Uint8Array): Promise<number> {
  let found = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const held = await readFile(join(entry.parentPath, entry.name));
    for (let at = held.indexOf(bytes); at >= 0; at = held.indexOf(bytes, at + 1)) found++;
  }
  return found;
}

const memory: BackendUnderTest = {
  name: "memory",
  keeps: false,
  open: async (limits = ROOMY): Promise<BackendWorld> => {
    const clock = new Clock();
    const backend = openMemoryBackend({ now: clock.now, limits, timers: clock });
    return {
      backend,
      clock,
      elapse: (ms) => elapse(clock, ms, backend),
      counted: () => Promise.resolve(),
      restart: () => Promise.reject(new Error("nothing is kept")),
      forget: () => Promise.resolve(),
      holds: () => Promise.resolve(false),
      payloads: { copies: (bytes) => Promise.resolve(backend.mailbox.copies(bytes)), shardOf: () => 0 },
      [Symbol.asyncDispose]: () => backend.close(),
    };
  },
};

for (const backend of [embedded, memory]) {
  mailboxContract(backend);
  mailboxOwnersContract(backend);
  mailboxPayloadContract(backend);
  directoryContract(backend);
  directoryPeopleContract(backend);
  leasesContract(backend);
  linkingContract(backend);
  mediaContract(backend);
  choresContract(backend);
}
