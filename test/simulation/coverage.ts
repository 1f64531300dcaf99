// How often something interesting happened: a run in which nothing goes wrong proves nothing. Always true: what is to
// be counted is listed here, so that what never happened stands in the summary as 0.

export const EVENTS = [
  "accepted",
  "refused",
  "stored",
  "stored twice",
  "stored past an owner",
  "pushed",
  "delivered live",
  "spilled",
  "drained",
  "claimed",
  "displaced",
  "epoch behind",
  "fenced append",
  "owned append",
  "not owner",
  "closed with mail in flight",
  "woken",
  "looked",
  "found by a look",
  "resent",
  "offer timed out",
  "link broken",
  "link silent",
  "lease lost",
  "node crashed",
  "node closed",
  "node paused",
  "node restarted",
  "store call failed",
  "store call executed and failed",
  "store call executed twice",
  "store call of a dead node",
  "removal tried again",
  "failover",
  "forgotten by a failover",
  "mailbox full",
  "busy",
  "expired in the mailbox",
  "expired at the sender",
  "refused as expired",
  "no device",
  "socket cut",
  "socket half open",
  "client crashed",
  "client crashed with a commit under way",
  "client store restored",
  "did not open after a restore",
  "displaced at the device",
  "handed over",
  "handed over again",
  "held back",
  "gap",
  "gap again",
  "late",
  "receipt",
  "signal",
  "duplicate at the device",
] as const;

export type CountedEvent = (typeof EVENTS)[number];

export class Coverage<Event extends string = CountedEvent> {
  readonly #events: readonly Event[];
  readonly #counts = new Map<Event, number>();

  constructor(events: readonly Event[]) {
    this.#events = events;
  }

  count(event: Event, by = 1): void {
    this.#counts.set(event, (this.#counts.get(event) ?? 0) + by);
  }

  of(event: Event): number {
    return this.#counts.get(event) ?? 0;
  }

  add(other: Iterable<readonly [Event, number]>): void {
    for (const [event, by] of other) this.count(event, by);
  }

  *[Symbol.iterator](): Iterator<readonly [Event, number]> {
    for (const event of this.#events) yield [event, this.of(event)];
  }
}
