// Golden vectors: three conversations, a group's life, two linkings and some files with every output as hex, made by the second
// implementation (`npm run generate -- --golden`), and lived through by both in the tests. Seeds and actions say all that a third one has to be given.
import { START } from "./support.ts";
import { hex } from "./twin/bytes.ts";
import { chanceOf } from "./twin/chance.ts";
import type { GroupAction, GroupLife, Output as GroupOutput } from "./twin/group-script.ts";
import { linking } from "./twin/linking.ts";
import { digestOf, markOf, partsOf, sealChunks, tokenOf } from "./twin/media.ts";
import { TwinGroup } from "./twin/twin-group.ts";
import { type Action, type Output, seedsOf, twinWorld, type World } from "./twin/worlds.ts";

interface Conversation {
  readonly name: string;
  readonly seed: number;
  readonly actions: readonly Action[];
}

const send = (by: 0 | 1, text: string, content: "lasting" | "passing" | "control" = "lasting"): Action => ({
  do: "send",
  by,
  text,
  content,
});
const arrive = (...mails: number[]): Action[] => mails.map((mail) => ({ do: "arrive", mail }));
const start = (by: 0 | 1, oneTime: boolean, oneTimeKem = oneTime): Action => ({
  do: "start",
  by,
  oneTime,
  oneTimeKem,
});

export const CONVERSATIONS: readonly Conversation[] = [
  {
    name: "one-time prekeys, out of order, repeats, ratchet steps",
    seed: 1,
    actions: [
      start(0, true),
      send(0, "one"),
      send(0, "two"),
      ...arrive(1, 0, 1),
      send(1, "three", "passing"),
      send(1, "four"),
      ...arrive(3),
      send(0, "five"),
      ...arrive(4, 2),
      send(1, "six"),
      ...arrive(5, 5),
    ],
  },
  {
    name: "last-resort prekeys, new sealing keys and device lists",
    seed: 2,
    actions: [
      start(1, false),
      send(1, "one"),
      ...arrive(0),
      send(0, "two"),
      { do: "pass", days: 8, list: false },
      ...arrive(1),
      send(1, "three: a new sealing key"),
      { do: "pass", days: 8, list: true },
      send(1, "four: and a new list"),
      ...arrive(2, 3),
      send(0, "five: both of the other side"),
      ...arrive(4),
      send(1, "six: nothing is new"),
      ...arrive(5),
    ],
  },
  {
    name: "first messages that cross, a ratchet that replaces another",
    seed: 3,
    actions: [
      start(0, false),
      start(1, true, false),
      send(0, "one"),
      send(1, "two"),
      ...arrive(1, 0),
      send(0, "three"),
      send(1, "four"),
      ...arrive(3, 2),
      start(0, false),
      send(0, "five", "control"),
      ...arrive(4),
      send(1, "six"),
      ...arrive(5),
    ],
  },
];

export type GoldenStep = Action & { readonly gives: Output };

function lived(world: World, actions: readonly Action[]): GoldenStep[] {
  return actions.map((action) => ({ ...action, gives: world.do(action) }));
}

/** What a conversation gives in one of the implementations. */
export function livedIn(worldOf: (seed: number) => World, { seed, actions }: Conversation): GoldenStep[] {
  return lived(worldOf(seed), actions);
}

/** The file's content, from the second implementation. */
export function goldenConversations() {
  return {
    about: "Conversations of two devices; crypto/README.md, section Vectors, says how to live through them.",
    now: START,
    conversations: CONVERSATIONS.map((each) => ({
      name: each.name,
      seedOfDevice0: seedsOf(each.seed)[0],
      seedOfDevice1: seedsOf(each.seed)[1],
      steps: livedIn(twinWorld, each),
    })),
  };
}

const said = (by: number, text: string, content: "lasting" | "passing" = "lasting"): GroupAction => ({
  do: "send",
  by,
  text,
  content,
});
const come = (mail: number, ...at: number[]): GroupAction[] =>
  at.map((who) => ({ do: "arrive", mail, at: who }));

