// Relay processes that share one Redis: live from node to node, whoever dies.
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Chance } from "../support/chance.ts";
import { ChatProcess } from "../support/chat-process.ts";
import { judge } from "../support/crowd/judge.ts";
import { People } from "../support/crowd/people.ts";
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
/** Nothing for so long, ms, means that nothing will come. */
const QUIET_MS = 40_000;
const CALM_MS = 200_000;

describe("three nodes on one Redis", () => {
  it(`hand ${(PEOPLE * EACH).toLocaleString("en")} messages over once and in order, while nodes and Redis are killed`, async () => {
    const chance = Chance.forThisRun("three nodes");
    await using fleet = await Fleet.start({ nodes: 3, chance });
    await using people = new People({
      folder: join(fleet.folder, "people"),
      people: PEOPLE,
      processes: 2,
      peers: 5,
      chance,
      relays: (_name, at) => [0, 1, 2].map((i) => fleet.urls[(at + i) % 3] as string),
    });
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
    const { faults, ...counts } = await eventually(
      CALM_MS,
      "the last message",
      async () => {
        const so = judge(await people.histories());
        const isComplete = so.sending === PEOPLE * EACH && so.missing === 0;
        return isComplete || people.quiet > QUIET_MS ? so : undefined;
      },
      500,
    );
    const live = await fleet.total("lethe_delivered_live_total");
    process.stdout.write(`cluster: ${JSON.stringify(counts)}, live at the nodes that run ${live}\n`);
    expect(faults.slice(0, 20)).toEqual([]);
    expect(counts.sending).toBe(PEOPLE * EACH);
    expect(counts.handed).toBeGreaterThanOrEqual(counts.queued);
    await fleet.linked();
    await emptied(fleet);
    await people.finish();
  });
});

/** Every mailbox is empty, and nothing is under way, without anybody coming back for it. */
async function emptied(fleet: Fleet): Promise<void> {
  await eventually(PATIENCE_MS, "empty mailboxes", async () =>
    (await fleet.total("lethe_mailbox_envelopes")) + (await fleet.total("lethe_unsettled_bytes")) === 0
      ? true
      : undefined,
  );
}
