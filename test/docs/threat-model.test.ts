// The threat model against the tests that it names: each exists under its name and is not skipped, and every line that says
// what an adversary cannot do has one. `"name"` may be the beginning of a test's or a describe's name.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { projectPath } from "../support/project.ts";

const FILE = "docs/threat-model.md";

interface Named {
  readonly file: string;
  readonly name: string;
}

interface Claim {
  readonly adversary: string;
  readonly says: "can" | "cannot";
  readonly line: number;
  readonly tests: readonly Named[];
}

/** Every item of a list that stands under a line ending in "can:" or "cannot:". */
function claimsIn(text: string): Claim[] {
  const claims: Claim[] = [];
  let adversary = "";
  let says: Claim["says"] | undefined;
  for (const [at, line] of text.split("\n").entries()) {
    if (line.startsWith("## ")) {
      adversary = line.slice(3);
      says = undefined;
    } else if (/\bcan(?:not)?:$/i.test(line)) says = /cannot:$/i.test(line) ? "cannot" : "can";
    else if (line.startsWith("- ") && says !== undefined)
      claims.push({ adversary, says, line: at + 1, tests: testsIn(line) });
  }
  return claims;
}

function testsIn(line: string): Named[] {
  return [...line.matchAll(/\[test\]\((\S+) "([^"]+)"\)/g)].map(([, path = "", name = ""]) => ({
    file: normalize(join(dirname(FILE), path)),
    name,
  }));
}

/** Whether a file has a test, or a describe, that begins with the name. */
function has({ file, name }: Named): boolean {
  if (!existsSync(projectPath(file))) return false;
  const literal = name.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  // After `it(`, `describe(`, or the `)(` of `it.each([…])(` and `describe.skipIf(…)(`; `it.skip(` does not count.
  return new RegExp(`(?:\\b(?<!\\.)(?:it|describe)|\\))\\(\\s*["\`]${literal}`).test(
    readFileSync(projectPath(file), "utf8"),
  );
}

const text = readFileSync(projectPath(FILE), "utf8");
const claims = claimsIn(text);
const adversaries = [...text.matchAll(/^## (.+)$/gm)]
  .map(([, name]) => name)
  .filter((n) => n !== "Not shown");

describe("the threat model", () => {
  it("says of every adversary what it can do, and what it cannot", () => {
    expect(adversaries.length).toBeGreaterThan(10);
    for (const says of ["can", "cannot"] as const)
      expect([...new Set(claims.filter((c) => c.says === says).map((c) => c.adversary))]).toEqual(
        adversaries,
      );
  });

  it("names a test for everything that somebody cannot do", () => {
    const bare = claims.filter(({ says, tests }) => says === "cannot" && tests.length === 0);
    expect(bare.map(({ line }) => `${FILE}:${line}`)).toEqual([]);
  });

  it("names tests that there are", () => {
    const named = claims.flatMap(({ line, tests }) => tests.map((test) => ({ line, test })));
    expect(named.length).toBe([...text.matchAll(/\[test\]\(/g)].length);
    expect(named.filter(({ test }) => !has(test))).toEqual([]);
  });

  it("names every file of attacks", () => {
    const files = new Set(claims.flatMap(({ tests }) => tests.map(({ file }) => file)));
    const attacks = readdirSync(projectPath("test/crypto")).filter((name) =>
      /^attacks-.*\.test\.ts$/.test(name),
    );
    expect(attacks.length).toBeGreaterThan(10);
    expect(attacks.filter((name) => !files.has(`test/crypto/${name}`))).toEqual([]);
  });

  it("is read well: a line without a test, and a test that is not there or skipped, are found", () => {
    const [found] = claimsIn(
      '## A\n\nCannot:\n\n- fly ([test](../test/docs/threat-model.test.ts "has wings"))\n',
    );
    expect(found).toMatchObject({ adversary: "A", says: "cannot", line: 5 });
    expect(has(found?.tests[0] as Named)).toBe(false);
    expect(has({ file: "test/docs/threat-model.test.ts", name: "is read well" })).toBe(true);
    expect(has({ file: "test/no-such.test.ts", name: "x" })).toBe(false);
    expect(claimsIn("## B\n\nWith it, cannot:\n\n- swim\n")[0]?.tests).toEqual([]);
  });
});