/** Seeds of the devices of the group, in the order of their numbers. */
export const GROUP_SEEDS = [101, 102, 103, 104, 105] as const;
export const GROUP_LIFE: readonly GroupAction[] = [
  { do: "create", by: 0, members: [1, 2], name: "friends" },
  said(0, "one"),
  said(0, "two"),
  ...come(1, 1, 2),
  ...come(0, 1, 2, 1),
  { do: "change", by: 0, change: { kind: "add", whom: 3 } },
  said(1, "three: all are told", "passing"),
  said(0, "four: the newcomer is told where the chain stands"),
  ...come(0, 3),
  ...come(2, 0, 3),
  ...come(3, 2, 3),
  { do: "change", by: 0, change: { kind: "promote", whom: 1 } },
  { do: "change", by: 1, change: { kind: "remove", whom: 2 } },
  said(0, "five: a new chain, and nothing for who was removed"),
  ...come(4, 1, 2, 3),
  { do: "pass", days: 8 },
  said(1, "six: a new chain after a week"),
  ...come(5, 0, 3),
  { do: "change", by: 3, change: { kind: "leave" } },
  { do: "change", by: 0, change: { kind: "rename", name: "closest friends" } },
  { do: "change", by: 0, change: { kind: "writers", writers: "admins" } },
  said(0, "seven"),
  ...come(6, 1, 3),
];

export function livedByGroup(life: GroupLife): (GroupAction & { readonly gives: GroupOutput })[] {
  return GROUP_LIFE.map((action) => ({ ...action, gives: life.do(action) }));
}

/** The file's content, from the second implementation. */
export function goldenGroup() {
  return {
    about: "The life of a group; crypto/README.md, section Vectors, says how to live through it.",
    now: START,
    seeds: GROUP_SEEDS,
    steps: livedByGroup(new TwinGroup(GROUP_SEEDS)),
  };
}

export const LINKINGS = [
  { seed: 201, relay: "relay.example", name: "anna" },
  { seed: 202, relay: "relay.example", name: "anna" },
] as const;

/** The file's content, from the second implementation. */
export function goldenLinkings() {
  return {
    about:
      "Linkings of a second device; crypto/README.md, section Vectors, says what is drawn in which order.",
    now: START,
    linkings: LINKINGS.map((each) => {
      const { text, offer, join, grant, digits } = linking(chanceOf(each.seed), START, each);
      return { ...each, text, offer: hex(offer), join: hex(join), grant: hex(grant), digits };
    }),
  };
}

/** Sizes at the borders of a bucket, a chunk and a part. */
const FILES = [0, 4_088, 4_089, 65_528, 65_529, 2_097_144, 2_097_145].map((size, i) => ({
  seed: 301 + i,
  size,
}));
/** A blob of at most so many bytes is shown whole. */
const SHOWN_BYTES = 5_000;

/** Byte i of a file of the vectors is i modulo 251. */
export function goldenFile(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => i % 251);
}

/** The file's content, from the second implementation. */
export function goldenMedia() {
  return {
    about: "Files as they are sealed; crypto/README.md, section Vectors, says what is drawn in which order.",
    files: FILES.map(({ seed, size }) => {
      const chance = chanceOf(seed);
      const [id, key, address] = [chance.bytes(16), chance.bytes(32), chance.bytes(18)];
      const parts = partsOf(sealChunks({ id, key }, goldenFile(size)));
      const token = tokenOf({ id, key }, address);
      const bytes = parts.reduce((sum, part) => sum + part.length, 0);
      const shown = bytes <= SHOWN_BYTES ? { blob: parts.map(hex).join("") } : {};
      const names = { id: hex(id), address: hex(address), token: hex(token), mark: hex(markOf(token)) };
      return { seed, size, bytes, digest: hex(digestOf(parts)), ...names, ...shown };
    }),
  };
}
