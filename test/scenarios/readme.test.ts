// The README's quick start, word for word, against a real relay: only the relay's address and the folder are put in.
import { spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { aFolder } from "../support/folder.ts";
import { RelayProcess } from "../support/relay-process.ts";

const root = join(import.meta.dirname, "..", "..");

async function quickStart(): Promise<string> {
  const readme = await readFile(join(root, "README.md"), "utf8");
  const block = /<!-- quick start[^>]*-->\s*```ts\n([^]*?)```/.exec(readme)?.[1];
  if (block === undefined) throw new Error("the README has no quick start");
  return block;
}

/** Runs a program and gives what it wrote; its exit status must be 0. */
async function run(file: string, cwd: string): Promise<string> {
  const child = spawn(process.execPath, [file], { cwd, stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  const status = await new Promise<number | null>((resolve) => child.once("exit", resolve));
  expect(status).toBe(0);
  return out;
}

describe("the README's quick start", () => {
  it("has under 20 lines", async () => {
    const lines = (await quickStart()).split("\n").filter((line) => line.trim() !== "");
    expect(lines.length).toBeLessThan(20);
  });

  it("delivers its message, with both ticks, and ends by itself", async () => {
    await using folder = await aFolder();
    const relay = await RelayProcess.start({ data: join(folder.path, "relay") });
    try {
      // The program lies inside the workspace, where `@lethe/client` is found.
      const place = join(root, "test", ".artifacts");
      await mkdir(place, { recursive: true });
      const program = join(place, `quick-start-${relay.port}.ts`);
      await writeFile(program, (await quickStart()).replace("http://127.0.0.1:8787", relay.url));
      expect(await run(program, folder.path)).toBe("anna: hello, Ben\n");
    } finally {
      await relay.stop();
    }
  });
});
