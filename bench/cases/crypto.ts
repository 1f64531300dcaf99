// What end-to-end encryption costs a client, in memory: messages without and with their seal, beside libolm in the same
// process. A script of test/ measures, since it needs what the package does not give to others.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type BenchCase, type Context, type Measured, Unmeasurable } from "../harness/case.ts";

const script = fileURLToPath(new URL("../../test/crypto/measure/main.ts", import.meta.url));
const run = promisify(execFile);
const cpu = { unit: "µs", better: "less" } as const;

export const crypto: BenchCase = {
  name: "crypto",
  title: "End-to-end encryption, CPU for one message of 256 B, encrypted and decrypted",
  method:
    "In memory, nothing is stored. One way: one side sends. Ping-pong: sides take turns, so every message is a ratchet step. Sealed: the whole envelope, as it goes to the relay. @matrix-org/olm 3.2.15 and the second implementation of the tests (sealed, on @noble and node:crypto) run in the same process.",
  metrics: [
    { name: "oneWay", says: "one way", bar: 80, ...cpu },
    { name: "olmOneWay", says: "one way, libolm", ...cpu },
    { name: "oneWayRatio", says: "one way, times faster than libolm", unit: "×", bar: 1, better: "more" },
    { name: "pingPong", says: "ping-pong", ...cpu },
    { name: "olmPingPong", says: "ping-pong, libolm", ...cpu },
    { name: "pingPongRatio", says: "ping-pong, times faster than libolm", unit: "×", bar: 2, better: "more" },
    { name: "sealedOneWay", says: "sealed, one way", bar: 700, ...cpu },
    { name: "twinOneWay", says: "sealed, one way, second implementation", ...cpu },
    { name: "sealedPingPong", says: "sealed, ping-pong", bar: 1_200, ...cpu },
    { name: "twinPingPong", says: "sealed, ping-pong, second implementation", ...cpu },
    { name: "start", says: "PQXDH, the initiator", bar: 1_800, ...cpu },
    { name: "olmStart", says: "triple DH, libolm, the initiator", ...cpu },
    { name: "firstMessage", says: "a stranger's first message: signatures, PQXDH", ...cpu },
    { name: "olmFirstMessage", says: "triple DH and first message, libolm", ...cpu },
    { name: "forged", says: "a forged header refused", bar: 50, ...cpu },
    { name: "jump", says: "a message that is 25,000 ahead", unit: "ms", bar: 200, better: "less" },
  ],
  open: (context) => {
    if (!existsSync(script)) throw new Unmeasurable("test/crypto is not in this checkout");
    return { once: () => measure(context), close: () => Promise.resolve() };
  },
};

async function measure({ scale }: Context): Promise<Measured> {
  const args = [script, "--scale", scale.quick ? "0.05" : "1"];
  const { stdout } = await run(process.execPath, args);
  const measured = JSON.parse(stdout) as Record<string, number>;
  const ratio = (peer: string, ours: string): number => (measured[peer] ?? 0) / (measured[ours] ?? 0);
  return {
    ...measured,
    oneWayRatio: ratio("olmOneWay", "oneWay"),
    pingPongRatio: ratio("olmPingPong", "pingPong"),
  };
}
