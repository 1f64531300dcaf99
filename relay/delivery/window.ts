// Values by envelope id, in the order in which they were added, for few at a time that come and go quickly: an array
// that is searched, with an index once it is long. Why not a Map: entries that come and go make a Map rebuild its table
// again and again; each table left behind points to its successor, so in an old heap one chain of them keeps alive what
// stood in any, until the whole heap is collected. Always true: an id stands in it once.
import type { EnvelopeId } from "@lethe/protocol";

/** Above this many, an index is kept; acknowledgements come nearly in order, so most are found at the front. */
const SEARCHED = 96;

export class Window<Value> {
  /** The first `#size` places are in use; the others are empty and kept: growing anew each time would be the garbage. */
  readonly #ids: (EnvelopeId | undefined)[] = [];
  readonly #values: (Value | undefined)[] = [];
  #size = 0;
  /** The ids that stand in it, while they are many. */
  #index: Set<EnvelopeId | undefined> | undefined = undefined;

  constructor(entries: readonly (readonly [EnvelopeId, Value])[] = []) {
    for (const [id, value] of entries) this.set(id, value);
  }

  get size(): number {
    return this.#size;
  }

  /** The value that was added first. */
  get oldest(): Value | undefined {
    return this.#values[0];
  }

  /** The values in order, in an array of the caller's own. */
  values(): Value[] {
    return this.#values.slice(0, this.#size) as Value[];
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
    const known = this.#find(id);
    const at = known < 0 ? this.#size++ : known;
    this.#ids[at] = id;
    this.#values[at] = value;
    if (this.#index !== undefined) this.#index.add(id);
    else if (this.#size > SEARCHED) this.#index = new Set(this.#ids.slice(0, this.#size));
  }

  /** Takes the value of `id` out. */
  take(id: EnvelopeId): Value | undefined {
    const at = this.#find(id);
    if (at < 0) return undefined;
    const value = this.#values[at];
    this.#size--;
    closeGap(this.#ids, at, this.#size);
    closeGap(this.#values, at, this.#size);
    if (this.#index !== undefined) this.#unlist(id);
    return value;
  }

  #unlist(id: EnvelopeId): void {
    this.#index?.delete(id);
    if (this.#size > SEARCHED / 2) return;
    this.#index = undefined;
    this.#ids.length = this.#size;
    this.#values.length = this.#size;
  }

  #find(id: EnvelopeId): number {
    if (this.#index?.has(id) === false) return -1;
    for (let i = 0; i < this.#size; i++) if (this.#ids[i] === id) return i;
    return -1;
  }
}

/** For a short array, and for its first places, cheaper than `splice`, which makes an array of what it takes out. */
function closeGap<Value>(array: (Value | undefined)[], at: number, last: number): void {
  if (last - at > SEARCHED) {
    array.splice(at, 1);
    return;
  }
  for (let i = at; i < last; i++) array[i] = array[i + 1];
  array[last] = undefined;
}
