// Starting with a full house: how long until a relay whose predecessor died with undelivered mail takes connections.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { BenchCase, Context, Measured } from "../harness/case.ts";
import { aFolder, metric, startRelay } from "../harness/server.ts";

export const restart: BenchCase = {
  name: "restart",
  title: "Start with 1,000,000 stored messages",
  method:
    "A process stores messages of 256 B in mailboxes of 100 through the store's own interface and is killed (SIGKILL). The relay is " +
    "started on that folder: time from its spawn to its line `listening`, file cache warm. Its own count of undelivered envelopes must " +
    "be complete. It is killed again before the next repetition.",
  metrics: [
    { name: "seconds", says: "until it listens", unit: "s", bar: 3, better: "less" },
    { name: "cpu", says: "CPU until then", unit: "s", better: "less" },
    { name: "memory", says: "resident memory then", unit: "MiB", better: "less" },
  ],
  async open(context) {
    const folder = await aFolder();
    await fill(folder.path, context);
    return { once: () => measure(folder.path, context), close: async () => folder[Symbol.asyncDispose]() };
  },
};

async function fill(folder: string, { scale, note }: Context): Promise<void> {
  note(`storing ${scale.stored.toLocaleString("en")} messages`);
  const script = fileURLToPath(new URL("../peers/fill.ts", import.meta.url));
  const child = spawn(process.execPath, [script, folder, String(scale.stored)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  let said = "";
  for await (const text of child.stdout.setEncoding("utf8")) {
    said += String(text);
    if (said.includes("\n")) break;
  }
  child.kill("SIGKILL");
  await exited;
  if (said !== `filled ${scale.stored}\n`) throw new Error("the store was not filled");
}

async function measure(folder: string, context: Context): Promise<Measured> {
  const relay = await startRelay(folder, context);
  const cpu = relay.cpu();
  const memory = relay.memory() / 2 ** 20;
  try {
    const held = await metric(relay, "lethe_mailbox_envelopes");
    if (held !== context.scale.stored)
      throw new Error(`${held} of ${context.scale.stored} envelopes are there`);
    return { seconds: relay.startedIn / 1e3, cpu, memory };
  } finally {
    await relay.kill();
  }
}
