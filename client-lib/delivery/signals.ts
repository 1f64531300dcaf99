// Typing and the like: said now, or within the moment that it takes to connect, or not at all.
// Always true: at most one signal waits for each account, for a moment, and of few accounts.
import type { AccountId, FrameOf, Time } from "@lethe/protocol";
import type { Connection } from "./connection.ts";
import { addTime } from "./connection-ends.ts";
import type { Contacts } from "./contacts.ts";
import { MAX_UNSAID, UNSAID_MS } from "./limits.ts";
import type { Sending } from "./sending.ts";
import type { Turn } from "./turn.ts";

export class Signals {
  readonly #contacts: Contacts;
  readonly #sending: Sending;
  #sealed: FrameOf<"signal">[] = [];
  /** The last signal for each, while there is no connection for it. */
  readonly #unsaid = new Map<AccountId, { readonly body: Uint8Array; readonly until: Time }>();

  constructor(contacts: Contacts, sending: Sending) {
    this.#contacts = contacts;
    this.#sending = sending;
  }

  say(turn: Turn, { to, body }: { to: AccountId; body: Uint8Array }, connection: Connection): void {
    if (connection.isUp) return this.#sending.signal(turn, to, body);
    if (this.#contacts.of(to).accessKey === undefined) return;
    if (this.#unsaid.size < MAX_UNSAID) this.#unsaid.set(to, { body, until: addTime(turn.now, UNSAID_MS) });
    connection.want(turn);
  }

  sayWaiting(turn: Turn): void {
    for (const [to, { body, until }] of this.#unsaid)
      if (turn.now < until) this.#sending.signal(turn, to, body);
    this.#unsaid.clear();
  }

  sealed(frame: FrameOf<"signal">): void {
    this.#sealed.push(frame);
  }

  take(): FrameOf<"signal">[] {
    const sealed = this.#sealed;
    this.#sealed = [];
    return sealed;
  }
}
