// Store and drain: the recipients are away, everything is made durable before it is accepted; then they come back and
// take it all. The price of logging in is measured by itself, on the same devices, and taken off the drain's.
import type { BenchCase, Context, Measured } from "../harness/case.ts";
import { between, read } from "../harness/reading.ts";
import { aFolder, metricBecomes, type Server, startRelay } from "../harness/server.ts";
import { type Account, register } from "../load/account.ts";
import { Budget, Counts } from "../load/tally.ts";
import { logIn, sendersTo } from "../load/world.ts";

export const IN_FLIGHT = 1_600;
export const SENDERS = 16;
/** The same in flight from more connections: fewer frames stand in a WebSocket message. */
const MANY_SENDERS = 100;
/** Recipients that only the warm-up knows. */
const WARM_RECIPIENTS = 100;

export const store: BenchCase = {
  name: "store",
  title: "Stored, then drained",
  method:
    `${SENDERS} senders with ${IN_FLIGHT / SENDERS} messages of 256 B under way each, to devices that are offline; every message is synced ` +
    "before it is accepted. Then all devices connect, drain and acknowledge everything. The drain's CPU runs from the first connection " +
    "to the answer to a ping behind the last acknowledgement, less the CPU of logging the same devices in with empty mailboxes just before.",
  metrics: [
    { name: "cpu", says: "relay CPU a message stored", unit: "µs", bar: 15, better: "less" },
    { name: "rate", says: "messages stored", unit: "/s", better: "more" },
    { name: "cpuMany", says: `the same from ${MANY_SENDERS} senders`, unit: "µs", better: "less" },
    { name: "drainCpu", says: "relay CPU a message drained", unit: "µs", bar: 15, better: "less" },
    { name: "drainRate", says: "messages drained, logins and all", unit: "/s", better: "more" },
    { name: "loginCpu", says: "relay CPU a login", unit: "µs", better: "less" },
    {
      name: "drainWithLogin",
      says: "relay CPU a message drained, logins and all",
      unit: "µs",
      better: "less",
    },
    { name: "memory", says: "relay's resident memory, mail stored", unit: "MiB", better: "less" },
  ],
  open: (context) => ({ once: () => measure(context), close: () => Promise.resolve() }),
};

export async function measure(context: Context): Promise<Measured> {
  await using folder = await aFolder();
  await using relay = await startRelay(folder.path, context);
  return await measureOn(relay, context); // before the relay is ended
}

/** The figures of one relay; `beside`: µs of a message, stored and drained, of the server that its store is. */
export async function measureOn(relay: Server, { scale }: Context, store?: Server): Promise<Measured> {
  const warm = await register(relay.url, WARM_RECIPIENTS);
  const accounts = await register(relay.url, scale.offline);
  await fill(relay, warm, scale.warmUp, SENDERS);
  await empty(relay, warm, scale.warmUp);
  await logins(relay, accounts);
  const login = await logins(relay, accounts);
  const messages = scale.messages / 2;
  const before = store?.cpu() ?? 0;
  const stored = await fill(relay, accounts, messages, SENDERS);
  const memory = relay.memory() / 2 ** 20;
  const drained = await empty(relay, accounts, messages);
  const beside = (((store?.cpu() ?? 0) - before) / messages) * 1e6;
  const many = await fill(relay, accounts, messages, MANY_SENDERS);
  return {
    cpu: stored.cpu,
    cpuMany: many.cpu,
    rate: stored.rate,
    drainCpu: drained.cpu - (login * accounts.length) / messages,
    drainRate: drained.rate,
    loginCpu: login,
    drainWithLogin: drained.cpu,
    memory,
    ...(store === undefined ? {} : { beside }),
  };
}

async function fill(relay: Server, accounts: readonly Account[], messages: number, connections: number) {
  const counts = new Counts();
  const senders = await sendersTo(relay, accounts, connections, counts);
  const budget = new Budget(messages);
  const before = read(relay, counts.accepted);
  for (const sender of senders) sender.spend(budget, IN_FLIGHT / connections);
  await counts.accepted.reaches(messages);
  const after = read(relay, counts.accepted);
  for (const sender of senders) sender.close();
  await metricBecomes(relay, "lethe_mailbox_envelopes", messages);
  return between(before, after);
}

async function empty(relay: Server, accounts: readonly Account[], messages: number) {
  const counts = new Counts();
  const before = read(relay, counts.acked);
  const recipients = await logIn(relay, accounts, counts);
  await counts.acked.reaches(messages);
  for (const recipient of recipients) recipient.ping();
  await counts.ponged.reaches(recipients.length);
  const after = read(relay, counts.acked);
  if (after.count !== messages) throw new Error(`${after.count} pushed, ${messages} were stored`);
  await metricBecomes(relay, "lethe_mailbox_envelopes", 0);
  for (const recipient of recipients) recipient.close();
  await metricBecomes(relay, "lethe_sessions", 0);
  return between(before, after);
}

/** CPU of one login of a device with an empty mailbox, from its connection to `drained`, µs. */
async function logins(relay: Server, accounts: readonly Account[]): Promise<number> {
  const counts = new Counts();
  const before = relay.cpu();
  const recipients = await logIn(relay, accounts, counts);
  const after = relay.cpu();
  for (const recipient of recipients) recipient.close();
  await metricBecomes(relay, "lethe_sessions", 0);
  return ((after - before) / accounts.length) * 1e6;
}
