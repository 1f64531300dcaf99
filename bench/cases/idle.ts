// What an authenticated connection that does nothing costs in memory, beside a bare `ws` connection in the same run.
import { setTimeout as sleep } from "node:timers/promises";
import type { BenchCase, Context, Measured, Rig } from "../harness/case.ts";
import { aFolder, RELAY_NAME, type Server, startServer } from "../harness/server.ts";
import { type Account, register } from "../load/account.ts";
import { LoadSocket } from "../load/socket.ts";
import { Counts } from "../load/tally.ts";
import { logIn } from "../load/world.ts";

/** After a collection the allocator gives pages back in its own time, ms. */
const SETTLE_MS = 1_500;
const AT_ONCE = 64;
const COLLECTING = [
  // A process's young generation grows with whatever work, and stays: at its smallest it hides nothing.
  "--max-semi-space-size=1",
  "--expose-gc",
  "--import",
  new URL("../peers/collecting.ts", import.meta.url).href,
];

export const idle: BenchCase = {
  name: "idle",
  title: "Idle connections",
  method:
    "Devices that have proved themselves and drained, in one relay process; and as many bare connections to a server on the same `ws` with the " +
    "same options. Resident memory above that of the same process before any connection, after garbage collection, a connection; both with the " +
    "smallest young generation, which would else grow by tens of MB with the logins and count as theirs.",
  metrics: [
    { name: "above", says: "relay memory a connection, above bare ws", unit: "KB", bar: 2.5, better: "less" },
    { name: "relay", says: "relay memory a connection", unit: "KB", better: "less" },
    { name: "bare", says: "bare ws memory a connection", unit: "KB", better: "neither" },
    { name: "connections", says: "connections", unit: "", better: "neither" },
  ],
  open,
};

function open(context: Context): Rig {
  return { once: () => measure(context), close: () => Promise.resolve() };
}

/** One after the other: a process may have 20,000 files open, the load's as much as the servers'. */
async function measure(context: Context): Promise<Measured> {
  const count = context.scale.idle;
  const bare = await costOfBare(context, count);
  const relay = await costOfRelay(context, count);
  return { relay, bare, above: relay - bare, connections: count };
}

async function costOfRelay(context: Context, count: number): Promise<number> {
  await using folder = await aFolder();
  const flags = [
    "--port",
    "0",
    "--data",
    folder.path,
    "--name",
    RELAY_NAME,
    "--connections",
    String(count + 100),
  ];
  const accounts = await registered(flags, context, count);
  await using relay = await startServer("../../relay/main.ts", flags, context, COLLECTING);
  const before = await settled(relay);
  context.note(`connecting ${count} devices`);
  const recipients = await logIn(relay, accounts, new Counts());
  const cost = ((await settled(relay)) - before) / count / 1_000;
  for (const recipient of recipients) recipient.close();
  return cost;
}

/** By a relay of their own: what registering leaves behind in a process would hide what connections cost. */
async function registered(flags: readonly string[], context: Context, count: number): Promise<Account[]> {
  await using relay = await startServer("../../relay/main.ts", flags, context);
  context.note(`registering ${count} devices`);
  return await register(relay.url, count); // before the relay is ended
}

async function costOfBare(context: Context, count: number): Promise<number> {
  await using bare = await startServer("../peers/bare.ts", [], context, COLLECTING);
  const before = await settled(bare);
  context.note(`connecting ${count} times to a bare server`);
  const sockets = await bareSockets(bare, count);
  const cost = ((await settled(bare)) - before) / count / 1_000;
  for (const socket of sockets) socket.close();
  return cost;
}

async function bareSockets(server: Server, count: number): Promise<LoadSocket[]> {
  const sockets: LoadSocket[] = [];
  const failed = (error: Error): never => {
    throw error;
  };
  const worker = async (): Promise<void> => {
    while (sockets.length < count)
      sockets.push(await LoadSocket.open(server.url, "/", { failed, message: () => undefined }));
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, worker));
  return sockets;
}

/** Resident bytes once the garbage is gone. */
async function settled(server: Server): Promise<number> {
  process.kill(server.pid, "SIGUSR2");
  await sleep(SETTLE_MS);
  return server.memory();
}
