// The three appends. Who owns and what fits is judged when an item's turn comes; from then on it counts towards the
// caps, and a read that finds nothing waits for it; it can be read, and is answered `stored`, once its group is synced.
// Always true: items take their turns in the order of the calls, also while the log has no room.
import type { DeviceAddress } from "@lethe/protocol";
import type { MailboxLimits } from "../backend.ts";
import type { Appended, Envelope, NoDevice, StoreFailure } from "../mailbox.ts";
import type { Box } from "./boxes.ts";
import { failureOf } from "./failures.ts";
import type { Group, Settled } from "./log.ts";
import type { StoreParts } from "./parts.ts";
import type { Positions } from "./positions.ts";
import { envelopeBytes } from "./record.ts";

interface Item {
  readonly address: DeviceAddress;
  readonly envelopes: readonly Envelope[];
}

/** What tells one append from another. */
export interface AppendRule<Of extends Item, Result> {
  /** An answer where nothing is to be appended. */
  readonly refuse: (box: Box, item: Of) => Result | undefined;
  /** Called once all of the item is durable, in the order of positions. */
  readonly stored: (box: Box, item: Of, outcomes: readonly Appended[]) => Result;
}

export interface AppendsParts extends StoreParts {
  readonly positions: Positions;
  readonly limits: MailboxLimits;
}

/** One item on its way to the disk. */
interface UnderWay {
  readonly box: Box;
  readonly slots: readonly number[];
  readonly group: Group;
}

const NO_DEVICE: NoDevice = { is: "no-device" };

export class Appends {
  readonly #parts: AppendsParts;
  /** Calls whose items wait for room, and the last of them. */
  #queued = 0;
  #turn: Promise<void> = Promise.resolve();

  constructor(parts: AppendsParts) {
    this.#parts = parts;
  }

  async append<Of extends Item, Result>(
    batch: readonly Of[],
    rule: AppendRule<Of, Result>,
  ): Promise<(Result | NoDevice | StoreFailure)[]> {
    for (const item of batch) this.#checkSize(item);
    const results: (Result | NoDevice | StoreFailure)[] = [];
    const groups = new Set<Group>();
    await this.#inTurn(batch, (item, i, failure) => {
      if (failure !== undefined) results[i] = failure;
      else {
        const group = this.#appendOne(item, rule, (result) => {
          results[i] = result;
        });
        if (group !== undefined) groups.add(group);
      }
    });
    for (const group of groups) await group.done;
    return results;
  }

  /** @throws RangeError for what could never be written: a fault of the caller, whose own limits are far lower. */
  #checkSize({ envelopes }: Item): void {
    let bytes = 0;
    for (const { ciphertext } of envelopes) {
      const one = envelopeBytes(ciphertext.length);
      if (one > this.#parts.tuning.chunkBytes)
        throw new RangeError("the envelope is larger than the store can hold");
      bytes += one;
    }
    if (bytes > this.#parts.tuning.waitingBytes)
      throw new RangeError("the item is larger than the store takes at once");
  }

  /** Calls `take` for each item, at once where there is room and nobody waits, else behind those who do. */
  #inTurn<Of extends Item>(
    batch: readonly Of[],
    take: (item: Of, i: number, failure?: StoreFailure) => void,
  ): Promise<void> | undefined {
    let i = 0;
    if (this.#queued === 0) {
      for (let item = batch[i]; item !== undefined && this.#hasRoom(item); item = batch[i]) take(item, i++);
    }
    if (i === batch.length) return undefined;
    this.#queued++;
    this.#turn = this.#turn.then(async () => {
      for (let item = batch[i]; item !== undefined; item = batch[i]) take(item, i++, await this.#room(item));
      this.#queued--;
    });
    return this.#turn;
  }

  #hasRoom(item: Item): boolean {
    return this.#parts.log.hasRoom && this.#parts.positions.has(item.envelopes.length);
  }

  /** Resolves once there is room, or with why there will be none. */
  async #room(item: Item): Promise<StoreFailure | undefined> {
    const { log, positions } = this.#parts;
    while (!this.#hasRoom(item)) {
      await log.room();
      if (positions.has(item.envelopes.length)) continue;
      const failure = await positions.raise(item.envelopes.length).then(() => undefined, failureOf);
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  /** Judges and stages one item; returns the group to wait for, if there is anything to wait for. */
  #appendOne<Of extends Item, Result>(
    item: Of,
    rule: AppendRule<Of, Result>,
    answer: (result: Result | NoDevice | StoreFailure) => void,
  ): Group | undefined {
    const { mail, log } = this.#parts;
    const box = mail.boxes.of(item.address);
    if (box === undefined) {
      answer(NO_DEVICE);
      return undefined;
    }
    const refusal = rule.refuse(box, item);
    const slots: number[] = [];
    const outcomes = refusal === undefined ? this.#stage(box, item.envelopes, slots) : [];
    if (slots.length === 0) {
      answer(refusal ?? rule.stored(box, item, outcomes));
      mail.boxes.dropIfBlank(box);
      return undefined;
    }
    const { group } = log;
    box.pending = group;
    group.join({
      settle: (settled) =>
        answer(this.#settle({ box, slots, group }, settled) ?? rule.stored(box, item, outcomes)),
    });
    return group;
  }

  #stage(box: Box, envelopes: readonly Envelope[], slots: number[]): Appended[] {
    const { mail, now } = this.#parts;
    const appended = now();
    const outcomes: Appended[] = [];
    for (const envelope of envelopes) {
      if (envelope.expiry <= appended) outcomes.push("expired");
      else if (this.#isFull(box, envelope)) break;
      else {
        const position = this.#parts.positions.take();
        const { id, kind, expiry, ciphertext } = envelope;
        const record = { position, address: box.address, id, kind, expiry, appended, ciphertext };
        const slot = mail.reserve(box, record, ciphertext.length);
        const staged = this.#parts.log.stage(record);
        mail.table.offset[slot] = staged.offset;
        mail.table.tailSerial[slot] = staged.tailSerial;
        mail.table.tailAt[slot] = staged.tailAt;
        slots.push(slot);
        outcomes.push(position);
      }
    }
    while (outcomes.length < envelopes.length) outcomes.push("mailbox-full");
    return outcomes;
  }

  /** Whether the envelope is over a cap. Expired entries do not count: they are removed first. */
  #isFull(box: Box, envelope: Envelope): boolean {
    const { limits, mail, now } = this.#parts;
    const isOver = (): boolean =>
      box.held >= limits.envelopes || box.heldBytes + envelope.ciphertext.length > limits.bytes;
    if (!isOver()) return false;
    mail.sweepBox(box, now());
    return isOver();
  }

  /** Takes the slots into the mail, or gives them up; returns an answer where they are not stored. */
  #settle({ box, slots, group }: UnderWay, settled: Settled): StoreFailure | NoDevice | undefined {
    const { mail, now } = this.#parts;
    if (box.pending === group) box.pending = undefined;
    for (const slot of slots) {
      if (settled.is === "failed") mail.abandon(slot);
      else {
        const offset = settled.base + (mail.table.offset[slot] as number);
        if (box.isRetired) mail.abandonStored(slot, settled.segment, offset, now());
        else mail.commit(slot, settled.segment, offset);
      }
    }
    mail.boxes.dropIfBlank(box);
    if (settled.is === "failed") return settled;
    return box.isRetired ? NO_DEVICE : undefined;
  }
}
