// Healing of ratchets that no longer fit: asking a device to send again what did not open, and sending again what is
// asked for (crypto.md 1.7). Always true: a request goes over a new ratchet and is authenticated by it; what fails costs
// one new ratchet a device and hour, then two hours, ...; all requests together keep under a breaker, each way; a
// request is never answered by a request.
import {
  type AccountId,
  accountOf,
  binary,
  decodeAll,
  type DeviceAddress,
  deviceOf,
  encode,
  type EnvelopeId,
  envelopeId,
  fixed,
  list,
  type Of,
  oneOf,
  optional,
  struct,
  type Time,
  time,
  u8,
} from "@lethe/protocol";
import { soonest } from "./connection-ends.ts";
import type { Contacts } from "./contacts.ts";
import type { Cipher, Control, ResendWish, StoredRows } from "./events.ts";
import {
  BREAKER_MS,
  MAX_FAILED,
  MAX_RECOVERIES,
  MAX_RECOVERING,
  MAX_RESEND_IDS,
  RECOVERY_FORGET_MS,
  RECOVERY_GATHER_MS,
  RECOVERY_WAIT_CAP_MS,
  RECOVERY_WAIT_MS,
} from "./limits.ts";
import type { LibraryMail } from "./library-mail.ts";
import type { Ended } from "./lookups.ts";
import type { Resend, ResendLog } from "./resend-log.ts";
import type { Turn } from "./turn.ts";

export const RECOVERY_TABLE = "recovery";

const recoveryRow = struct({
  format: oneOf({ one: 1 }),
  /** `due`: to be asked for when it may; `asking`: the new ratchet is on its way; `idle`: kept for its limit. */
  state: oneOf({ idle: 0, due: 1, asking: 2 }),
  tries: u8,
  /** When a new ratchet was begun last, 0 for never; and when the first of what is missing failed. */
  last: time,
  since: time,
  failed: list(
    struct({ id: envelopeId, ratchet: optional(binary(16, "ratchet id")), ratchetKey: fixed(32) }),
    MAX_FAILED,
  ),
});
type Row = Of<typeof recoveryRow>;

export interface Parts {
  readonly cipher: Cipher;
  readonly contacts: Contacts;
  readonly mail: LibraryMail;
  readonly log: ResendLog;
}

/** At most so many of something in a while. */
class Breaker {
  #times: Time[] = [];

  takes(now: Time): boolean {
    this.#times = this.#times.filter((at) => now - at < BREAKER_MS && at <= now);
    if (this.#times.length >= MAX_RECOVERIES) return false;
    this.#times.push(now);
    return true;
  }

  freeAt(now: Time): number {
    return this.#times.length < MAX_RECOVERIES ? now : (this.#times[0] ?? now) + BREAKER_MS;
  }
}

export class Recovery {
  readonly #parts: Parts;
  readonly #rows = new Map<DeviceAddress, Row>();
  readonly #asked = new Breaker();
  readonly #answered = new Breaker();
  /** Something is to be asked the relay for, or sealed: looked at in the next step. */
  #stirred = true;

  constructor(parts: Parts, rows: StoredRows) {
    this.#parts = parts;
    for (const { key, value } of rows[RECOVERY_TABLE] ?? [])
      this.#rows.set(key as DeviceAddress, decodeAll(recoveryRow, value));
  }

  // --- asking --------------------------------------------------------------------------------------------------------

  /** An envelope of a known device did not open. Only contacts are asked: whoever is asked learns that we are here. */
  failed(turn: Turn, id: EnvelopeId, { from, ratchet, ratchetKey }: ResendWish): void {
    if (!this.#parts.contacts.trusts(accountOf(from))) return;
    const row = this.#rows.get(from) ?? this.#fresh();
    if (row === undefined || row.failed.length >= MAX_FAILED) return;
    if (row.failed.some((failed) => failed.id === id)) return;
    const failed = [...row.failed, { id, ratchet, ratchetKey }];
    if (row.state === "idle") this.#put(turn, from, { ...row, state: "due", since: turn.now, failed });
    else this.#put(turn, from, { ...row, failed });
  }

  #fresh(): Row | undefined {
    if (this.#rows.size >= MAX_RECOVERING) return undefined;
    return { format: "one", state: "idle", tries: 0, last: 0 as Time, since: 0 as Time, failed: [] };
  }

  #put(turn: Turn, address: DeviceAddress, row: Row): void {
    this.#rows.set(address, row);
    turn.stage({ table: RECOVERY_TABLE, key: address, value: encode(recoveryRow, row) });
  }

  /** Those that fail together are asked for together; a new ratchet is begun an hour after the last, then two, ... */
  #dueAt({ tries, last, since }: Row, now: Time): number {
    const gathered = since + RECOVERY_GATHER_MS;
    const allowed = tries === 0 ? 0 : last + waitAfter(tries);
    return Math.max(gathered, allowed, this.#asked.freeAt(now));
  }

