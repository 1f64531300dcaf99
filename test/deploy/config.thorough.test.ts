// The compose file as docker-compose reads it, with the secrets that one command makes, and without.
import { execFile, spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { aFolder } from "../support/folder.ts";
import { projectPath } from "../support/project.ts";

const run = promisify(execFile);
const isThere = spawnSync("docker-compose", ["version"]).status === 0;

interface Made {
  readonly services: Readonly<Record<string, { readonly environment?: Readonly<Record<string, string>> }>>;
}

it.skipIf(!isThere)(
  "docker-compose.yml is valid with the .env that is made, and says what to do without",
  async () => {
    await using folder = await aFolder();
    await run("sh", [projectPath("deploy/make-env.sh"), "relay.example", "--dir", folder.path]);
    await writeFile(join(folder.path, "empty"), "");
    const config = (file: string) => {
      const which = ["--env-file", join(folder.path, file), "--file", projectPath("docker-compose.yml")];
      return run("docker-compose", [...which, "--profile", "media", "config"], {
        env: { PATH: process.env["PATH"] },
      });
    };
    const { services } = parse((await config(".env")).stdout) as Made;
    expect(Object.keys(services).sort()).toEqual(["balancer", "minio", "redis", "relay"]);
    const { LETHE_STORE = "", LETHE_NAME } = services["relay"]?.environment ?? {};
    expect(LETHE_NAME).toBe("relay.example");
    expect(new URL(LETHE_STORE).password).toBe(services["redis"]?.environment?.["REDIS_PASSWORD"]);
    await expect(config("empty")).rejects.toThrow("run sh deploy/make-env.sh");
  },
);
