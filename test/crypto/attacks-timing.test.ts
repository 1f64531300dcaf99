// Attack 43: who is written to, from the times of receipts (Martiny, Kaptchuk, Aviv, Roche, Wustrow: "Improving Signal's
// Sealed Sender", NDSS 2021). The observer is the relay: it sees when something is pushed to whom, and not of whom it is.
// The receipts are of the library's own core in simulated time; everybody else's mail comes at random. Chance is seeded. The
// measure is the likelihood ratio of "one more push than by chance follows each of the target's" for pushes at random.
import { describe, expect, it } from "vitest";
import { RECEIPT_JITTER_MS } from "../../client-lib/delivery/limits.ts";
import { account, Bench, seeded } from "../client/support/bench-core.ts";

/** People beside the target and the correspondent. */
const OTHERS = 199;
const CHANCE = (OTHERS + 2) / 2;
const SEEDS = 40;
/** From the target's submit to the push that the relay makes of it, and what the observer allows on top, ms. */
const LATENCY_MS = 50;
const SLACK_MS = 200;

interface Setting {
  readonly messages: number;
  readonly jitterMs: number;
  /** How often each of the others is pushed something, ms on average. */
  readonly everyMs: number;
  /** Messages of the correspondent come alone, or in bursts of five over ten seconds; a minute lies between. */
  readonly talk: "alone" | "in bursts";
}

type Chance = ReturnType<typeof seeded>;
const exponential = (chance: Chance, mean: number): number => -Math.log(1 - chance.fraction()) * mean;

/** When the correspondent's messages are pushed to the target, ms from the beginning. */
function timesOf({ messages, talk }: Setting, chance: Chance): number[] {
  const times: number[] = [];
  let at = 0;
  while (times.length < messages) {
    at += 20_000 + exponential(chance, 40_000);
    const burst = talk === "alone" ? [0] : Array.from({ length: 5 }, () => chance.fraction() * 10_000);
    times.push(...burst.map((after) => at + after));
    at += 10_000;
  }
  return times.map(Math.round).toSorted((a, b) => a - b);
}

/** When the target's library submits something for the correspondent: receipts, and nothing else. */
function receiptsTo(
  correspondent: string,
  arrivals: readonly number[],
  jitterMs: number,
  seed: number,
): number[] {
  const target = new Bench({ receiptJitterMs: jitterMs, seed }).online();
  const sender = new Bench({ name: correspondent }).online();
  const begin = target.now;
  const receipts: number[] = [];
  let accepted = 0;
  let answered = 0;
  const serve = (): void => {
    for (; accepted < target.opens.length; accepted++)
      if (target.opens[accepted]?.socket === "anonymous") target.accept("anonymous");
    for (; answered < target.sent.length; answered++) {
      const frame = target.sent[answered]?.frame;
      if (frame?.frame !== "submit" || frame.recipient !== account(correspondent)) continue;
      receipts.push(target.now - begin);
      target.frames("anonymous", { frame: "accepted", ids: frame.envelopes.map(({ id }) => id) });
    }
  };
  const until = (time: number): void => {
    while (target.now - begin < time) {
      const next = Math.min(
        time - (target.now - begin),
        5_000,
        (target.wakeAt ?? Number.POSITIVE_INFINITY) - target.now,
      );
      target.pass(Math.max(next, 0));
      for (const socket of ["device", "anonymous"] as const)
        target.frames(socket, { frame: "pong", token: 0 });
      serve();
    }
  };
  arrivals.forEach((time, i) => {
    until(time);
    sender.send("Kanna", `message ${i}`);
    const submit = sender.sent.at(-1)?.frame;
    const [envelope] = submit?.frame === "submit" ? submit.envelopes : [];
    if (envelope === undefined) throw new Error("nothing was sent");
    sender.frames("device", { frame: "accepted", ids: [envelope.id] });
    const { id, ciphertext } = envelope;
    target.frames("device", { frame: "push", id, kind: "pairwise", ciphertext });
    serve();
  });
  until((arrivals.at(-1) ?? 0) + 2 * jitterMs + 1_000);
  return receipts;
}

/** What no push at all within a window counts as: hardly possible for the correspondent. */
const NONE = 0.001;

