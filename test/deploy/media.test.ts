// The store for media of docker-compose.yml, by what its files say: what the relay's user may do there, and what the setup asks of
// the store's client. MinIO, RustFS and Garage can be had on no machine that runs these tests, so a client that only writes
// down what it is asked stands in. That MinIO reads the policy as it is meant is not seen here.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { SETTINGS } from "../../relay/settings.ts";
import { aFolder, type Folder } from "../support/folder.ts";
import { projectPath } from "../support/project.ts";

const run = promisify(execFile);
const read = (path: string): string => readFileSync(projectPath(path), "utf8");

interface Service {
  readonly environment: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly volumes?: readonly string[];
}
const compose = parse(read("docker-compose.yml"), { merge: true }) as {
  readonly services: Readonly<Record<"relay" | "media" | "media-setup", Service>>;
};
const { relay, media, "media-setup": setup } = compose.services;
const bucket = relay.environment["LETHE_S3_BUCKET"];

describe("deploy/media-policy.json", () => {
  const policy = JSON.parse(read("deploy/media-policy.json")) as {
    readonly Version: string;
    readonly Statement: readonly {
      readonly Effect: string;
      readonly Action: readonly string[];
      readonly Resource: readonly string[];
    }[];
  };

  it("lets the relay's user find, read, write and remove what is under the relay's prefix in one bucket", () => {
    expect(policy.Version).toBe("2012-10-17");
    expect(policy.Statement.map(({ Effect }) => Effect)).toEqual(["Allow", "Allow", "Allow"]);
    const [keep, find] = policy.Statement;
    expect(keep?.Action).toEqual(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]);
    expect(keep?.Resource).toEqual([`arn:aws:s3:::${bucket}/${SETTINGS.s3Prefix.fallback}*`]);
    expect(find?.Action).toEqual(["s3:ListBucket"]);
    expect(find?.Resource).toEqual([`arn:aws:s3:::${bucket}`]);
  });

  it("lets the doctor look at what would keep things longer, and nobody change anything about the bucket", () => {
    const [, , look] = policy.Statement;
    expect(look?.Resource).toEqual([`arn:aws:s3:::${bucket}`]);
    for (const action of look?.Action ?? [""]) expect(action).toMatch(/^s3:(?:Get|List)[A-Z]/);
    expect(JSON.stringify(policy)).not.toMatch(/"s3:(?:\*|[A-Za-z]*\*|PutBucket|DeleteBucket|CreateBucket)/);
  });
});

describe("deploy/media-policy.rustfs.json", () => {
  it("gives the same rights by the names that RustFS knows", () => {
    const same = read("deploy/media-policy.rustfs.json").replace(
      "s3:GetBucketLifecycle",
      "s3:GetLifecycleConfiguration",
    );
    expect(same).toBe(read("deploy/media-policy.json"));
    expect(read("deploy/compose.rustfs.yml")).toContain(
      "media-policy.rustfs.json:/etc/lethe/media-policy.json:ro",
    );
  });
});

