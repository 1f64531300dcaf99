// Twenty people, ten thousand messages, a relay and clients that are killed at random moments: everything that was
// accepted reaches its application once and in order.
import { expect, it } from "vitest";
import { Chance } from "../support/chance.ts";
import { aFolder } from "../support/folder.ts";
import { eventually } from "../support/waiting.ts";
import { Crowd } from "../support/crowd/crowd.ts";
import { judge } from "../support/crowd/judge.ts";

const PEOPLE = 20;
const PROCESSES = 4;
const EACH = 500;
const RELAY_KILLS = 22;
/** No life of the relay is longer than this, ms. */
const LIFE_MS = 4_000;
/** After the last kill mail goes on until all of it has arrived; nothing for so long, ms, means that nothing will come. */
const QUIET_MS = 40_000;
const CALM_MS = 200_000;

it(`hands ${(PEOPLE * EACH).toLocaleString("en")} messages over once and in order through ${RELAY_KILLS} kills of the relay`, async () => {
  const chance = Chance.forThisRun("killed");
  await using folder = await aFolder();
  await using crowd = await Crowd.gather({
    folder: folder.path,
    people: PEOPLE,
    processes: PROCESSES,
    peers: 5,
    chance,
  });
  const started = performance.now();
  let clientKills = 0;
  let startKills = 0;
  for (let life = 1; life <= RELAY_KILLS; life++) {
    crowd.allow(Math.floor((EACH * life) / RELAY_KILLS));
    // A random moment: after any part of what this life may send and the last one left, or at the relay's very start.
    if (chance.oneIn(6)) startKills++;
    else await crowd.untilSent(crowd.sent + chance.below((2 * PEOPLE * EACH) / RELAY_KILLS), LIFE_MS);
    const victim = chance.oneIn(2) ? chance.below(PROCESSES) : undefined;
    if (victim !== undefined && chance.oneIn(2)) await crowd.killWorker(victim);
    await crowd.killRelay();
    if (victim !== undefined) {
      await crowd.killWorker(victim);
      clientKills++;
      await Promise.all([crowd.startWorker(victim), crowd.startRelay()]);
    } else await crowd.startRelay();
  }
  crowd.allow(EACH);

  const verdict = await eventually(
    CALM_MS,
    "the last message",
    async () => {
      const so = judge(await crowd.histories());
      const complete = so.sending === PEOPLE * EACH && so.missing === 0;
      return complete || crowd.quiet > QUIET_MS ? so : undefined;
    },
    500,
  );
  const { faults, ...counts } = verdict;
  process.stdout.write(
    `killed: ${JSON.stringify(counts)}, the relay killed ${RELAY_KILLS} times (${startKills} at its start), clients ${clientKills} times, ${((performance.now() - started) / 1_000).toFixed(0)} s\n`,
  );
  expect(faults.slice(0, 20)).toEqual([]);
  expect(counts.sending).toBe(PEOPLE * EACH);
  expect(counts.handed).toBeGreaterThanOrEqual(counts.queued);
  expect(clientKills).toBeGreaterThan(0);

  await crowd.finish();
  const after = judge(await crowd.histories());
  expect(after.faults.slice(0, 20)).toEqual([]);
  expect(after.handed).toBe(counts.handed); // closing brings nothing more
}, 280_000);
