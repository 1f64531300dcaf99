// Every snippet of the documentation against the real packages: TypeScript is type-checked as a strict application would be,
// all of it in one compilation for Node and one for browsers; commands exist, with the flags that they are given.
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { parseCommand } from "../../client-lib/cli/arguments.ts";
import { readSettings } from "../../relay/settings.ts";
import { type Block, blocksIn, blocksOf } from "../support/markdown.ts";
import { projectPath } from "../support/project.ts";

const FILES = [
  "README.md",
  "CONTRIBUTING.md",
  "client-lib/README.md",
  "demo/README.md",
  "docs/cookbook.md",
  "docs/concepts.md",
  "docs/operations.md",
  "test/simulation/README.md",
];

const all = (await Promise.all(FILES.map(blocksOf))).flat();
const of = (language: string): Block[] => all.filter((block) => block.language === language);
const forPage = ({ marks, heading }: Block): boolean =>
  marks.includes("browser") || heading === "In a browser";

/** What applications are told to use, but that a snippet may show a value and not use it. */
const COMPILER = { noUnusedLocals: false, noUnusedParameters: false, skipLibCheck: true };
const PAGE = { lib: ["es2025", "esnext.disposable", "dom", "dom.iterable"], types: [] };

/** The compiler's complaints about snippets, each with the document's file and line; `platform` names a folder. */
async function complaints(snippets: readonly Block[], platform: "node" | "page"): Promise<string[]> {
  // Inside the workspace, where `@lethe/client` is found.
  const folder = projectPath(`test/.artifacts/snippets-${platform}-${process.pid}`);
  await mkdir(folder, { recursive: true });
  const compilerOptions = { ...COMPILER, ...(platform === "page" ? PAGE : {}) };
  await writeFile(
    `${folder}/tsconfig.json`,
    JSON.stringify({ extends: projectPath("tsconfig.json"), compilerOptions, include: ["."], exclude: [] }),
  );
  for (const [at, { code }] of snippets.entries()) await writeFile(`${folder}/snippet-${at}.ts`, code);
  try {
    const tsc = projectPath("node_modules/.bin/tsc");
    await promisify(execFile)(tsc, ["-p", folder, "--pretty", "false"], { cwd: folder });
    return [];
  } catch (error) {
    const { stdout = "" } = error as { stdout?: string };
    const lines = stdout.split("\n").filter((line) => line !== "");
    return lines.length === 0 ? [String(error)] : lines.map((line) => placed(line, snippets));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** `snippet-3.ts(2,5): …` as the place in the document. */
function placed(line: string, snippets: readonly Block[]): string {
  const [whole, at = "", row = ""] = /^snippet-(\d+)\.ts\((\d+),\d+\)/.exec(line) ?? [];
  const block = snippets[Number(at)];
  if (whole === undefined || block === undefined) return line;
  return `${block.file}:${block.line + Number(row)}${line.slice(whole.length)}`;
}

describe("snippets in TypeScript", () => {
  it("are sound against the real package, in Node; a wrong one among them is found, with its place", async () => {
    const snippets = of("ts").filter((block) => !forPage(block));
    expect(snippets.length).toBeGreaterThan(15);
    const wrong = blocksIn(
      'A\n\n```ts\nimport { Client } from "@lethe/client";\nClient.create(1);\n```\n',
      "a.md",
    );
    const found = await complaints([...snippets, ...wrong], "node");
    expect(found).toEqual([expect.stringMatching(/^a\.md:5: error TS2345/)]);
  });

  it("are sound in a browser's libraries, where they are for pages", async () => {
    const snippets = of("ts").filter(forPage);
    expect(snippets.length).toBeGreaterThan(1);
    expect(await complaints(snippets, "page")).toEqual([]);
  });
});

const scripts = Object.keys(
  (JSON.parse(readFileSync(projectPath("package.json"), "utf8")) as { scripts: object }).scripts,
);
const demoScripts = Object.keys(
  (JSON.parse(readFileSync(projectPath("demo/package.json"), "utf8")) as { scripts: object }).scripts,
);
/** Commands of the system that a snippet may use. */
const SYSTEM = new Set(["systemctl", "journalctl", "cp", "mkdir", "curl"]);

/** What is wrong with a command, or undefined. */
function fault(line: string): string | undefined {
  const words = line
    .replace(/\s+#.*$/, "")
    .trim()
    .split(/\s+/)
    .filter((word, at) => !(at === 0 && word === "sudo"));
  const [command = "", ...args] = words;
  if (command === "npm") return npmFault(args);
  if (command === "npx" && args[0] === "lethe") return letheFault(args.slice(1));
  if (command === "lethe") return letheFault(args);
  if (command === "sh") return scriptFault(args);
  if (command === "docker") return dockerFault(args);
  return SYSTEM.has(command) ? undefined : `no command ${command}`;
}

function npmFault([verb = "", ...rest]: readonly string[]): string | undefined {
  if (verb === "start") return relayFault(rest[0] === "--" ? rest.slice(1) : rest);
  if (verb === "test") return undefined;
  const known = rest.includes("--workspace") ? demoScripts : scripts;
  return verb === "run" && known.includes(rest[0] ?? "") ? undefined : `no npm ${verb} ${rest[0]}`;
}

function letheFault(args: readonly string[]): string | undefined {
  try {
    const command = parseCommand(args, {});
    return command.run === "relay" || command.run === "doctor" ? relayFault(command.flags) : undefined;
  } catch (error) {
    return String(error);
  }
}

function relayFault(flags: readonly string[]): string | undefined {
  try {
    // The file that `--config` names is the reader's.
    readSettings(flags, {}, () => "");
    return undefined;
  } catch (error) {
    return String(error);
  }
}

/** A script of the project, whose own help knows each flag. */
function scriptFault([script = "", ...args]: readonly string[]): string | undefined {
  if (!existsSync(projectPath(script))) return `no script ${script}`;
  const text = readFileSync(projectPath(script), "utf8");
  return args.find((arg) => arg.startsWith("--") && !text.includes(`${arg})`));
}

/** Compose with services that there are; what is run in one of them is a command too. */
function dockerFault([compose = "", action = "", ...args]: readonly string[]): string | undefined {
  const services = [...readFileSync(projectPath("docker-compose.yml"), "utf8").matchAll(/^ {2}(\w+):$/gm)];
  const unknown = (name: string | undefined): string | undefined =>
    services.some(([, known]) => known === name) ? undefined : `no service ${name}`;
  if (compose !== "compose") return `no docker ${compose}`;
  if (action === "exec") return unknown(args[0]) ?? fault(args.slice(1).join(" "));
  const named = args.flatMap((arg) => (arg.startsWith("--") ? [] : [arg.split("=")[0]]));
  return ["up", "ps", "build", "kill"].includes(action)
    ? named.map(unknown).find((each) => each !== undefined)
    : `no docker compose ${action}`;
}

describe("commands in the documentation", () => {
  const lines = of("sh").flatMap(({ file, line, code }) =>
    code
      .split("\n")
      .flatMap((text, at) =>
        text.trim() === "" || text.startsWith("#") ? [] : [{ at: `${file}:${line + at + 1}`, text }],
      ),
  );

  it("exist, with their flags", () => {
    expect(lines.length).toBeGreaterThan(6);
    const faults = lines.map(({ at, text }) => ({ at, fault: fault(text) }));
    expect(faults.filter((each) => each.fault !== undefined)).toEqual([]);
  });

  it("within sentences and tables exist too", () => {
    const named = FILES.flatMap((file) =>
      [...readFileSync(projectPath(file), "utf8").matchAll(/`((?:npm|npx lethe|lethe) [^`]+)`/g)].map(
        ([, text = ""]) => ({ file, text }),
      ),
    );
    expect(named.length).toBeGreaterThan(15);
    // `lethe doctor`, `lethe chat` and the like name a command, not a call of it.
    const calls = named.filter(({ text }) => text.startsWith("npm ") || text.includes(" --"));
    const faults = calls.map(({ file, text }) => ({ file, fault: fault(text) }));
    expect(faults.filter((each) => each.fault !== undefined)).toEqual([]);
  });

  it("are looked at: what does not exist is found", () => {
    for (const wrong of [
      "npm run no-such-thing",
      "npm start -- --no-such-flag 1",
      "npx lethe chat anna --no-such-flag",
      "lethe no-such-command",
      "rm -rf /",
      "sh deploy/no-such-script",
    ])
      expect(fault(wrong), wrong).toBeDefined();
  });
});
