// Token buckets and what one network address may have, in simulated time.
import { describe, expect, it } from "vitest";
import { Addresses, type AddressLimits } from "../../relay/edge/addresses.ts";
import { TokenBucket } from "../../relay/edge/token-bucket.ts";

describe("a token bucket", () => {
  it("gives its burst at once, then its rate, and says how long to wait", () => {
    const bucket = new TokenBucket(10, 3, 0);
    expect([1, 2, 3].map(() => bucket.take(1, 0))).toEqual([0, 0, 0]);
    expect(bucket.take(1, 0)).toBe(100);
    expect(bucket.take(1, 40)).toBe(60);
    expect(bucket.take(1, 100)).toBe(0);
    let taken = 0;
    for (let now = 100; now <= 60_100; now += 7) if (bucket.take(1, now) === 0) taken++;
    expect(taken).toBeGreaterThanOrEqual(598);
    expect(taken).toBeLessThanOrEqual(600);
  });

  it("lets a batch overdraw it once, and makes it pay", () => {
    const bucket = new TokenBucket(1, 2, 0);
    expect(bucket.take(10, 0)).toBe(0);
    expect(bucket.take(1, 0)).toBe(9_000);
    expect(bucket.isFull(9_999)).toBe(false);
    expect(bucket.isFull(10_000)).toBe(true);
  });

  it("without a limit gives everything", () => {
    const bucket = new TokenBucket(Number.POSITIVE_INFINITY, 1, 0);
    for (let i = 0; i < 1_000; i++) expect(bucket.take(1_000, 0)).toBe(0);
  });
});

const LIMITS: AddressLimits = {
  connections: 3,
  unproven: 2,
  unprovenInAll: 5,
  envelopes: 10,
  registrations: 4,
  local: false,
};

function anOpening(limits: Partial<AddressLimits> = {}) {
  const clock = { now: 0 };
  return { clock, addresses: new Addresses({ ...LIMITS, ...limits }, () => clock.now) };
}

describe("a network address", () => {
  it("has so many connections, and so many that have not said who they are", () => {
    const { addresses } = anOpening();
    const [a, b] = [addresses.connect("192.0.2.1"), addresses.connect("192.0.2.1")];
    expect(addresses.connect("192.0.2.1")).toBeUndefined();
    if (a === undefined || b === undefined) throw new Error("two may connect");
    addresses.proven(a);
    const c = addresses.connect("192.0.2.1");
    expect(c).toBe(a);
    addresses.proven(b);
    expect(addresses.connect("192.0.2.1")).toBeUndefined();
    addresses.closed(a, true);
    expect(addresses.connect("192.0.2.1")).toBe(a);
  });

  it("is one of all: what has not said who it is is capped for all together, and comes back when it goes", () => {
    const { addresses } = anOpening();
    const open = [1, 2, 3, 4, 5].map((n) => addresses.connect(`192.0.2.${n}`));
    expect(addresses.unproven).toBe(5);
    expect(addresses.connect("192.0.2.9")).toBeUndefined();
    const first = open[0];
    if (first === undefined) throw new Error("five may connect");
    addresses.closed(first, false);
    expect(addresses.unproven).toBe(4);
    expect(addresses.connect("192.0.2.9")).toBeDefined();
  });

  it("registers four an hour, and is not forgotten by going away", () => {
    const { addresses, clock } = anOpening();
    const register = (): number => addresses.of("192.0.2.1").registrations.take(1, clock.now);
    expect([1, 2, 3, 4].map(register)).toEqual([0, 0, 0, 0]);
    expect(register()).toBe(900_000);
    const address = addresses.connect("192.0.2.1");
    if (address !== undefined) addresses.closed(address, false);
    expect(register()).toBeGreaterThan(0);
    clock.now += 900_000;
    expect(register()).toBe(0);
  });

  it("of this machine is limited only where that is asked for", () => {
    for (const [local, expected] of [
      [false, 100],
      [true, 4],
    ] as const) {
      const { addresses } = anOpening({ local });
      for (const remote of ["127.0.0.1", "0:0:0:0"]) {
        const register = (): number => addresses.of(remote).registrations.take(1, 0);
        expect(Array.from({ length: 100 }, register).filter((wait) => wait === 0).length).toBe(expected);
      }
    }
  });

  it("is remembered with at most 100,000 others, those that are connected among them", () => {
    const { addresses } = anOpening({ unprovenInAll: 1_000_000 });
    const connected = addresses.connect("192.0.2.1");
    for (let n = 0; n < 120_000; n++) addresses.of(`n ${n}`).registrations.take(1, 0);
    expect(addresses.remembered).toBeLessThanOrEqual(100_000);
    expect(addresses.of("192.0.2.1")).toBe(connected);
  });
});
