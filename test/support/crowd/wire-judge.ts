// Judges what passed on a crowd's sockets, receipts included: every envelope that a relay accepted came to its device,
// nothing came that was not sent, and nothing was pushed twice on one connection without an acknowledgement between.
import type { Histories, Stamped } from "./history.ts";
import type { Fault } from "./judge.ts";

export interface WireVerdict {
  readonly faults: readonly Fault[];
  readonly submitted: number;
  readonly accepted: number;
  readonly received: number;
  /** Pushes of what had been pushed before, on a connection before. */
  readonly redelivered: number;
  /** Submits of what had been submitted before. */
  readonly resubmitted: number;
  /** Accepted and not received yet: what a run that is not over waits for. */
  readonly missing: number;
}

interface Envelope {
  readonly by: string;
  readonly to: string;
  readonly mark: string;
}

export function judgeWire(histories: Histories<Stamped>): WireVerdict {
  const faults: Fault[] = [];
  const accounts = new Map<string, string>();
  for (const [name, lines] of histories)
    for (const line of lines) if (line.is === "started") accounts.set(line.account, name);
  const { envelopes, resubmitted } = submitted(histories, accounts, faults);
  const seen = new Set<string>();
  let redelivered = 0;
  for (const [name, lines] of histories) redelivered += arrivals(name, lines, { envelopes, seen, faults });
  let accepted = 0;
  let missing = 0;
  for (const [name, lines] of histories)
    for (const line of lines) {
      if (line.is !== "accepted") continue;
      for (const id of line.ids) {
        accepted++;
        if (seen.has(id)) continue;
        missing++;
        faults.push({
          kind: "lost",
          says: `envelope ${id} of ${name} was accepted and never came`,
          about: { id },
        });
      }
    }
  const { size } = envelopes;
  return { faults, submitted: size, accepted, received: seen.size, redelivered, resubmitted, missing };
}

function submitted(
  histories: Histories<Stamped>,
  accounts: ReadonlyMap<string, string>,
  faults: Fault[],
): { envelopes: Map<string, Envelope>; resubmitted: number } {
  const envelopes = new Map<string, Envelope>();
  let resubmitted = 0;
  for (const [by, lines] of histories)
    for (const line of lines) {
      if (line.is !== "submitted") continue;
      const { id, mark, account } = line;
      const before = envelopes.get(id);
      if (before === undefined) envelopes.set(id, { by, to: accounts.get(account) ?? account, mark });
      else resubmitted++;
      if (before !== undefined && before.mark !== mark)
        faults.push({
          kind: "resealed",
          says: `envelope ${id} of ${by} was sent again with other bytes`,
          about: { id },
        });
    }
  return { envelopes, resubmitted };
}

interface Seen {
  readonly envelopes: ReadonlyMap<string, Envelope>;
  readonly seen: Set<string>;
  readonly faults: Fault[];
}

/** What came to one person; how much of it had come before. */
function arrivals(name: string, lines: readonly Stamped[], { envelopes, seen, faults }: Seen): number {
  let again = 0;
  /** Pushed on the connection and not acknowledged on it. */
  let open = new Map<string, number>();
  for (const line of lines) {
    if (line.is === "started") open = new Map();
    if (line.is === "acknowledged") for (const id of line.ids) open.delete(id);
    if (line.is !== "received") continue;
    const { id, connection } = line;
    if (envelopes.get(id)?.to !== name)
      faults.push({
        kind: "phantom",
        says: `envelope ${id} came to ${name}, and was not sent there`,
        about: { id },
      });
    if (open.get(id) === connection)
      faults.push({
        kind: "pushed-twice",
        says: `envelope ${id} twice on a connection of ${name}`,
        about: { id },
      });
    open.set(id, connection);
    if (seen.has(id)) again++;
    seen.add(id);
  }
  return again;
}
