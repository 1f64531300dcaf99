// The README's quick start, word for word, against a real relay: only the relay's address and the folder are put in.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { aFolder } from "../support/folder.ts";
import { blocksOf } from "../support/markdown.ts";
import { runProgram } from "../support/program.ts";
import { projectPath } from "../support/project.ts";
import { RelayProcess } from "../support/relay-process.ts";

async function quickStart(): Promise<string> {
  const block = (await blocksOf("README.md")).find(
    ({ marks }) => marks[0]?.startsWith("quick start") === true,
  );
  if (block === undefined) throw new Error("the README has no quick start");
  return block.code;
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
      const place = projectPath("test/.artifacts");
      await mkdir(place, { recursive: true });
      const program = join(place, `quick-start-${relay.port}.ts`);
      await writeFile(program, (await quickStart()).replace("http://127.0.0.1:8787", relay.url));
      expect(await runProgram(program, folder.path)).toBe("anna: hello, Ben\n");
    } finally {
      await relay.stop();
    }
  });
});
