import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { STORE_ERRORS } from "@lethe/client";

const root = new URL("../../client-lib/", import.meta.url);
const read = (path: string): Promise<string> => readFile(new URL(path, root), "utf8");

/** The first column of the table under a heading, code marks taken off. */
function firstColumn(text: string, heading: string): string[] {
  const section = text.split(`\n## ${heading}`)[1]?.split("\n## ")[0] ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("| `"));
  return rows.flatMap((row) =>
    [...(row.split("|")[1] ?? "").matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? ""),
  );
}

describe("the client's README", () => {
  it("lists every event, and no other", async () => {
    const source =
      (await read("client-events.ts")).split("export interface ClientEvents {")[1]?.split("\n}")[0] ?? "";
    const events = [...source.matchAll(/^ {2}"?([a-z-]+)"?:/gm)].map(([, name]) => name);
    expect(events.length).toBeGreaterThan(10);
    expect(new Set(firstColumn(await read("README.md"), "Events"))).toEqual(new Set(events));
  });

  it("lists every error code of its own, and no other", async () => {
    const own = (await read("sentences.ts")).split("const OWN = {")[1]?.split("}")[0] ?? "";
    const codes = [...own.matchAll(/^ {2}"?([a-z-]+)"?:/gm)].map(([, code]) => code);
    const all = [...codes, ...Object.keys(STORE_ERRORS)];
    expect(new Set(firstColumn(await read("README.md"), "Errors"))).toEqual(new Set(all));
  });

  it("lists every method and option of a client", async () => {
    const readme = await read("README.md");
    const methods = [
      ...((await read("client.ts")) + (await read("conversing.ts"))).matchAll(
        /^ {2}(?:async |get )?([a-z]\w*)(?:<[^>]*>)?\(/gm,
      ),
    ].map(([, m]) => m);
    const options = [...(await read("client-options.ts")).matchAll(/^ {2}readonly (\w+)\??:/gm)].map(
      ([, o]) => o,
    );
    expect(methods.length).toBeGreaterThan(8);
    for (const name of methods) if (name !== "constructor") expect(readme).toContain(`\`${name}`);
    for (const name of options.slice(0, 9)) expect(readme).toMatch(new RegExp(`\`${name}\``));
  });
});
