// scratch: phases with CPU and times
import { read, between } from "./harness/reading.ts";
import { aFolder, metricBecomes, startServer, RELAY_NAME } from "./harness/server.ts";
import { FULL } from "./harness/case.ts";
import { register, type Account } from "./load/account.ts";
import { Budget, Counts } from "./load/tally.ts";
import { logIn, sendersTo } from "./load/world.ts";
import { writeFileSync, readFileSync } from "node:fs";
const mainCpu = () => { const t = readFileSync(`/proc/${relay.pid}/task/${relay.pid}/schedstat`, "utf8"); return Number(t.split(" ")[0]) / 1e3; };
const prof = process.env["PROF"];
const context = { scale: FULL, profile: prof, note: () => undefined };
await using folder = await aFolder();
const relay = await startServer("../../relay/main.ts", ["--port", "0", "--data", folder.path, "--name", RELAY_NAME, "--log", "warn"], context, (process.env["NF"] ?? "").split(" ").filter((x) => x));
const phases: Record<string, [number, number]> = {};
const us = () => Number(process.hrtime.bigint() / 1000n);
if (process.env["NF"]) setTimeout(() => 0, 0);
const phase = async <T>(name: string, f: () => Promise<T>): Promise<T> => { const a = us(); const r = await f(); phases[name] = [a, us()]; return r; };
const warm = await register(relay.url, 100);
const accounts = await register(relay.url, 1000);
const own = () => process.cpuUsage();
async function fill(name: string, accounts: Account[], messages: number, connections: number) {
  const counts = new Counts();
  const senders = await sendersTo(relay, accounts, connections, counts);
  const budget = new Budget(messages);
  const before = read(relay, counts.accepted); const o = own(); const m = mainCpu();
  await phase(name, async () => { for (const s of senders) s.spend(budget, 1600 / connections); await counts.accepted.reaches(messages); });
  const after = read(relay, counts.accepted); const main = (mainCpu() - m) / messages; const o2 = process.cpuUsage(o);
  for (const s of senders) s.close();
  return { ...between(before, after), main, load: (o2.user + o2.system) / messages };
}
async function empty(name: string, accounts: Account[], messages: number) {
  const counts = new Counts();
  const before = read(relay, counts.acked); const o = own(); const m = mainCpu();
  const recipients = await phase(name, async () => { const r = await logIn(relay, accounts, counts); await counts.acked.reaches(messages); for (const x of r) x.ping(); await counts.ponged.reaches(r.length); return r; });
  const after = read(relay, counts.acked); const main = (mainCpu() - m) / messages; const o2 = process.cpuUsage(o);
  await metricBecomes(relay, "lethe_mailbox_envelopes", 0);
  for (const r of recipients) r.close();
  await metricBecomes(relay, "lethe_sessions", 0);
  return { ...between(before, after), main, load: (o2.user + o2.system) / messages };
}
async function logins(name: string, accounts: Account[]) {
  const counts = new Counts();
  const before = relay.cpu(); const o = own(); const m = mainCpu();
  const r = await phase(name, () => logIn(relay, accounts, counts));
  const after = relay.cpu(); const main = (mainCpu() - m) / accounts.length; const o2 = process.cpuUsage(o);
  for (const x of r) x.close();
  await metricBecomes(relay, "lethe_sessions", 0);
  const [a, b] = phases[name]!;
  return { loginCpu: ((after - before) / accounts.length) * 1e6, main, load: (o2.user + o2.system) / accounts.length, rate: accounts.length / ((b - a) / 1e6) };
}
const warmN = Number(process.env["WARM"] ?? 200000);
await fill("warmfill", warm, warmN, 16);
await empty("warmempty", warm, warmN);
await logins("l0", accounts);
const show = (n: string, o: Record<string, number>) => console.log(n.padEnd(10), Object.entries(o).map(([k, v]) => `${k} ${v < 100 ? v.toFixed(1) : Math.round(v)}`).join("  "));
for (let i = 0; i < Number(process.env["N"] ?? 3); i++) {
  if (process.env["STORE_ONLY"]) { show("store", await fill(`store${i}`, accounts, 100000, 16)); continue; }
  show("login", await logins(`login${i}`, accounts));
  show("store", await fill(`store${i}`, accounts, 100000, 16));
  show("drain", await empty(`drain${i}`, accounts, 100000));
  if (process.env["MANY"]) { show("store100", await fill(`many${i}`, accounts, 100000, 100)); await empty("e", accounts, 100000); }
}
if (prof || process.env["PH"]) writeFileSync(`${prof ?? process.env["PH"]}/phases.json`, JSON.stringify(phases));
await relay[Symbol.asyncDispose]();
