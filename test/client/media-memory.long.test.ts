// A file of 2 GB, up and down between real clients in a process of their own: what it takes of memory does not follow its size.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { RelayProcess } from "./support/relay-process.ts";

const MAIN = fileURLToPath(new URL("support/media-process.ts", import.meta.url));
const SIZE = 2_000_000_000;
const MAX_ABOVE_IDLE = 64 * 1024 * 1024;

describe("a file of 2 GB", () => {
  it("takes less than 64 MiB above idle, for each of sender and recipient", async () => {
    await using relay = await RelayProcess.start([
      "--media-bytes",
      String(3 * 1024 ** 3),
      "--media-account-bytes",
      String(4 * 1024 ** 3),
    ]);
    for (const role of ["send", "fetch"] as const) {
      const child = spawn(process.execPath, ["--expose-gc", MAIN, relay.url, role, String(SIZE)], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let said = "";
      child.stdout.on("data", (text: Buffer) => (said += text.toString()));
      await once(child, "exit");
      const { idle, peak, ms } = JSON.parse(said) as { idle: number; peak: number; ms: number };
      console.log(
        `${role}: ${((peak - idle) / 2 ** 20).toFixed(1)} MiB above idle, ${(SIZE / ms / 1_000).toFixed(0)} MB/s`,
      );
      expect(peak - idle).toBeLessThan(MAX_ABOVE_IDLE);
    }
  }, 600_000);
});
