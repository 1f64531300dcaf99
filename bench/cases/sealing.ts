// What sealing a file costs beside the bare calls of libsodium, in memory: throughput and CPU, with the digest and without.
// A script of test/ measures, since it needs what the package does not give to others.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type BenchCase, type Context, type Measured, Unmeasurable } from "../harness/case.ts";

const script = fileURLToPath(new URL("../../test/crypto/measure/media.ts", import.meta.url));
const run = promisify(execFile);
const rate = { unit: "MB/s", better: "more" } as const;
const cpu = { unit: "µs", better: "less" } as const;

export const sealing: BenchCase = {
  name: "sealing",
  title: "Sealing and opening a file of 32 MiB",
  method:
    "In memory, nothing is stored or sent; in one process, in turn, the best of 25 rounds. Bare calls: libsodium's secretstream over chunks of 64 KiB, each copied in and out, without a digest. Sealed, opened: part by part as the package does it, with wiping, padding and the SHA-256 of every part, which a second thread makes and which is waited for. CPU is of all threads, for a MiB. The thread's CPU, the sealing one's alone, says what share of the bare calls' rate there is where a second core is free; where none is, the digest takes its time as well.",
  metrics: [
    { name: "bareRate", says: "bare calls", ...rate },
    { name: "sealRate", says: "sealed", ...rate },
    { name: "sealShare", says: "sealed, of the bare calls' rate", unit: "×", better: "more" },
    {
      name: "threadShare",
      says: "the same by the thread's CPU",
      unit: "×",
      bar: 0.9,
      better: "more",
    },
    { name: "openRate", says: "opened", ...rate },
    { name: "bareCpu", says: "bare calls, CPU", ...cpu },
    { name: "sealCpu", says: "sealed, CPU", ...cpu },
    { name: "digestCpu", says: "of that the digest", ...cpu },
    { name: "openCpu", says: "opened, CPU", ...cpu },
  ],
  open: (context) => {
    if (!existsSync(script)) throw new Unmeasurable("test/crypto is not in this checkout");
    return { once: () => measure(context), close: () => Promise.resolve() };
  },
};

async function measure({ scale }: Context): Promise<Measured> {
  const { stdout } = await run(process.execPath, [script, "--scale", scale.quick ? "0.1" : "1"]);
  return JSON.parse(stdout) as Record<string, number>;
}
