// The embedded backend in processes and on file systems of its own: killed in the middle of its work, opened twice, and
// on a disk that is really full.
import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DeviceAddress, EnvelopeId, Time } from "@lethe/protocol";
import {
  type Backend,
  type CapabilityMark,
  type Envelope,
  type MediaId,
  openBackend,
  type StoreEvent,
  StoreOpenError,
} from "@lethe/queue";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { all, anAddress, anEnvelope, Clock, remove, store } from "../contracts/world.ts";
import type { Told } from "./worker-process.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lethe-process-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const clock = new Clock();

function open(where = folder, events: StoreEvent[] = []): Promise<Backend> {
  return openBackend({
    kind: "embedded",
    folder: where,
    now: clock.now,
    limits: { envelopes: 1_000_000, bytes: 1_000_000_000 },
    report: (event) => events.push(event),
  });
}

interface Child {
  readonly process: ChildProcess;
  /** What it has told so far. */
  readonly told: Told[];
  readonly ended: Promise<void>;
  until(is: Told["is"], count: number): Promise<void>;
}

/** A process that opens the store and appends, claims and removes as fast as it can, telling what it was answered. */
function start(life: number): Child {
  const child = fork(new URL("./worker-process.ts", import.meta.url), [folder, String(life)], {
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
  const told: Told[] = [];
  const waiting: { is: Told["is"]; count: number; resolve: () => void }[] = [];
  const count = (is: Told["is"]): number => told.filter((message) => message.is === is).length;
  child.on("message", (message) => {
    told.push(message as Told);
    for (const each of waiting) if (count(each.is) >= each.count) each.resolve();
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    process: child,
    told,
    ended,
    until: (is, wanted) =>
      new Promise((resolve) =>
        count(is) >= wanted ? resolve() : waiting.push({ is, count: wanted, resolve }),
      ),
  };
}

describe("a killed process", () => {
  it("loses nothing that it answered, and leaves no lock", async () => {
    const stored = new Set<string>();
    const removed = new Set<string>();
    const shared = new Map<MediaId, Told["is"]>();
    let epoch = 0;
    for (let life = 0; life < 4; life++) {
      const child = start(life);
      await child.until("stored", 20 + life * 15);
      child.process.kill("SIGKILL");
      await child.ended;
      for (const told of child.told) {
        if (told.is === "stored") for (const id of told.ids) stored.add(id);
        if (told.is === "removing") for (const id of told.ids) removed.add(id);
        if (told.is === "claimed") epoch = Math.max(epoch, told.epoch);
        if ("media" in told) shared.set(told.media, told.is);
      }
      const backend = await open();
      const found = new Set((await all(backend, ADDRESS)).map(({ id }) => String(id)));
      expect([...stored].filter((id) => !found.has(id) && !removed.has(id))).toEqual([]);
      const [claim] = await backend.mailbox.claim([
        { address: ADDRESS, owner: { node: "n" as never, session: 1 }, epoch },
      ]);
      expect(claim).toMatchObject({ is: "behind" });
      expect(await contradicted(backend, shared)).toEqual([]);
      await backend.close();
    }
    expect(stored.size).toBeGreaterThan(500);
    expect(removed.size).toBeGreaterThan(0);
    expect([...new Set(shared.values())]).toEqual(expect.arrayContaining(["ready", "ended", "forgotten"]));
  });
});

/** Blobs of which the ledger does not say what was the last that the process was answered. */
async function contradicted(
  { media: ledger }: Backend,
  shared: ReadonlyMap<MediaId, Told["is"]>,
): Promise<MediaId[]> {
  const token = "t".repeat(16) as CapabilityMark;
  const media = [...shared.keys()];
  const known = await ledger.known(media);
  const downloads = await Promise.all(media.map((each) => ledger.download(each, token)));
  return media.filter((each, i) => {
    const was = shared.get(each);
    if (was === "forgotten") return known[i] === true;
    if (was === "ended") return downloads[i] !== "gone";
    return was === "ready" && (known[i] === false || typeof downloads[i] === "string");
  });
}

const ADDRESS = "a-killed-process-x" as DeviceAddress;

describe("the data folder", () => {
  it("is used by one process at a time, and by the next as soon as that has ended", async () => {
    const child = start(0);
    await child.until("stored", 1);
    await expect(open()).rejects.toMatchObject({ name: "StoreOpenError", code: "folder-in-use" });
    child.process.kill("SIGKILL");
    await child.ended;
    const backend = await open();
    await expect(open()).rejects.toBeInstanceOf(StoreOpenError);
    await backend.close();
    await (await open()).close();
  });

  it("and everything in it is for its owner only", async () => {
    const inner = join(folder, "deep", "folder");
    const backend = await open(inner);
    await store(backend, anAddress(), anEnvelope(clock));
    const modes = new Map<string, string>();
    for (const entry of await readdir(inner, { recursive: true })) {
      modes.set(entry, ((await stat(join(inner, entry))).mode & 0o777).toString(8));
    }
    modes.set(".", ((await stat(inner)).mode & 0o777).toString(8));
    for (const [name, mode] of modes)
      expect([name, mode]).toEqual([name, name === "." || name === "mail" ? "700" : "600"]);
    expect(modes.size).toBeGreaterThanOrEqual(5);
    await backend.close();
  });

  it("names its format, and one that is unknown is refused and left alone", async () => {
    await (await open()).close();
    expect(await readFile(join(folder, "format"), "utf8")).toBe("lethe-queue 3\n");
    await writeFile(join(folder, "format"), "lethe-queue 4\n");
    await expect(open()).rejects.toMatchObject({ code: "format-unknown" });
    await rm(join(folder, "format"));
    await expect(open()).rejects.toMatchObject({ code: "format-unknown" });
    expect(await readdir(folder)).toEqual(["directory.sqlite", "mail"]);
  });

  it("that cannot be one, or whose directory is damaged, is refused by name", async () => {
    await writeFile(join(folder, "file"), "");
    await expect(open(join(folder, "file"))).rejects.toMatchObject({ code: "folder-unusable" });
    await (await open(join(folder, "store"))).close();
    await writeFile(join(folder, "store", "directory.sqlite"), Buffer.alloc(8_192, 7));
    await expect(open(join(folder, "store"))).rejects.toMatchObject({ code: "corrupt" });
  });
});

/** A file system of 20 MB, or why there can be none. */
function mountSmall(where: string): string | undefined {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=20m", "none", where], { stdio: "pipe" });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : "unknown";
  }
}

describe("a disk that is really full", () => {
  it("refuses mail, keeps what it accepted, lets devices connect and fetch, and accepts again", async (test) => {
    const small = join(folder, "small");
    await mkdir(small);
    const refusal = mountSmall(small);
    if (refusal !== undefined) return test.skip(`no small file system can be mounted: ${refusal}`);
    const events: StoreEvent[] = [];
    let backend = await open(join(small, "store"), events);
    try {
      const kept = await fill(backend);
      expect(kept.length).toBeGreaterThan(200);
      expect(events.map(({ is }) => is)).toContain("storage-full");
      const claims = Array.from({ length: 2_000 }, (_, i) => ({
        address: anAddress(),
        owner: { node: "n" as never, session: i },
        epoch: 1,
      }));
      for (const claimed of await backend.mailbox.claim(claims)) expect(claimed.is).toBe("claimed");
      expect((await all(backend, ADDRESS)).map(({ id }) => id)).toEqual(kept);
      await backend.close();
      backend = await open(join(small, "store"), events);
      const entries = await all(backend, ADDRESS);
      expect(entries.map(({ id }) => id)).toEqual(kept);
      await remove(
        backend,
        ADDRESS,
        entries.filter((_, i) => i % 100 !== 99),
      );
      await backend.close();
      backend = await open(join(small, "store"), events);
      await store(backend, ADDRESS, big(9_999));
      expect((await all(backend, ADDRESS)).map(({ id }) => id)).toEqual([
        ...kept.filter((_, i) => i % 100 === 99),
        big(9_999).id,
      ]);
    } finally {
      await backend.close();
      execFileSync("umount", [small]);
    }
  });
});

function big(n: number): Envelope {
  const id = String(n).padStart(16, "0") as EnvelopeId;
  return {
    id,
    kind: "pairwise",
    expiry: (clock.now() + 3_600_000) as Time,
    ciphertext: Buffer.alloc(60_000, n),
  };
}

/** Appends until the disk is full, and a little longer; returns the ids that were accepted. */
async function fill(backend: Backend): Promise<EnvelopeId[]> {
  const kept: EnvelopeId[] = [];
  for (let n = 0, refused = 0; refused < 5; n++) {
    const [result] = await backend.mailbox.appendUnlessOwned([
      { address: ADDRESS, suspect: undefined, envelopes: [big(n)] },
    ]);
    if (result?.is === "stored") kept.push(big(n).id);
    else {
      expect(result).toEqual({ is: "failed", code: "storage-full" });
      refused++;
    }
  }
  return kept;
}
