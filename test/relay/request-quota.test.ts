// The quota of requests, in simulated time.
import type { AccountId } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { MAX_REMEMBERED, RequestQuota } from "../../relay/edge/request-quota.ts";

const [ANNA, BEN, CLEO] = ["anna", "ben", "cleo"].map((name) => name.padEnd(16, ".") as AccountId) as [
  AccountId,
  AccountId,
  AccountId,
];
const HOUR_MS = 3_600_000;

function aQuota(toOne = 20, toAll = 200) {
  const clock = { now: 5 };
  const quota = new RequestQuota(
    { toOne, toAll },
    () => clock.now,
    (remote) => remote !== "local",
  );
  const take = (from: AccountId, to: AccountId, count = 1, remote = "192.0.2.7"): number =>
    quota.take({ from, to, count, remote });
  return { clock, quota, take };
}

describe("the quota of requests", () => {
  it("lets an account send another twenty envelopes at once, then one each three minutes", () => {
    const { clock, take } = aQuota();
    for (let i = 0; i < 20; i++) expect(take(ANNA, BEN)).toBe(0);
    expect(take(ANNA, BEN)).toBe(HOUR_MS / 20);
    expect(take(CLEO, BEN), "another sender has its own").toBe(0);
    expect(take(ANNA, CLEO), "and another recipient").toBe(0);
    clock.now += HOUR_MS / 20;
    expect(take(ANNA, BEN)).toBe(0);
    expect(take(ANNA, BEN)).toBe(HOUR_MS / 20);
  });

  it("counts the envelopes, not the submits", () => {
    const { take } = aQuota();
    for (let i = 0; i < 4; i++) expect(take(ANNA, BEN, 5)).toBe(0);
    expect(take(ANNA, BEN)).toBeGreaterThan(0);
  });

  it("lets an account send two hundred a day to all others, however many they are", () => {
    const { clock, take } = aQuota();
    const to = (n: number) => `${n}`.padEnd(16, "-") as AccountId;
    for (let n = 0; n < 200; n++) expect(take(ANNA, to(n))).toBe(0);
    expect(take(ANNA, to(200))).toBe((24 * HOUR_MS) / 200);
    expect(take(BEN, to(200))).toBe(0);
    clock.now += 24 * HOUR_MS;
    for (let n = 0; n < 200; n++) expect(take(ANNA, to(n))).toBe(0);
    expect(take(ANNA, to(200))).toBeGreaterThan(0);
  });

  it("takes nothing where it refuses", () => {
    const { clock, take } = aQuota(1, 2);
    expect(take(ANNA, BEN)).toBe(0);
    for (let i = 0; i < 100; i++) expect(take(ANNA, BEN)).toBe(HOUR_MS);
    expect(take(ANNA, CLEO), "the day's second is left").toBe(0);
    clock.now += HOUR_MS;
    expect(take(ANNA, BEN), "the day's are used up, the hour's is not").toBe(11 * HOUR_MS);
  });

  it("does not count an account's own devices, nor addresses without limits", () => {
    const { quota, take } = aQuota();
    for (let i = 0; i < 1_000; i++) {
      expect(take(ANNA, ANNA)).toBe(0);
      expect(take(ANNA, BEN, 1, "local")).toBe(0);
    }
    expect(quota.remembered).toBe(0);
  });

  it("remembers so many at most, and forgets first who sent nothing for longest", () => {
    const { quota, take } = aQuota(1, 1_000_000);
    const others = (n: number) => `${n}`.padEnd(16, "-") as AccountId;
    take(ANNA, BEN);
    for (let n = 0; n < MAX_REMEMBERED; n++) {
      take(CLEO, others(n));
      if (n % 1_000 === 0) expect(take(ANNA, BEN)).toBeGreaterThan(0);
    }
    expect(quota.remembered).toBe(MAX_REMEMBERED + 2);
    expect(take(CLEO, others(MAX_REMEMBERED - 1))).toBeGreaterThan(0);
    expect(take(CLEO, others(0)), "forgotten: as if new").toBe(0);
  });

  it("takes other limits while it runs", () => {
    const { clock, quota, take } = aQuota();
    take(ANNA, BEN);
    quota.relimit({ toOne: 2, toAll: 200 });
    clock.now += 1;
    expect([take(ANNA, BEN), take(ANNA, BEN)]).toEqual([0, 0]);
    expect(take(ANNA, BEN)).toBeGreaterThan(0);
  });
});
