// A real S3 store for tests: OpenStack Swift with its s3api, which checks signatures, expiry and methods as S3 does. On free
// ports, over a folder of its own, ended by its process ids. Pages of listings are short, so that a few objects make several.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { Client } from "minio";
import type { S3Config } from "../../queue/s3/config.ts";
import { aFolder, type Folder } from "./folder.ts";
import { freePort } from "./redis-server.ts";
import { eventually, within } from "./waiting.ts";

const PATIENCE_MS = 100_000;
const SERVERS = ["account", "container", "object", "proxy"] as const;
type ServerKind = (typeof SERVERS)[number];
type Ports = Readonly<Record<ServerKind | "memcached", number>>;

/** Objects in one page of a listing. */
export const PAGE = 20;
/** Who may read and write everything. */
const KEYS = { accessKey: "test:tester", secretKey: "testing" };
/** Debian's: Swift is made for its Python. */
const PROGRAMS = "/usr/bin";
const PYTHON = join(PROGRAMS, "python3");

/** Has a program of Swift's read its configuration from our folder; by itself it reads /etc/swift alone. */
const LAUNCHER = `import runpy, sys
from swift.common import utils
utils.set_swift_dir(sys.argv[1])
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
`;

/** Makes the rings, which say where each kind of server is: one of each. */
const RINGS = `import sys
from swift.common import utils
utils.set_swift_dir(sys.argv[1])
from swift.common.ring import RingBuilder
for kind, port in zip(("account", "container", "object"), map(int, sys.argv[2:])):
    builder = RingBuilder(2, 1, 1)
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "d0", "weight": 1.0})
    builder.rebalance()
    builder.get_ring().save(f"{sys.argv[1]}/{kind}.ring.gz")
`;

/** Whether Debian's packages are installed here. */
export function hasSwift(): boolean {
  const programs = [...SERVERS.map((kind) => `swift-${kind}-server`), "memcached"];
  return programs.every((program) => existsSync(join(PROGRAMS, program)));
}

/** A relay's flags for keeping media there. */
export function s3Flags({ url, bucket, region, accessKey, secretKey, prefix, direct }: S3Config): string[] {
  return [
    ...["--s3-url", url, "--s3-bucket", bucket, "--s3-region", region, "--s3-prefix", prefix],
    ...["--s3-access-key", accessKey, "--s3-secret-key", secretKey, "--s3-direct", direct ? "on" : "off"],
  ];
}

export class Swift implements AsyncDisposable {
  readonly #folder: Folder;
  readonly #ports: Ports;
  readonly #children: ChildProcess[] = [];
  /** What the first one that ended said. */
  #ended: string | undefined;
  #buckets = 0;

  private constructor(folder: Folder, ports: Ports) {
    this.#folder = folder;
    this.#ports = ports;
  }

  /** Starts one and waits until it answers. */
  static async start(): Promise<Swift> {
    const swift = new Swift(await aFolder(), await freePorts());
    try {
      await swift.#configure();
      await swift.#run();
      return swift;
    } catch (error) {
      await swift[Symbol.asyncDispose]();
      throw error;
    }
  }

  get port(): number {
    return this.#ports.proxy;
  }

  /** Of its configuration, and of everything that it keeps. */
  get folder(): string {
    return this.#folder.path;
  }

  /** What a store's client is opened with, over a bucket that does not exist yet. */
  config(given: Partial<S3Config> = {}): S3Config {
    return {
      kind: "s3",
      url: `http://127.0.0.1:${this.port}`,
      bucket: `bucket-${++this.#buckets}`,
      region: "us-east-1",
      ...KEYS,
      prefix: "media/",
      direct: false,
      requestMs: 30_000,
      ...given,
    };
  }

  /** The client of whoever owns the store. */
  client(): Client {
    return new Client({
      endPoint: "127.0.0.1",
      port: this.port,
      useSSL: false,
      region: "us-east-1",
      ...KEYS,
    });
  }

  /** The same over a new bucket. */
  async bucket(given: Partial<S3Config> = {}): Promise<S3Config> {
    const config = this.config(given);
    await this.client().makeBucket(config.bucket, config.region);
    return config;
  }

