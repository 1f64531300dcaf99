// One run from its beginning to its verdict: faults in rounds while people write, then calm until all has arrived, then
// the search of the store's files. Always true: whatever happens, everything that was started is ended.
import { mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Chance } from "../support/chance.ts";
import { aFolder } from "../support/folder.ts";
import { judgeGroups } from "../support/crowd/group-judge.ts";
import { judgeFiles } from "../support/crowd/file-judge.ts";
import { judge } from "../support/crowd/judge.ts";
import { judgeWire } from "../support/crowd/wire-judge.ts";
import { eventually } from "../support/waiting.ts";
import { kindsOf, type Round, roundsOf } from "./faults/catalogue.ts";
import { type FaultKind, lasting, type Struck } from "./faults/fault.ts";
import { keptIn, type Marks, marksOf } from "./judge/kept.ts";
import { tooMuch } from "./judge/left.ts";
import { type Demands, type Ending, type Evidence, judgeRun } from "./judge/verdict.ts";
import { type Nemeses, NemesisLog, readNemeses } from "./nemesis-log.ts";
import type { Options } from "./options.ts";
import { World } from "./world/world.ts";

/** Long faults are for runs of so many minutes. */
const LONG_MINUTES = 10;
/** Nothing for so long, ms, means that nothing will come: longer than any pause of a client between two attempts. */
const QUIET_MS = 75_000;
const CALM_MS = 400_000;
/** How long a live session's look at its own mailbox may take to come, and a drain with it, ms. */
const EMPTY_MS = 90_000;
/** Of what could be asked of a run, what is asked: machines are slow, and faults take time. */
const LEAST = { strikesAMinute: 6, partOfRate: 0.4, partOfFiles: 0.2, redeliveredAStrike: 0.5 } as const;

export interface Telling {
  begun(says: string): void;
  struck(kind: FaultKind, says: string): void;
  healed(kind: FaultKind, ms: number): void;
  at(seconds: number, sent: number, handed: number, strikes: number): void;
}

export interface Finished extends Evidence {
  readonly nemeses: Nemeses;
  readonly lacks: readonly string[];
  readonly folder: string;
}

export async function run(options: Options, folder: string, tell: Telling): Promise<Finished> {
  mkdirSync(folder, { recursive: true });
  const chance = new Chance(options.seed);
  const kinds = kindsOf(options.faults, options.store, options.nodes);
  if (kinds.length === 0) throw new RangeError("no fault is left to strike with");
  const has = (name: string): boolean => kinds.some((kind) => kind.name === name);
  tell.begun(`seed ${options.seed}, ${kinds.length} kinds of fault, ${options.groups} groups`);
  await using place = await aFolder();
  await using world = await World.build({
    ...options,
    folder,
    storeFolder: place.path,
    fileOneIn: options.files === 0 ? 0 : Math.max(1, Math.round((options.rate * 60) / options.files)),
    chance,
    clocks: has("relay-clock"),
    smallDisk: has("disk-full"),
  });
  const possible = kinds.filter((kind) => world.can(kind.name));
  const log = new NemesisLog(join(folder, "nemeses.jsonl"));
  await strikeAll({ options, world, kinds: possible, chance, log, tell });
  const ending = await calmDown(world, log);
  const histories = await world.people.histories();
  const nemeses = await readNemeses(join(folder, "nemeses.jsonl"));
  const demands = demandsOf(options, possible);
  const evidence = judgeRun(histories, nemeses, { demands, ending });
  await world.people.finish();
  for (const name of world.people.names) {
    await rm(world.people.filesOf(name), { recursive: true, force: true });
    for (const suffix of ["", ".key", "-wal", "-shm"])
      await rm(`${world.people.storeOf(name)}${suffix}`, { force: true });
  }
  return { ...evidence, nemeses, lacks: world.lacks, folder };
}

function demandsOf({ minutes, rate, groups, files }: Options, kinds: readonly FaultKind[]): Demands {
  const strikes = Math.floor(LEAST.strikesAMinute * minutes);
  return {
    strikes,
    sent: Math.floor(LEAST.partOfRate * rate * minutes * 60),
    redelivered: Math.floor(LEAST.redeliveredAStrike * strikes),
    // In a short run some admin may not have met all members.
    groups: Math.ceil(groups / 2),
    files: Math.floor(LEAST.partOfFiles * files * minutes),
    // A short run does not get to every kind.
    kinds: strikes >= 2 * kinds.length ? kinds.map(({ name }) => name) : [],
  };
}

interface Striking {
  readonly options: Options;
  readonly world: World;
  readonly kinds: readonly FaultKind[];
  readonly chance: Chance;
  readonly log: NemesisLog;
  readonly tell: Telling;
}

