// Copying the survivors of a segment forward, under their old positions, through the same group commit as new mail.
// Always true: an entry or a payload moves only once its copy is synced; a copy of what went meanwhile is buried at once.
import type { EnvelopeId, Position, Time } from "@lethe/protocol";
import type { Entry } from "../mailbox.ts";
import type { Copied, Settled, Staged } from "./group.ts";
import { COPY_ROUND_BYTES } from "./limits.ts";
import type { StoreParts } from "./parts.ts";
import { REFERENCE_BYTES } from "./payload-record.ts";
import type { Payload } from "./payloads.ts";
import { envelopeBytes, IDENTITY_BYTES, REFERENCE_BODY_BYTES } from "./record.ts";
import type { Segment } from "./segments.ts";

/** A copy, and what is done with it once it is in the log. */
interface Copy {
  readonly copied: Copied;
  readonly bodyBytes: number;
  /** False where what was copied is not there any more. */
  readonly moves: (to: Segment, offset: number, staged: Staged) => boolean;
}

export class Leaving {
  readonly #parts: StoreParts;

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  /** False where something could not be read or written: the segment still holds what lives. */
  async copyForward(segment: Segment): Promise<boolean> {
    const { mail } = this.#parts;
    for (const round of this.#rounds(mail.inSegment(segment), (slot) => this.#bytesOf(slot))) {
      if (!(await this.#copy(await this.#entries(segment, round)))) return false;
    }
    for (const round of this.#rounds(mail.payloads.inSegment(segment), ({ recordBytes }) => recordBytes)) {
      if (!(await this.#copy(await this.#payloads(segment, round)))) return false;
    }
    return true;
  }

  #bytesOf(slot: number): number {
    const { table } = this.#parts.mail;
    return table.payload[slot] === undefined ? envelopeBytes(table.bytes[slot] as number) : REFERENCE_BYTES;
  }

  *#rounds<Item>(items: readonly Item[], bytesOf: (item: Item) => number): Iterable<Item[]> {
    const most = Math.min(COPY_ROUND_BYTES, this.#parts.tuning.waitingBytes);
    let round: Item[] = [];
    let total = 0;
    for (const item of items) {
      total += bytesOf(item);
      if (round.length > 0 && total > most) {
        yield round;
        round = [];
        total = bytesOf(item);
      }
      round.push(item);
    }
    if (round.length > 0) yield round;
  }

  async #copy(copies: readonly Copy[] | undefined): Promise<boolean> {
    if (copies === undefined) return false;
    let isStored = copies.length === 0;
    if (isStored) return true;
    const { log, mail, now } = this.#parts;
    const settle = ({ moves, bodyBytes }: Copy, staged: Staged, settled: Settled): void => {
      if (settled.is === "failed") return;
      const offset = settled.base + staged.offset;
      if (!moves(settled.segment, offset, staged))
        mail.segments.buryUncounted(settled.segment, offset, bodyBytes, now());
    };
    await log.copy(
      copies.map(({ copied }) => copied),
      (settled, staged) => {
        isStored = settled.is === "stored";
        for (const [i, copy] of copies.entries()) settle(copy, staged[i] as Staged, settled);
      },
    );
    return isStored;
  }

  /** What does not check is dropped and reported by the reading; references are written anew from what is known of them. */
  async #entries(segment: Segment, round: readonly number[]): Promise<Copy[] | undefined> {
    const { mail, reading } = this.#parts;
    const { table } = mail;
    const slots = round.filter((slot) => table.isLive(slot) && table.segment[slot] === segment.number);
    const whole = slots.filter((slot) => table.payload[slot] === undefined);
    const slotOf = new Map(whole.map((slot) => [table.position[slot], slot]));
    const [entries] = await reading.pages([whole]);
    if (entries === undefined) return undefined;
    const copies: Copy[] = [];
    for (const entry of entries) {
      const slot = slotOf.get(entry.position);
      if (slot !== undefined && table.is(slot, entry.position))
        copies.push(this.#envelope(segment, slot, entry));
    }
    for (const slot of slots) {
      const payload = table.payload[slot];
      const isStill = table.isLive(slot) && table.segment[slot] === segment.number;
      if (payload !== undefined && isStill) copies.push(this.#reference(segment, slot, payload));
    }
    return copies;
  }

  #envelope(from: Segment, slot: number, entry: Entry): Copy {
    const { mail } = this.#parts;
    const record = { ...entry, address: mail.table.box(slot).address, appended: mail.appendedAt(slot) };
    return {
      copied: { is: "envelope", record },
      bodyBytes: IDENTITY_BYTES + entry.ciphertext.length,
      moves: this.#mover(from, slot),
    };
  }

  #reference(from: Segment, slot: number, { serial, bytes }: Payload): Copy {
    const { mail } = this.#parts;
    const { table } = mail;
    const record = {
      position: table.position[slot] as Position,
      address: table.box(slot).address,
      id: table.id[slot] as EnvelopeId,
      kind: table.kind(slot),
      expiry: table.expiry[slot] as Time,
      appended: mail.appendedAt(slot),
      serial,
      bytes,
    };
    return {
      copied: { is: "reference", record },
      bodyBytes: REFERENCE_BODY_BYTES,
      moves: this.#mover(from, slot),
    };
  }

  #mover(from: Segment, slot: number): Copy["moves"] {
    const { mail, now } = this.#parts;
    const { table } = mail;
    const position = table.position[slot] as number;
    const isWhole = table.payload[slot] === undefined;
    return (to, offset, staged) => {
      if (!table.is(slot, position) || table.segment[slot] !== from.number) return false;
      mail.move(slot, to, offset, now());
      if (isWhole) {
        table.tailSerial[slot] = staged.tailSerial;
        table.tailAt[slot] = staged.tailAt;
      }
      return true;
    };
  }

  async #payloads(segment: Segment, round: readonly Payload[]): Promise<Copy[] | undefined> {
    const { reading } = this.#parts;
    const copies: Copy[] = [];
    for (const payload of round) {
      if (!isIn(payload, segment)) continue;
      const ciphertext = await reading.payload(payload).catch(() => "unread" as const);
      if (ciphertext === "unread") return undefined;
      if (ciphertext !== undefined) copies.push(this.#payload(segment, payload, ciphertext));
    }
    return copies;
  }

  #payload(from: Segment, payload: Payload, ciphertext: Uint8Array): Copy {
    const { mail, now } = this.#parts;
    const { serial, id, bodyBytes } = payload;
    if (id === undefined) throw new RangeError("a payload that is kept has an id");
    return {
      copied: { is: "payload", record: { serial, payload: id, ciphertext } },
      bodyBytes,
      moves: (to, offset, { tailSerial, tailAt }) => {
        if (!isIn(payload, from)) return false;
        mail.payloads.move(payload, to, offset, now());
        Object.assign(payload, { tailSerial, tailAt });
        return true;
      },
    };
  }
}

function isIn({ state, segment }: Payload, { number }: Segment): boolean {
  return state === "kept" && segment === number;
}