  async #configure(): Promise<void> {
    const { path } = this.#folder;
    for (const name of ["srv/d0", "cache"]) await mkdir(join(path, name), { recursive: true });
    await writeFile(join(path, "launch.py"), LAUNCHER);
    await writeFile(join(path, "swift.conf"), COMMON);
    for (const kind of SERVERS)
      await writeFile(
        join(path, `${kind}-server.conf`),
        kind === "proxy" ? proxyConf(path, this.#ports) : serverConf(path, kind, this.#ports[kind]),
      );
    const ports = [this.#ports.account, this.#ports.container, this.#ports.object].map(String);
    execFileSync(PYTHON, ["-c", RINGS, path, ...ports], { stdio: "pipe" });
  }

  async #run(): Promise<void> {
    const { path } = this.#folder;
    const user = execFileSync("id", ["-un"], { encoding: "utf8" }).trim();
    this.#start(join(PROGRAMS, "memcached"), [
      "-u",
      user,
      "-l",
      "127.0.0.1",
      "-p",
      String(this.#ports.memcached),
    ]);
    for (const kind of SERVERS)
      this.#start(PYTHON, this.#launch(`swift-${kind}-server`, join(path, `${kind}-server.conf`)));
    for (const [name, port] of Object.entries(this.#ports))
      await eventually(PATIENCE_MS, `the start of Swift's ${name}`, () => {
        if (this.#ended !== undefined) throw new Error(`a server of Swift's has ended: ${this.#ended}`);
        return answers(port);
      });
  }

  #launch(program: string, ...args: readonly string[]): string[] {
    const { path } = this.#folder;
    return [join(path, "launch.py"), path, join(PROGRAMS, program), ...args];
  }

  #start(program: string, args: readonly string[]): void {
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-4_096);
    });
    child.once("close", () => (this.#ended ??= said));
    const killed = (): void => void child.kill("SIGKILL");
    process.once("exit", killed); // not even a test that is broken off leaves a server behind
    child.once("exit", () => process.off("exit", killed));
    this.#children.push(child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await within(PATIENCE_MS, "the end of a server of Swift's", exited);
    }
    await this.#folder[Symbol.asyncDispose]();
  }
}

async function freePorts(): Promise<Ports> {
  const ports = new Set<number>();
  while (ports.size < SERVERS.length + 1) ports.add(await freePort());
  const names = [...SERVERS, "memcached"] as const;
  const numbers = [...ports];
  return Object.fromEntries(names.map((name, i) => [name, numbers[i]])) as unknown as Ports;
}

function answers(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(undefined));
  });
}

const COMMON = `[swift-hash]
swift_hash_path_prefix = lethe
swift_hash_path_suffix = tests
[storage-policy:0]
name = only
default = yes
[swift-constraints]
container_listing_limit = ${PAGE + 1}
`;

function general(path: string, port: number): string {
  return `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
user = ${execFileSync("id", ["-un"], { encoding: "utf8" }).trim()}
swift_dir = ${path}
workers = 0
log_level = CRITICAL
`;
}

function serverConf(path: string, kind: ServerKind, port: number): string {
  return `${general(path, port)}devices = ${join(path, "srv")}
mount_check = false
disable_fallocate = true
[pipeline:main]
pipeline = ${kind}-server
[app:${kind}-server]
use = egg:swift#${kind}
recon_cache_path = ${join(path, "cache")}
`;
}

function proxyConf(path: string, ports: Ports): string {
  const plain = ["catch_errors", "gatekeeper", "listing_formats", "copy", "slo", "dlo", "symlink"];
  const filters = plain.map((name) => `[filter:${name}]\nuse = egg:swift#${name}\n`).join("");
  return `${general(path, ports.proxy)}[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats s3api tempauth copy slo dlo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
${filters}[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:${ports.memcached}
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
dns_compliant_bucket_names = false
max_bucket_listing = ${PAGE}
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
user_test_stranger = nothing
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
`;
}