async function strikeAll(striking: Striking): Promise<void> {
  const { options, world, kinds, chance, log, tell } = striking;
  const { minutes, rate, people } = options;
  const began = performance.now();
  const seconds = (): number => (performance.now() - began) / 1_000;
  log.phase("faults");
  let strikes = 0;
  const timer = setInterval(() => {
    const due = rate * Math.min(seconds(), minutes * 60);
    world.people.allow(Math.ceil(due / people));
    tell.at(seconds(), world.people.sent, world.people.handed, strikes);
  }, 250);
  try {
    await lasting(3_000); // what it is like without a fault
    for (const round of roundsOf(kinds, chance)) {
      if (seconds() >= minutes * 60) break;
      strikes += await strikeRound(round, striking);
    }
  } finally {
    clearInterval(timer);
  }
}

/** How many struck. */
async function strikeRound(round: Round, { options, world, log, tell }: Striking): Promise<number> {
  const began = performance.now();
  const isLong = options.minutes >= LONG_MINUTES;
  const struck: { kind: FaultKind; says: string; n: number; heal: Struck["heal"] }[] = [];
  const alone = round.faults.length === 1;
  await Promise.all(
    round.faults.map(async ({ kind, seed }) => {
      const blow = await kind.strike({ world, chance: new Chance(seed), holdMs: round.holdMs, isLong });
      if (blow === undefined) return;
      const n = log.begun({ kind: kind.name, group: kind.group, says: blow.says, alone });
      struck.push({ kind, says: blow.says, n, heal: () => blow.heal() });
      tell.struck(kind, blow.says);
    }),
  );
  await lasting(Math.max(0, round.holdMs - (performance.now() - began)));
  await Promise.all(
    struck.map(async ({ kind, n, heal }) => {
      await heal();
      log.healed(n);
      tell.healed(kind, performance.now() - began);
    }),
  );
  await world.mend();
  world.roundOver();
  await lasting(Math.max(0, round.lengthMs - (performance.now() - began)));
  return struck.length;
}

/** Until everything has arrived, mailboxes are empty with nobody reconnecting, and the files have forgotten. */
async function calmDown(world: World, log: NemesisLog): Promise<Ending> {
  log.phase("calm");
  const began = performance.now();
  await world.mend();
  const complete = await eventually(CALM_MS, "the end of the mail", () => settled(world), 1_000).catch(
    () => false,
  );
  const settledMs = performance.now() - began;
  const held = await eventually(
    EMPTY_MS,
    "empty mailboxes",
    async () => ((await world.held()) === 0 ? 0 : undefined),
    500,
  ).catch(() => world.held());
  const left = await filesLeft(world);
  const marks = marksOf(await world.people.histories());
  const kept = await forgotten(world, marks);
  log.phase("over");
  return {
    complete,
    settledMs,
    held,
    left,
    kept,
    marks: marks.size,
    ends: world.ends,
    crashes: world.crashes,
  };
}

/** Undefined: something may still come. */
async function settled(world: World): Promise<boolean | undefined> {
  if (world.people.quiet < 2_000) return undefined;
  const histories = await world.people.histories();
  const app = judge(histories);
  const inGroups = judgeGroups(histories);
  const files = judgeFiles(histories);
  if (app.missing + inGroups.missing + files.missing + judgeWire(histories).missing === 0) return true;
  // What is only missing may come; whatever else is broken stays broken.
  if (
    [...app.faults, ...inGroups.faults, ...files.faults].some(
      ({ kind }) => kind !== "lost" && kind !== "receipt-without-delivery",
    )
  )
    return false;
  return world.people.quiet > QUIET_MS ? false : undefined;
}

/** What the relay still has of files once it has collected, where that is more than there may be. */
async function filesLeft(world: World): Promise<readonly string[]> {
  const { mayStay } = judgeFiles(await world.people.histories());
  const isDone = async (): Promise<readonly string[] | undefined> => {
    const left = await world.filesLeft();
    return tooMuch(left, mayStay).length === 0 ? left : undefined;
  };
  return eventually(EMPTY_MS, "the end of the files", isDone, 500).catch(() => world.filesLeft());
}

/** What is still in a file when the forget bound is over. */
async function forgotten(world: World, marks: Marks): Promise<string[]> {
  const { folder, forgetMs } = world.place;
  const where = async (): Promise<string[]> => [
    ...new Set((await keptIn(folder, marks)).map(({ path }) => path)),
  ];
  await world.place.forget();
  const files = await eventually(
    forgetMs,
    "the end of what was delivered in the files",
    async () => ((await where()).length === 0 ? [] : undefined),
    5_000,
  ).catch(where);
  const said = world.nodes
    .filter((node) => marks.in(node.output).length > 0)
    .map(({ name }) => `the log of ${name}`);
  return [...files, ...said];
}
