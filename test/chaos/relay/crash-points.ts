// Named moments at which a relay under test ends itself as by SIGKILL: before or after a verb of its store. Always true:
// a verb that is not named behaves as it did; nothing of this is in the product.
import type { Mailbox } from "@lethe/queue";

/** The verbs that move mail or owners. */
export const CRASH_VERBS = [
  "claim",
  "appendUnlessOwned",
  "appendAsOwner",
  "appendAndRelease",
  "read",
  "remove",
] as const;

export type CrashVerb = (typeof CRASH_VERBS)[number];
export type CrashPoint = `${"before" | "after"}-${CrashVerb}`;

export const CRASH_POINTS: readonly CrashPoint[] = CRASH_VERBS.flatMap((verb): CrashPoint[] => [
  `before-${verb}`,
  `after-${verb}`,
]);

export interface Crash {
  readonly point: CrashPoint;
  /** The point is passed so many times; the next time is the end. */
  readonly spared: number;
}

/** As the environment names it, `after-remove:3`. @throws RangeError for a name that is no point */
export function crashOf(text: string): Crash {
  const [point = "", spared = "0"] = text.split(":");
  if (!CRASH_POINTS.includes(point as CrashPoint) || !/^\d{1,6}$/.test(spared))
    throw new RangeError(`no crash point is called ${text}; there are ${CRASH_POINTS.join(", ")}`);
  return { point: point as CrashPoint, spared: Number(spared) };
}

/** The mailbox, which ends the process at the point. After it the verb has been done, and nobody has been told. */
export function crashing(mailbox: Mailbox, { point, spared }: Crash, end: () => void): Mailbox {
  const [when, verb] = point.split("-") as ["before" | "after", CrashVerb];
  let left = spared;
  const reach = (): boolean => left-- === 0;
  const crash = async (batch: readonly unknown[]): Promise<unknown> => {
    const run = mailbox[verb].bind(mailbox) as (batch: readonly unknown[]) => Promise<unknown>;
    if (when === "before" && reach()) end();
    const answer = await run(batch);
    if (when === "after" && reach()) end();
    return answer;
  };
  return new Proxy(mailbox, {
    get(target, name) {
      if (name === verb) return crash;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value as () => unknown).bind(target) : value;
    },
  });
}
