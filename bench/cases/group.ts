// One upload for a whole group: to members who are online, one upload at a time and several under way; and to members who
// are away, with what it stores beside what as many separate messages of the same size store.
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { BenchCase, Context, Measured } from "../harness/case.ts";
import { between, read } from "../harness/reading.ts";
import { aFolder, metric, metricBecomes, type Server, startRelay } from "../harness/server.ts";
import { type Account, register } from "../load/account.ts";
import { GroupSender } from "../load/group-sender.ts";
import { CIPHERTEXT_BYTES } from "../load/sealed.ts";
import { Budget, Counts } from "../load/tally.ts";
import { logIn, sendersTo } from "../load/world.ts";

const UNDER_WAY = 16;
/** A page of text, padded. */
const LARGE_BYTES = 4_096;
/** Uploads whose bytes in the store are counted. */
const STORED_UPLOADS = 16;
const SEPARATE_SENDERS = 16;
/** Over what one connection may send: the measurement is of the relay, not of its limits. */
const RATES = ["--connection-rate", "10000000", "--address-rate", "10000000", "--account-rate", "1000000"];

export const group: BenchCase = {
  name: "group",
  title: "One upload for a group",
  method:
    "1,000 members, online at one relay, each on a connection of its own; one ciphertext of 256 B an upload. CPU of all the relay's threads a " +
    `delivery, between two counts of \`accepted\`, after a warm-up: first one upload at a time, then ${UNDER_WAY} senders with one upload each. ` +
    `Then 1,000 other members who are away: what ${STORED_UPLOADS} uploads add to the segment files, and what the same messages add one by one.`,
  metrics: [
    {
      name: "oneCpu",
      says: "relay CPU a delivery, one upload at a time",
      unit: "µs",
      bar: 35,
      better: "less",
    },
    { name: "oneRate", says: "deliveries accepted", unit: "/s", better: "more" },
    {
      name: "cpu",
      says: `relay CPU a delivery, ${UNDER_WAY} uploads under way`,
      unit: "µs",
      bar: 10,
      better: "less",
    },
    { name: "rate", says: "deliveries accepted", unit: "/s", bar: 50_000, better: "more" },
    { name: "spilled", says: "deliveries that spilled to the store", unit: "", bar: 0, better: "less" },
    { name: "storeCpu", says: "relay CPU a delivery stored", unit: "µs", better: "less" },
    { name: "stored", says: "bytes stored a member, 256 B", unit: "B", better: "less" },
    { name: "storedApart", says: "the same as separate messages", unit: "B", better: "neither" },
    { name: "storedLarge", says: "bytes stored a member, 4 KiB", unit: "B", better: "less" },
    { name: "storedLargeApart", says: "the same as separate messages", unit: "B", better: "neither" },
  ],
  open: (context) => ({ once: () => measure(context), close: () => Promise.resolve() }),
};

async function measure(context: Context): Promise<Measured> {
  await using folder = await aFolder();
  await using relay = await startRelay(folder.path, context, RATES);
  const live = await online(relay, context);
  const spilled = await metric(relay, "lethe_spilled_total");
  const away = await offline(relay, folder.path, context);
  return { ...live, spilled, ...away };
}

async function online(relay: Server, { scale }: Context): Promise<Measured> {
  const counts = new Counts();
  const members = await register(relay.url, scale.offline);
  const recipients = await logIn(relay, members, counts);
  const [uploads, warmUp] = [scale.messages / scale.offline, scale.warmUp / scale.offline];
  await upload(relay, members, { senders: 1, uploads: warmUp });
  const one = await upload(relay, members, { senders: 1, uploads });
  await upload(relay, members, { senders: UNDER_WAY, uploads: warmUp });
  const many = await upload(relay, members, { senders: UNDER_WAY, uploads });
  for (const recipient of recipients) recipient.close();
  await metricBecomes(relay, "lethe_sessions", 0);
  return { oneCpu: one.cpu, oneRate: one.rate, cpu: many.cpu, rate: many.rate };
}

async function offline(relay: Server, folder: string, { scale }: Context): Promise<Measured> {
  const members = await register(relay.url, scale.offline);
  await upload(relay, members, { senders: 1, uploads: 1 });
  const measured: Record<string, number> = {};
  for (const [name, bytes] of [
    ["stored", CIPHERTEXT_BYTES],
    ["storedLarge", LARGE_BYTES],
  ] as const) {
    const deliveries = STORED_UPLOADS * members.length;
    const before = await stored(folder);
    const { cpu } = await upload(relay, members, { senders: 1, uploads: STORED_UPLOADS, bytes });
    const between = await stored(folder);
    await separately(relay, members, bytes);
    measured[name] = (between - before) / deliveries;
    measured[`${name}Apart`] = ((await stored(folder)) - between) / deliveries;
    if (bytes === CIPHERTEXT_BYTES) measured["storeCpu"] = cpu;
  }
  return measured;
}

interface Uploading {
  readonly senders: number;
  readonly uploads: number;
  readonly bytes?: number;
}

async function upload(
  relay: Server,
  members: readonly Account[],
  { senders, uploads, bytes = CIPHERTEXT_BYTES }: Uploading,
): Promise<{ cpu: number; rate: number }> {
  const counts = new Counts();
  const open = await Promise.all(
    Array.from({ length: senders }, () => GroupSender.open(relay.url, members, bytes, counts)),
  );
  const budget = new Budget(uploads);
  const before = read(relay, counts.accepted);
  for (const sender of open) sender.spend(budget);
  await counts.accepted.reaches(uploads * members.length);
  const after = read(relay, counts.accepted);
  for (const sender of open) sender.close();
  return between(before, after);
}

/** The same messages one by one, to one member after the other. */
async function separately(relay: Server, members: readonly Account[], bytes: number): Promise<void> {
  const counts = new Counts();
  const senders = await sendersTo(relay, members, SEPARATE_SENDERS, counts, bytes);
  const budget = new Budget(STORED_UPLOADS * members.length);
  for (const sender of senders) sender.spend(budget, 64);
  await counts.accepted.reaches(STORED_UPLOADS * members.length);
  for (const sender of senders) sender.close();
}

/** Bytes of the segment files. */
async function stored(folder: string): Promise<number> {
  const mail = join(folder, "mail");
  const sizes = (await readdir(mail)).map(async (name) => (await stat(join(mail, name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
