// What a relay says when it cannot start: one line that tells what to do, and an exit status that scripts can read.
import { execFile } from "node:child_process";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { aFolder } from "../support/folder.ts";
import { RelayProcess } from "../support/relay-process.ts";

const MAIN = fileURLToPath(new URL("../../relay/main.ts", import.meta.url));

/** Runs a relay that is expected to end by itself. */
async function run(...args: string[]): Promise<{ status: number; out: string; says: string }> {
  const outcome = await promisify(execFile)(process.execPath, [MAIN, ...args], { timeout: 30_000 }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: unknown) => error as { code: number; stdout: string; stderr: string },
  );
  return { status: outcome.code, out: outcome.stdout, says: outcome.stderr };
}

it("names every fault of its settings at once, with status 2", async () => {
  const { status, out, says } = await run("--port", "eighty", "--ttl", "1", "--log", "loud");
  expect([status, out]).toEqual([2, ""]);
  for (const fault of [/--port \(LETHE_PORT\)/, /--ttl \(LETHE_TTL\)/, /--log \(LETHE_LOG\)/, /--help/])
    expect(says).toMatch(fault);
});

it("names a flag that it does not know, with status 2", async () => {
  const { status, says } = await run("--prot", "80");
  expect(status).toBe(2);
  expect(says).toMatch(/--prot/);
});

it("lists its settings", async () => {
  const { status, out } = await run("--help");
  expect(status).toBe(0);
  for (const setting of ["--port", "LETHE_DATA", "--mailbox-envelopes"]) expect(out).toContain(setting);
});

it("does not share a folder or a port with another relay, and disturbs neither", async () => {
  await using folder = await aFolder();
  await using other = await aFolder();
  await using relay = await RelayProcess.start({ data: folder.path });
  const sameFolder = await run("--port", "0", "--data", folder.path);
  expect(sameFolder).toMatchObject({ status: 1, out: "" });
  expect(sameFolder.says).toMatch(/another relay uses/);
  const samePort = await run("--port", String(relay.port), "--data", other.path);
  expect(samePort).toMatchObject({ status: 1, out: "" });
  expect(samePort.says).toMatch(/port \d+ is taken/);
  expect((await fetch(`${relay.url}/ready`)).status).toBe(200);
});

it("takes over the folder of a relay that was killed", async () => {
  await using folder = await aFolder();
  const first = await RelayProcess.start({ data: folder.path });
  await first.kill();
  await using second = await RelayProcess.start({ data: folder.path });
  expect(second.running).toBe(true);
});

it("does not use a folder that is not its own or that it does not understand", async () => {
  await using folder = await aFolder();
  await writeFile(join(folder.path, "format"), "lethe 99\n");
  const unknown = await run("--port", "0", "--data", folder.path);
  expect(unknown).toMatchObject({ status: 1, out: "" });
  expect(unknown.says).toMatch(/format/);

  const file = join(folder.path, "a-file");
  await writeFile(file, "not a folder");
  await chmod(file, 0o600);
  const notAFolder = await run("--port", "0", "--data", file);
  expect(notAFolder).toMatchObject({ status: 1, out: "" });
  expect(notAFolder.says).toContain(file);
});
