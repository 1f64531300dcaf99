// The verdict over a run: fail if a promise was broken, unknown if it was not violent enough to say, else pass.
// Always true: a fault that was found decides before anything that was not enough.
import type { Histories, Stamped } from "../../support/crowd/history.ts";
import { type GroupVerdict, judgeGroups } from "../../support/crowd/group-judge.ts";
import { type Fault, judge } from "../../support/crowd/judge.ts";
import { type FileVerdict, judgeFiles } from "../../support/crowd/file-judge.ts";
import { judgeWire } from "../../support/crowd/wire-judge.ts";
import type { Nemeses, Strike } from "../nemesis-log.ts";
import { type Message, messagesOf } from "./messages.ts";
import { latencies, type Phase, recoveriesOf, type Recovery, type Spread, spreadOf } from "./recovery.ts";
import { tooMuch } from "./left.ts";
import { timelineOf } from "./timeline.ts";

/** What a run must have been through for a pass. */
export interface Demands {
  readonly strikes: number;
  readonly sent: number;
  readonly redelivered: number;
  /** Made. */
  readonly groups: number;
  /** Sent. */
  readonly files: number;
  /** Each must have struck. */
  readonly kinds: readonly string[];
}

/** What the end of the run showed. */
export interface Ending {
  /** Everything had arrived before the patience was over. */
  readonly complete: boolean;
  /** From the last healing until it had, ms. */
  readonly settledMs: number;
  /** Envelopes in mailboxes at the end. */
  readonly held: number;
  /** What stood in the relay's media folder, one path for each part. */
  readonly left: readonly string[];
  /** Files in which marks of delivered ciphertexts stood after the forget bound, and how many marks were looked for. */
  readonly kept: readonly string[];
  readonly marks: number;
  /** Processes that ended by themselves. */
  readonly ends: readonly string[];
  /** Named points at which relays ended themselves. */
  readonly crashes: number;
}

export interface Counts {
  readonly sending: number;
  readonly queued: number;
  readonly sent: number;
  readonly handed: number;
  readonly repeated: number;
  readonly envelopes: number;
  readonly accepted: number;
  readonly received: number;
  readonly redelivered: number;
  readonly resubmitted: number;
  readonly strikes: number;
  /** In groups; none of it is in the counts above but the envelopes. */
  readonly inGroups: Omit<GroupVerdict, "faults">;
  /** What people sent each other beside messages; its envelopes are counted above. */
  readonly files: Omit<FileVerdict, "faults">;
}

export interface Breach {
  readonly kind: string;
  readonly count: number;
  readonly says: string;
  readonly timeline: readonly string[];
}

export interface Verdict {
  readonly verdict: "pass" | "fail" | "unknown";
  readonly counts: Counts;
  readonly breaches: readonly Breach[];
  /** Why it is unknown. */
  readonly lacking: readonly string[];
  readonly strikesByKind: Readonly<Record<string, number>>;
  readonly recovery: Readonly<Record<string, Spread>>;
  /** Of faults that were alone in their round and undisturbed until they were over. */
  readonly recoveryAlone: Readonly<Record<string, Spread>>;
  readonly latency: Readonly<Record<Phase, Spread>>;
  readonly ending: Ending;
}

export interface Evidence {
  readonly verdict: Verdict;
  readonly messages: readonly Message[];
  readonly recoveries: readonly Recovery[];
}

