// Typing and the like on its way: now, or within the moment that it takes to connect, or not at all. Always true: of each
// account the last word alone is kept; none is kept for longer than it is true.
import type { AccountId, FrameOf, Time } from "@lethe/protocol";
import { addTime } from "./connection-ends.ts";
import type { Connection } from "./connection.ts";
import type { Contacts } from "./contacts.ts";
import { MAX_UNSAID, UNSAID_MS } from "./limits.ts";
import type { Sending } from "./sending.ts";
import type { Turn } from "./turn.ts";

export interface SignalsParts {
  readonly contacts: Contacts;
  readonly sending: Sending;
  readonly anonymous: Connection;
}

export class Signals {
  readonly #parts: SignalsParts;
  #sealed: FrameOf<"signal">[] = [];
  /** The last for each account, while there is no connection for it. */
  readonly #unsaid = new Map<AccountId, { readonly body: Uint8Array; readonly until: Time }>();

  constructor(parts: SignalsParts) {
    this.#parts = parts;
  }

  say(turn: Turn, to: AccountId, body: Uint8Array): void {
    const { anonymous, contacts, sending } = this.#parts;
    if (anonymous.isUp) return sending.signal(turn, to, body);
    if (contacts.of(to).accessKey === undefined) return;
    if (this.#unsaid.size < MAX_UNSAID) this.#unsaid.set(to, { body, until: addTime(turn.now, UNSAID_MS) });
    anonymous.want(turn);
  }

  connected(turn: Turn): void {
    for (const [to, { body, until }] of this.#unsaid)
      if (turn.now < until) this.#parts.sending.signal(turn, to, body);
    this.#unsaid.clear();
  }

  /** Its ratchet is durable: it may go. */
  sealed(frame: FrameOf<"signal">): void {
    this.#sealed.push(frame);
  }

  take(): FrameOf<"signal">[] {
    const taken = this.#sealed;
    this.#sealed = [];
    return taken;
  }
}
