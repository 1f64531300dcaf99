// The stack of docker-compose.yml as it really runs: brought up with podman, two people through its balancer, a node that is
// killed, and all nodes replaced one after the other while they write. Without media, for Debian has no MinIO; that their store is
// ready before a node starts, is seen. Needs root, podman, docker-compose and mmdebstrap.
import { execFile, spawnSync } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { ChatProcess } from "../support/chat-process.ts";
import { aFolder } from "../support/folder.ts";
import { projectPath } from "../support/project.ts";

const run = promisify(execFile);
const isThere = (command: string, asks = "--version"): boolean => spawnSync(command, [asks]).status === 0;
const possible =
  process.getuid?.() === 0 &&
  isThere("podman") &&
  isThere("docker-compose", "version") &&
  isThere("mmdebstrap") &&
  isThere("openssl", "version");
const PORT = "18443";

it.skipIf(!possible)(
  "delivers through the balancer to two nodes, when one is killed, and while all are replaced",
  async () => {
    await using folder = await aFolder();
    const stack = (...args: string[]) =>
      run("sh", [projectPath("deploy/try-with-podman.sh"), args[0] ?? "", folder.path, ...args.slice(1)], {
        env: { ...process.env, PORT },
      });
    const nodes = async (): Promise<string[]> => {
      const { stdout } = await stack("compose", "ps", "-q", "relay");
      return stdout.split("\n").filter((id) => id !== "");
    };
    await stack("images");
    try {
      expect((await stack("up")).stdout).toContain("healthy after");
      expect(await nodes()).toHaveLength(2);
      const invited = await stack(
        "compose",
        "exec",
        "-T",
        "relay",
        "lethe",
        "admin",
        "invite",
        "--uses",
        "2",
      );
      const ticket = invited.stdout.split("\n")[0]?.trim() ?? "";
      const chat = (user: string, other: string): ChatProcess =>
        new ChatProcess({
          user,
          with: other,
          relay: `https://localhost:${PORT}`,
          store: join(folder.path, `${user}.db`),
          ticket,
          authority: join(folder.path, "deploy/tls/lethe.pem"),
        });
      await using ben = chat("ben", "anna");
      await ben.line("connection online");
      await using anna = chat("anna", "ben");
      await anna.line("connection online");
      const talk = async (text: string): Promise<void> => {
        anna.type(`${text}?`);
        await ben.line(`< anna: ${text}?`);
        ben.type(`${text}!`);
        await anna.line(`< ben: ${text}!`);
      };
      await talk("through the balancer");
      // Which node has whom is the balancer's choice.
      let sessions = 0;
      for (const index of ["1", "2"]) {
        const status = ["relay", "lethe", "status", "--json"];
        const { stdout } = await stack("compose", "exec", "-T", "--index", index, ...status);
        sessions += (JSON.parse(stdout) as { sessions: number }).sessions;
      }
      expect(sessions).toBe(2);

      const { stdout: killed } = await stack("crash");
      expect(await nodes()).toContain(killed.trim());
      await talk("with one node killed");

      let rolling = true;
      const rolled = stack("roll").finally(() => (rolling = false));
      let said = 0;
      for (; rolling; said++) await talk(`while nodes are replaced, ${said}`);
      expect((await rolled).stdout).toContain("all 2 nodes are new");
      expect(said).toBeGreaterThan(3);
      await talk("on new nodes");
      const heard = anna.lines.filter((line) => line.startsWith("< ben:"));
      expect(new Set(heard).size).toBe(heard.length);
      expect(heard).toHaveLength(said + 3);
      expect(await nodes()).not.toContain(killed.trim());
    } finally {
      await stack("down");
    }
  },
  1_200_000,
);
