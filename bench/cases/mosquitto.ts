// The same work through Mosquitto, in C: live, stored and drained, QoS 1, persistent sessions. Measured beside our own in
// the same run, so that a slow day troubles both.
import type { BenchCase, Context, Measured } from "../harness/case.ts";
import { between, read } from "../harness/reading.ts";
import { aFolder, type Server } from "../harness/server.ts";
import { MqttClient, topicNamed } from "../load/mqtt.ts";
import { SealedBytes } from "../load/sealed.ts";
import { Budget, Counts } from "../load/tally.ts";
import { mosquittoVersion, startMosquitto } from "../peers/mosquitto.ts";
import { measure as measureLive, PAIRS, WINDOW } from "./live.ts";
import { IN_FLIGHT, measure as measureStore, SENDERS } from "./store.ts";

/** Our rate has to be this many times theirs. */
const TIMES = 2;
/** Connections opened at once. */
const AT_ONCE = 32;

export const mosquitto: BenchCase = {
  name: "mosquitto",
  title: "Beside Mosquitto",
  method:
    `Debian's Mosquitto with TCP_NODELAY, QoS 1 and persistent sessions: live, ${PAIRS} pairs with ${WINDOW} messages of 256 B under way, ` +
    "counted when the subscriber acknowledges; stored, 1,000 subscribers that are away, counted when the broker acknowledges (it syncs nothing by then; " +
    "we do); drained, they come back. Then our relay does the same, in the same run. Rates with logins and all, on two cores that load and server share.",
  metrics: [
    { name: "liveTimes", says: "live: our rate, times theirs", unit: "×", bar: TIMES, better: "more" },
    { name: "storeTimes", says: "stored: our rate, times theirs", unit: "×", bar: TIMES, better: "more" },
    { name: "drainTimes", says: "drained: our rate, times theirs", unit: "×", bar: TIMES, better: "more" },
    { name: "liveRate", says: "Mosquitto live", unit: "/s", better: "neither" },
    { name: "liveCpu", says: "Mosquitto CPU a message live", unit: "µs", better: "neither" },
    { name: "storeRate", says: "Mosquitto stored", unit: "/s", better: "neither" },
    { name: "storeCpu", says: "Mosquitto CPU a message stored", unit: "µs", better: "neither" },
    { name: "drainRate", says: "Mosquitto drained", unit: "/s", better: "neither" },
    { name: "drainCpu", says: "Mosquitto CPU a message drained", unit: "µs", better: "neither" },
  ],
  open(context) {
    context.note(`Mosquitto ${mosquittoVersion()}`);
    return { once: () => measure(context), close: () => Promise.resolve() };
  },
};

async function measure(context: Context): Promise<Measured> {
  const theirs = { ...(await liveThere(context)), ...(await storedThere(context)) };
  const live = await measureLive(context);
  const store = await measureStore(context);
  return {
    ...theirs,
    liveTimes: (live["rate"] as number) / theirs.liveRate,
    storeTimes: (store["rate"] as number) / theirs.storeRate,
    drainTimes: (store["drainRate"] as number) / theirs.drainRate,
  };
}

async function liveThere(context: Context): Promise<{ liveRate: number; liveCpu: number }> {
  await using folder = await aFolder();
  await using server = await startMosquitto(folder.path);
  const { warmUp, messages } = context.scale;
  const counts = new Counts();
  const budget = new Budget(warmUp + messages);
  const pairs = await Promise.all(Array.from({ length: PAIRS }, (_, i) => aPair(server, i, budget, counts)));
  for (const { start } of pairs) start();
  await counts.acked.reaches(warmUp);
  const before = read(server, counts.acked);
  await counts.acked.reaches(warmUp + messages);
  const { rate, cpu } = between(before, read(server, counts.acked));
  for (const { close } of pairs) close();
  return { liveRate: rate, liveCpu: cpu };
}

async function aPair(server: Server, number: number, budget: Budget, counts: Counts) {
  const sealed = new SealedBytes();
  const topic = topicNamed(`to/${number}`);
  const send = (count: number): void => {
    for (let i = 0; i < count; i++) sender.publish(topic, sealed.next().ciphertext);
  };
  const failed = (error: Error): void => counts.fail(error);
  const nothing = (): void => undefined;
  const recipient = await MqttClient.open(server.url, `recipient ${number}`, false, {
    failed,
    acknowledged: nothing,
    pong: nothing,
    message() {
      counts.acked.add(1);
      send(budget.take(1));
    },
  });
  await recipient.subscribe(`to/${number}`);
  const sender = await MqttClient.open(server.url, `sender ${number}`, true, {
    failed,
    message: nothing,
    pong: nothing,
    acknowledged: nothing,
  });
  return {
    start: (): void => send(budget.take(WINDOW)),
    close: (): void => {
      sender.close();
      recipient.close();
    },
  };
}

async function storedThere(context: Context) {
  await using folder = await aFolder();
  await using server = await startMosquitto(folder.path);
  const { offline, messages: all } = context.scale;
  const messages = all / 2;
  const counts = new Counts();
  for (const client of await recipients(server, offline, counts, true)) client.close();
  const stored = await fill(server, offline, messages, counts);
  const before = read(server, counts.acked);
  const back = await recipients(server, offline, counts, false);
  await counts.acked.reaches(messages);
  for (const client of back) client.ping();
  await counts.ponged.reaches(back.length);
  const drained = between(before, read(server, counts.acked));
  for (const client of back) client.close();
  return {
    storeRate: stored.rate,
    storeCpu: stored.cpu,
    drainRate: drained.rate,
    drainCpu: drained.cpu,
  };
}

async function recipients(
  server: Server,
  count: number,
  counts: Counts,
  subscribe: boolean,
): Promise<MqttClient[]> {
  const clients: MqttClient[] = [];
  for (let first = 0; first < count; first += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - first) }, async (_, i) => {
      const client = await MqttClient.open(server.url, `away ${first + i}`, false, {
        failed: (error) => counts.fail(error),
        acknowledged: () => undefined,
        message: () => counts.acked.add(1),
        pong: () => counts.ponged.add(1),
      });
      if (subscribe) await client.subscribe(`away/${first + i}`);
      return client;
    });
    clients.push(...(await Promise.all(some)));
  }
  return clients;
}

async function fill(server: Server, offline: number, messages: number, counts: Counts) {
  const topics = Array.from({ length: offline }, (_, i) => topicNamed(`away/${i}`));
  const budget = new Budget(messages);
  let next = 0;
  const senders = await Promise.all(
    Array.from({ length: SENDERS }, async (_, i) => {
      const sealed = new SealedBytes();
      const send = (count: number): void => {
        for (let n = 0; n < count; n++)
          client.publish(topics[next++ % topics.length] as Buffer, sealed.next().ciphertext);
      };
      const client = await MqttClient.open(server.url, `filler ${i}`, true, {
        failed: (error) => counts.fail(error),
        message: () => undefined,
        pong: () => undefined,
        acknowledged() {
          counts.accepted.add(1);
          send(budget.take(1));
        },
      });
      return { client, send };
    }),
  );
  const before = read(server, counts.accepted);
  for (const { send } of senders) send(budget.take(IN_FLIGHT / SENDERS));
  await counts.accepted.reaches(messages);
  const after = read(server, counts.accepted);
  for (const { client } of senders) client.close();
  return between(before, after);
}
