// What several relays do to one media ledger in Redis, and what a relay leaves in it that ends between any two of its steps.
import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import type { AccountId, Time } from "@lethe/protocol";
import {
  type CapabilityMark,
  DEFAULT_MAILBOX_LIMITS,
  type MediaId,
  type MediaLedger,
  type MediaUpload,
} from "@lethe/queue";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Arg, Connection } from "../../queue/redis/connection.ts";
import { Keys } from "../../queue/redis/keys.ts";
import { RedisMediaLedger } from "../../queue/redis/media/ledger.ts";
import { Scripts } from "../../queue/redis/scripts.ts";
import { Clock } from "../contracts/world.ts";
import { keysOf } from "../support/redis-values.ts";
import { agreesWithTwin } from "./media-model.ts";
import { RedisServer } from "../support/redis-server.ts";

const SHARDS = 16;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const QUOTA = { bytes: 1_000, blobs: 10 };
const clock = new Clock();
/** Random stories; more by the environment. */
const RUNS = Number(process.env["LETHE_RUNS"] ?? 60);
let server: RedisServer;
let redis: Redis;
beforeAll(async () => {
  server = await RedisServer.start();
  redis = new Redis({ host: "127.0.0.1", port: server.port });
});
beforeEach(() => redis.flushall());
afterAll(async () => {
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

/** Runs scripts as ever, until a step is reached at which its relay ends, or at which something is to happen first. */
class Stepping extends Scripts {
  readonly crashed: Promise<void>;
  readonly #crash: () => void;
  #left = Number.POSITIVE_INFINITY;
  #once:
    | { readonly when: "before" | "after"; readonly script: string; readonly run: () => Promise<void> }
    | undefined;

  constructor(connection: Connection) {
    super(connection);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.crashed = promise;
    this.#crash = resolve;
  }

  /** Nothing more is sent after so many scripts, and nothing answered. */
  crashAfter(scripts: number): void {
    this.#left = scripts;
  }

  /** Once, around the next such script. */
  once(when: "before" | "after", script: string, run: () => Promise<void>): void {
    this.#once = { when, script, run };
  }

  override async run(name: string, keys: readonly Buffer[], args: readonly Arg[]): Promise<unknown> {
    if (this.#left-- <= 0) {
      this.#crash();
      return new Promise(() => undefined);
    }
    await this.#run("before", name);
    const answer = await super.run(name, keys, args);
    await this.#run("after", name);
    return answer;
  }

  async #run(when: "before" | "after", script: string): Promise<void> {
    if (this.#once?.when !== when || this.#once.script !== script) return;
    const { run } = this.#once;
    this.#once = undefined;
    await run();
  }
}

interface Relay extends AsyncDisposable {
  readonly media: MediaLedger;
  readonly scripts: Stepping;
}

async function aRelay(): Promise<Relay> {
  const config = { kind: "redis", url: server.url, replicas: 0, limits: DEFAULT_MAILBOX_LIMITS } as const;
  const report = (): undefined => undefined;
  const connection = await Connection.open({ ...config, commandMs: 5_000, report });
  const scripts = new Stepping(connection);
  const all = { ...config, report, now: clock.now };
  const media = new RedisMediaLedger({ config: all, connection, keys: new Keys(SHARDS), scripts });
  return { media, scripts, [Symbol.asyncDispose]: async () => connection.close() };
}

function anUpload(wish: Partial<MediaUpload> = {}): MediaUpload {
  const anId = (): string => randomBytes(16).toString("latin1");
  return {
    media: anId() as MediaId,
    account: anId() as AccountId,
    bytes: 100,
    uploadKey: anId() as CapabilityMark,
    expires: (clock.now() + 24 * HOUR) as Time,
    unfinished: (clock.now() + 12 * HOUR) as Time,
    ...wish,
  };
}

/** What counts for accounts against what there is: blobs, each with the reservation that it counts by. */
async function accounts(): Promise<{ counted: string[]; there: string[]; sums: boolean }> {
  const counted: string[] = [];
  let sums = true;
  for (const key of await keysOf(redis, "U")) {
    const fields = Object.entries(await redis.hgetallBuffer(key));
    let bytes = 0;
    for (const [field, value] of fields) {
      if (field === "b") bytes += Number(String(value));
      else {
        bytes -= value.readUIntBE(0, 6);
        counted.push(value.toString("hex", 7));
      }
    }
    sums &&= bytes === 0;
  }
  const there: string[] = [];
  for (const key of await keysOf(redis, "M")) {
    const [account, reservation] = await redis.hmgetBuffer(key, "a", "r");
    if (account !== null) there.push(reservation?.toString("hex") ?? "");
  }
  return { counted: counted.toSorted(), there: there.toSorted(), sums };
}

/** Everything that has ended is forgotten. */
async function collect(media: MediaLedger): Promise<void> {
  for (let ended = await media.ended(100); ended.length > 0; ended = await media.ended(100))
    await media.forget(ended);
}

/** What is left when everything has had its time: counters, and nothing of anybody. */
async function isEmpty(media: MediaLedger): Promise<void> {
  clock.pass(25 * HOUR);
  await collect(media);
  for (const letter of ["M", "D", "U", "V"])
    expect([letter, await keysOf(redis, letter)]).toEqual([letter, []]);
  for (const key of await keysOf(redis, "B")) expect(await redis.get(key)).toBe("0");
}

/** Has a relay do it and end after so many scripts; false where it was done before that. */
async function crashing(after: number, doIt: (media: MediaLedger) => Promise<unknown>): Promise<boolean> {
  await using relay = await aRelay();
  relay.scripts.crashAfter(after);
  return await Promise.race([relay.scripts.crashed.then(() => true), doIt(relay.media).then(() => false)]);
}

describe("the ledger in Redis", () => {
  it("says what its twin says, whatever is done and whenever a relay begins anew", async () => {
    let relay: Relay | undefined;
    const start = async (): Promise<void> => {
      await relay?.[Symbol.asyncDispose]();
      relay = await aRelay();
    };
    const open = async () => {
      await redis.flushall();
      await start();
      return {
        get ledger(): MediaLedger {
          if (relay === undefined) throw new Error("there is a relay");
          return relay.media;
        },
        restart: start,
      };
    };
    await agreesWithTwin(open, () => clock, RUNS);
    await relay?.[Symbol.asyncDispose]();
  });
});

describe("two relays on one ledger", () => {
  it("E2 quota: together they begin as much as there is room for, each time", async () => {
    await using one = await aRelay();
    await using other = await aRelay();
    for (let round = 0; round < 10; round++) {
      const { account } = anUpload();
      const begins = Array.from({ length: 30 }, (_, i) =>
        (i % 2 === 0 ? one : other).media.begin(anUpload({ account }), QUOTA),
      );
      const answers = await Promise.all(begins);
      expect(answers.filter((answer) => answer === "begun")).toHaveLength(10);
    }
    const { counted, there, sums } = await accounts();
    expect(counted).toEqual(there);
    expect([counted.length, sums]).toEqual([100, true]);
    await isEmpty(other.media);
  });

  it("E3 once: of two accounts that begin one id, one does, and the other's room is free", async () => {
    await using one = await aRelay();
    await using other = await aRelay();
    for (let round = 0; round < 20; round++) {
      const upload = anUpload({ bytes: 1_000 });
      const rival = { ...anUpload({ bytes: 1_000 }), media: upload.media };
      const answers = await Promise.all([one.media.begin(upload, QUOTA), other.media.begin(rival, QUOTA)]);
      expect(answers.toSorted()).toEqual(["begun", "taken"]);
      const { account } = answers[0] === "taken" ? upload : rival;
      expect(await one.media.begin(anUpload({ account, bytes: 1_000 }), QUOTA)).toBe("begun");
    }
    const { counted, there, sums } = await accounts();
    expect(counted).toEqual(there);
    expect(sums).toBe(true);
    await isEmpty(one.media);
  });

  it("E7 account: one that leaves while it begins leaves nothing that nobody's quota counts", async () => {
    await using one = await aRelay();
    await using other = await aRelay();
    for (const script of ["reserve-media", "begin-media", "settle-media"]) {
      const upload = anUpload();
      one.scripts.once("before", script, () => other.media.leave(upload.account));
      expect(await one.media.begin(upload, QUOTA)).toBe("begun");
      const { counted, there, sums } = await accounts();
      expect(counted).toEqual(there);
      expect(sums).toBe(true);
      // Before its first step, it had nothing to leave.
      const record = await other.media.upload(upload.media, upload.uploadKey);
      expect(record === "gone").toBe(script !== "reserve-media");
      await isEmpty(other.media);
    }
  });

  it("E6 forgetting: one that is begun again while it is forgotten counts once, or not at all", async () => {
    await using one = await aRelay();
    await using other = await aRelay();
    for (const script of ["settle-media", "forget-media"]) {
      const upload = anUpload();
      await one.media.begin(upload, QUOTA);
      await one.media.withdraw(upload.media, upload.uploadKey);
      one.scripts.once("before", script, async () => {
        expect(await other.media.begin(upload, QUOTA)).toBe("same");
      });
      await one.media.forget([upload.media]);
      expect(await accounts()).toEqual({ counted: [], there: [], sums: true });
      other.scripts.once("before", "begin-media", () => one.media.forget([upload.media]));
      expect(await other.media.begin(upload, QUOTA)).toBe("begun");
      const { counted, there } = await accounts();
      expect([counted, counted.length]).toEqual([there, 1]);
      await isEmpty(other.media);
    }
  });
});

describe("a relay that ends", () => {
  it("while it begins an upload: what it reserved is free ten minutes later, or counts for what it began", async () => {
    await using relay = await aRelay();
    for (let after = 0, isCrashed = true; isCrashed; after++) {
      const upload = anUpload({ bytes: 1_000 });
      isCrashed = await crashing(after, (media) => media.begin(upload, QUOTA));
      if (!isCrashed) expect(after).toBe(3);
      const other = anUpload({ account: upload.account });
      expect(await relay.media.begin(other, QUOTA)).toBe(after === 0 ? "begun" : "full");
      clock.pass(11 * MINUTE);
      await collect(relay.media);
      const [isKnown] = await relay.media.known([upload.media]);
      expect(isKnown).toBe(after >= 2);
      const { counted, there, sums } = await accounts();
      expect(counted).toEqual(there);
      expect([sums, await keysOf(redis, "V")]).toEqual([true, []]);
      await isEmpty(relay.media);
    }
  });

  it("while it begins an upload: the same again goes on with it, at once", async () => {
    await using relay = await aRelay();
    for (let after = 0; after < 3; after++) {
      const upload = anUpload({ bytes: 1_000 });
      expect(await crashing(after, (media) => media.begin(upload, QUOTA))).toBe(true);
      expect(await relay.media.begin(upload, QUOTA)).toBe(after < 2 ? "begun" : "same");
      expect(await keysOf(redis, "V")).toEqual([]);
      const { counted, there } = await accounts();
      expect([counted, counted.length]).toEqual([there, 1]);
      await isEmpty(relay.media);
    }
  });

  it("for long, while it begins an upload, begins none: its room may have been given away", async () => {
    await using relay = await aRelay();
    await using other = await aRelay();
    const upload = anUpload({ bytes: 1_000 });
    relay.scripts.once("after", "reserve-media", async () => {
      clock.pass(11 * MINUTE);
      await other.media.ended(10);
      expect(await other.media.begin(anUpload({ account: upload.account, bytes: 1_000 }), QUOTA)).toBe(
        "begun",
      );
    });
    await expect(relay.media.begin(upload, QUOTA)).rejects.toMatchObject({ code: "storage-failed" });
    expect(await relay.media.known([upload.media])).toEqual([false]);
    await isEmpty(relay.media);
  });

  it("while it forgets: the next that forgets finishes it", async () => {
    await using relay = await aRelay();
    for (let after = 0, isCrashed = true; isCrashed; after++) {
      const upload = anUpload({ bytes: 1_000 });
      await relay.media.begin(upload, QUOTA);
      await relay.media.withdraw(upload.media, upload.uploadKey);
      isCrashed = await crashing(after, (media) => media.forget([upload.media]));
      if (!isCrashed) expect(after).toBe(2);
      expect(await relay.media.ended(10)).toEqual(isCrashed ? [upload.media] : []);
      await relay.media.forget([upload.media]);
      expect(await accounts()).toEqual({ counted: [], there: [], sums: true });
      expect(await relay.media.begin(anUpload({ account: upload.account, bytes: 1_000 }), QUOTA)).toBe(
        "begun",
      );
      await isEmpty(relay.media);
    }
  });

  it("while it has an account leave: leaving again finishes it", async () => {
    await using relay = await aRelay();
    for (let after = 0, isCrashed = true; isCrashed; after++) {
      const { account } = anUpload();
      const uploads = Array.from({ length: 3 }, () => anUpload({ account }));
      for (const [i, upload] of uploads.entries()) {
        await relay.media.begin(upload, QUOTA);
        if (i === 0) await relay.media.finish(upload.media, upload.uploadKey);
      }
      isCrashed = await crashing(after, (media) => media.leave(account));
      if (!isCrashed) expect(after).toBe(4);
      await relay.media.leave(account);
      expect(await accounts()).toEqual({ counted: [], there: [], sums: true });
      const records = await Promise.all(
        uploads.map(({ media, uploadKey }) => relay.media.upload(media, uploadKey)),
      );
      expect(records).toEqual([expect.objectContaining({ state: "ready" }), "gone", "gone"]);
      await isEmpty(relay.media);
    }
  });
});

describe("a full memory", () => {
  it("refuses what adds, by its code, and goes on with what takes away", async () => {
    await using relay = await aRelay();
    const token = randomBytes(16).toString("latin1") as CapabilityMark;
    const [kept, gone] = [anUpload(), anUpload()];
    const change = { add: [token], strike: [], close: false };
    for (const upload of [kept, gone]) await relay.media.begin(upload, QUOTA);
    await relay.media.tokens(kept.media, kept.uploadKey, change);
    await redis.config("SET", "maxmemory", "1");
    try {
      await expect(relay.media.begin(anUpload(), QUOTA)).rejects.toMatchObject({ code: "storage-full" });
      await expect(relay.media.tokens(gone.media, gone.uploadKey, change)).rejects.toMatchObject({
        code: "storage-full",
      });
      expect(await relay.media.finish(kept.media, kept.uploadKey)).toBe("ready");
      expect(await relay.media.download(kept.media, token)).toMatchObject({ state: "ready" });
      expect(await relay.media.release(kept.media, token)).toBe("released");
      expect(await relay.media.withdraw(gone.media, gone.uploadKey)).toBe("ended");
      await collect(relay.media);
      expect(await relay.media.known([kept.media, gone.media])).toEqual([true, false]);
      await relay.media.leave(kept.account);
    } finally {
      await redis.config("SET", "maxmemory", "0");
    }
    await isEmpty(relay.media);
  });
});
