// Random conversations: who starts, with which prekeys, who says what, what arrives when, twice or never, when days pass.
// Always true: what a script asks for can be done; everything that is not lost has arrived at its end.
import { seededRandom } from "../support.ts";
import { type Action, other, type Side } from "./worlds.ts";

const KINDS = ["lasting", "lasting", "passing", "control"] as const;
/** Days after which a device list is issued again. */
const LIST_DAYS = 14;

export interface Shape {
  /** Sends and arrivals. */
  readonly steps: number;
  /** Whether some texts are long. */
  readonly long: boolean;
  /** Whether new ratchets are started again and again, from both sides. */
  readonly restless: boolean;
}

/** Padding buckets, at whose edges texts are made. */
const BUCKETS = [256, 512, 1_024, 2_048, 4_096];

export function conversation(seed: number, { steps, long, restless }: Shape): Action[] {
  const random = seededRandom(seed);
  const chance = (outOf: number): boolean => random.below(outOf) === 0;
  const actions: Action[] = [];
  const flying: { mail: number; to: Side }[] = [];
  const maySend: [boolean, boolean] = [false, false];
  let [mails, days, issued, starts] = [0, 0, 0, 0];
  const start = (by: Side): void => {
    actions.push({ do: "start", by, oneTime: chance(2), oneTimeKem: chance(2) });
    maySend[by] = true;
    starts++;
  };
  const send = (by: Side): void => {
    const bucket = BUCKETS[random.below(5)] ?? 256;
    // One byte of flags and one of padding besides the text: it fills the bucket, or is one too long for it.
    const edge = bucket - 2 + random.below(2);
    const length = long && chance(2) ? (chance(3) ? random.below(5_000) : edge) : random.below(120);
    const text = `${mails} `.padEnd(length, "x");
    actions.push({ do: "send", by, text, content: KINDS[random.below(4)] ?? "lasting" });
    flying.push({ mail: mails++, to: other(by) });
  };
  const arrive = (at: number): void => {
    const [found] = flying.splice(at, 1);
    if (found === undefined || chance(25)) return;
    if (chance(10)) actions.push({ do: "corrupt", mail: found.mail, bit: random.below(50_000) });
    for (let times = chance(6) ? 2 : 1; times > 0; times--) actions.push({ do: "arrive", mail: found.mail });
    maySend[found.to] = true;
  };
  start(chance(2) ? 1 : 0);
  let speaker: Side = 0;
  for (let step = 0; step < steps; step++) {
    if (chance(3)) speaker = other(speaker);
    if (chance(restless ? 4 : 15) && starts < 8) start(speaker);
    if (chance(25) && days <= 20) {
      days += 8;
      const list = days - issued >= LIST_DAYS;
      if (list) issued = days;
      actions.push({ do: "pass", days: 8, list });
    }
    if (maySend[speaker] && chance(2) && flying.length < 12) send(speaker);
    else arrive(random.below(Math.max(1, Math.min(flying.length, 6))));
  }
  while (flying.length > 0) arrive(random.below(flying.length));
  return actions;
}
