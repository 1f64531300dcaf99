// What the embedded directory leaves in its files, and what it does when its thread is lost.
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import {
  type AccountId,
  addressOf,
  type DeviceAddress,
  type DeviceNumber,
  type UserName,
} from "@lethe/protocol";
import type { AccountRecord, DeviceRecord, PrekeyUpload } from "@lethe/queue";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type EmbeddedBackend, openEmbedded } from "../../queue/embedded/open.ts";
import { Clock, ROOMY } from "../contracts/world.ts";
import { type Chance, chanceOf } from "./disk.ts";

let folder: string;
const clock = new Clock();
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lethe-directory-"));
});
afterEach(() => rm(folder, { recursive: true }));

function open(): Promise<EmbeddedBackend> {
  return openEmbedded(
    { kind: "embedded", folder, now: clock.now, limits: ROOMY, report: () => undefined },
    { timers: clock },
  );
}

/** Accounts as they come and go, each with all the bytes by which it could be known again. */
class Population {
  readonly here = new Map<AccountId, Buffer[]>();
  readonly gone: Buffer[] = [];
  readonly #backend: EmbeddedBackend;
  readonly #chance: Chance;

  constructor(backend: EmbeddedBackend, chance: Chance) {
    this.#backend = backend;
    this.#chance = chance;
  }

  async arrive(): Promise<void> {
    const account = randomBytes(16).toString("latin1") as AccountId;
    const devices = [this.#device(1), this.#device(2)];
    const record: AccountRecord = {
      account,
      name: `u${randomBytes(8).toString("hex")}` as UserName,
      accountKey: randomBytes(32),
      accessKeyHash: randomBytes(32),
      listVersion: 1,
      deviceList: randomBytes(100 + this.#upTo(3_000)),
      devices,
    };
    const { directory, mailbox } = this.#backend;
    await directory.register(record);
    const address = addressOf(account, 1 as DeviceNumber);
    await mailbox.claim([{ address, owner: { node: "n" as never, session: 1 }, epoch: 1 }]);
    const uploads = [await this.#upload(address), await this.#upload(address)];
    await directory.takePrekeys({ address, requester: randomBytes(32), oneTime: true });
    const marks = [
      record.accountKey,
      record.accessKeyHash,
      record.deviceList,
      ...devices.map((d) => d.signingKey),
      ...uploads.flat(),
    ];
    const names = [Buffer.from(account, "latin1"), Buffer.from(record.name)];
    this.here.set(account, [...names, ...marks.map((mark) => Buffer.from(mark.subarray(0, 32)))]);
  }

  async leave(): Promise<void> {
    const account = [...this.here.keys()][this.#upTo(this.here.size)];
    if (account === undefined) return;
    this.gone.push(...(this.here.get(account) ?? []));
    this.here.delete(account);
    for (const address of (await this.#backend.directory.deleteAccount(account)) ?? []) {
      await this.#backend.mailbox.retire(address);
    }
  }

  async #upload(address: DeviceAddress): Promise<Uint8Array[]> {
    const key = () => ({ id: randomBytes(8), bytes: randomBytes(100 + this.#upTo(1_200)) });
    const keys = () => Array.from({ length: 1 + this.#upTo(6) }, key);
    const upload: PrekeyUpload = {
      signed: key(),
      lastResort: key(),
      oneTime: keys(),
      oneTimeKem: keys(),
      replace: false,
    };
    await this.#backend.directory.putPrekeys(address, upload);
    return [upload.signed, upload.lastResort, ...upload.oneTime, ...upload.oneTimeKem].flatMap(
      (each) => each?.bytes ?? [],
    );
  }

  #device(device: number): DeviceRecord {
    return {
      device: device as DeviceNumber,
      signingKey: randomBytes(32),
      certificate: randomBytes(50 + this.#upTo(900)),
    };
  }

  #upTo(limit: number): number {
    return Math.floor(this.#chance() * limit);
  }
}

async function filesOf(where: string): Promise<Buffer[]> {
  const names = (await readdir(where)).filter((name) => name.startsWith("directory"));
  return Promise.all(names.map((name) => readFile(join(where, name))));
}

describe("D6 deletion in the embedded directory", () => {
  it("leaves no trace in any file, however the rows moved before, and a sound database", async () => {
    const seed = Date.now() % 1_000_000;
    console.info(`population: seed ${seed}`);
    const chance = chanceOf(seed);
    const backend = await open();
    const population = new Population(backend, chance);
    for (let i = 0; i < 180; i++) {
      await population.arrive();
      if (chance() < 0.6 && population.here.size > 10) await population.leave();
    }
    await backend.forget("all");
    const files = await filesOf(folder);
    expect(population.gone.length).toBeGreaterThan(1_000);
    expect(population.gone.filter((mark) => files.some((file) => file.includes(mark)))).toEqual([]);
    const names = [...population.here.values()].map(([account]) => account as Buffer);
    expect(names.filter((mark) => !files.some((file) => file.includes(mark)))).toEqual([]);
    for (const account of population.here.keys())
      expect(await backend.directory.account(account)).toBeDefined();
    for (let i = 0; i < 40; i++) await population.arrive();
    await backend.close();
    const db = new DatabaseSync(join(folder, "directory.sqlite"));
    expect(db.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
    db.close();
  });

  it("is finished after a start, where the process before ended between deleting and forgetting", async () => {
    const first = await open();
    const population = new Population(first, chanceOf(1));
    for (let i = 0; i < 5; i++) await population.arrive();
    await population.leave();
    await first.close();
    const second = await open();
    await second.forget("all");
    const files = await filesOf(folder);
    expect(population.gone.filter((mark) => files.some((file) => file.includes(mark)))).toEqual([]);
    await second.close();
  });
});

describe("D1 durable", () => {
  it("keeps connection epochs exactly, up to the largest", async () => {
    const address = addressOf(randomBytes(16).toString("latin1") as AccountId, 1 as DeviceNumber);
    const owner = { node: "n" as never, session: 1 };
    const first = await open();
    await first.mailbox.claim([{ address, owner, epoch: Number.MAX_SAFE_INTEGER }]);
    await first.close();
    const second = await open();
    expect(await second.mailbox.claim([{ address, owner, epoch: Number.MAX_SAFE_INTEGER }])).toEqual([
      { is: "behind", last: Number.MAX_SAFE_INTEGER },
    ]);
    await second.close();
  });
});
