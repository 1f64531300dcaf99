// The mailboxes: each one's owner record, and its entries in order of position as slots of the entry table.
// Always true: the slots behind `head` rise in position; what is removed leaves the list lazily, so that a removal costs
// no more at the front, in the middle or in a long list.
import { hash } from "node:crypto";
import type { DeviceAddress, Time } from "@lethe/protocol";
import type { ClaimResult, Owner } from "../mailbox.ts";
import type { EntryTable } from "./entries.ts";
import type { Group } from "./group.ts";

/** Removed slots inside a list before it is worth closing its gaps. */
const GAPS_WORTH_CLOSING = 32;
const NO_SLOTS: readonly number[] = [];

/** A claim that is being made durable. */
export interface Claiming {
  readonly owner: Owner;
  readonly epoch: number;
  readonly done: Promise<ClaimResult>;
}

export class Box {
  readonly address: DeviceAddress;
  owner: Owner | undefined = undefined;
  epoch = 0;
  lastSeen = 0 as Time;
  isRetired = false;
  claiming: Claiming | undefined = undefined;
  /** Entries that count towards the caps: live ones and those under way to the disk. */
  held = 0;
  heldBytes = 0;
  /** No entry expires before this; a lower bound. */
  nextExpiry = Number.POSITIVE_INFINITY;
  /** The group of the last append that is not settled. */
  pending: Group | undefined = undefined;
  #slots: readonly number[] | number[] = NO_SLOTS;
  #head = 0;
  #gaps = 0;

  constructor(address: DeviceAddress) {
    this.address = address;
  }

  /** Nothing is lost where this box is made anew when it is next asked for. */
  get isBlank(): boolean {
    return (
      this.held === 0 &&
      this.owner === undefined &&
      this.epoch === 0 &&
      this.lastSeen === 0 &&
      this.claiming === undefined
    );
  }

  /** Appends at the end. False where the position does not rise: the list has to be put in order. */
  push(slot: number, table: EntryTable): boolean {
    const slots = this.#own();
    const last = slots.at(-1);
    slots.push(slot);
    return last === undefined || (table.position[last] as number) < (table.position[slot] as number);
  }

  /** The slots in order, removed ones among them. */
  *slots(): Iterable<number> {
    for (let i = this.#head; i < this.#slots.length; i++) yield this.#slots[i] as number;
  }

  /** Calls `visit` with the live slots above `after`, in order, until it returns false. */
  visit(after: number, table: EntryTable, visit: (slot: number) => boolean): void {
    for (let i = this.#indexAfter(after, table); i < this.#slots.length; i++) {
      const slot = this.#slots[i] as number;
      if (table.isLive(slot) && !visit(slot)) return;
    }
  }

  /** The live slot of this position, or -1. */
  find(position: number, table: EntryTable): number {
    const slot = this.#slots[this.#indexAfter(position - 1, table)];
    return slot !== undefined && table.is(slot, position) ? slot : -1;
  }

  /** Frees the slots of removed entries at the front, and all of them once they are many. */
  trim(table: EntryTable): void {
    this.#gaps++;
    while (this.#head < this.#slots.length && table.isRemoved(this.#slots[this.#head] as number)) {
      table.free(this.#slots[this.#head] as number);
      this.#head++;
      this.#gaps--;
    }
    if (this.#head === this.#slots.length) {
      this.#slots = NO_SLOTS;
      this.#head = 0;
    } else if (
      this.#gaps + this.#head > GAPS_WORTH_CLOSING &&
      this.#gaps + this.#head > this.#slots.length / 2
    ) {
      this.#closeGaps(table);
    }
  }

  /** Puts the slots in order of position; for recovery, where copies may come out of order. */
  sort(table: EntryTable): void {
    this.#own().sort((a, b) => (table.position[a] as number) - (table.position[b] as number));
  }

  #own(): number[] {
    if (this.#slots === NO_SLOTS) this.#slots = [];
    return this.#slots as number[];
  }

  #closeGaps(table: EntryTable): void {
    const left: number[] = [];
    for (const slot of this.slots()) {
      if (table.isRemoved(slot)) table.free(slot);
      else left.push(slot);
    }
    this.#slots = left;
    this.#head = 0;
    this.#gaps = 0;
  }

  /** Index of the first slot above `position`. Removed slots keep their position until they leave the list. */
  #indexAfter(position: number, table: EntryTable): number {
    let low = this.#head;
    let high = this.#slots.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((table.position[this.#slots[middle] as number] as number) > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** What is kept of a device that is gone: enough to know it again, too little to say who it was. */
export function retiredMark(address: DeviceAddress): string {
  return hash("sha256", Buffer.from(address, "latin1"), "buffer").toString("latin1", 0, 16);
}

export class Boxes {
  readonly #boxes = new Map<DeviceAddress, Box>();
  readonly #retired: Set<string>;

  constructor(retiredMarks: Iterable<string>) {
    this.#retired = new Set(retiredMarks);
  }

  /** The box if there is anything in it. */
  known(address: DeviceAddress): Box | undefined {
    return this.#boxes.get(address);
  }

  isRetired(address: DeviceAddress): boolean {
    return this.#retired.size > 0 && !this.#boxes.has(address) && this.#retired.has(retiredMark(address));
  }

  /** The box, made where there is none; undefined for a retired device. */
  of(address: DeviceAddress): Box | undefined {
    const known = this.#boxes.get(address);
    if (known !== undefined) return known;
    if (this.isRetired(address)) return undefined;
    const box = new Box(address);
    this.#boxes.set(address, box);
    return box;
  }

  dropIfBlank(box: Box): void {
    if (box.isBlank && this.#boxes.get(box.address) === box) this.#boxes.delete(box.address);
  }

  retire(address: DeviceAddress): Box | undefined {
    const box = this.#boxes.get(address);
    this.#retired.add(retiredMark(address));
    this.#boxes.delete(address);
    if (box !== undefined) box.isRetired = true;
    return box;
  }

  all(): Iterable<Box> {
    return this.#boxes.values();
  }
}
