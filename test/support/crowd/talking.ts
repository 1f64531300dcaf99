// People who write to each other at several nodes, and what they may expect of it in the end: every message once, in order,
// and nothing left anywhere.
import { join } from "node:path";
import { expect } from "vitest";
import type { Chance } from "../chance.ts";
import type { Fleet } from "../fleet.ts";
import { eventually } from "../waiting.ts";
import type { Histories, Stamped } from "./history.ts";
import { judge } from "./judge.ts";
import { People } from "./people.ts";

/** Nothing for so long, ms, means that nothing will come. */
const QUIET_MS = 40_000;
const CALM_MS = 200_000;
const PATIENCE_MS = 30_000;

/** Each person begins at another node, and knows all. */
export function peopleOf(fleet: Fleet, people: number, chance: Chance): People {
  const { urls } = fleet;
  return new People({
    folder: join(fleet.folder, "people"),
    ...{ people, processes: 2, peers: 5, chance },
    relays: (_name, at) => urls.map((_, i) => urls[(at + i) % urls.length] as string),
  });
}

/** Until all of their messages are there, or nothing comes any more; throws where a promise was broken. */
export async function allSaid(people: People, messages: number, fleet: Fleet): Promise<Histories<Stamped>> {
  const { faults, ...counts } = await eventually(
    CALM_MS,
    "the last message",
    async () => {
      const so = judge(await people.histories());
      const isComplete = so.sending === messages && so.missing === 0;
      return isComplete || people.quiet > QUIET_MS ? so : undefined;
    },
    500,
  );
  const live = await fleet.total("lethe_delivered_live_total");
  process.stdout.write(`${JSON.stringify(counts)}, live at the nodes that run ${live}\n`);
  expect(faults.slice(0, 20)).toEqual([]);
  expect(counts.sending).toBe(messages);
  expect(counts.handed).toBeGreaterThanOrEqual(counts.queued);
  await fleet.linked();
  await emptied(fleet);
  return people.histories();
}

/** Every mailbox is empty, and nothing is under way, without anybody coming back for it. */
export async function emptied(fleet: Fleet): Promise<void> {
  await eventually(PATIENCE_MS, "empty mailboxes", async () =>
    (await fleet.total("lethe_mailbox_envelopes")) + (await fleet.total("lethe_unsettled_bytes")) === 0
      ? true
      : undefined,
  );
}
