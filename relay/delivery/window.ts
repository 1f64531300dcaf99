// Values by envelope id, in the order in which they were added, for few at a time that come and go quickly: an array
// that is searched, with an index once it is long. Why not a Map: entries that come and go make a Map rebuild its table
// again and again; each table left behind points to its successor, so in an old heap one chain of them keeps alive what
// stood in any, until the whole heap is collected. Always true: an id stands in it once.
import type { EnvelopeId } from "@lethe/protocol";

/** Above this many, an index is kept; acknowledgements come nearly in order, so most are found at the front. */
const SEARCHED = 96;

export class Window<Value> {
  readonly #ids: EnvelopeId[] = [];
  readonly #values: Value[] = [];
  /** The ids that stand in it, while they are many. */
  #index: Set<EnvelopeId> | undefined = undefined;

  constructor(entries: readonly (readonly [EnvelopeId, Value])[] = []) {
    for (const [id, value] of entries) this.set(id, value);
  }

  get size(): number {
    return this.#ids.length;
  }

  /** The values in order; not to be changed, and not to be kept over a change of the window. */
  get values(): readonly Value[] {
    return this.#values;
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
    const at = this.has(id) ? this.#find(id) : this.#ids.length;
    this.#ids[at] = id;
    this.#values[at] = value;
    if (this.#index !== undefined) this.#index.add(id);
    else if (this.#ids.length > SEARCHED) this.#index = new Set(this.#ids);
  }

  /** Takes the value of `id` out. */
  take(id: EnvelopeId): Value | undefined {
    const at = this.#find(id);
    if (at < 0) return undefined;
    const value = this.#values[at];
    closeGap(this.#ids, at);
    closeGap(this.#values, at);
    this.#index?.delete(id);
    if (this.#ids.length <= SEARCHED / 2) this.#index = undefined;
    return value;
  }

  #find(id: EnvelopeId): number {
    if (this.#index?.has(id) === false) return -1;
    const ids = this.#ids;
    for (let i = 0; i < ids.length; i++) if (ids[i] === id) return i;
    return -1;
  }
}

/** For a short array and its first elements cheaper than `splice`, which makes an array of what it takes out. */
function closeGap(array: unknown[], at: number): void {
  const last = array.length - 1;
  if (last >= SEARCHED) array.splice(at, 1);
  else {
    for (let i = at; i < last; i++) array[i] = array[i + 1];
    array.pop();
  }
}
