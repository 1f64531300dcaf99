// The verdict in words: counts, each promise that was broken with its shortest story, and how long recoveries took.
import type { Spread } from "../judge/recovery.ts";
import type { Verdict } from "../judge/verdict.ts";
import type { Options } from "../options.ts";

const WHAT: Readonly<Record<Verdict["verdict"], string>> = {
  pass: "Every promise was kept.",
  fail: "A promise was broken.",
  unknown: "Nothing broke, but the run was not violent enough to say that nothing can.",
};

export function words(verdict: Verdict, options: Options, lacks: readonly string[]): string {
  const { counts, ending, breaches, lacking } = verdict;
  const { minutes, store, nodes, seed, faults, rate, people } = options;
  const { inGroups, files } = counts;
  const whole = (count: number): string => count.toLocaleString("en");
  return [
    `# Chaos run, seed ${seed}: ${verdict.verdict}`,
    `${WHAT[verdict.verdict]} ${minutes} min of faults (${faults}), ${nodes} ${nodes === 1 ? "relay" : "relays"} on ${store}, ${people} people, ${rate} messages/s asked for.`,
    ...lacking.map((what) => `- not enough: ${what}`),
    ...lacks.map((what) => `- not possible here: ${what}`),
    "",
    "## Counts",
    `- messages: ${whole(counts.queued)} taken by the library, ${whole(counts.sent)} told as accepted, ${whole(counts.handed)} handed over; ${whole(counts.repeated)} handed over again after a start, under the same id`,
    `- in ${inGroups.groups} groups, changed ${whole(inGroups.changes)} times: ${whole(inGroups.queued)} messages taken by the library, ${whole(inGroups.sent)} told as accepted, handed over ${whole(inGroups.handed)} times, ${whole(inGroups.owed)} of these owed; ${whole(inGroups.repeated)} handed over again after a start`,
    `- files: ${whole(files.files)} begun, ${whole(files.sent)} told as sent, ${whole(files.outOfSight)} out of sight after a start, ${whole(files.notSent)} refused; ${whole(files.saved)} times saved (${(files.savedBytes / 1_048_576).toFixed(1)} MiB), ${whole(files.owed)} owed; gone on with: ${whole(files.resumedUploads)} uploads, ${whole(files.resumedDownloads)} downloads from the middle; parts left at the relay: ${ending.left.length}, of ${files.mayStay.length} files that may stay`,
    `- envelopes, receipts included: ${whole(counts.envelopes)} submitted, ${whole(counts.resubmitted)} of these submits repeated; ${whole(counts.received)} came, ${whole(counts.redelivered)} pushes were repeats on a later connection`,
    `- faults: ${counts.strikes}; relays ended themselves at ${ending.crashes} named crash points`,
    `- after the last healing all had arrived within ${(ending.settledMs / 1_000).toFixed(0)} s; ${ending.held} envelopes left in mailboxes; ${whole(ending.marks)} ciphertexts searched for in the files, found in ${ending.kept.length}`,
    "",
    "## Latency, ms, from the wish to send to the hand-over",
    ...table(
      ["when begun", "messages", "p50", "p90", "p99", "most"],
      Object.entries(verdict.latency).map(spreadRow),
    ),
    "",
    "## Recovery, ms, from the healing until all that had waited was handed over",
    "Rounds have one to three faults, and the next round may begin before all has recovered: `alone` counts those that had nothing beside them.",
    ...table(
      ["fault", "times", "p50", "p90", "p99", "most", "alone", "p50", "most"],
      Object.entries(verdict.recovery).map(([kind, spread]) => {
        const alone = verdict.recoveryAlone[kind];
        return [
          ...spreadRow([kind, spread]),
          ...(alone === undefined ? ["0", "", ""] : [String(alone.count), ms(alone.p50), ms(alone.max)]),
        ];
      }),
    ),
    ...breaches.flatMap(({ kind, count, says, timeline }) => [
      "",
      `## Broken: ${kind}, ${count} times; the first: ${says}`,
      "```",
      ...timeline,
      "```",
    ]),
    "",
  ].join("\n");
}

const ms = (value: number): string =>
  value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en");

function spreadRow([name, { count, p50, p90, p99, max }]: [string, Spread]): string[] {
  return [name, count.toLocaleString("en"), ms(p50), ms(p90), ms(p99), ms(max)];
}

/** A Markdown table whose columns stand under each other. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const width = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => (i === 0 ? cell.padEnd(width[i] as number) : cell.padStart(width[i] as number))).join(" | ")} |`;
  const rule = `| ${width.map((w, i) => (i === 0 ? "-".repeat(w) : `${"-".repeat(w - 1)}:`)).join(" | ")} |`;
  return [line(head), rule, ...rows.map(line)];
}
