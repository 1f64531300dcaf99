// What happened, for people: collected only when a schedule is run again to be drawn.
import type { StoreCall, StoreResult } from "../../relay/delivery/types.ts";
import type { LabelOf } from "./labels.ts";

export interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly sent: number;
  /** Undefined: it was lost. */
  readonly got: number | undefined;
  readonly label: string;
}

export interface Note {
  readonly on: string;
  readonly at: number;
  readonly text: string;
  readonly fault: boolean;
}

export interface Called {
  readonly by: string;
  readonly at: number;
  readonly on: StoreCall;
  readonly result: StoreResult;
}

export class Trace {
  readonly arrows: Arrow[] = [];
  readonly notes: Note[] = [];

  arrow(arrow: Arrow): void {
    this.arrows.push(arrow);
  }

  note(note: Note): void {
    this.notes.push(note);
  }

  /** A store call at the moment of its execution. */
  call({ by, at, on, result }: Called, label: LabelOf): void {
    this.arrow({
      from: by,
      to: "store",
      sent: at,
      got: at,
      label: `${on.verb}${ids(on, label)} → ${outcome(result)}`,
    });
  }

  /** Plain lines in the order of time. */
  *lines(): Generator<string> {
    const all = [
      ...this.arrows.map((a) => ({
        at: a.sent,
        text: `${a.from} → ${a.to}: ${a.label}${a.got === undefined ? " LOST" : ` (at ${a.got.toFixed(1)})`}`,
      })),
      ...this.notes.map((n) => ({ at: n.at, text: `${n.on}: ${n.text}${n.fault ? " !" : ""}` })),
    ];
    all.sort((a, b) => a.at - b.at);
    for (const { at, text } of all) yield `${at.toFixed(1).padStart(10)}  ${text}`;
  }
}

function ids(on: StoreCall, label: LabelOf): string {
  switch (on.verb) {
    case "appendUnlessOwned":
    case "appendAsOwner":
    case "appendAndRelease":
      return ` ${on.arg.envelopes.map((e) => label(e.id)).join(" ")}`;
    case "remove":
      return ` ${on.arg.entries.map((e) => label(e.id)).join(" ")}`;
    case "read":
      return ` after ${on.arg.after}`;
    case "claim":
      return ` ${on.arg.epoch}`;
    case "lookUp":
    case "look":
    case "wake":
      return "";
  }
}

function outcome(result: StoreResult): string {
  switch (result.is) {
    case "page":
      return `${result.entries.length} entries`;
    case "stored":
      return result.outcomes.join(" ");
    case "found":
    case "owned":
    case "fenced":
      return `${result.is} ${result.owner === undefined ? "nobody" : `${result.owner.node}/${result.owner.session}`}`;
    case "claimed":
    case "behind":
    case "no-device":
    case "failed":
    case "done":
    case "seen":
      return result.is;
  }
}
