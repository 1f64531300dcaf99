// Faults of links, through the fault proxy. Each kind is struck at some links of one sort: of people, of a node to the
// store, or to a node from the others.
import type { Chance } from "../../support/chance.ts";
import type { LinkHandle, Shape, Toward } from "../proxy/shape.ts";
import type { World } from "../world/world.ts";
import { anywhere, type Blow, type FaultKind, lasting, type Struck } from "./fault.ts";

const TOWARD: readonly Toward[] = ["both", "target", "source"];
/** A frame of a message is some hundred bytes: cuts fall inside one. */
const CUT_BYTES = [40, 3_000] as const;
const FLAP_MS = 250;
const FLAPS = 12;

interface Some {
  readonly says: string;
  readonly links: readonly LinkHandle[];
}

/** One person's links, a part of everybody's, all, or those of one node to what is behind it. */
function someLinks({ world, chance }: Blow): Some | undefined {
  const sorts: (() => Some | undefined)[] = [() => peoplesLinks(world, chance)];
  for (const [sort, links] of [
    ["store", world.links.store],
    ["nodes", world.links.nodes],
  ] as const)
    if (links.length > 0)
      sorts.push(() => {
        const link = world.take(links, ({ name }) => name, chance);
        return link === undefined ? undefined : { says: `${sort}: ${link.name}`, links: [link] };
      });
  return chance.pick(sorts)();
}

function peoplesLinks(world: World, chance: Chance): Some | undefined {
  const part = chance.pick([1, 0.5, 0.25, 0] as const);
  const everybody = [...new Set(world.links.people.map(({ name }) => personOf(name)))];
  const wanted = Math.max(1, Math.floor(everybody.length * part));
  const who = new Set<string>();
  for (let i = 0; i < wanted; i++) {
    const found = world.take(everybody, (name) => name, chance);
    if (found !== undefined) who.add(found);
  }
  if (who.size === 0) return undefined;
  const links = world.links.people.filter(({ name }) => who.has(personOf(name)));
  return { says: who.size === 1 ? [...who].join() : `${who.size} people`, links };
}

const personOf = (link: string): string => link.split(">")[0] ?? link;

const each = async (links: readonly LinkHandle[], what: (link: LinkHandle) => Promise<void>): Promise<void> =>
  void (await Promise.all(links.map(what)));

const healed = (links: readonly LinkHandle[]): Promise<void> => each(links, (link) => link.heal());

/** A fault that is a shape for a while. */
function shaped(
  name: string,
  says: string,
  draw: (chance: Chance) => { toward: Toward; change: Partial<Shape>; says: string },
): FaultKind {
  return {
    name,
    group: "link",
    says,
    fits: anywhere,
    async strike(blow): Promise<Struck | undefined> {
      const some = someLinks(blow);
      if (some === undefined) return undefined;
      const { toward, change, says: how } = draw(blow.chance);
      await each(some.links, (link) => link.shape(toward, change));
      return { says: `${some.says}, ${how}`, heal: () => healed(some.links) };
    },
  };
}

const towards = (toward: Toward): string => (toward === "both" ? "both ways" : `towards the ${toward}`);

const latency = shaped("link-latency", "latency up to 2 s with jitter", (chance) => {
  const latencyMs = chance.pick([20, 100, 400, 1_000]);
  return {
    toward: "both",
    change: { latencyMs, jitterMs: latencyMs },
    says: `${latencyMs} ms and jitter`,
  };
});

const slow = shaped("link-slow", "little bandwidth", (chance) => {
  const bytesPerSecond = chance.pick([2_000, 10_000, 50_000]);
  return { toward: "both", change: { bytesPerSecond }, says: `${bytesPerSecond / 1_000} kB/s` };
});

const stall = shaped("link-stall", "nothing is read: back-pressure", (chance) => {
  const toward = chance.pick(TOWARD);
  return { toward, change: { stall: true }, says: towards(toward) };
});

const blackhole = shaped(
  "link-blackhole",
  "everything is thrown away, in one direction or both",
  (chance) => {
    const toward = chance.pick(TOWARD);
    return { toward, change: { blackhole: true }, says: towards(toward) };
  },
);

const cut = shaped("link-cut", "each connection ends after some bytes, inside a frame", (chance) => {
  const toward = chance.pick(TOWARD);
  const cutAfter = chance.between(...CUT_BYTES);
  return { toward, change: { cutAfter }, says: `${cutAfter} bytes, ${towards(toward)}` };
});

/** A fault that happens to the connections that are open. */
function sudden(
  name: string,
  says: string,
  happens: (link: LinkHandle, chance: Chance) => Promise<void>,
): FaultKind {
  return {
    name,
    group: "link",
    says,
    fits: anywhere,
    async strike(blow) {
      const some = someLinks(blow);
      if (some === undefined) return undefined;
      await each(some.links, (link) => happens(link, blow.chance));
      return { says: some.says, heal: () => healed(some.links) };
    },
  };
}

const reset = sudden("link-reset", "connections are reset", (link) => link.reset());
const halfClose = sudden("link-half-close", "connections are closed in one direction", (link, chance) =>
  link.halfClose(chance.pick(["target", "source"] as const)),
);
const refuse = sudden("link-refuse", "connections are reset, new ones too", async (link) => {
  await link.refuse(true);
  await link.reset();
});

const flap: FaultKind = {
  name: "link-flap",
  group: "link",
  says: "connections are reset again and again",
  fits: anywhere,
  async strike(blow) {
    const some = someLinks(blow);
    if (some === undefined) return undefined;
    const over = (async () => {
      for (let i = 0; i < FLAPS; i++) {
        await each(some.links, (link) => link.reset());
        await lasting(FLAP_MS);
      }
    })();
    over.catch(() => undefined); // heal tells
    return { says: some.says, heal: () => over };
  },
};

const storm: FaultKind = {
  name: "storm",
  group: "client",
  says: "every connection of everybody is reset at once",
  fits: anywhere,
  async strike({ world }) {
    await each(world.links.people, (link) => link.reset());
    return { says: `${world.people.names.length} people`, heal: () => Promise.resolve() };
  },
};

export const LINK_FAULTS: readonly FaultKind[] = [
  latency,
  slow,
  stall,
  blackhole,
  cut,
  reset,
  halfClose,
  refuse,
  flap,
  storm,
];
