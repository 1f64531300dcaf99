// Files on their way between people, while relays and clients are killed at random moments: what was promised is had by everybody
// whole, what was not was gone on with, and nothing of any file is left behind.
import { expect, it } from "vitest";
import { Chance } from "../support/chance.ts";
import { GROUP, judgeMedia } from "../support/crowd/media-history.ts";
import { MediaPeople, type Moment } from "../support/crowd/media-people.ts";
import { REQUEST_KINDS } from "../support/crowd/media-requests.ts";
import { aFolder } from "../support/folder.ts";
import { type MediaRelays, relaysWithSwift, relayWithFiles, waiting } from "../support/media-relays.ts";
import { hasSwift } from "../support/swift.ts";
import { eventually } from "../support/waiting.ts";

const KILLS = 20;
const PEOPLE = 4;
/** Files that each person may begin between two kills; further ones where all are done. */
const EACH = 1;
const PATIENCE_MS = 120_000;
const LONGEST_MS = 600_000;
const COLLECT_S = 1;
const MOMENTS: readonly Moment[] = ["put", "finish", "tokens", "get", "release", "released", "any"];

/** Kills some of all, at a moment that chance has named, and starts them again. */
class Kills {
  readonly counts: Record<string, number> = { relays: 0, people: 0 };
  readonly #relays: MediaRelays;
  readonly #people: MediaPeople;
  readonly #chance: Chance;

  constructor(relays: MediaRelays, people: MediaPeople, chance: Chance) {
    this.#relays = relays;
    this.#people = people;
    this.#chance = chance;
  }

  async once(): Promise<void> {
    const chance = this.#chance;
    this.#people.allow(EACH);
    const moment = chance.pick(MOMENTS);
    await this.#people.until(moment, chance.between(1, moment === "any" ? 60 : 4));
    this.#noteMoment();
    const relays = this.#relaysToKill();
    const people = relays.length === 0 || chance.oneIn(2) ? [chance.below(PEOPLE)] : [];
    await Promise.all([
      ...relays.map((i) => this.#relays.kill(i)),
      ...people.map((i) => this.#people.killPerson(i)),
    ]);
    if (relays.length > 0) this.#add("amid a collection", (await this.#relays.ended()) > 0);
    this.counts["relays"] = (this.counts["relays"] ?? 0) + relays.length;
    this.counts["people"] = (this.counts["people"] ?? 0) + people.length;
    await Promise.all([
      ...people.map((i) => this.#people.startPerson(i)),
      Promise.all(relays.map((i) => this.#relays.start(i))).then(() => this.#people.relayIsUp()),
    ]);
  }

  #relaysToKill(): number[] {
    const all = this.#relays.urls.map((_, i) => i);
    if (this.#chance.oneIn(4)) return [];
    return this.#chance.oneIn(4) ? all : [this.#chance.pick(all)];
  }

  #noteMoment(): void {
    const { underWay } = this.#people;
    for (const kind of REQUEST_KINDS) this.#add(`amid a ${kind}`, underWay[kind] > 0);
  }

  #add(what: string, isSo: boolean): void {
    this.counts[what] = (this.counts[what] ?? 0) + (isSo ? 1 : 0);
  }
}

/** Until there is nothing of the kind; says what there is. */
async function none(what: string, ask: () => Promise<readonly string[]> | readonly string[]): Promise<void> {
  let found: readonly string[] = [];
  const gone = async (): Promise<true | undefined> => {
    found = await ask();
    return found.length === 0 ? true : undefined;
  };
  await eventually(PATIENCE_MS, `the end of what is ${what}`, gone, 200).catch((error: unknown) => {
    throw new Error(`${found.length} ${what}: ${found.slice(0, 10).join(", ")}`, { cause: error });
  });
}

async function killed(
  what: string,
  relays: MediaRelays,
  chance: Chance,
  sizes: readonly number[],
): Promise<void> {
  await using folder = await aFolder();
  await using people = new MediaPeople({ relays, folder: folder.path, people: PEOPLE, sizes, chance });
  await people.start();
  const began = performance.now();
  const kills = new Kills(relays, people, chance);
  for (let kill = 0; kill < KILLS; kill++) await kills.once();

  const killing = performance.now() - began;
  await none("that is not at everybody", () => judgeMedia(people.histories()).missing);
  await none("left with people", () => people.left());
  await none("left at the relays", async () => {
    const counted = await waiting(relays);
    return [...(await relays.kept()), ...(counted === 0 ? [] : [`${counted} in the ledger`])];
  });
  await people.finish();

  const histories = people.histories();
  const { faults, missing: after, ...counts } = judgeMedia(histories);
  const toGroup = [...histories.values()].flat().filter((line) => line.is === "sending" && line.to === GROUP);
  const seconds = [killing, performance.now() - began - killing].map((ms) => (ms / 1_000).toFixed(0));
  process.stdout.write(
    `${what}: ${JSON.stringify({ ...counts, toGroup: toGroup.length, kills: kills.counts })}, ${seconds.join(" and ")} s\n`,
  );
  expect(faults).toEqual([]);
  expect(counts.refused).toEqual([]);
  expect(after).toEqual([]);
  for (const relay of relays.running) expect(await relay.metric("lethe_unresolved_total")).toBe(0);
  for (const [i] of relays.urls.entries()) await relays.stop(i);
  expect([await relays.kept(), await relays.ledger()]).toEqual([[], []]);
  expect(counts.resumedUploads + counts.outOfSight).toBeGreaterThan(0);
  expect(toGroup.length).toBeGreaterThan(0);
}

const MIB = 1_048_576;
/** From one part to four; and such that a client that is killed goes on in the middle, which it does from each 16 MiB on. */
const SIZES = [1, 4_000, 70_000, 300_000, 1 * MIB, 2 * MIB, 4 * MIB, 6 * MIB, 20 * MIB];
const flags = ["--media-collect", String(COLLECT_S)];

it(
  `a relay with its own disk, and people, killed ${KILLS} times amid files lose none and leave none behind`,
  async () => {
    const chance = Chance.forThisRun("files on one disk");
    await using relays = await relayWithFiles({ chance, flags });
    await killed("a relay with its own disk", relays, chance, SIZES);
  },
  LONGEST_MS,
);

it.skipIf(!hasSwift())(
  `two relays on one Redis and one S3 store, and people, killed ${KILLS} times amid files lose none and leave none behind`,
  async () => {
    const chance = Chance.forThisRun("files on S3");
    await using relays = await relaysWithSwift({ chance, flags });
    await killed("two relays on S3", relays, chance, [1, 4_000, 70_000, 300_000, 2_200_000]);
  },
  LONGEST_MS,
);
