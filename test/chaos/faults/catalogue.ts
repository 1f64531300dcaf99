// Every kind of fault, and the schedule of a run: rounds of one to three, drawn by the seed. Always true: the same seed
// and list give the same rounds; a kind comes again only when every other has come as often.
import type { Chance } from "../../support/chance.ts";
import { CLIENT_FAULTS } from "./clients.ts";
import type { FaultGroup, FaultKind } from "./fault.ts";
import { LINK_FAULTS } from "./links.ts";
import { RELAY_FAULTS } from "./relays.ts";
import { STORE_FAULTS } from "./stores.ts";

export const FAULTS: readonly FaultKind[] = [
  ...RELAY_FAULTS,
  ...LINK_FAULTS,
  ...CLIENT_FAULTS,
  ...STORE_FAULTS,
];

export const GROUPS: readonly FaultGroup[] = ["relay", "link", "store", "client", "machine"];

/** From one round's beginning to the next one's, ms. */
const ROUND_MS = [5_000, 15_000] as const;
/** Of a round, the part that its faults stay, in hundredths. */
const HOLD = [20, 60] as const;
const MOST_AT_ONCE = 3;

export interface Round {
  readonly lengthMs: number;
  readonly holdMs: number;
  readonly faults: readonly { readonly kind: FaultKind; readonly seed: number }[];
}

/** The kinds that a list names: `all`, groups, kinds, and `-kind` for all but that. @throws RangeError */
export function kindsOf(list: string, store: "embedded" | "redis", nodes: number): readonly FaultKind[] {
  const words = list.split(",").map((word) => word.trim());
  const known = new Set<string>(["all", ...GROUPS, ...FAULTS.map(({ name }) => name)]);
  const unknown = words.filter((word) => !known.has(word.replace(/^-/, "")));
  if (unknown.length > 0)
    throw new RangeError(`no fault is called ${unknown.join(", ")}; there are ${[...known].join(", ")}`);
  const named = (word: string, { name, group }: FaultKind): boolean =>
    word === "all" || word === group || word === name;
  const wanted = words.filter((word) => !word.startsWith("-"));
  const unwanted = words.filter((word) => word.startsWith("-")).map((word) => word.slice(1));
  return FAULTS.filter(
    (kind) =>
      kind.fits(store, nodes) &&
      (wanted.length === 0 || wanted.some((word) => named(word, kind))) &&
      !unwanted.some((word) => named(word, kind)),
  );
}

/** Rounds without an end. */
export function* roundsOf(kinds: readonly FaultKind[], chance: Chance): Generator<Round, never> {
  let deck: FaultKind[] = [];
  for (;;) {
    const lengthMs = chance.between(...ROUND_MS);
    const holdMs = Math.round((lengthMs * chance.between(...HOLD)) / 100);
    const faults: { kind: FaultKind; seed: number }[] = [];
    for (let left = chance.between(1, MOST_AT_ONCE); left > 0; left--) {
      if (deck.length === 0) deck = shuffled(kinds, chance);
      const kind = deck.pop();
      if (kind !== undefined) faults.push({ kind, seed: chance.u32() });
    }
    yield { lengthMs, holdMs, faults };
  }
}

function shuffled<T>(items: readonly T[], chance: Chance): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = chance.below(i + 1);
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}