/** The logarithm of the likelihood ratio, but for a part that is the same for everybody. */
function scoreOf(arrivals: readonly number[], pushes: readonly number[], windowMs: number): number {
  let score = 0;
  for (const at of arrivals) {
    const count = pushes.filter((push) => push > at && push <= at + windowMs).length;
    score += Math.log(Math.max(count, NONE));
  }
  return score;
}

/** The place of the correspondent among all by their scores, the middle of those who tie: 1 is found, 100.5 is chance. */
function rankIn(setting: Setting, seed: number): { rank: number; receipts: number } {
  const { jitterMs, everyMs } = setting;
  const chance = seeded(seed);
  const arrivals = timesOf(setting, chance);
  const receipts = receiptsTo("Kben", arrivals, jitterMs, seed);
  const windowMs = jitterMs + LATENCY_MS + SLACK_MS;
  const end = (arrivals.at(-1) ?? 0) + windowMs;
  /** What comes to somebody anyway. */
  const background = (): number[] => {
    const pushes: number[] = [];
    for (let at = exponential(chance, everyMs); at < end; at += exponential(chance, everyMs)) pushes.push(at);
    return pushes;
  };
  const own = scoreOf(arrivals, [...receipts.map((at) => at + LATENCY_MS), ...background()], windowMs);
  const others = Array.from({ length: OTHERS }, () => scoreOf(arrivals, background(), windowMs));
  const better = others.filter((score) => score > own).length;
  const same = others.filter((score) => score === own).length;
  return { rank: 1 + better + same / 2, receipts: receipts.length };
}

/** Means over many seeds, and a line of the report. */
function measured(setting: Setting): { rank: number; receipts: number } {
  const runs = Array.from({ length: SEEDS }, (_, i) => rankIn(setting, 4_300 + i));
  const mean = (of: "rank" | "receipts"): number => runs.reduce((sum, run) => sum + run[of], 0) / SEEDS;
  const found = { rank: mean("rank"), receipts: mean("receipts") };
  const { messages, talk, jitterMs, everyMs } = setting;
  console.info(
    `attack 43: ${messages} messages ${talk}, receipts within ${jitterMs / 1_000} s (${found.receipts.toFixed(1)} of them), ` +
      `others pushed to every ${everyMs / 1_000} s: rank ${found.rank.toFixed(1)} of ${OTHERS + 1}, by chance ${CHANCE}`,
  );
  return found;
}

const [QUIET_MS, BUSY_MS] = [300_000, 5_000];
const TWENTY = { messages: 20, talk: "alone", jitterMs: RECEIPT_JITTER_MS } as const;

describe("attack 43: whom somebody answers, from the times of receipts", () => {
  it("attack 43: receipts without a delay give the correspondent away on a busy relay: the measure sees what there is", () => {
    expect(measured({ ...TWENTY, jitterMs: 0, everyMs: BUSY_MS }).rank).toBeLessThan(1.1);
  });

  it("attack 43: the library's delay does not hide the correspondent: after 20 messages they rank first of 200", () => {
    // A bound from above: it holds the documentation, which says that this is not hidden, against the code.
    expect(measured({ ...TWENTY, everyMs: QUIET_MS }).rank).toBeLessThan(1.1);
    expect(measured({ ...TWENTY, everyMs: BUSY_MS }).rank).toBeLessThan(1.5);
  });

  it("attack 43: what the library's delay does: it takes more messages, and one receipt names several", () => {
    expect(measured({ ...TWENTY, messages: 5, jitterMs: 0, everyMs: BUSY_MS }).rank).toBeLessThan(1.1);
    expect(measured({ ...TWENTY, messages: 5, everyMs: BUSY_MS }).rank).toBeGreaterThan(4);
    const { rank, receipts } = measured({ ...TWENTY, talk: "in bursts", everyMs: BUSY_MS });
    expect(receipts).toBeLessThan(12);
    expect(rank).toBeGreaterThan(1.2);
  });

  it("attack 43: receipts within a minute blur the correspondent among busy people, and not among quiet ones", () => {
    const slow = { ...TWENTY, jitterMs: 60_000 };
    expect(measured({ ...slow, everyMs: BUSY_MS }).rank).toBeGreaterThan(0.3 * CHANCE);
    expect(measured({ ...slow, everyMs: QUIET_MS }).rank).toBeLessThan(1.5);
  });
});