  tick(turn: Turn): void {
    for (const [address, row] of this.#rows)
      if (row.state === "due" && this.#dueAt(row, turn.now) <= turn.now && this.#asked.takes(turn.now))
        this.#begin(turn, address, row);
    if (!this.#stirred) return;
    this.#stirred = false;
    for (const [address, row] of this.#rows) if (row.state === "asking") this.#ask(turn, address, row, true);
    for (const resend of this.#parts.log.asked()) this.#sendAgain(turn, resend, true);
  }

  #begin(turn: Turn, address: DeviceAddress, row: Row): void {
    const forgotten = turn.now - row.last >= RECOVERY_FORGET_MS;
    const tries = Math.min(255, forgotten ? 1 : row.tries + 1);
    turn.stage(...this.#parts.cipher.renew(address, turn.now));
    turn.tellAfter({ tell: "ratchet-reset", from: address, missing: row.failed.length });
    const next: Row = { ...row, state: "asking", tries, last: turn.now };
    this.#put(turn, address, next);
    this.#ask(turn, address, next, true);
  }

  /** Seals the request if the new ratchet is there. `lookUp`: what is missing for it is asked the relay for. */
  #ask(turn: Turn, address: DeviceAddress, row: Row, lookUp: boolean): void {
    const { mail } = this.#parts;
    const ready = mail.ready(turn, address, lookUp);
    if (ready === "no" && row.failed.length > 0) return;
    for (let at = 0; ready === "yes" && at < row.failed.length; at += MAX_RESEND_IDS) {
      const some = row.failed.slice(at, at + MAX_RESEND_IDS);
      const { ratchet, ratchetKey } = some[0] as Row["failed"][number];
      mail.control(turn, address, {
        kind: "resend",
        ratchet,
        ratchetKey,
        envelopes: some.map(({ id }) => id),
      });
    }
    this.#put(turn, address, { ...row, state: "idle", failed: [] });
  }

  // --- answering -----------------------------------------------------------------------------------------------------

  /** A contact's device asks for what it could not open. */
  asked(turn: Turn, from: DeviceAddress, { envelopes }: Control & { kind: "resend" }): void {
    const { contacts, cipher, log } = this.#parts;
    if (!contacts.trusts(accountOf(from)) || !this.#isListed(cipher, from, turn.now)) return;
    if (!this.#answered.takes(turn.now)) return;
    if (log.ask(turn, from, envelopes.slice(0, MAX_RESEND_IDS)) > 0) this.#stirred = true;
  }

  #isListed(cipher: Cipher, from: DeviceAddress, now: Time): boolean {
    const peer = cipher.peer(accountOf(from), now);
    return peer?.devices.some(({ device }) => device === deviceOf(from)) ?? false;
  }

  #sendAgain(turn: Turn, resend: Resend, lookUp: boolean): void {
    const { mail, log } = this.#parts;
    const ready = mail.ready(turn, resend.to, lookUp);
    if (ready === "no") return;
    const id = ready === "yes" ? mail.again(turn, resend) : undefined;
    if (id === undefined) return log.drop(turn, resend);
    log.resent(turn, resend, id);
    turn.tellAfter({ tell: "resent", message: resend.message, to: accountOf(resend.to) });
  }

  // --- what both wait for --------------------------------------------------------------------------------------------

  /** A question about an account has ended: what waits for it goes on, or is given up. */
  answered(turn: Turn, { question, how }: Ended): void {
    if (question.about === "name") return;
    const account = question.about === "devices" ? question.account : accountOf(question.address);
    const isOf = (address: DeviceAddress): boolean => accountOf(address) === account;
    const further = question.about === "devices";
    for (const [address, row] of this.#rows)
      if (row.state === "asking" && isOf(address)) {
        if (how === "answered") this.#ask(turn, address, row, further);
        // Answered, and still not there: the answer was no good.
        const inVain = how === "refused" || (question.about === "prekeys" && question.address === address);
        if (inVain && this.#rows.get(address)?.state === "asking")
          this.#put(turn, address, { ...row, state: "idle", failed: [] });
      }
    if (!this.#parts.log.isAsked) return;
    for (const resend of this.#parts.log.asked())
      if (isOf(resend.to)) {
        if (how === "answered") this.#sendAgain(turn, resend, further);
        else this.#parts.log.drop(turn, resend);
      }
  }

  /** Nothing of an account that was blocked is asked for. */
  forget(turn: Turn, account: AccountId): void {
    for (const [address, row] of this.#rows)
      if (accountOf(address) === account && row.state !== "idle")
        this.#put(turn, address, { ...row, state: "idle", failed: [] });
  }

  nextAt(now: Time): number {
    let at = this.#stirred ? now + 1 : Number.POSITIVE_INFINITY;
    for (const row of this.#rows.values())
      if (row.state === "due") at = soonest(now, at, this.#dueAt(row, now));
    return at;
  }

  sweep(turn: Turn): void {
    for (const [address, { state, last }] of this.#rows) {
      if (state !== "idle" || turn.now - last < RECOVERY_FORGET_MS) continue;
      this.#rows.delete(address);
      turn.stage({ table: RECOVERY_TABLE, key: address, value: undefined });
    }
  }
}

function waitAfter(tries: number): number {
  return Math.min(RECOVERY_WAIT_CAP_MS, RECOVERY_WAIT_MS * 2 ** (tries - 1));
}
