// Attack 14 to its end: both sides send up to 3,000 messages ahead, and the network hands them over in any order within
// that, some twice, some never. The oracle keeps what a receiver should keep, as plain lists, and says beforehand whether
// a message must open.
import { beforeAll, describe, expect, it } from "vitest";
import { MAX_SKIPPED, ready } from "../../crypto/index.ts";
import { deliver, type Flying, sendFrom, type Sides, twoCores } from "./model.ts";
import { seededRandom, seedOf } from "./support.ts";

beforeAll(ready);

const seed = seedOf("reordering", 14);
const nameOf = ({ counters: { publicKey, n } }: Flying): string =>
  `${Buffer.from(publicKey).toString("hex")} ${n}`;

/** What a receiver keeps: the current chain, and the 2,000 newest of the keys that it went past. */
class Oracle {
  #chain = "";
  #next = 0;
  #kept: string[] = [];
  readonly #seen = new Set<string>();

  /** Whether the message must open now; if so, it counts as opened. */
  opens(mail: Flying): boolean {
    const { publicKey, previousCount, n } = mail.counters;
    const chain = Buffer.from(publicKey).toString("hex");
    const at = this.#kept.indexOf(nameOf(mail));
    if (at >= 0) {
      this.#kept.splice(at, 1);
      return true;
    }
    if (this.#seen.has(chain) && (chain !== this.#chain || n < this.#next)) return false;
    if (chain !== this.#chain) {
      if (this.#chain !== "") this.#goPast(previousCount);
      [this.#chain, this.#next] = [chain, 0];
      this.#seen.add(chain);
    }
    this.#goPast(n);
    this.#next++;
    this.#kept = this.#kept.slice(-MAX_SKIPPED);
    return true;
  }

  #goPast(to: number): void {
    for (; this.#next < to; this.#next++) this.#kept.push(`${this.#chain} ${this.#next}`);
  }
}

interface Schedule {
  /** Messages that may be under way in one direction. */
  readonly ahead: number;
  readonly rounds: number;
}

interface Tally {
  delivered: number;
  tooLate: number;
  repeats: number;
  mostUnderWay: number;
}

/** Bursts of one side after the other, each handed over in random order while more are sent. */
function run(of: number, { ahead, rounds }: Schedule): Tally {
  const random = seededRandom(of);
  const sides: Sides = twoCores(random);
  const oracles = [new Oracle(), new Oracle()] as const;
  const opened = new Set<string>();
  const flying: Flying[] = [];
  const tally: Tally = { delivered: 0, tooLate: 0, repeats: 0, mostUnderWay: 0 };
  const arrive = (mail: Flying): void => {
    const [name, mustOpen] = [nameOf(mail), oracles[mail.to].opens(mail)];
    const { code } = deliver(sides, mail);
    const where = `SEED=${of}, message ${mail.number}`;
    if (mustOpen) {
      expect([where, code, opened.has(name)]).toEqual([where, "ok", false]);
      opened.add(name);
      tally.delivered++;
    } else if (opened.has(name)) {
      expect([where, ["duplicate", "key-expired"].includes(code)]).toEqual([where, true]);
      tally.repeats++;
    } else {
      expect([where, code]).toEqual([where, "key-expired"]);
      tally.tooLate++;
    }
  };
  let number = 0;
  arrive(sendFrom(sides, 0, number++, random));
  for (let round = 0; round < rounds; round++) {
    const burst = round === 0 ? ahead : 1 + random.below(ahead);
    const from = round % 2 === 0 ? 0 : 1;
    for (let i = 0; i < burst; i++) flying.push(sendFrom(sides, from, number++, random));
    tally.mostUnderWay = Math.max(tally.mostUnderWay, flying.length);
    // The more are left under way, the more cross with the next burst.
    const leave = random.below(ahead / 4);
    while (flying.length > leave) {
      const at = random.below(flying.length);
      const mail = flying[at] as Flying;
      const fate = random.below(40);
      if (fate !== 0) flying.splice(at, 1);
      if (fate === 1) continue;
      arrive(mail);
    }
  }
  return tally;
}

describe("attack 14: reordering", () => {
  it("by up to 3,000 messages: each opens exactly when its key should still be there", () => {
    const tally = run(seed, { ahead: 3_000, rounds: 6 });
    expect(tally.mostUnderWay).toBeGreaterThanOrEqual(3_000);
    expect(Math.min(tally.delivered - 5_000, tally.tooLate, tally.repeats)).toBeGreaterThan(0);
  });

  it("in many short schedules", () => {
    const total = { delivered: 0, repeats: 0 };
    for (let i = 1; i <= 40; i++) {
      const { delivered, repeats } = run(seed + i, { ahead: 60, rounds: 12 });
      total.delivered += delivered;
      total.repeats += repeats;
    }
    expect(total.delivered).toBeGreaterThan(5_000);
    expect(total.repeats).toBeGreaterThan(200);
  });

  it("keeps exactly 2,000 keys: of one gap, and of several, the oldest out first", () => {
    const sides = twoCores(seededRandom(seed));
    const mail = Array.from({ length: 2 * MAX_SKIPPED }, (_, number) => sendFrom(sides, 0, number));
    const code = (at: number): string => deliver(sides, mail[at] as Flying).code;
    expect(code(MAX_SKIPPED + 1)).toBe("ok"); // numbers 1 to 2,000 are kept, 0 is not
    expect([code(0), code(1)]).toEqual(["key-expired", "ok"]); // 2 to 2,000 are left
    expect(code(MAX_SKIPPED + 4)).toBe("ok"); // and 2,002, 2,003: one over, so 2 goes
    expect([code(2), code(3)]).toEqual(["key-expired", "ok"]);
  });
});
