// A life of a group as a list of actions, which two implementations can live through. What an action gives is hex or text:
// equal outputs mean equal bytes and equal messages read. Every action of a random script can be done: who does what may.
import { seededRandom } from "../support.ts";

export type Who = number;
export type Change =
  | { readonly kind: "add" | "remove"; readonly whom: Who }
  | { readonly kind: "promote" | "demote"; readonly whom: Who }
  | { readonly kind: "rename"; readonly name: string }
  | { readonly kind: "writers"; readonly writers: "members" | "admins" }
  | { readonly kind: "renew" | "leave" };

export type GroupAction =
  /** `by` makes a group with `members`; they are all told. */
  | { readonly do: "create"; readonly by: Who; readonly members: readonly Who[]; readonly name: string }
  /** The next state; everybody who was or is a member is told. */
  | { readonly do: "change"; readonly by: Who; readonly change: Change }
  /** A message, after whatever keys are due were told. */
  | { readonly do: "send"; readonly by: Who; readonly text: string; readonly content: "lasting" | "passing" }
  /** The envelope of send number `mail` arrives at a device, perhaps again. */
  | { readonly do: "arrive"; readonly mail: number; readonly at: Who }
  /** The same with one bit changed. */
  | { readonly do: "corrupt"; readonly mail: number; readonly at: Who; readonly bit: number }
  | { readonly do: "pass"; readonly days: number };

export type Output = Readonly<Record<string, string>>;
export interface GroupLife {
  do(action: GroupAction): Output;
}

export const PEOPLE = 5;

/** Who is in the group, as far as a script has to know. */
interface Cast {
  readonly members: Set<Who>;
  readonly admins: Set<Who>;
  /** Nobody comes back: once is enough to be told by. */
  readonly gone: Set<Who>;
  writers: "members" | "admins";
  name: number;
}

type Random = ReturnType<typeof seededRandom>;
const oneOf = <T>(random: Random, from: Iterable<T>): T => {
  const all = [...from];
  return all[random.below(all.length)] as T;
};

function changeIn(cast: Cast, random: Random): { by: Who; change: Change } | undefined {
  const { members, admins, gone } = cast;
  const by = oneOf(random, admins);
  const others = [...members].filter((who) => who !== by);
  const outside = Array.from({ length: PEOPLE }, (_, who) => who).filter(
    (who) => !members.has(who) && !gone.has(who),
  );
  const plain = others.filter((who) => !admins.has(who));
  switch (random.below(8)) {
    case 0:
    case 1:
      if (outside.length === 0) return undefined;
      return { by, change: { kind: "add", whom: oneOf(random, outside) } };
    case 2:
      return members.size < 3 ? undefined : { by, change: { kind: "remove", whom: oneOf(random, others) } };
    case 3:
      return plain.length === 0 ? undefined : { by, change: { kind: "promote", whom: oneOf(random, plain) } };
    case 4: {
      const whom = others.find((who) => admins.has(who));
      return whom === undefined ? undefined : { by, change: { kind: "demote", whom } };
    }
    case 5:
      return { by, change: { kind: "rename", name: `name ${++cast.name} é` } };
    case 6:
      return { by, change: { kind: "writers", writers: cast.writers === "members" ? "admins" : "members" } };
    default: {
      const leaver = oneOf(random, members);
      const mayLeave = members.size > 2 && (admins.size > 1 || !admins.has(leaver));
      return mayLeave ? { by: leaver, change: { kind: "leave" } } : { by, change: { kind: "renew" } };
    }
  }
}

function apply(cast: Cast, by: Who, change: Change): void {
  const out = (who: Who): void => {
    cast.members.delete(who);
    cast.admins.delete(who);
    cast.gone.add(who);
  };
  if (change.kind === "add") cast.members.add(change.whom);
  else if (change.kind === "remove") out(change.whom);
  else if (change.kind === "leave") out(by);
  else if (change.kind === "promote") cast.admins.add(change.whom);
  else if (change.kind === "demote") cast.admins.delete(change.whom);
  else if (change.kind === "writers") cast.writers = change.writers;
}

/** A random life of so many actions. */
export function lifeOf(seed: number, steps: number): GroupAction[] {
  const random = seededRandom(seed);
  const members = [0, 1, 2].slice(0, 2 + random.below(2));
  const cast: Cast = {
    members: new Set(members),
    admins: new Set([0]),
    gone: new Set(),
    writers: "members",
    name: 0,
  };
  const actions: GroupAction[] = [{ do: "create", by: 0, members: members.slice(1), name: "friends" }];
  let [mails, days] = [0, 0];
  while (actions.length < steps) {
    const what = random.below(12);
    if (what < 2) {
      const made = changeIn(cast, random);
      if (made === undefined) continue;
      apply(cast, made.by, made.change);
      actions.push({ do: "change", ...made });
    } else if (what < 6) {
      const by = oneOf(random, cast.writers === "members" ? cast.members : cast.admins);
      const text = "x".repeat(random.below(4) === 0 ? random.below(900) : random.below(20)) + mails;
      actions.push({ do: "send", by, text, content: random.below(4) === 0 ? "passing" : "lasting" });
      mails++;
    } else if (what < 11 && mails > 0) {
      const from = random.below(3) === 0 ? 0 : Math.max(0, mails - 4);
      const mail = from + random.below(mails - from);
      const at = random.below(PEOPLE);
      if (random.below(6) === 0) actions.push({ do: "corrupt", mail, at, bit: random.below(1_000_000) });
      else actions.push({ do: "arrive", mail, at });
    } else if (what === 11 && days < 25) {
      const more = 1 + random.below(8);
      days += more;
      actions.push({ do: "pass", days: more });
    }
  }
  return actions;
}
