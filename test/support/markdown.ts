// The code in Markdown files, as the tests read it: fenced blocks with the heading that they stand under and the marks
// before them. Always true: a mark is an HTML comment directly before the block, and says what a test does with it.
import { readFile } from "node:fs/promises";
import { projectPath } from "./project.ts";

export interface Block {
  /** The file, from the project's root. */
  readonly file: string;
  /** The nearest heading above. */
  readonly heading: string;
  /** The line of the opening fence, from 1. */
  readonly line: number;
  /** `ts`, `sh`, `text`, ... */
  readonly language: string;
  readonly code: string;
  /** What the comments before it say: `run`, `browser`, ... */
  readonly marks: readonly string[];
}

/** Every fenced block of a Markdown file, in order. */
export async function blocksOf(file: string): Promise<Block[]> {
  return blocksIn(await readFile(projectPath(file), "utf8"), file);
}

export function blocksIn(text: string, file: string): Block[] {
  const blocks: Block[] = [];
  let heading = "";
  let marks: string[] = [];
  let open: { line: number; language: string; code: string[] } | undefined;
  for (const [at, line] of text.split("\n").entries()) {
    if (open !== undefined) {
      if (line !== "```") {
        open.code.push(line);
        continue;
      }
      blocks.push({ file, heading, line: open.line, language: open.language, code: code(open.code), marks });
      open = undefined;
      marks = [];
    } else if (line.startsWith("```")) open = { line: at + 1, language: line.slice(3).trim(), code: [] };
    else if (line.startsWith("#")) {
      heading = line.replace(/^#+ /, "");
      marks = [];
    } else if (line.startsWith("<!-- ")) marks.push(line.slice(5).replace(/ -->$/, ""));
    else if (line !== "") marks = [];
  }
  if (open !== undefined) throw new Error(`${file}:${open.line}: the block does not end`);
  return blocks;
}

const code = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join("");
