// Two relays on a Redis Cluster of three masters and three replicas, each write waited for on one replica: a master is killed
// and its replica takes over, and slots move, while people write.
import { expect, it } from "vitest";
import { Chance } from "../support/chance.ts";
import { allSaid, peopleOf } from "../support/crowd/talking.ts";
import { Fleet } from "../support/fleet.ts";
import { RedisCluster } from "../support/redis-cluster.ts";
import { eventually } from "../support/waiting.ts";

const PEOPLE = 8;
const EACH = 120;
const SHARDS_MOVED = 6;
const PATIENCE_MS = 60_000;

it("loses nothing when a master is killed and its replica promoted, and when slots move, under messages", async () => {
  const chance = Chance.forThisRun("redis cluster");
  await using cluster = await RedisCluster.start();
  await using fleet = await Fleet.start({
    ...{ nodes: 2, chance, store: cluster.url },
    flags: ["--store-replicas", "1"],
  });
  await using people = peopleOf(fleet, PEOPLE, chance);
  await people.start();

  people.allow(EACH / 3);
  for (let i = 0; i < SHARDS_MOVED; i++) {
    const shard = chance.below(256).toString(16).padStart(2, "0");
    await cluster.moveSlot(`l{${shard}}`);
  }

  people.allow((2 * EACH) / 3);
  await people.untilSent(people.sent + EACH, 6_000);
  const [victim] = await cluster.masters();
  await victim?.kill();
  await eventually(PATIENCE_MS, "a replica in the place of the master", async () =>
    (await cluster.state()) === "ok" ? true : undefined,
  );
  people.allow(EACH);
  await people.untilSent(people.sent + EACH, 6_000);
  await victim?.restart();
  await cluster.whole();

  const histories = await allSaid(people, PEOPLE * EACH, fleet);
  expect([...histories.values()].flat().some(({ is }) => is === "delivered")).toBe(true);
  await people.finish();
});
