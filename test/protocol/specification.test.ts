// The specification is held against the code: tables, golden vectors, clause ids, numbers that may never change.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  agreeOn,
  FRAMES,
  type FrameName,
  PROBLEMS,
  type ProblemCode,
  problemOf,
  problemOfClose,
} from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { withTables } from "../../protocol/tables.ts";
import { EXAMPLES, goldenVectors } from "./golden.ts";

const root = join(import.meta.dirname, "..", "..");
const specification = readFileSync(join(root, "protocol", "README.md"), "utf8");

describe("the specification", () => {
  it("has the tables that the code has (`npm run generate` writes them)", () => {
    expect(withTables(specification)).toBe(specification);
  });

  it("shows the bytes that a push really has", () => {
    const shown = /^20 000018.*$/m.exec(specification)?.[0].replaceAll(/\s/g, "");
    const golden = goldenVectors().frames.find((v) => v.frame === "push")?.hex;
    expect(shown).toBe(golden);
  });

  it("defines every clause that code or tests cite, once", () => {
    const defined = [...specification.matchAll(/^- \*\*([A-Z]+-[A-Z-]+)\*\*/gm)].map((m) => m[1] as string);
    expect(new Set(defined).size).toBe(defined.length);
    const cited = new Set(
      ["protocol", "relay", "client-lib", "crypto", "queue", "test"].flatMap((folder) =>
        sources(join(root, folder)).flatMap((file) =>
          [...readFileSync(file, "utf8").matchAll(/\bclause ([A-Z]+-[A-Z-]+)/gi)].map((m) => m[1] as string),
        ),
      ),
    );
    expect([...cited].filter((id) => !defined.includes(id))).toEqual([]);
    expect(cited.size).toBeGreaterThan(5);
  });
});

function sources(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (name === "node_modules" || name.startsWith(".")) return [];
    if (statSync(path).isDirectory()) return sources(path);
    return name.endsWith(".ts") ? [path] : [];
  });
}

describe("golden vectors", () => {
  it("are what the code encodes, frame by frame", () => {
    const golden: unknown = JSON.parse(
      readFileSync(join(root, "protocol", "vectors", "frames.json"), "utf8"),
    );
    expect(goldenVectors()).toEqual(golden);
  });

  it("show every frame of the table", () => {
    expect(EXAMPLES.map((frame) => frame.frame)).toEqual(Object.keys(FRAMES));
  });
});

describe("numbers", () => {
  it("of frames and problems are given once", () => {
    const opcodes = (Object.keys(FRAMES) as FrameName[]).map((name) => FRAMES[name].opcode);
    const codes = (Object.keys(PROBLEMS) as ProblemCode[]).map((code) => PROBLEMS[code].number);
    expect(new Set(opcodes).size).toBe(opcodes.length);
    expect(new Set(codes).size).toBe(codes.length);
  });

  it("of problems lead back to their codes, and one of a later version to none", () => {
    for (const code of Object.keys(PROBLEMS) as ProblemCode[])
      expect(problemOf(PROBLEMS[code].number)).toBe(code);
    expect(problemOf(9_999)).toBeUndefined();
    expect(problemOfClose(4409)).toBe("displaced");
  });
});

describe("versions", () => {
  it.each([
    [{ min: 1, max: 1 }, 1],
    [{ min: 1, max: 9 }, 1],
    [{ min: 2, max: 9 }, undefined],
    [{ min: 0, max: 0 }, undefined],
  ])("%j agrees with version 1 on %s", (theirs, agreed) => {
    expect(agreeOn(theirs)).toBe(agreed);
  });

  it("an old client goes on working with a relay that speaks more", () => {
    expect(agreeOn({ min: 1, max: 2 }, { min: 2, max: 5 })).toBe(2);
    expect(agreeOn({ min: 3, max: 8 }, { min: 2, max: 5 })).toBe(5);
  });
});
