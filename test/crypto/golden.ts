// Golden vectors: three conversations with every output as hex, made by the second implementation (`npm run generate --
// --golden`), and lived through by both in the tests. Seeds and actions say all that a third one has to be given.
import { START } from "./support.ts";
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
