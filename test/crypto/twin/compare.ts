// Both implementations live through the same random conversations, action by action.
import { conversation } from "./script.ts";
import { letheWorld, twinWorld } from "./worlds.ts";

export interface Compared {
  starts: number;
  /** Conversations in which both sides have started a ratchet. */
  crossed: number;
  /** New sealing keys, and device lists now and then. */
  passes: number;
  sent: number;
  read: number;
  repeats: number;
}

/** @throws Error with the seed where they differ, or where a message reads as anything but its text or a repeat. */
export function compare(seed: number, conversations: number): Compared {
  const tally: Compared = { starts: 0, crossed: 0, passes: 0, sent: 0, read: 0, repeats: 0 };
  for (let i = 0; i < conversations; i++) compareOne(seed + i, tally);
  return tally;
}

function compareOne(seed: number, tally: Compared): void {
  const actions = conversation(seed, { steps: 24, long: seed % 4 === 0, restless: seed % 3 === 0 });
  const worlds = [letheWorld(seed), twinWorld(seed)] as const;
  const texts: string[] = [];
  actions.forEach((action, at) => {
    const [ours, theirs] = worlds.map((world) => JSON.stringify(world.do(action)));
    if (ours !== theirs)
      throw new Error(`SEED=${seed}, action ${at}, ${JSON.stringify(action)}: ${ours} and ${theirs}`);
    if (action.do === "start") tally.starts++;
    if (action.do === "pass") tally.passes++;
    if (action.do === "send") texts.push(action.text);
    if (action.do === "corrupt" && ours !== '{"read":"!refused"}')
      throw new Error(`SEED=${seed}, action ${at}: a changed envelope gave ${ours}`);
    if (action.do !== "arrive") return;
    const { read } = JSON.parse(ours ?? "{}") as { read: string };
    if (read === texts[action.mail]) tally.read++;
    else if (read === "!duplicate") tally.repeats++;
    else throw new Error(`SEED=${seed}, action ${at}: read ${read}`);
  });
  const [ours, theirs] = worlds.map((world) => JSON.stringify([world.prekeys(), world.inUse()]));
  if (ours !== theirs) throw new Error(`SEED=${seed}: prekeys and ratchets in use, ${ours} and ${theirs}`);
  tally.sent += texts.length;
  const starters = actions.filter((action) => action.do === "start").map(({ by }) => by);
  if (new Set(starters).size === 2) tally.crossed++;
}
