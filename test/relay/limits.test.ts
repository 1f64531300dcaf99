// Token buckets and what one network address may have, in simulated time.
import { createHash, sign } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  type AccountId,
  type DeviceNumber,
  encode,
  MAX_REQUEST_SKEW_MS,
  requestTuple,
  signedBytes,
  type Time,
} from "@lethe/protocol";
import { Addresses, type AddressLimits } from "../../relay/edge/addresses.ts";
import { Callers } from "../../relay/edge/callers.ts";
import { TokenBucket } from "../../relay/edge/token-bucket.ts";
import { MAX_NONCES_OF_ACCOUNT, SignatureCheck, type Signed } from "../../relay/http/signed.ts";
import { aSigningKey } from "../support/person.ts";

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

  it("does not run backwards where somebody asks who was heard before the one who asked last", () => {
    const bucket = new TokenBucket(1_000, 10, 5_000);
    expect(bucket.take(1, 5_000)).toBe(0);
    expect(bucket.take(1, 2_000)).toBe(0);
    for (let i = 0; i < 8; i++) expect(bucket.take(1, 5_000)).toBe(0);
    expect(bucket.take(1, 5_000)).toBe(1);
    expect(bucket.take(1, 5_001)).toBe(0);
  });

  it("gives exactly twice its rate at once and its rate afterwards, for each of the relay's rates", () => {
    for (const rate of [1, 5, 60 / 3_600, 5_000, 10_000, 20_000]) {
      const burst = Math.max(1, rate * 2);
      const bucket = new TokenBucket(rate, burst, 0);
      const most = Math.floor(burst);
      let taken = 0;
      while (taken < most && bucket.take(1, 0) === 0) taken++;
      expect(taken).toBe(most);
      const wait = bucket.take(1, 0);
      expect(wait).toBe(Math.max(1, Math.ceil((1 - (burst - most)) / (rate / 1_000))));
      expect(bucket.take(1, wait - 1) > 0).toBe(true);
      expect(bucket.take(1, wait)).toBe(0);
    }
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

describe("TCP connections", () => {
  it("have a cap of each address and one in all; what is gone makes room, and is not remembered", () => {
    const callers = new Callers();
    const limits = { each: 2, inAll: 4 };
    const arrives = (remote: string, isLimited = true): boolean => callers.arrives(remote, isLimited, limits);
    expect([arrives("a"), arrives("a"), arrives("a")]).toEqual([true, true, false]);
    expect([arrives("b"), arrives("b"), arrives("c")]).toEqual([true, true, false]);
    callers.leaves("a");
    expect([arrives("local", false), arrives("a")]).toEqual([true, false]);
    callers.leaves("a");
    expect(callers.remembered).toBe(2);
    for (const remote of ["b", "b", "local"]) callers.leaves(remote);
    expect([arrives("local", false), arrives("local", false), arrives("local", false)]).toEqual([
      true,
      true,
      true,
    ]);
    expect(callers.remembered).toBe(1);
  });
});

describe("signed requests of one account", () => {
  it("are remembered up to a thousand; one more waits, another account does not, and time makes room", async () => {
    const clock = { now: 1_800_000_000_000 };
    const key = aSigningKey();
    const check = new SignatureCheck("relay.test", () => clock.now);
    let count = 0;
    const ask = (account: string): Promise<void> => {
      const nonce = Buffer.alloc(16);
      nonce.writeUInt32BE(count++);
      const said = {
        account: account as AccountId,
        device: 1 as DeviceNumber,
        time: clock.now as Time,
        nonce,
      };
      const bodyHash = createHash("sha512").update("").digest();
      const tuple = encode(requestTuple, {
        ...said,
        relay: "relay.test",
        method: "GET",
        path: "/",
        bodyHash,
      });
      const signed: Signed = { ...said, signature: sign(null, signedBytes("request", tuple), key.secret) };
      return check.check(signed, key.public, "GET", "/", Buffer.alloc(0));
    };
    const [anna, ben] = ["anna's account i", "ben's account id"] as const;
    for (let i = 0; i < MAX_NONCES_OF_ACCOUNT; i++) await ask(anna);
    const refused = expect.objectContaining({ code: "rate-limited", retryAfter: MAX_REQUEST_SKEW_MS });
    await expect(ask(anna)).rejects.toThrow(refused);
    await ask(ben);
    clock.now += 2 * MAX_REQUEST_SKEW_MS;
    await ask(anna);
  });
});
