// Attack 51: how long a comparison takes must not say where two values differ. Counted exactly for our own comparison, and
// measured as dudect does (Reparaz, Balasch, Verbauwhede 2017) for it, header MACs, sender tags and safety codes: two
// classes of input in random order, Welch's t over the faster nine tenths. The measure is held against a leaky comparison.
import { beforeAll, describe, expect, it } from "vitest";
import { openSeal, tagIsGood } from "../../crypto/envelope.ts";
import { HEADER_BYTES, isHeaderOf, readHeader } from "../../crypto/header.ts";
import { compareSafetyCode, equal, ready } from "../../crypto/index.ts";
import { seededRandom, seedOf, START, talkingPair } from "./support.ts";

beforeAll(ready);

const random = seededRandom(seedOf("timing", 51));

/** dudect's bound for a leak that is certain. */
const CERTAIN = 10;
const SAMPLES = 4_000;

/** Welch's t between the times of both classes, for batches of calls in random order. */
function leakOf(calls: number, classes: readonly [() => boolean, () => boolean]): number {
  const times: [number[], number[]] = [[], []];
  let sink = 0;
  for (let i = 0; i < SAMPLES + 200; i++) {
    const which = random.below(2) as 0 | 1;
    const run = classes[which];
    const start = process.hrtime.bigint();
    for (let call = 0; call < calls; call++) sink += run() ? 1 : 0;
    const took = Number(process.hrtime.bigint() - start);
    if (i >= 200) times[which].push(took);
  }
  expect(sink).toBe(0);
  const all = times.flat().toSorted((a, b) => a - b);
  const bound = all[Math.floor(all.length * 0.9)] as number;
  const [a, b] = times.map((each) => momentsOf(each.filter((time) => time <= bound)));
  if (a === undefined || b === undefined) throw new Error("no samples");
  return Math.abs(a.mean - b.mean) / Math.sqrt(a.variance / a.count + b.variance / b.count);
}

function momentsOf(times: readonly number[]) {
  const count = times.length;
  const mean = times.reduce((sum, time) => sum + time, 0) / count;
  const variance = times.reduce((sum, time) => sum + (time - mean) ** 2, 0) / (count - 1);
  return { count, mean, variance };
}

/** The bytes, with one changed near their beginning or at their end. */
function changed(bytes: Uint8Array, at: number): Uint8Array {
  const out = bytes.slice();
  out[at] = (out[at] as number) ^ 1;
  return out;
}

function leaky(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

describe("attack 51: comparisons", () => {
  it("read every byte of both sides, whatever they are", () => {
    const reads = (one: Uint8Array, other: Uint8Array): number => {
      let count = 0;
      const counting = (bytes: Uint8Array): Uint8Array =>
        new Proxy(bytes, {
          get(target, name) {
            if (typeof name === "string" && /^\d+$/.test(name)) count++;
            return Reflect.get(target, name, target) as unknown;
          },
        });
      equal(counting(one), counting(other));
      return count;
    };
    const bytes = random.bytes(32);
    for (const at of [0, 1, 16, 31]) expect(reads(bytes, changed(bytes, at))).toBe(64);
    expect(reads(bytes, bytes.slice())).toBe(64);
  });

  it("show a leak where there is one", () => {
    const secret = random.bytes(64);
    const [first, last] = [changed(secret, 0), changed(secret, 63)];
    expect(leakOf(400, [() => leaky(secret, first), () => leaky(secret, last)])).toBeGreaterThan(CERTAIN);
  });

  it("of our own take no longer for a late difference", () => {
    const secret = random.bytes(64);
    const [first, last] = [changed(secret, 0), changed(secret, 63)];
    expect(leakOf(400, [() => equal(secret, first), () => equal(secret, last)])).toBeLessThan(CERTAIN);
  });

  it("of header MACs take no longer for a late difference", () => {
    const { alice, bob } = talkingPair(51);
    const mail = alice.send(bob, "hello");
    const asked = { identity: bob.identity, ciphertext: mail.ciphertext, envelope: mail.id, now: START };
    const opened = openSeal(asked);
    if (typeof opened === "string") throw new Error(opened);
    const header = opened.message.slice(0, HEADER_BYTES);
    expect(isHeaderOf(bob.ratchet(alice), readHeader(header))).toBe(true);
    const [first, last] = [readHeader(changed(header, 42)), readHeader(changed(header, HEADER_BYTES - 1))];
    const ratchet = bob.ratchet(alice);
    expect(leakOf(8, [() => isHeaderOf(ratchet, first), () => isHeaderOf(ratchet, last)])).toBeLessThan(
      CERTAIN,
    );
  });

  it("of sender tags take no longer for a late difference", () => {
    const { alice, bob } = talkingPair(52);
    const mail = alice.send(bob, "hello");
    const asked = { identity: bob.identity, ciphertext: mail.ciphertext, envelope: mail.id, now: START };
    const opened = openSeal(asked);
    if (typeof opened === "string") throw new Error(opened);
    const key = bob.peer(alice).tagKey.reveal();
    expect(tagIsGood(key, opened)).toBe(true);
    const [first, last] = [0, 15].map((at) => ({ ...opened, tag: changed(opened.tag, at) }));
    if (first === undefined || last === undefined) throw new Error("no tags");
    expect(leakOf(8, [() => tagIsGood(key, first), () => tagIsGood(key, last)])).toBeLessThan(CERTAIN);
  });

  it("of safety codes take no longer for a late difference", () => {
    const [a, b] = [random.bytes(32), random.bytes(32)];
    const [mine, theirs] = [Uint8Array.of(1, ...a, ...b), Uint8Array.of(1, ...b, ...a)];
    expect(compareSafetyCode(mine, theirs)).toBe("same");
    const [first, last] = [changed(theirs, 1), changed(theirs, 64)];
    const isSame = (code: Uint8Array) => (): boolean => compareSafetyCode(mine, code) === "same";
    expect(leakOf(50, [isSame(first), isSame(last)])).toBeLessThan(CERTAIN);
  });
});
