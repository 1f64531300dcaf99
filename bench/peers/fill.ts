// Fills a data folder with undelivered mail through the mailbox interface, says so, and waits to be killed: what comes
// after starts from what a power cut would leave.
import { randomBytes } from "node:crypto";
import type { DeviceAddress, EnvelopeId, Time } from "@lethe/protocol";
import { DEFAULT_MAILBOX_LIMITS, openBackend } from "@lethe/queue";

const [folder = "", wanted = ""] = process.argv.slice(2);
const messages = Number(wanted);
const ENVELOPES_A_MAILBOX = 100;
const MAILBOXES_A_BATCH = 50;
const CIPHERTEXT_BYTES = 256;
const EXPIRY = (Date.now() + 7 * 24 * 3_600_000) as Time;

const backend = await openBackend({
  kind: "embedded",
  folder,
  now: () => Date.now() as Time,
  limits: DEFAULT_MAILBOX_LIMITS,
  report: (event) => process.stderr.write(`the store reports ${event.is}\n`),
});

const envelope = () => ({
  id: randomBytes(16).toString("latin1") as EnvelopeId,
  kind: "pairwise" as const,
  expiry: EXPIRY,
  ciphertext: randomBytes(CIPHERTEXT_BYTES),
});

for (let stored = 0; stored < messages; ) {
  const batch = Array.from({ length: MAILBOXES_A_BATCH }, () => ({
    address: randomBytes(18).toString("latin1") as DeviceAddress,
    suspect: undefined,
    envelopes: Array.from({ length: ENVELOPES_A_MAILBOX }, envelope),
  }));
  for (const result of await backend.mailbox.appendUnlessOwned(batch)) {
    if (result.is !== "stored") throw new Error(`an append answered ${result.is}`);
    stored += result.outcomes.length;
  }
}
process.stdout.write(`filled ${backend.mailbox.stats().envelopes}\n`);
setInterval(() => undefined, 60_000);
