// Nothing delivered is kept on Redis either: within the interval and the time of a rewrite, no byte of delivered mail is in its
// memory, its append-only file or a snapshot. And what relays do beside delivery is done by one of them.
import { randomBytes } from "node:crypto";
import { PATHS } from "@lethe/protocol";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Chance } from "../support/chance.ts";
import { Fleet } from "../support/fleet.ts";
import { filesHolding } from "../support/folder.ts";
import { Person } from "../support/person.ts";
import { eventually } from "../support/waiting.ts";
import { sealed, submitTo, Wire } from "../support/wire.ts";

const REWRITE_S = 5;
const MARK_BYTES = 16;
const LETTERS = 40;

let fleet: Fleet;
beforeAll(async () => {
  const flags = ["--store-rewrite", String(REWRITE_S)];
  fleet = await Fleet.start({ nodes: 2, chance: Chance.forThisRun("forgets"), flags });
});
afterAll(() => fleet[Symbol.asyncDispose]());

const rewrites = async (): Promise<number> => {
  const redis = new Redis(fleet.redis.url);
  const count = /aof_rewrites:(\d+)/.exec(await redis.info("persistence"))?.[1];
  redis.disconnect();
  return Number(count);
};

/** A dump of everything that Redis holds in memory, as a snapshot that is looked through and removed. */
async function inMemory(mark: Buffer): Promise<boolean> {
  const redis = new Redis(fleet.redis.url);
  try {
    for await (const keys of redis.scanStream({ count: 1_000 }))
      for (const key of keys as string[]) {
        const type = await redis.type(key);
        if (type !== "stream") continue;
        const entries = await redis.xrangeBuffer(key, "-", "+");
        if (entries.some(([, fields]) => fields.some((field) => field.includes(mark)))) return true;
      }
    return false;
  } finally {
    redis.disconnect();
  }
}

it("mail is in Redis until it is delivered, and within the bound after that nowhere", async () => {
  const ben = await Person.called("ben").register(fleet.node(0));
  const letters = Array.from({ length: LETTERS }, () => sealed(new Uint8Array(randomBytes(2_000))));
  const marks = letters.map(({ ciphertext }) => Buffer.from(ciphertext.subarray(-MARK_BYTES)));
  await using sender = await Wire.anonymous(fleet.node(1));
  for (const letter of letters) sender.send(submitTo(ben, letter));
  for (let accepted = 0; accepted < LETTERS; ) accepted += (await sender.take("accepted")).ids.length;
  const kept = async (): Promise<number> => {
    let count = 0;
    for (const mark of marks)
      if ((await filesHolding(fleet.redis.folder, mark)).length > 0 || (await inMemory(mark))) count++;
    return count;
  };
  expect(await kept()).toBe(LETTERS); // else the search shows nothing

  {
    await using device = await Wire.device(fleet.node(0), ben);
    for (let left = LETTERS; left > 0; left--)
      device.send({ frame: "delivered", ids: [(await device.take("push")).id] });
    await device.rest();
  }
  const began = performance.now();
  const { forgetMs } = ((await (await fetch(`${fleet.node(0).url}${PATHS.policy}`)).json()) as Policy)
    .retention;
  await eventually(forgetMs, "the end of it in memory and files", async () =>
    (await kept()) === 0 ? true : undefined,
  );
  process.stdout.write(
    `forgotten ${((performance.now() - began) / 1_000).toFixed(1)} s after the acknowledgement; rewrites every ${REWRITE_S} s\n`,
  );
  expect(forgetMs).toBe((REWRITE_S + 60) * 1_000);
  await eventually(forgetMs, "a forget lag of 0", async () =>
    (await fleet.node(1).metric("lethe_forget_lag_seconds")) === 0 ? true : undefined,
  );
}, 120_000);

it("chores are run by one node at a time, and files in which nothing was removed are left alone", async () => {
  const runs = (chore: string): Promise<number> =>
    fleet.total(`lethe_chores_total{chore="${chore}",outcome="done"}`);
  expect(await fleet.total('lethe_chores_total{chore="sweep",outcome="done"}')).toBeGreaterThan(0);
  expect(await runs("idle")).toBeGreaterThan(0);
  const [before, files] = [await runs("forget"), await rewrites()];
  await eventually(60_000, "three more runs", async () =>
    (await runs("forget")) >= before + 3 ? true : undefined,
  );
  expect(await rewrites()).toBe(files);
  expect(await fleet.total('lethe_chores_total{chore="forget",outcome="failed"}')).toBe(0);
}, 120_000);

interface Policy {
  readonly retention: { readonly forgetMs: number };
}
