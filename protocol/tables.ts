// The specification's tables as Markdown, made from the code: `npm run generate` writes them into README.md between
// their marks, and a test holds the two against each other.
import { FRAMES, type FrameName } from "./frames.ts";
import * as limits from "./limits.ts";
import { PROBLEMS, type ProblemCode } from "./problems.ts";
import { type Reaction, REMEDIES } from "./remedies.ts";
import { SENTENCES } from "./sentences.ts";
import { HTTP_STATUSES } from "./statuses.ts";

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function hex(opcode: number): string {
  return `0x${opcode.toString(16).padStart(2, "0")}`;
}

function frames(): string {
  const names = Object.keys(FRAMES) as FrameName[];
  return table(
    ["opcode", "frame", "sent by", "on", "since", "body"],
    names.map((name) => {
      const { opcode, from, on, since, body } = FRAMES[name];
      const { layout = "" } = body;
      const printed = layout === "" ? "empty" : layout.replaceAll("|", "\\|");
      return [`\`${hex(opcode)}\``, `\`${name}\``, from, on, String(since), printed];
    }),
  );
}

function problems(): string {
  const codes = Object.keys(PROBLEMS) as ProblemCode[];
  return table(
    ["number", "code", "HTTP", "close", "again", "meaning"],
    codes.map((code) => {
      const { number, close, retry } = PROBLEMS[code];
      return [
        String(number),
        `\`${code}\``,
        String(HTTP_STATUSES[code]),
        close === undefined ? "" : String(close),
        retry,
        SENTENCES[code],
      ];
    }),
  );
}

const REACTIONS: Readonly<Record<Reaction, string>> = {
  again: "tries again",
  mends: "mends it, and tries again",
  told: "gives up",
  ended: "stops",
};

function remedies(): string {
  const codes = Object.keys(PROBLEMS) as ProblemCode[];
  return table(
    ["code", "met by", "the library", "tells", "your application"],
    codes.map((code) => {
      const { met, library, tells, application } = REMEDIES[code];
      return [`\`${code}\``, met, REACTIONS[library], tells, application];
    }),
  );
}

function caps(): string {
  return table(
    ["limit", "value"],
    Object.entries(limits)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => [`\`${name}\``, value.toLocaleString("en-GB").replaceAll(",", " ")]),
  );
}

/** Every generated part of the specification, by the name of its marks. */
export const TABLES: Readonly<Record<string, () => string>> = { frames, problems, remedies, limits: caps };

/** `text` with what stands between `<!-- NAME -->` and `<!-- /NAME -->` replaced by the tables of that name. */
export function withTables(text: string, tables: Readonly<Record<string, () => string>> = TABLES): string {
  return Object.entries(tables).reduce((whole, [name, make]) => {
    const pattern = new RegExp(`<!-- ${name} -->[^]*?<!-- /${name} -->`);
    if (!pattern.test(whole)) throw new Error(`no marks for the table ${name}`);
    return whole.replace(pattern, () => `<!-- ${name} -->\n\n${make()}\n\n<!-- /${name} -->`);
  }, text);
}
