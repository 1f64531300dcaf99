// Relay processes that share one Redis: live from node to node, whoever dies.
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Chance } from "../support/chance.ts";
import { ChatProcess } from "../support/chat-process.ts";
import type { Stamped } from "../support/crowd/history.ts";
import { allSaid, emptied, peopleOf } from "../support/crowd/talking.ts";
import { Fleet } from "../support/fleet.ts";
import { eventually } from "../support/waiting.ts";

const PATIENCE_MS = 60_000;

describe("two nodes on one Redis", () => {
  it("hand a message over live, store nothing, and find a person who has moved to the other node", async () => {
    await using fleet = await Fleet.start({ nodes: 2, chance: Chance.forThisRun("two nodes") });
    const chat = (user: string, other: string, node: number): ChatProcess =>
      new ChatProcess({
        user,
        with: other,
        relay: fleet.urls[node] as string,
        store: join(fleet.folder, `${user}.db`),
      });
    await using anna = chat("anna", "ben", 0);
    const ben = chat("ben", "anna", 1);
    for (const person of [anna, ben]) await person.line("connection online");
    anna.type("hello ben");
    await ben.line("< anna: hello ben");
    for (const tick of ["sent 1", "read 1"]) await anna.line(tick);
    ben.type("hello anna");
    await anna.line("< ben: hello anna");
    await ben.line("read 1");
    await eventually(PATIENCE_MS, "counts", async () =>
      (await fleet.total("lethe_delivered_live_total")) >= 4 ? true : undefined,
    );
    expect(await fleet.total("lethe_stored_total")).toBe(0);

    expect(await ben.end()).toEqual({ code: 0, signal: null });
    anna.type("where are you?");
    await anna.line("sent 2");
    await using moved = chat("ben", "anna", 0);
    await moved.line("< anna: where are you?");
    anna.type("here!");
    await moved.line("< anna: here!");
    await anna.line("read 3");
    await emptied(fleet);
  });
});

const PEOPLE = 12;
const EACH = 170;

describe("three nodes on one Redis", () => {
  it(`hand ${(PEOPLE * EACH).toLocaleString("en")} messages over once and in order, while nodes and Redis are killed`, async () => {
    const chance = Chance.forThisRun("three nodes");
    await using fleet = await Fleet.start({ nodes: 3, chance });
    await using people = peopleOf(fleet, PEOPLE, chance);
    await people.start();
    const steps = [0, 1, 2, "redis", 0, "redis", 2] as const;
    for (const [i, victim] of steps.entries()) {
      people.allow(Math.floor((EACH * (i + 1)) / (steps.length + 1)));
      await people.untilSent(people.sent + chance.below((PEOPLE * EACH) / steps.length), 6_000);
      if (victim === "redis") {
        await fleet.redis.kill();
        await fleet.redis.restart();
      } else {
        await fleet.killNode(victim);
        await fleet.startNode(victim);
      }
      people.order({ relay: "up" });
    }
    people.allow(EACH);
    await allSaid(people, PEOPLE * EACH, fleet);
    await people.finish();
  });

  it("restarted one after the other under load lose nothing and fail no send, and nobody is without one for long", async () => {
    const chance = Chance.forThisRun("rolling");
    await using fleet = await Fleet.start({ nodes: 3, chance });
    await using people = peopleOf(fleet, PEOPLE, chance);
    await people.start();
    for (const [i, node] of [0, 1, 2].entries()) {
      people.allow(Math.floor((EACH * (i + 1)) / 4));
      await people.untilSent(people.sent + EACH, 6_000);
      await fleet.stopNode(node);
      await fleet.startNode(node);
      await fleet.linked();
    }
    people.allow(EACH);
    const histories = await allSaid(people, PEOPLE * EACH, fleet);
    const lines = [...histories.values()].flat();
    expect(lines.filter(({ is }) => is === "not-queued" || is === "refused")).toEqual([]);
    const silences = [...histories.values()].flatMap(silencesIn);
    expect(silences.length).toBeGreaterThan(0); // else nobody was connected to a node that ended
    process.stdout.write(
      `rolling restart: the longest silence for a client ${(Math.max(...silences) / 1_000).toFixed(1)} s of ${silences.length}\n`,
    );
    await people.finish();
  });
});

/** How long a person was not online, each time that they had been before, ms. */
function silencesIn(lines: readonly Stamped[]): number[] {
  const silences: number[] = [];
  let since: number | undefined;
  let wasOnline = false;
  for (const line of lines) {
    if (line.is !== "connection") continue;
    if (line.state === "online") {
      if (since !== undefined) silences.push(line.mono - since);
      [wasOnline, since] = [true, undefined];
    } else if (wasOnline) since ??= line.mono;
  }
  return silences;
}
