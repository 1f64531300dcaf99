// Files through the relay: how fast they go up and come down, and what memory the relay needs for it.
import { randomBytes } from "node:crypto";
import type { BenchCase, Context, Measured } from "../harness/case.ts";
import { aFolder, type Server, startRelay } from "../harness/server.ts";
import { register } from "../load/account.ts";
import { LoadFile } from "../load/media.ts";

const FILE_BYTES = 64 * 1_048_576;
const AT_ONCE = 8;
/** Files that the speed is taken of, after one that warms up. */
const FILES = 6;
/** How often the relay's memory is looked at, ms. */
const LOOK_MS = 5;
const MB = 1_000_000;

export const media: BenchCase = {
  name: "media",
  title: "Files of 64 MiB",
  method:
    "Random bytes in parts of 2 MiB over loopback, three under way at once, into the data folder: each part is on the disk (fdatasync) before it is " +
    `answered; then down again from the file cache. Speed and CPU over ${FILES} files one after the other, after one that warms up; load and relay ` +
    "share the machine. Memory is the relay's resident memory at its most, looked at every 5 ms, above that of the same process before the first " +
    "part: one file up and down, and in another process 8 at once.",
  metrics: [
    { name: "up", says: "up, synced", unit: "MB/s", bar: 200, better: "more" },
    { name: "down", says: "down", unit: "MB/s", bar: 200, better: "more" },
    { name: "upCpu", says: "CPU of the relay for it, up", unit: "ms/MB", better: "less" },
    { name: "downCpu", says: "CPU of the relay for it, down", unit: "ms/MB", better: "less" },
    { name: "memory", says: "relay memory above idle, one up and down", unit: "MB", bar: 80, better: "less" },
    { name: "memoryOfEight", says: "the same, 8 at once", unit: "MB", bar: 150, better: "less" },
  ],
  open(context) {
    const bytes = randomBytes(context.scale.quick ? FILE_BYTES / 8 : FILE_BYTES);
    return { once: () => measure(context, bytes), close: () => Promise.resolve() };
  },
};

async function measure(context: Context, bytes: Uint8Array): Promise<Measured> {
  const memoryOfEight = await onARelay(context, (relay) => memoryOf(relay, bytes, AT_ONCE));
  return onARelay(context, async (relay) => {
    const memory = await memoryOf(relay, bytes, 1);
    return { memory, memoryOfEight, ...(await speedOf(relay, bytes)) };
  });
}

async function onARelay<T>(context: Context, work: (relay: Server) => Promise<T>): Promise<T> {
  await using folder = await aFolder();
  await using relay = await startRelay(folder.path, context);
  return await work(relay);
}

/** Files that an account has begun. */
async function begun(relay: Server, bytes: Uint8Array, count: number): Promise<LoadFile[]> {
  const [account] = await register(relay.url, 1);
  if (account === undefined) throw new Error("nobody was registered");
  const files = Array.from({ length: count }, () => new LoadFile(relay.url, bytes));
  for (const file of files) await file.begin(account);
  return files;
}

async function memoryOf(relay: Server, bytes: Uint8Array, count: number): Promise<number> {
  const files = await begun(relay, bytes, count);
  const before = relay.memory();
  let most = before;
  const look = setInterval(() => {
    most = Math.max(most, relay.memory());
  }, LOOK_MS);
  try {
    await Promise.all(files.map((file) => file.up()));
    await Promise.all(files.map((file) => file.down()));
  } finally {
    clearInterval(look);
  }
  for (const file of files) await file.withdraw();
  return (most - before) / MB;
}

async function speedOf(relay: Server, bytes: Uint8Array): Promise<Measured> {
  const files = await begun(relay, bytes, FILES);
  const all = (FILES * bytes.length) / MB;
  const timed = async (work: (file: LoadFile) => Promise<void>): Promise<{ rate: number; cpu: number }> => {
    const [began, cpu] = [performance.now(), relay.cpu()];
    for (const file of files) await work(file);
    return { rate: (all / (performance.now() - began)) * 1e3, cpu: ((relay.cpu() - cpu) / all) * 1e3 };
  };
  const up = await timed((file) => file.up());
  const down = await timed((file) => file.down());
  for (const file of files) await file.withdraw();
  return { up: up.rate, down: down.rate, upCpu: up.cpu, downCpu: down.cpu };
}
