// The baseline of `live`: the same pairs, window and sizes through a bare forwarder, one WebSocket message a message.
import type { BenchCase, Context, Measured } from "../harness/case.ts";
import { between, read } from "../harness/reading.ts";
import { startServer } from "../harness/server.ts";
import { SealedBytes } from "../load/sealed.ts";
import { LoadSocket } from "../load/socket.ts";
import { Budget, Counts } from "../load/tally.ts";
import { PAIRS, WINDOW } from "./live.ts";

export const forwarder: BenchCase = {
  name: "forwarder",
  title: "Baseline: a bare forwarder",
  method:
    `The same ${PAIRS} pairs and windows through a server on the same \`ws\` that only forwards, one WebSocket message a ` +
    "message and one an acknowledgement: no accounts, no codec, no promise. It tells the machine's speed of the day.",
  metrics: [
    { name: "cpu", says: "forwarder CPU a message", unit: "µs", better: "neither" },
    { name: "rate", says: "messages acknowledged", unit: "/s", better: "neither" },
  ],
  open: (context) => ({ once: () => measure(context), close: () => Promise.resolve() }),
};

async function measure(context: Context): Promise<Measured> {
  await using server = await startServer("../peers/forwarder.ts", [], context);
  const { warmUp, messages } = context.scale;
  const counts = new Counts();
  const budget = new Budget(warmUp + messages);
  const pairs = await Promise.all(
    Array.from({ length: PAIRS }, (_, i) => aPair(server.url, i, budget, counts)),
  );
  for (const pair of pairs) pair.start();
  await counts.accepted.reaches(warmUp);
  const before = read(server, counts.accepted);
  await counts.accepted.reaches(warmUp + messages);
  const after = read(server, counts.accepted);
  for (const pair of pairs) pair.close();
  return between(before, after);
}

interface Pair {
  start(): void;
  close(): void;
}

async function aPair(url: URL, number: number, budget: Budget, counts: Counts): Promise<Pair> {
  const failed = (error: Error): void => counts.fail(error);
  const recipient = await LoadSocket.open(url, `/recipient/${number}`, {
    failed,
    message: (payload) => recipient.send(payload.subarray(0, 16)),
  });
  const sealed = new SealedBytes();
  const send = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const { id, ciphertext } = sealed.next();
      sender.send(Buffer.concat([Buffer.from(id, "latin1"), ciphertext]));
    }
  };
  const sender = await LoadSocket.open(url, `/sender/${number}`, {
    failed,
    message() {
      counts.accepted.add(1);
      send(budget.take(1));
    },
  });
  return {
    start: () => send(budget.take(WINDOW)),
    close() {
      sender.close();
      recipient.close();
    },
  };
}
