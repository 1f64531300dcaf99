// The relay of the chaos runs: the product, started with hooks that only tests have. LETHE_CRASH_AT ends it at a named
// point, and so does what stands in the file LETHE_CRASH_FILE at SIGHUP; LETHE_RULE_OFF leaves a rule of delivery out, which the judge must notice; SIGUSR2 stops its event loop for
// LETHE_STALL_MS.
import { readFileSync } from "node:fs";
import { ALL_DELIVERY_RULES, type DeliveryRules } from "../../../relay/delivery/types.ts";
import { type Level, openLog } from "../../../relay/log.ts";
import { startRelayOn } from "../../../relay/relay.ts";
import { readSettings } from "../../../relay/settings.ts";
import { openStore, StoreReports } from "../../../relay/store.ts";
import { crashing, crashOf } from "./crash-points.ts";

const settings = readSettings(process.argv.slice(2), process.env, (path) => readFileSync(path, "utf8"));
const log = openLog(settings.log as Level);

const ruleOff = process.env["LETHE_RULE_OFF"] ?? "";
if (ruleOff !== "") {
  if (!(ruleOff in ALL_DELIVERY_RULES)) throw new RangeError(`no rule is called ${ruleOff}`);
  (ALL_DELIVERY_RULES as Record<keyof DeliveryRules, boolean>)[ruleOff as keyof DeliveryRules] = false;
}

const reports = new StoreReports(log);
const { backend: opened, doubts, port } = await openStore(settings, log, reports);
const crashAt = process.env["LETHE_CRASH_AT"] ?? "";
const crash = crashing(opened.mailbox, () => process.kill(process.pid, "SIGKILL"));
if (crashAt !== "") crash.arm(crashOf(crashAt));
const backend = { ...opened, mailbox: crash.mailbox };
const relay = await startRelayOn(backend, { ...settings, port }, log, { reports, doubts });
process.stdout.write(`listening ${relay.url}\n`);

process.on("SIGUSR2", () => {
  const until = performance.now() + Number(process.env["LETHE_STALL_MS"] ?? "2000");
  while (performance.now() < until);
});
process.on("SIGHUP", () => crash.arm(crashOf(readFileSync(process.env["LETHE_CRASH_FILE"] ?? "", "utf8"))));
process.once("SIGTERM", () => void relay.close().then(() => process.exit(0)));
