// Two honest devices and a network that only delays: whatever the order, however many ratchets both sides start, every
// envelope reads as its text. Nothing is taken for a copied store, refused as superseded, or lost.
import { beforeAll, expect, it } from "vitest";
import { ready } from "../../crypto/index.ts";
import { seededRandom, seedOf } from "./support.ts";
import { letheWorld, other, type Side } from "./twin/worlds.ts";

beforeAll(ready);

const seed = seedOf("honest", 6);
const STEPS = 300;
const MAX_STARTS = 8;

interface Run {
  readonly arrived: number;
  readonly starts: number;
  /** What was not read as sent. */
  readonly wrong: readonly string[];
}

function run(of: number): Run {
  const random = seededRandom(of);
  const pick = (choices: readonly number[]): number => choices[random.below(choices.length)] as number;
  const world = letheWorld(of);
  const [restless, underWay, burst] = [pick([6, 15, 40, 1_000]), pick([5, 20, 60]), 1 + random.below(10)];
  const texts: string[] = [];
  const flying: { mail: number; to: Side }[] = [];
  const maySend: [boolean, boolean] = [false, false];
  const wrong: string[] = [];
  let [starts, arrived] = [0, 0];
  const start = (by: Side): void => {
    world.do({ do: "start", by, oneTime: false, oneTimeKem: false });
    maySend[by] = true;
    starts++;
  };
  const arrive = (): void => {
    const [found] = flying.splice(random.below(flying.length), 1);
    if (found === undefined) return;
    const { read } = world.do({ do: "arrive", mail: found.mail });
    if (read !== texts[found.mail]) wrong.push(`SEED=${of}, message ${found.mail}: ${read}`);
    maySend[found.to] = true;
    arrived++;
  };
  const send = (by: Side): void => {
    const mail = texts.push(`message ${texts.length}`) - 1;
    world.do({ do: "send", by, text: texts[mail] ?? "", content: "lasting" });
    flying.push({ mail, to: other(by) });
  };
  start(0);
  let speaker: Side = 0;
  for (let step = 0; step < STEPS; step++) {
    if (random.below(burst) === 0) speaker = other(speaker);
    if (maySend[speaker] && starts < MAX_STARTS && random.below(restless) === 0) start(speaker);
    if (maySend[speaker] && flying.length < underWay && random.below(2) === 0) send(speaker);
    else arrive();
  }
  while (flying.length > 0) arrive();
  // One round more: then both send on the same ratchet. Of more than two started, agreeing.thorough.test.ts says what holds.
  for (const by of [0, 1] as const) {
    if (maySend[by]) send(by);
    arrive();
  }
  const [one, two] = world.inUse();
  if (one !== two && starts <= 2) wrong.push(`SEED=${of}: ${one} and ${two} are in use`);
  return { arrived, starts, wrong };
}

it("reads every envelope of honest devices, in any order, over any ratchets", () => {
  const runs = Array.from({ length: 150 }, (_, i) => run(seed + i));
  expect(runs.flatMap(({ wrong }) => wrong)).toEqual([]);
  expect(runs.reduce((sum, { arrived }) => sum + arrived, 0)).toBeGreaterThan(15_000);
  expect(runs.reduce((sum, { starts }) => sum + starts, 0)).toBeGreaterThan(400);
});
