// What is committed together: the records of a group, where each was staged, and who is told of its end.
// Always true: parties are told in the order in which they joined, before `done` resolves.
import type { StoreFailure } from "../mailbox.ts";
import type { PayloadFields, ReferenceFields } from "./payload-record.ts";
import type { RecordFields } from "./record.ts";
import type { Segment } from "./segments.ts";
import type { Span } from "./tail.ts";

/** A group's end: its first record lies at `base` of `segment`, or none of it is in the log. */
export type Settled =
  | { readonly is: "stored"; readonly segment: Segment; readonly base: number }
  | StoreFailure;

/** Who staged records in a group. */
export interface Party {
  settle(settled: Settled): void;
}

/** A record that is copied forward. */
export type Copied =
  | { readonly is: "envelope"; readonly record: RecordFields }
  | { readonly is: "reference"; readonly record: ReferenceFields }
  | { readonly is: "payload"; readonly record: PayloadFields };

/** Where a record was staged. */
export interface Staged {
  /** From the group's beginning. */
  readonly offset: number;
  readonly tailSerial: number;
  readonly tailAt: number;
}

/** Records that are synced together. Copies of what is stored already may use the room that new mail leaves free. */
export class Group {
  readonly of: "mail" | "copies";
  readonly spans: Span[] = [];
  readonly done: Promise<void>;
  bytes = 0;
  readonly #parties: Party[] = [];
  #resolve: () => void = () => undefined;

  constructor(of: Group["of"]) {
    this.of = of;
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Parties are told in the order of staging, before `done` resolves. */
  join(party: Party): void {
    this.#parties.push(party);
  }

  settle(settled: Settled): void {
    for (const party of this.#parties) party.settle(settled);
    this.#resolve();
  }
}
