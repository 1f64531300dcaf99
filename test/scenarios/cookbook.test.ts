// The cookbook's recipes, word for word and in their order, as one reader would run them: in one folder, against one real
// relay. Only the relay's address is put in. Each prints what the cookbook says that it prints.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { aFolder, type Folder } from "../support/folder.ts";
import { type Block, blocksOf } from "../support/markdown.ts";
import { runProgram } from "../support/program.ts";
import { projectPath } from "../support/project.ts";
import { RelayProcess } from "../support/relay-process.ts";

interface Recipe {
  readonly heading: string;
  readonly code: string;
  readonly prints: string;
}

/** Each block that is marked `run`, with the block of text behind it. */
function recipesOf(blocks: readonly Block[]): Recipe[] {
  return blocks.flatMap(({ marks, heading, code }, at) => {
    if (!marks.includes("run")) return [];
    const next = blocks[at + 1];
    if (next?.language !== "text" || next.heading !== heading)
      throw new Error(`"${heading}" is marked to be run and does not say what it prints`);
    return [{ heading, code, prints: next.code }];
  });
}

const blocks = await blocksOf("docs/cookbook.md");
const recipes = recipesOf(blocks);
const RELAY = "http://127.0.0.1:8787";
// Inside the workspace, where `@lethe/client` is found.
const place = projectPath(`test/.artifacts/cookbook-${process.pid}`);

let folder: Folder;
let relay: RelayProcess;
beforeAll(async () => {
  folder = await aFolder();
  relay = await RelayProcess.start({ data: join(folder.path, "relay") });
  await mkdir(place, { recursive: true });
});
afterAll(async () => {
  await relay.stop();
  await folder[Symbol.asyncDispose]();
  await rm(place, { recursive: true, force: true });
});

describe("the cookbook", () => {
  it("says of every output which recipe prints it", () => {
    expect(recipes.length).toBeGreaterThan(10);
    expect(blocks.filter(({ language }) => language === "text").length).toBe(recipes.length);
  });

  it.each(recipes)("$heading", async ({ heading, code, prints }) => {
    const program = join(place, `${heading.toLowerCase().replaceAll(/[^a-z]+/g, "-")}.ts`);
    await writeFile(program, code.replaceAll(RELAY, relay.url));
    expect(await runProgram(program, folder.path)).toBe(prints);
  });
});