export function judgeRun(
  histories: Histories<Stamped>,
  nemeses: Nemeses,
  { demands, ending }: { demands: Demands; ending: Ending },
): Evidence {
  const app = judge(histories);
  const wire = judgeWire(histories);
  const { faults: groupFaults, ...inGroups } = judgeGroups(histories);
  const { faults: fileFaults, ...files } = judgeFiles(histories);
  const messages = messagesOf(histories);
  const recoveries = recoveriesOf(nemeses.strikes, messages);
  const byPhase = latencies(messages, recoveries);
  const counts: Counts = {
    sending: app.sending,
    queued: app.queued,
    sent: app.sent,
    handed: app.handed,
    repeated: app.repeated,
    envelopes: wire.submitted,
    accepted: wire.accepted,
    received: wire.received,
    redelivered: wire.redelivered,
    resubmitted: wire.resubmitted,
    strikes: nemeses.strikes.length,
    inGroups,
    files,
  };
  const breaches = [
    ...breachesOf([...app.faults, ...groupFaults, ...fileFaults, ...wire.faults], histories, nemeses),
    ...endBreaches(ending, files.mayStay),
  ];
  const strikesByKind = countBy(nemeses.strikes);
  const lacking = lackingOf(counts, strikesByKind, demands);
  return {
    verdict: {
      verdict: breaches.length > 0 ? "fail" : lacking.length > 0 ? "unknown" : "pass",
      counts,
      breaches,
      lacking,
      strikesByKind,
      recovery: spreads(recoveries),
      recoveryAlone: spreads(recoveries.filter(({ strike, disturbed }) => strike.alone && !disturbed)),
      latency: {
        before: spreadOf(byPhase.before),
        during: spreadOf(byPhase.during),
        after: spreadOf(byPhase.after),
      },
      ending,
    },
    messages,
    recoveries,
  };
}

function breachesOf(faults: readonly Fault[], histories: Histories<Stamped>, nemeses: Nemeses): Breach[] {
  const kinds = new Map<string, { first: Fault; count: number }>();
  for (const fault of faults) {
    const seen = kinds.get(fault.kind);
    if (seen === undefined) kinds.set(fault.kind, { first: fault, count: 1 });
    else seen.count++;
  }
  return [...kinds].map(([kind, { first, count }]) => ({
    kind,
    count,
    says: first.says,
    timeline: timelineOf(first.about, histories, nemeses),
  }));
}

function endBreaches(
  { complete, held, left, kept, ends }: Ending,
  mayStay: FileVerdict["mayStay"],
): Breach[] {
  const breach = (kind: string, what: readonly string[]): Breach[] =>
    what.length === 0 ? [] : [{ kind, count: what.length, says: what[0] ?? "", timeline: what.slice(0, 20) }];
  return [
    ...breach("not-settled", complete ? [] : ["mail had not arrived when the patience was over"]),
    ...breach("not-empty", held === 0 ? [] : [`${held} envelopes in mailboxes whose devices are all online`]),
    ...breach("files-left", tooMuch(left, mayStay)),
    ...breach("kept", kept),
    ...breach("ended-by-itself", ends),
  ];
}

function lackingOf(counts: Counts, struck: Readonly<Record<string, number>>, demands: Demands): string[] {
  const lacking: string[] = [];
  const { strikes, redelivered, inGroups } = counts;
  const been = {
    strikes,
    sent: counts.sent + inGroups.sent,
    redelivered,
    groups: inGroups.groups,
    files: counts.files.sent,
  };
  for (const what of ["strikes", "sent", "redelivered", "groups", "files"] as const)
    if (been[what] < demands[what]) lacking.push(`${what}: ${been[what]} of ${demands[what]}`);
  for (const kind of demands.kinds) if ((struck[kind] ?? 0) === 0) lacking.push(`${kind} did not strike`);
  return lacking;
}

function countBy(strikes: readonly Strike[]): Record<string, number> {
  const out: Record<string, number> = {};
  for (const { kind } of strikes) out[kind] = (out[kind] ?? 0) + 1;
  return out;
}

function spreads(recoveries: readonly Recovery[]): Record<string, Spread> {
  const byKind = new Map<string, number[]>();
  for (const { strike, ms } of recoveries) byKind.set(strike.kind, [...(byKind.get(strike.kind) ?? []), ms]);
  return Object.fromEntries(
    [...byKind]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([kind, list]) => [kind, spreadOf(list.sort((a, b) => a - b))]),
  );
}
