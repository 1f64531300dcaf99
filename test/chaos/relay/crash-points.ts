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

/** A mailbox that can be armed. */
export interface Crashing {
  readonly mailbox: Mailbox;
  /** From now on this point is the end, and no other. */
  arm(crash: Crash): void;
}

/** Ends the process at the point that it is armed with. After it the verb has been done, and nobody has been told. */
export function crashing(mailbox: Mailbox, end: () => void): Crashing {
  let armed: { readonly point: CrashPoint; left: number } | undefined;
  const reach = (point: CrashPoint): void => {
    if (armed?.point === point && armed.left-- === 0) end();
  };
  const isVerb = (name: PropertyKey): name is CrashVerb => CRASH_VERBS.includes(name as CrashVerb);
  const proxy = new Proxy(mailbox, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      const run = (value as (...args: unknown[]) => unknown).bind(target);
      if (!isVerb(name)) return run;
      return async (batch: readonly unknown[]): Promise<unknown> => {
        reach(`before-${name}`);
        const answer = await run(batch);
        reach(`after-${name}`);
        return answer;
      };
    },
  });
  return { mailbox: proxy, arm: ({ point, spared }) => (armed = { point, left: spared }) };
}
