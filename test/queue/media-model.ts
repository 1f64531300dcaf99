// A media ledger against its twin in memory: random verbs, times that pass and restarts. After each both have answered the
// same, and both say the same of every blob, key and token that there can be.
import fc from "fast-check";
import type { AccountId, Time } from "@lethe/protocol";
import {
  type CapabilityMark,
  type MediaId,
  type MediaLedger,
  type MediaUpload,
  openMemoryBackend,
} from "@lethe/queue";
import { expect } from "vitest";
import { type Clock, ROOMY } from "../contracts/world.ts";

const HOUR = 3_600_000;
const QUOTA = { bytes: 700, blobs: 3 };

/** A ledger under test, which is opened again over what it keeps. */
export interface LedgerUnderTest {
  readonly ledger: MediaLedger;
  restart(): Promise<void>;
}

/** Few of each, so that verbs meet. */
const idsOf = <Id extends string>(letter: string, count: number): Id[] =>
  Array.from({ length: count }, (_, i) => `${letter}${i}`.padEnd(16, ".") as Id);
const ACCOUNTS = idsOf<AccountId>("a", 2);
const BLOBS = idsOf<MediaId>("m", 5);
const KEYS = idsOf<CapabilityMark>("k", 2);
const TOKENS = idsOf<CapabilityMark>("t", 4);

const media = fc.constantFrom(...BLOBS);
/** Mostly the one that uploads use. */
const key = fc.oneof(
  { weight: 5, arbitrary: fc.constant(KEYS[0] as CapabilityMark) },
  fc.constantFrom(...KEYS),
);
const token = fc.constantFrom(...TOKENS);

type Step =
  | { readonly is: "pass"; readonly ms: number }
  | { readonly is: "restart" }
  | {
      readonly is: "verb";
      readonly says: string;
      readonly run: (ledger: MediaLedger, now: Time) => Promise<unknown>;
    };

function verb<Wish>(
  name: string,
  wish: fc.Arbitrary<Wish>,
  run: (ledger: MediaLedger, wish: Wish, now: Time) => Promise<unknown>,
): fc.Arbitrary<Step> {
  return wish.map((it) => ({
    is: "verb" as const,
    says: `${name} ${JSON.stringify(it)}`,
    run: (ledger: MediaLedger, now: Time) => run(ledger, it, now),
    [fc.toStringMethod]: () => `${name} ${JSON.stringify(it)}`,
  }));
}

const upload = fc.record({
  media,
  account: fc.constantFrom(...ACCOUNTS),
  uploadKey: key,
  bytes: fc.constantFrom(100, 250, 400),
  hours: fc.constantFrom(1, 3, 12),
});
const change = fc.record({
  add: fc.array(token, { maxLength: 3 }),
  strike: fc.array(token, { maxLength: 3 }),
  close: fc.boolean(),
});
/** The order in which ledgers name what has ended is their own. */
const ended = async (ledger: MediaLedger): Promise<readonly MediaId[]> =>
  (await ledger.ended(100)).toSorted();

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: verb("begin", upload, (ledger, { hours, ...wish }, now) => {
      const times = { expires: (now + hours * HOUR) as Time, unfinished: (now + 2 * HOUR) as Time };
      return ledger.begin({ ...wish, ...times } satisfies MediaUpload, QUOTA);
    }),
  },
  { weight: 3, arbitrary: verb("finish", fc.tuple(media, key), (ledger, it) => ledger.finish(...it)) },
  {
    weight: 6,
    arbitrary: verb("tokens", fc.tuple(media, key, change), (ledger, it) => ledger.tokens(...it)),
  },
  { weight: 1, arbitrary: verb("withdraw", fc.tuple(media, key), (ledger, it) => ledger.withdraw(...it)) },
  { weight: 5, arbitrary: verb("release", fc.tuple(media, token), (ledger, it) => ledger.release(...it)) },
  { weight: 1, arbitrary: verb("ended", fc.constant("all"), ended) },
  {
    weight: 3,
    arbitrary: verb("forget", fc.uniqueArray(media), (ledger, it) => ledger.forget(it)),
  },
  {
    weight: 1,
    arbitrary: verb("leave", fc.constantFrom(...ACCOUNTS), (ledger, it) => ledger.leave(it)),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      is: fc.constant("pass" as const),
      ms: fc.constantFrom(1, HOUR / 2, HOUR, 6 * HOUR),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ is: "restart" as const }) },
);

/** Everything that a ledger says of everything. */
async function everything(ledger: MediaLedger): Promise<unknown> {
  const uploads = BLOBS.flatMap((blob) => KEYS.map((each) => ledger.upload(blob, each)));
  const downloads = BLOBS.flatMap((blob) => TOKENS.map((each) => ledger.download(blob, each)));
  return Promise.all([...uploads, ...downloads, ended(ledger), ledger.known(BLOBS), ledger.totals()]);
}

/** Runs so many random stories, each on a ledger that is empty. */
export function agreesWithTwin(
  open: (clock: Clock) => Promise<LedgerUnderTest>,
  aClock: () => Clock,
  runs: number,
): Promise<void> {
  const story = fc.array(step, { minLength: 5, maxLength: 40 });
  const property = fc.asyncProperty(story, async (steps) => {
    const clock = aClock();
    const twin = openMemoryBackend({ now: clock.now, limits: ROOMY, timers: clock }).media;
    const real = await open(clock);
    for (const each of steps) {
      if (each.is === "pass") clock.pass(each.ms);
      if (each.is === "restart") await real.restart();
      if (each.is === "verb")
        expect([each.says, await each.run(real.ledger, clock.now())]).toEqual([
          each.says,
          await each.run(twin, clock.now()),
        ]);
      expect(await everything(real.ledger)).toEqual(await everything(twin));
    }
  });
  return fc.assert(property, { numRuns: runs });
}
