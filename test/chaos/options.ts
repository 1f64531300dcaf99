// What a run is told on its command line. Always true: all of it is whole, and no number is out of its range.
import { parseArgs } from "node:util";

export const HELP = `Usage: npm run chaos -- [options]

  --minutes M     how long faults strike (default 5); afterwards all of the mail has to arrive
  --faults LIST   kinds or groups with commas, - in front leaves one out (default all):
                  relay, link, store, client, machine, relay-kill, link-cut, ...
  --seed S        everything that chance decides (default: of the moment, printed)
  --nodes N       relays (default 1)
  --store STORE   embedded or redis (default embedded)
  --out FOLDER    what is left behind (default test/.artifacts/chaos-SEED)
  --people P      people that write to each other (default 24), in --processes of them (default 4)
  --groups N      groups that they make, write to and change (default 6; 0: none)
  --files F       files a minute of all together, to each other and to groups (default 30, with several relays 0)
  --rate R        messages a second of all together (default 60)
  --rule-off R    leave a rule of delivery out of the relays: the judge must see it
  --list          every kind of fault

Exit status: 0 every promise was kept, 1 one was broken, 3 not violent enough to say, 2 wrong options.
`;

export interface Options {
  readonly minutes: number;
  readonly faults: string;
  readonly seed: number;
  readonly nodes: number;
  readonly store: "embedded" | "redis";
  readonly out: string | undefined;
  readonly people: number;
  readonly processes: number;
  readonly groups: number;
  readonly files: number;
  readonly rate: number;
  readonly ruleOff: string | undefined;
}

function number(
  name: string,
  text: string | undefined,
  [low, high, otherwise]: readonly [number, number, number],
): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (Number.isFinite(value) && value >= low && value <= high) return value;
  throw new RangeError(`--${name} is a number from ${low} to ${high}`);
}

/** @throws RangeError, TypeError */
export function optionsOf(args: string[], now: number): Options | "help" | "list" {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args,
    options: {
      minutes: text,
      faults: text,
      seed: text,
      nodes: text,
      store: text,
      out: text,
      people: text,
      processes: text,
      groups: text,
      files: text,
      rate: text,
      "rule-off": text,
      list: { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help === true) return "help";
  if (values.list === true) return "list";
  const { store = "embedded" } = values;
  if (store !== "embedded" && store !== "redis") throw new RangeError("--store is embedded or redis");
  const nodes = Math.floor(number("nodes", values.nodes, [1, 9, 1]));
  if (store === "embedded" && nodes > 1)
    throw new RangeError("the embedded store has one node; --store redis has many");
  const files = number("files", values.files, [0, 10_000, nodes > 1 ? 0 : 30]);
  if (nodes > 1 && files > 0)
    throw new RangeError("--files needs one relay: several share no place for files");
  return {
    minutes: number("minutes", values.minutes, [0.1, 1_440, 5]),
    faults: values.faults ?? "all",
    seed: Math.floor(number("seed", values.seed, [0, 0x7fffffff, now & 0x7fffffff])),
    nodes,
    store,
    out: values.out,
    people: Math.floor(number("people", values.people, [2, 500, 24])),
    processes: Math.floor(number("processes", values.processes, [1, 32, 4])),
    groups: Math.floor(number("groups", values.groups, [0, 100, 6])),
    files,
    rate: number("rate", values.rate, [1, 10_000, 60]),
    ruleOff: values["rule-off"],
  };
}
