// Values by envelope id, in the order in which they were added, for few at a time that come and go quickly: an array
// that is searched, with marks that say at once of most ids that they are not in it, and an index once it is long. Why
// not a Map: entries that come and go make a Map rebuild its table again and again; each table left behind points to its
// successor, so in an old heap one chain of them keeps alive what stood in any, until the whole heap is collected.
// Always true: an id stands in it once; places from `#head` to `#end` are in use, without holes, and no others.
import type { EnvelopeId } from "@lethe/protocol";

/** Above this many, an index is kept; acknowledgements come nearly in order, so most are found at the front. */
const SEARCHED = 96;
/** Above this many, marks are kept: up to it a search costs no more than they do, and a sender's usual 16 under way make none. */
const MARKED = 16;
/** One count for each value of a byte; with 64 ids in it, four absent ones of five are known by it. */
const MARKS = 256;

/** Nothing is ever put into them: a window that was never used has no arrays of its own. */
const NO_IDS: (EnvelopeId | undefined)[] = [];
const NO_VALUES: never[] = [];

export class Window<Value> {
  #ids = NO_IDS;
  #values: (Value | undefined)[] = NO_VALUES;
  #head = 0;
  #end = 0;
  /** How many ids in it have which mark, while they are more than a few; gone when the last one is. */
  #marks: Uint8Array | undefined = undefined;
  /** The ids that stand in it, while they are many. */
  #index: Set<EnvelopeId | undefined> | undefined = undefined;

  constructor(entries: readonly (readonly [EnvelopeId, Value])[] = []) {
    for (const [id, value] of entries) this.set(id, value);
  }

  get size(): number {
    return this.#end - this.#head;
  }

  /** The value that was added first. */
  get oldest(): Value | undefined {
    return this.#values[this.#head];
  }

  /** The values in order, in an array of the caller's own. */
  values(): Value[] {
    return this.#values.slice(this.#head, this.#end) as Value[];
  }

  get(id: EnvelopeId): Value | undefined {
    const at = this.#find(id);
    return at < 0 ? undefined : this.#values[at];
  }

  has(id: EnvelopeId): boolean {
    return this.#index === undefined ? this.#find(id) >= 0 : this.#index.has(id);
  }

  /** Adds the value at the end, or puts it in the place of the one that the id has. */
  set(id: EnvelopeId, value: Value): void {
    const at = this.#find(id);
    if (at < 0) this.add(id, value);
    else this.#values[at] = value;
  }

  /** Adds the value at the end. The id must not be in it: who has asked already need not have it searched again. */
  add(id: EnvelopeId, value: Value): void {
    if (this.#ids === NO_IDS) {
      this.#ids = [];
      this.#values = [];
    } else if (this.#end === this.#ids.length && this.#head > this.size) this.#moveDown();
    this.#ids[this.#end] = id;
    this.#values[this.#end] = value;
    this.#end++;
    if (this.#index !== undefined) this.#index.add(id);
    else if (this.size > SEARCHED) this.#index = new Set(this.#ids.slice(this.#head, this.#end));
    else if (this.#marks !== undefined) (this.#marks[markOf(id)] as number)++;
    else if (this.size > MARKED) this.#mark();
  }

  /** Takes the value of `id` out. */
  take(id: EnvelopeId): Value | undefined {
    const at = this.#find(id);
    if (at < 0) return undefined;
    const value = this.#values[at];
    if (at - this.#head < this.#end - at) {
      moveUp(this.#ids, this.#head, at);
      moveUp(this.#values, this.#head, at);
      this.#head++;
    } else {
      this.#end--;
      moveBack(this.#ids, at, this.#end);
      moveBack(this.#values, at, this.#end);
    }
    this.#unlist(id);
    return value;
  }

  #unlist(id: EnvelopeId): void {
    if (this.#index !== undefined) {
      this.#index.delete(id);
      if (this.size > SEARCHED / 2) return;
      this.#index = undefined;
      this.#moveDown();
      this.#ids.length = this.#end;
      this.#values.length = this.#end;
      this.#mark();
    } else if (this.#marks !== undefined) (this.#marks[markOf(id)] as number)--;
    if (this.#head < this.#end) return;
    this.#head = this.#end = 0;
    this.#marks = undefined;
  }

  #mark(): void {
    this.#marks = new Uint8Array(MARKS);
    for (let i = this.#head; i < this.#end; i++)
      (this.#marks[markOf(this.#ids[i] as EnvelopeId)] as number)++;
  }

  /** The places before the first one in use are used again. */
  #moveDown(): void {
    const { size } = this;
    for (let i = 0; i < size; i++) {
      this.#ids[i] = this.#ids[this.#head + i];
      this.#values[i] = this.#values[this.#head + i];
    }
    for (let i = size; i < this.#end; i++) {
      this.#ids[i] = undefined;
      this.#values[i] = undefined;
    }
    this.#head = 0;
    this.#end = size;
  }

  #find(id: EnvelopeId): number {
    if (this.#index !== undefined) {
      if (!this.#index.has(id)) return -1;
    } else if (this.#marks !== undefined && this.#marks[markOf(id)] === 0) return -1;
    for (let i = this.#head; i < this.#end; i++) if (this.#ids[i] === id) return i;
    return -1;
  }
}

/** Ids are random, one character a byte. */
function markOf(id: EnvelopeId): number {
  return (id.charCodeAt(0) ^ id.charCodeAt(id.length - 1)) & (MARKS - 1);
}

/** Closes the gap at `at` by what stands before it. */
function moveUp<Value>(array: (Value | undefined)[], first: number, at: number): void {
  for (let i = at; i > first; i--) array[i] = array[i - 1];
  array[first] = undefined;
}

/** Closes the gap at `at` by what stands behind it. */
function moveBack<Value>(array: (Value | undefined)[], at: number, last: number): void {
  for (let i = at; i < last; i++) array[i] = array[i + 1];
  array[last] = undefined;
}
