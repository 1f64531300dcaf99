// Links and words of the documentation: what a page points to is there, headings included; what the glossary explains is in use;
// decisions are numbered in order; and no file holds what a merge has left.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { projectPath } from "../support/project.ts";

const SKIPPED = new Set(["node_modules", "dist", ".artifacts", ".git", "results", "generated"]);

function filesIn(folder: string): string[] {
  return readdirSync(projectPath(folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : filesIn(path);
    return [path];
  });
}

const files = filesIn(".");
const read = (path: string): string => readFileSync(projectPath(path), "utf8");
const pages = files.filter((path) => path.endsWith(".md"));

/** Headings as anchors, as GitHub makes them. */
function anchorsOf(page: string): Set<string> {
  const headings = [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, text = ""]) => text);
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    ),
  );
}

/** Why a link of a page leads nowhere, or undefined. */
function fault(page: string, link: string): string | undefined {
  if (/^[a-z]+:/.test(link)) return undefined;
  const [path = "", anchor] = link.split("#");
  const target = path === "" ? page : normalize(join(dirname(page), path));
  if (!existsSync(projectPath(target))) return `${page}: no ${target}`;
  if (anchor === undefined || anchorsOf(target).has(anchor)) return undefined;
  return `${page}: no heading #${anchor} in ${target}`;
}

describe("links in the documentation", () => {
  it("lead to files and headings that there are", () => {
    const links = pages.flatMap((page) =>
      [...read(page).matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g)].map(([, link = ""]) => ({ page, link })),
    );
    expect(links.length).toBeGreaterThan(60);
    expect(links.flatMap(({ page, link }) => fault(page, link) ?? [])).toEqual([]);
    expect(fault("README.md", "docs/no-such.md")).toBeDefined();
    expect(fault("README.md", "docs/cookbook.md#no-such")).toBeDefined();
  });
});

describe("the glossary", () => {
  const words = [...read("docs/glossary.md").matchAll(/^\| ([a-z][a-z -]+) \|/gm)]
    .map(([, word = ""]) => word)
    .filter((word) => word !== "word");

  it("is in the order of the alphabet, each word once", () => {
    expect(words.length).toBeGreaterThan(40);
    expect(words).toEqual([...new Set(words)].sort());
  });

  it("explains words that code or documentation use", () => {
    const texts = files
      .filter((path) => /\.(?:ts|md)$/.test(path) && path !== "docs/glossary.md")
      .map((path) => read(path).toLowerCase())
      .join("\n");
    const uses = (word: string): boolean => new RegExp(`\\b${word.replaceAll(/[ -]/g, "[ -]?")}`).test(texts);
    expect(words.filter((word) => !uses(word))).toEqual([]);
    expect(uses(["no", "such", "word", "anywhere"].join(""))).toBe(false);
  });
});

describe("the decisions", () => {
  it("are numbered in order, each number once", () => {
    const numbers = [...read("docs/decisions/README.md").matchAll(/^(\d+)\. /gm)].map(([, n]) => Number(n));
    expect(numbers.length).toBeGreaterThan(50);
    expect(numbers).toEqual(numbers.map((_, at) => at + 1));
  });
});

describe("a merge", () => {
  const TEXT = /\.(?:ts|mjs|js|json|md|ya?ml|sh|lua|proto|conf|cfg|toml|html|css|svg|env|service)$/;
  const isLeft = (text: string): boolean => /^(?:<{7}|>{7}) /m.test(text);

  it("has left no conflict marker in any file", () => {
    const texts = files.filter((path) => TEXT.test(path));
    expect(texts.length).toBeGreaterThan(500);
    expect(texts.filter((path) => isLeft(read(path)))).toEqual([]);
    expect(isLeft(`a\n${"<".repeat(7)} HEAD\nb`)).toBe(true);
    expect(isLeft(`a\n${">".repeat(7)} other\nb`)).toBe(true);
  });
});