describe("the store for media", () => {
  it("is one bucket, in one region, with one user, wherever it is named", () => {
    expect(relay.environment["LETHE_S3_URL"]).toBe(setup.environment["S3_URL"]);
    expect(setup.environment["S3_BUCKET"]).toBe(bucket);
    expect(read("deploy/compose.garage.yml")).toContain(`GARAGE_DEFAULT_BUCKET: ${bucket}\n`);
    const region = relay.environment["LETHE_S3_REGION"];
    expect(read("deploy/garage.toml")).toContain(`s3_region = "${region}"`);
    expect(read("deploy/compose.rustfs.yml")).toContain(`RUSTFS_REGION: ${region}\n`);
    for (const name of ["LETHE_S3_ACCESS_KEY", "LETHE_S3_SECRET_KEY"])
      expect(setup.environment[name]).toBe(relay.environment[name]);
    expect(setup.environment["S3_ROOT_USER"]).toBe(media.environment["MINIO_ROOT_USER"]);
    expect(setup.environment["S3_ROOT_PASSWORD"]).toBe(media.environment["MINIO_ROOT_PASSWORD"]);
  });

  it("is made ready before a node starts, which has no key but its own", () => {
    expect(setup.depends_on).toEqual({ media: { condition: "service_healthy" } });
    expect(relay.depends_on?.["media-setup"]).toEqual({ condition: "service_completed_successfully" });
    expect(JSON.stringify(relay)).not.toContain("ROOT");
  });

  it("keeps nothing of uploads that were not finished, nor of what was removed, for longer than a policy may say", () => {
    expect(media.environment["MINIO_API_STALE_UPLOADS_EXPIRY"]).toBe("1h");
    expect(media.environment["MINIO_API_STALE_UPLOADS_CLEANUP_INTERVAL"]).toBe("15m");
    expect(media.environment["MINIO_API_DELETE_CLEANUP_INTERVAL"]).toBe("30s");
  });

  it("answers only for what is on the disk, where that is a setting", () => {
    expect(read("deploy/garage.toml")).toMatch(/^metadata_fsync = true\ndata_fsync = true$/m);
  });

  it("has a volume of its own for each program, since none reads what another has written", () => {
    const volumes = ["docker-compose.yml", "deploy/compose.rustfs.yml", "deploy/compose.garage.yml"].map(
      (file) => /^ +- (\w+):\/data$/m.exec(read(file).split(/^ {2}media:$/m)[1] ?? "")?.[1],
    );
    expect(volumes).toEqual(["media", "rustfs", "garage"]);
  });
});

/** A client that writes down what it is asked, and answers as the body says. */
async function aClient(folder: Folder, body = ""): Promise<{ asked: () => Promise<string[]>; path: string }> {
  const path = join(folder.path, "client");
  const log = join(folder.path, "asked");
  await writeFile(path, `#!/bin/sh\necho "$*" >> ${log}\n${body}\n`, { mode: 0o755 });
  return { path, asked: async () => (await readFile(log, "utf8")).trimEnd().split("\n") };
}

const SETUP_ENV = {
  S3_URL: "http://media:9000",
  S3_BUCKET: "lethe-media",
  S3_ROOT_USER: "lethe-root",
  S3_ROOT_PASSWORD: "r".repeat(64),
  LETHE_S3_ACCESS_KEY: "GKuser",
  LETHE_S3_SECRET_KEY: "s".repeat(64),
};
// Without PATH: the image has no other programs.
const setUp = (client: string, env: Readonly<Record<string, string>> = SETUP_ENV) =>
  run("/bin/sh", [projectPath("deploy/media-setup.sh")], { env: { ...env, S3_CLIENT: client, PATH: "" } });

describe("deploy/media-setup.sh", () => {
  it("makes the bucket, closes it to strangers, and gives one user one policy, by nothing but the client", async () => {
    await using folder = await aFolder();
    const client = await aClient(folder);
    expect((await setUp(client.path)).stdout).toBe("the bucket lethe-media is ready\n");
    expect(await client.asked()).toEqual([
      `alias set store http://media:9000 lethe-root ${"r".repeat(64)}`,
      "mb --ignore-existing store/lethe-media",
      "anonymous set private store/lethe-media",
      `admin policy create store lethe-media ${projectPath("deploy/media-policy.json")}`,
      `admin user add store GKuser ${"s".repeat(64)}`,
      "admin policy attach store lethe-media --user GKuser",
    ]);
  });

  it("takes it that the user has the policy already, and no other refusal", async () => {
    await using folder = await aFolder();
    const answer = (says: string) => `case "$*" in *attach*) echo "${says}" >&2; exit 1;; esac`;
    const again = await aClient(folder, answer("The specified policy change is already in effect."));
    expect((await setUp(again.path)).stdout).toContain("is ready");
    const refusing = await aClient(folder, answer("Access Denied."));
    await expect(setUp(refusing.path)).rejects.toMatchObject({ code: 1 });
    const step = await aClient(folder, `case "$*" in *anonymous*) exit 1;; esac`);
    await expect(setUp(step.path)).rejects.toMatchObject({ code: 1 });
    expect((await step.asked()).at(-1)).toContain("anonymous");
  });

  it("says which variable is missing, before it asks for anything", async () => {
    for (const name of Object.keys(SETUP_ENV))
      await expect(setUp("/bin/false", { ...SETUP_ENV, [name]: "" }), name).rejects.toThrow(
        `${name} is missing`,
      );
  });
});
