// Copying the survivors of a segment forward, under their old positions, through the same group commit as new mail.
// Always true: an entry moves only once its copy is synced; a copy whose entry was removed meanwhile is buried at once.
import type { Entry } from "../mailbox.ts";
import { COPY_ROUND_BYTES } from "./limits.ts";
import type { Settled, Staged } from "./log.ts";
import type { StoreParts } from "./parts.ts";
import { envelopeBytes, IDENTITY_BYTES, type RecordFields } from "./record.ts";
import type { Segment } from "./segments.ts";

interface Copy extends RecordFields {
  readonly slot: number;
}

export class Leaving {
  readonly #parts: StoreParts;

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  /** False where something could not be read or written: the segment still holds what lives. */
  async copyForward(segment: Segment): Promise<boolean> {
    for (const round of this.#rounds(this.#parts.mail.inSegment(segment))) {
      if (!(await this.#copy(segment, round))) return false;
    }
    return true;
  }

  *#rounds(slots: readonly number[]): Iterable<number[]> {
    const { bytes } = this.#parts.mail.table;
    const most = Math.min(COPY_ROUND_BYTES, this.#parts.tuning.waitingBytes);
    let round: number[] = [];
    let total = 0;
    for (const slot of slots) {
      total += envelopeBytes(bytes[slot] as number);
      if (round.length > 0 && total > most) {
        yield round;
        round = [];
        total = envelopeBytes(bytes[slot] as number);
      }
      round.push(slot);
    }
    if (round.length > 0) yield round;
  }

  /** What does not check is dropped and reported by the reading. */
  async #copy(segment: Segment, round: readonly number[]): Promise<boolean> {
    const { mail, reading, log } = this.#parts;
    const { table } = mail;
    const slots = round.filter((slot) => table.isLive(slot) && table.segment[slot] === segment.number);
    const slotOf = new Map(slots.map((slot) => [table.position[slot], slot]));
    const [entries] = await reading.pages([slots]);
    if (entries === undefined) return false;
    const copies: Copy[] = [];
    for (const entry of entries) {
      const slot = slotOf.get(entry.position);
      if (slot !== undefined && table.is(slot, entry.position)) copies.push(this.#copyOf(slot, entry));
    }
    let isStored = copies.length === 0;
    if (isStored) return true;
    await log.copy(copies, (settled, staged) => {
      isStored = settled.is === "stored";
      for (const [i, copy] of copies.entries()) this.#settle(copy, segment, staged[i] as Staged, settled);
    });
    return isStored;
  }

  #copyOf(slot: number, entry: Entry): Copy {
    const { mail } = this.#parts;
    return { ...entry, slot, address: mail.table.box(slot).address, appended: mail.appendedAt(slot) };
  }

  #settle({ slot, position, ciphertext }: Copy, from: Segment, staged: Staged, settled: Settled): void {
    if (settled.is === "failed") return;
    const { mail, now } = this.#parts;
    const { table } = mail;
    const offset = settled.base + staged.offset;
    if (table.is(slot, position) && table.segment[slot] === from.number) {
      mail.move(slot, settled.segment, offset, now());
      table.tailSerial[slot] = staged.tailSerial;
      table.tailAt[slot] = staged.tailAt;
    } else mail.segments.buryUncounted(settled.segment, offset, IDENTITY_BYTES + ciphertext.length, now());
  }
}
