// What deploy/install.sh lays out, used as an installed system uses it: from the tree alone, by a user without privileges,
// with the settings file that lies there. Always true: all of it is in a folder of the test's own, but for one user's id.
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { chmod, chown, cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { aFolder, type Folder } from "../support/folder.ts";
import { projectPath } from "../support/project.ts";
import { within } from "../support/waiting.ts";

const PATIENCE_MS = 60_000;
const run = promisify(execFile);
/** No variable of the test's own, and no Node of the project's: what is laid out stands by itself. */
const PATH = "/usr/bin:/bin";
const isThere = (command: string): boolean => spawnSync(command, ["--version"]).status === 0;
/** nobody(65534) where we may become it; else whoever runs the tests, who is no root then. */
const NOBODY = process.getuid?.() === 0 && isThere("setpriv") ? 65_534 : undefined;

let folder: Folder;
let root: string;
const staged = (path: string): string => join(root, path);
const install = (...args: string[]) => run("sh", [projectPath("deploy/install.sh"), "--root", root, ...args]);

/** Every path of the tree, but for what is within packages. */
async function treeOf(): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => !/node_modules\/(?:@[^/]+\/)?[^/]+\//.test(path))
    .sort();
}

beforeAll(async () => {
  folder = await aFolder();
  root = join(folder.path, "root");
  await chmod(folder.path, 0o755);
  await mkdir(join(folder.path, "data"), { mode: 0o700 });
  if (NOBODY !== undefined) await chown(join(folder.path, "data"), NOBODY, NOBODY);
  await install();
});
afterAll(() => folder[Symbol.asyncDispose]());

/** The installed relay as a process of that user, and a wait for what it writes. */
function startRelay(): { child: ChildProcess; says: (pattern: RegExp) => Promise<string> } {
  const command = [staged("usr/bin/lethe"), "relay"];
  const drop = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--no-new-privs"];
  const [file = "", ...args] = NOBODY === undefined ? command : [...drop, ...command];
  const env = {
    PATH,
    LETHE_CONFIG: staged("etc/lethe/relay.env"),
    LETHE_DATA: join(folder.path, "data"),
    LETHE_PORT: "0",
  };
  const child = spawn(file, args, { cwd: join(folder.path, "data"), env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  let look = (): void => undefined;
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
      look();
    });
  const says = (pattern: RegExp): Promise<string> => {
    const found = new Promise<string>((resolve) => {
      look = () => {
        const match = pattern.exec(output);
        if (match !== null) resolve(match[1] ?? match[0]);
      };
      look();
    });
    return within(PATIENCE_MS, `${pattern} in the output`, found);
  };
  return { child, says };
}

interface Public {
  readonly registration: { readonly policy: string } | string;
}

describe("the tree that is laid out", () => {
  it("has programs, command, unit, user, settings and documentation where Debian has them", async () => {
    const tree = await treeOf();
    for (const path of [
      "usr/bin/lethe",
      "usr/lib/lethe/relay/main.ts",
      "usr/lib/lethe/client-lib/bin/lethe.js",
      "usr/lib/lethe/node_modules/fastify",
      "usr/lib/systemd/system/lethe.service",
      "usr/lib/sysusers.d/lethe.conf",
      "usr/share/doc/lethe/operations.md",
      "usr/share/doc/lethe/copyright",
      "etc/lethe/relay.env",
    ])
      expect(tree).toContain(path);
    for (const unwanted of ["vitest", "typescript", "playwright-core", "fast-check", "vite", "@lethe/bench"])
      expect(tree).not.toContain(`usr/lib/lethe/node_modules/${unwanted}`);
    expect(tree.filter((path) => /usr\/lib\/lethe\/(?:test|bench|demo|docs)\b/.test(path))).toEqual([]);
  });

  it("runs as somebody without privileges, reads its settings again, shows its status, and ends at SIGTERM", async () => {
    const { child, says } = startRelay();
    const exited = new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
      child.once("exit", (code, signal) => resolve([code, signal])),
    );
    try {
      const url = await says(/^listening (http\S+)$/m);
      const uid = /^Uid:\s+(\d+)/m.exec(await readFile(`/proc/${child.pid}/status`, "utf8"))?.[1];
      expect(Number(uid)).toBe(NOBODY ?? process.getuid?.());
      expect((await fetch(`${url}/ready`)).status).toBe(200);
      const wellKnown = async (): Promise<string> =>
        JSON.stringify(((await (await fetch(`${url}/.well-known/lethe`)).json()) as Public).registration);
      expect(await wellKnown()).toContain("invite");

      const lethe = staged("usr/bin/lethe");
      const door = ["--relay", url, "--data", join(folder.path, "data")];
      const { stdout } = await run(lethe, ["status", "--json", ...door], { env: { PATH } });
      expect(JSON.parse(stdout)).toBeTypeOf("object");
      const invite = await run(lethe, ["admin", "invite", ...door], { env: { PATH } });
      expect(invite.stdout).not.toBe("");

      const settings = staged("etc/lethe/relay.env");
      const text = await readFile(settings, "utf8");
      await writeFile(settings, text.replace("LETHE_REGISTRATION=invite", "LETHE_REGISTRATION=closed"));
      child.kill("SIGHUP");
      expect(await says(/settings read again: (.*)/)).toContain("LETHE_REGISTRATION");
      expect(await wellKnown()).toContain("closed");
    } finally {
      child.kill("SIGTERM");
      expect(await within(PATIENCE_MS, "the relay's end", exited)).toEqual([0, null]);
    }
  });

  it("is the same when it is laid out again, and keeps settings that were changed", async () => {
    const before = await treeOf();
    await install();
    expect(await treeOf()).toEqual(before);
    expect(await readFile(staged("etc/lethe/relay.env"), "utf8")).toContain("LETHE_REGISTRATION=closed");
    expect(await readFile(staged("usr/share/doc/lethe/relay.env"), "utf8")).toContain("=invite");
  });

  it.skipIf(!isThere("systemd-analyze"))("has a unit in which systemd finds nothing wrong", async () => {
    const text = await readFile(staged("usr/lib/systemd/system/lethe.service"), "utf8");
    // systemd looks whether the programs are there, at the paths that they have once installed.
    const unit = join(folder.path, "lethe.service");
    await writeFile(unit, text.replace("=/usr/bin/lethe", `=${staged("usr/bin/lethe")}`));
    const verified = await run("systemd-analyze", ["verify", "--man=no", unit]);
    expect(verified.stderr).toBe("");
    await writeFile(unit, text.replace("=/usr/bin/lethe", "=/nonexistent/lethe"));
    await expect(run("systemd-analyze", ["verify", "--man=no", unit])).rejects.toThrow("not executable");
  });

  it("is gone after --uninstall, but for settings and mail", async () => {
    await mkdir(staged("var/lib"), { recursive: true });
    await cp(join(folder.path, "data"), staged("var/lib/lethe"), { recursive: true });
    await install("--uninstall");
    const tree = await treeOf();
    expect(tree.filter((path) => path.includes("lethe") && !/^(?:etc|var\/lib)\/lethe/.test(path))).toEqual(
      [],
    );
    expect(tree).toContain("etc/lethe/relay.env");
    expect(tree).toContain("var/lib/lethe/directory.sqlite");
  });

  it("is not begun with options that there are not", async () => {
    await expect(install("--no-such-option")).rejects.toMatchObject({ code: 2 });
  });
});
