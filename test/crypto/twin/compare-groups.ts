// Both implementations live through the same random groups, action by action.
import { PEOPLE, lifeOf } from "./group-script.ts";
import { LetheGroup } from "./lethe-group.ts";
import { TwinGroup } from "./twin-group.ts";

export interface GroupTally {
  changes: number;
  told: number;
  read: number;
  repeats: number;
  refused: number;
  corrupted: number;
}

/** @throws Error with the seed where they differ, or where a message reads as anything but its text */
function live(seed: number, tally: GroupTally): void {
  const seeds = Array.from({ length: PEOPLE }, (_, who) => PEOPLE * seed + who);
  const worlds = [new LetheGroup(seeds), new TwinGroup(seeds)] as const;
  const texts: string[] = [];
  lifeOf(seed, 60).forEach((action, at) => {
    const [ours = "", theirs] = worlds.map((world) => JSON.stringify(world.do(action)));
    if (ours !== theirs)
      throw new Error(`SEED=${seed}, action ${at}, ${JSON.stringify(action)}:\n${ours}\nand\n${theirs}`);
    const { told, read = "" } = JSON.parse(ours) as { told?: string; read?: string };
    if (action.do === "change") tally.changes++;
    if (action.do === "send") texts.push(`${action.content} ${action.text}`);
    if (action.do === "send" && told !== "") tally.told++;
    if (action.do === "corrupt" && read !== "!refused")
      throw new Error(`SEED=${seed}, action ${at}: ${read}`);
    if (action.do === "corrupt") tally.corrupted++;
    if (action.do !== "arrive") return;
    if (read === "!duplicate") tally.repeats++;
    else if (read === "!refused") tally.refused++;
    else if (read.replace(/ \d+ /, " ") === texts[action.mail]) tally.read++;
    else throw new Error(`SEED=${seed}, action ${at}: ${read}`);
  });
}

/** @throws Error with the seed where they differ */
export function compareGroups(seed: number, groups: number): GroupTally {
  const tally: GroupTally = { changes: 0, told: 0, read: 0, repeats: 0, refused: 0, corrupted: 0 };
  for (let i = 0; i < groups; i++) live(seed + i, tally);
  return tally;
}
