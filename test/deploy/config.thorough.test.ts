// The compose files as docker-compose reads them, with the secrets that one command makes, and without; the balancer's file as
// HAProxy reads it.
import { execFile, spawnSync } from "node:child_process";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { aFolder } from "../support/folder.ts";
import { projectPath } from "../support/project.ts";

const run = promisify(execFile);
const isThere = (command: string, asks: string): boolean => spawnSync(command, [asks]).status === 0;

interface Made {
  readonly services: Readonly<Record<string, Service>>;
}

interface Service {
  readonly image: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly networks: Readonly<Record<string, unknown>>;
  readonly ports?: unknown;
  readonly [key: string]: unknown;
}

/** What docker-compose makes of these files and variables. */
async function configOf(files: readonly string[], env: string): Promise<Made> {
  const which = files.flatMap((file) => ["--file", projectPath(file)]);
  const { stdout } = await run("docker-compose", ["--env-file", env, ...which, "config"], {
    env: { PATH: process.env["PATH"] },
  });
  return parse(stdout) as Made;
}

async function madeFor(store: string): Promise<Made> {
  await using folder = await aFolder();
  const env = join(folder.path, ".env");
  const args = [projectPath("deploy/make-env.sh"), "relay.example", "--media", store, "--dir", folder.path];
  await run("sh", args);
  if (store === "s3") {
    const own = ["URL=https://s3.example", "BUCKET=own", "REGION=eu-1", "ACCESS_KEY=key", "SECRET_KEY=own"];
    await appendFile(env, own.map((each) => `LETHE_S3_${each}\n`).join(""));
  }
  const files = /^COMPOSE_FILE=(.*)$/m.exec(await readFile(env, "utf8"))?.[1] ?? "";
  return await configOf(files.split(":"), env);
}

describe.skipIf(!isThere("docker-compose", "version"))("docker-compose.yml", () => {
  it("is valid with the .env that is made, and says what to do without", async () => {
    const { services } = await madeFor("minio");
    expect(Object.keys(services).sort()).toEqual(["balancer", "media", "media-setup", "redis", "relay"]);
    const { LETHE_STORE = "", LETHE_NAME } = services["relay"]?.environment ?? {};
    expect(LETHE_NAME).toBe("relay.example");
    expect(new URL(LETHE_STORE).password).toBe(services["redis"]?.environment?.["REDIS_PASSWORD"]);
    await using folder = await aFolder();
    const empty = join(folder.path, "empty");
    await writeFile(empty, "");
    await expect(configOf(["docker-compose.yml"], empty)).rejects.toThrow("run sh deploy/make-env.sh");
    const rest = [
      "LETHE_NAME",
      "BALANCER_USER",
      "LETHE_CLUSTER_SECRET",
      "REDIS_PASSWORD",
      "S3_ROOT_PASSWORD",
    ];
    await writeFile(empty, `${rest.map((name) => `${name}=1`).join("\n")}\nLETHE_S3_ACCESS_KEY=\n`);
    await expect(configOf(["docker-compose.yml"], empty)).rejects.toThrow(
      "fill in LETHE_S3_ACCESS_KEY in .env",
    );
  });

  it.each([
    ["minio", "quay.io/minio/minio", "media"],
    ["rustfs", "rustfs/rustfs", "rustfs"],
    ["garage", "dxflrs/garage", "garage"],
  ])("keeps media in %s as closely as everything else", async (store, image, volume) => {
    const { services } = await madeFor(store);
    const { media, "media-setup": setup, relay } = services;
    expect(media?.image.split(":")[0]).toBe(image);
    for (const each of [media, setup]) {
      expect(each?.["read_only"]).toBe(true);
      expect(each?.["cap_drop"]).toEqual(["ALL"]);
      expect(each?.["security_opt"]).toEqual(["no-new-privileges:true"]);
      expect(each?.["mem_limit"]).toMatch(/^\d+[gm]$/);
      expect(Object.keys(each?.networks ?? {})).toEqual(["store"]);
      expect(each?.ports).toBeUndefined();
    }
    // One volume, at one place: a store does not read what another has written.
    const kept = media?.volumes?.filter((each) => /:\/data(?::|$)/.test(each));
    expect(kept).toEqual([`${volume}:/data:rw`]);
    expect(relay?.environment?.["LETHE_S3_URL"]).toBe("http://media:9000");
    const ownKey = relay?.environment?.["LETHE_S3_SECRET_KEY"];
    expect(ownKey).toMatch(/^[0-9a-f]{64}$/);
    expect(setup?.environment?.["LETHE_S3_SECRET_KEY"]).toBe(ownKey);
    expect(setup?.environment?.["S3_ROOT_PASSWORD"]).not.toBe(ownKey);
    if (store === "garage") {
      expect(media?.environment?.["GARAGE_DEFAULT_SECRET_KEY"]).toBe(ownKey);
      const key = relay?.environment?.["LETHE_S3_ACCESS_KEY"];
      expect(setup?.["command"]).toEqual(["key", "deny", "--create-bucket", key]);
    }
  });

  it("starts no store for media beside one of your own, and asks for its address", async () => {
    const { services } = await madeFor("s3");
    expect(services["media"]?.["scale"]).toBe(0);
    expect(services["media-setup"]?.["scale"]).toBe(0);
    expect(services["relay"]?.environment).toMatchObject({
      LETHE_S3_URL: "https://s3.example",
      LETHE_S3_BUCKET: "own",
      LETHE_S3_REGION: "eu-1",
      LETHE_S3_ACCESS_KEY: "key",
    });
  });
});

const HAPROXY = ["haproxy", "/usr/sbin/haproxy"].find((path) => isThere(path, "-v"));

it.skipIf(HAPROXY === undefined || !isThere("openssl", "version"))(
  "deploy/haproxy.cfg is one that HAProxy takes",
  async () => {
    await using folder = await aFolder();
    await run("sh", [projectPath("deploy/make-env.sh"), "relay.example", "--dir", folder.path]);
    const text = await readFile(projectPath("deploy/haproxy.cfg"), "utf8");
    const file = join(folder.path, "haproxy.cfg");
    await writeFile(file, text.replace("/etc/lethe/tls", join(folder.path, "deploy/tls")));
    const env = { PATH: process.env["PATH"], BALANCER_CONNECTIONS: "100" };
    await run(HAPROXY ?? "", ["-c", "-f", file], { env });
  },
);
