// The story of one fault, as short as it can be told: every line about the message or envelope, and of the people and
// nemeses only what happened meanwhile.
import type { About } from "../../support/crowd/judge.ts";
import type { Histories, Stamped } from "../../support/crowd/history.ts";
import type { Nemeses } from "../nemesis-log.ts";

const MOST_LINES = 60;
/** What is told of the people meanwhile. */
const CONTEXT: readonly Stamped["is"][] = [
  ...(["started", "socket", "drained"] as const),
  ...(["group", "group-changing", "group-changed", "group-unchanged"] as const),
];
/** Told round the lines about it, ms. */
const ROUND_MS = 3_000;

interface Told {
  readonly mono: number;
  readonly who: string;
  readonly what: string;
}

export function timelineOf(
  about: About,
  histories: Histories<Stamped>,
  { strikes, began }: Nemeses,
): string[] {
  const ids = idsOf(about, histories);
  const own: Told[] = [];
  const people = new Set<string>("person" in about ? [about.person] : []);
  for (const [who, lines] of histories)
    for (const line of lines)
      if (isAbout(line, who, about, ids)) {
        own.push({ mono: line.mono, who, what: shown(line) });
        people.add(who);
      }
  const from = Math.min(...own.map(({ mono }) => mono)) - ROUND_MS;
  const to = Math.max(...own.map(({ mono }) => mono)) + ROUND_MS;
  const context: Told[] = [];
  for (const who of people)
    for (const line of histories.get(who) ?? [])
      if (line.mono >= from && line.mono <= to && CONTEXT.includes(line.is))
        context.push({ mono: line.mono, who, what: shown(line) });
  for (const { kind, says, begun, healed } of strikes) {
    if (begun > to || healed < from) continue;
    context.push({ mono: begun, who: "nemesis", what: `${kind}: ${says}` });
    context.push({ mono: healed, who: "nemesis", what: `${kind} healed` });
  }
  return [...own.slice(0, MOST_LINES), ...context.slice(0, MOST_LINES)]
    .sort((a, b) => a.mono - b.mono)
    .map(
      ({ mono, who, what }) =>
        `${((mono - began) / 1_000).toFixed(3).padStart(10)} s  ${who.padEnd(10)}  ${what}`,
    );
}

/** Ids by which the message goes. */
function idsOf(about: About, histories: Histories<Stamped>): ReadonlySet<string> {
  if ("id" in about) return new Set([about.id]);
  const ids = new Set<string>();
  if ("file" in about)
    for (const line of [...histories.values()].flat())
      if (line.is === "file-shown" && line.file === about.file) ids.add(line.id);
  if ("seq" in about)
    for (const line of histories.get(about.from) ?? [])
      if (line.is === "queued" && line.to === about.to && line.seq === about.seq) ids.add(line.id);
  return ids;
}

function isAbout(line: Stamped, who: string, about: About, ids: ReadonlySet<string>): boolean {
  if ("id" in line && ids.has(line.id)) return true;
  if ("ids" in line && line.ids.some((id) => ids.has(id))) return true;
  if ("file" in about) return "file" in line && line.file === about.file;
  if ("person" in about) return who === about.person && line.is === "trouble";
  if (!("seq" in about) || !("seq" in line) || !("to" in line)) return false;
  const from = line.is === "handed" ? line.from : who;
  return from === about.from && line.to === about.to && line.seq === about.seq;
}

function shown({ wall: _wall, mono: _mono, ...line }: Stamped): string {
  const { is, ...rest } = line;
  return `${is} ${JSON.stringify(rest)}`;
}
