// The three appends. Who owns and what fits is judged when an item's turn comes; from then on it counts towards the
// caps, and a read that finds nothing waits for it; it can be read, and is answered `stored`, once its group is synced.
// Always true: items take their turns in the order of the calls, also while the log has no room.
import type { DeviceAddress, Position, Time } from "@lethe/protocol";
import type { MailboxLimits } from "../backend.ts";
import type { Appended, Envelope, NoDevice, PayloadId, StoreFailure } from "../mailbox.ts";
import type { Box } from "./boxes.ts";
import { failureOf } from "./failures.ts";
import type { Group, Settled } from "./group.ts";
import type { StoreParts } from "./parts.ts";
import type { Payload } from "./payloads.ts";
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

/** What is staged of an item: slots of what will be stored, and an outcome for each envelope. */
interface Staging {
  readonly slots: readonly number[];
  readonly outcomes: readonly Appended[];
}

/** In the place of a slot: why there is none. */
const EXPIRED = -1;
const FULL = -2;
const NO_SLOTS: readonly number[] = [];
const NOTHING: Staging = { slots: NO_SLOTS, outcomes: [] };

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
    const groups: Group[] = [];
    await this.#inTurn(batch, (item, i, failure) => {
      if (failure !== undefined) results[i] = failure;
      else {
        const group = this.#appendOne(item, rule, results, i);
        if (group !== undefined && groups.at(-1) !== group) groups.push(group);
      }
    });
    for (const group of groups) await group.done;
    return results;
  }

  /** @throws RangeError for what could never be written: a fault of the caller, whose own limits are far lower. */
  #checkSize({ envelopes }: Item): void {
    let bytes = 0;
    for (const { ciphertext, payload } of envelopes) {
      const known = payload === undefined ? undefined : this.#parts.mail.payloads.find(payload);
      if (known !== undefined && known.bytes !== ciphertext.length)
        throw new RangeError("two ciphertexts under the id of one payload");
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
    return this.#parts.log.hasRoom && this.#parts.positions.has(positionsFor(item));
  }

  /** Resolves once there is room, or with why there will be none. */
  async #room(item: Item): Promise<StoreFailure | undefined> {
    const { log, positions } = this.#parts;
    while (!this.#hasRoom(item)) {
      await log.room();
      if (positions.has(positionsFor(item))) continue;
      const failure = await positions.raise(positionsFor(item)).then(() => undefined, failureOf);
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  /** Judges and stages one item, whose result goes to `results[i]`; returns the group to wait for, if there is one. */
  #appendOne<Of extends Item, Result>(
    item: Of,
    rule: AppendRule<Of, Result>,
    results: (Result | NoDevice | StoreFailure)[],
    i: number,
  ): Group | undefined {
    const { mail, log } = this.#parts;
    const box = mail.boxes.of(item.address);
    if (box === undefined) {
      results[i] = NO_DEVICE;
      return undefined;
    }
    const refusal = rule.refuse(box, item);
    const { slots, outcomes } = refusal === undefined ? this.#stage(box, item.envelopes) : NOTHING;
    if (slots.length === 0) {
      results[i] = refusal ?? rule.stored(box, item, outcomes);
      mail.boxes.dropIfBlank(box);
      return undefined;
    }
    const { group } = log;
    box.pending = group;
    group.join({
      settle: (settled) => {
        results[i] = this.#settle(box, slots, group, settled) ?? rule.stored(box, item, outcomes);
      },
    });
    return group;
  }

  /** Stages what is to be stored of the envelopes, in order; after one that does not fit, none is. */
  #stage(box: Box, envelopes: readonly Envelope[]): Staging {
    const first = envelopes[0];
    if (envelopes.length === 1 && first !== undefined) return this.#stageAlone(box, first);
    const slots: number[] = [];
    const outcomes: Appended[] = [];
    for (const envelope of envelopes) {
      const slot = this.#stageOne(box, envelope);
      if (slot === FULL) break;
      if (slot === EXPIRED) outcomes.push("expired");
      else {
        slots.push(slot);
        outcomes.push(this.#positionOf(slot));
      }
    }
    while (outcomes.length < envelopes.length) outcomes.push("mailbox-full");
    return { slots, outcomes };
  }

  /** Most items are one envelope: arrays that are made with their one element are a tenth of what empty ones grow to. */
  #stageAlone(box: Box, envelope: Envelope): Staging {
    const slot = this.#stageOne(box, envelope);
    if (slot >= 0) return { slots: [slot], outcomes: [this.#positionOf(slot)] };
    return { slots: NO_SLOTS, outcomes: [slot === EXPIRED ? "expired" : "mailbox-full"] };
  }

  #stageOne(box: Box, envelope: Envelope): number {
    const { mail, now, positions, log } = this.#parts;
    const appended = now();
    if (envelope.expiry <= appended) return EXPIRED;
    if (this.#isFull(box, envelope)) return FULL;
    if (envelope.payload !== undefined)
      return this.#stageReference(box, envelope, envelope.payload, appended);
    const { id, kind, expiry, ciphertext } = envelope;
    const record = {
      position: positions.take(),
      address: box.address,
      id,
      kind,
      expiry,
      appended,
      ciphertext,
    };
    const slot = mail.reserve(box, record, ciphertext.length);
    const staged = log.stage(record);
    mail.table.offset[slot] = staged.offset;
    mail.table.tailSerial[slot] = staged.tailSerial;
    mail.table.tailAt[slot] = staged.tailAt;
    return slot;
  }

  #stageReference(box: Box, envelope: Envelope, name: PayloadId, appended: Time): number {
    const { mail, positions, log } = this.#parts;
    const payload = mail.payloads.find(name) ?? this.#stagePayload(name, envelope.ciphertext);
    const { id, kind, expiry } = envelope;
    const { serial, bytes } = payload;
    const position = positions.take();
    const record = { position, address: box.address, id, kind, expiry, appended, serial, bytes };
    const slot = mail.reserve(box, record, bytes, payload);
    mail.table.offset[slot] = log.stageReference(record).offset;
    return slot;
  }

  /** In the same group as the first reference to it, which is settled behind it. */
  #stagePayload(name: PayloadId, ciphertext: Uint8Array): Payload {
    const { mail, positions, log } = this.#parts;
    const payload = mail.payloads.add(name, positions.take(), ciphertext.length);
    const { offset, tailSerial, tailAt } = log.stagePayload({
      serial: payload.serial,
      payload: name,
      ciphertext,
    });
    Object.assign(payload, { tailSerial, tailAt });
    log.group.join({
      settle: (settled) => {
        if (settled.is === "failed") mail.payloads.fail(payload);
        else mail.payloads.keep(payload, name, settled.segment, settled.base + offset);
      },
    });
    return payload;
  }

  #positionOf(slot: number): Position {
    return this.#parts.mail.table.position[slot] as Position;
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
  #settle(
    box: Box,
    slots: readonly number[],
    group: Group,
    settled: Settled,
  ): StoreFailure | NoDevice | undefined {
    const { mail, now } = this.#parts;
    if (box.pending === group) box.pending = undefined;
    const isLacking = settled.is === "stored" && mail.lacksPayload(slots);
    for (const slot of slots) {
      if (settled.is === "failed") mail.abandon(slot, now());
      else {
        const offset = settled.base + (mail.table.offset[slot] as number);
        if (box.isRetired || isLacking) mail.abandonStored(slot, settled.segment, offset, now());
        else mail.commit(slot, settled.segment, offset);
      }
    }
    mail.boxes.dropIfBlank(box);
    if (settled.is === "failed") return settled;
    if (isLacking) return { is: "failed", code: "storage-failed" };
    return box.isRetired ? NO_DEVICE : undefined;
  }
}

/** Each envelope takes one, and each payload that is new. */
function positionsFor({ envelopes }: Item): number {
  let count = 0;
  for (const { payload } of envelopes) count += payload === undefined ? 1 : 2;
  return count;
}
