// What happens when: a binary heap over simulated time. Always true: time never goes back, and what is due at the same
// time happens in the order in which it was planned.

export interface Planned {
  readonly at: number;
  readonly order: number;
  /** Undefined once it has happened or was called off. */
  act: (() => void) | undefined;
}

export class Agenda {
  readonly #heap: Planned[] = [];
  #order = 0;
  now = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** Plans an act for a time that is not before now. */
  at(at: number, act: () => void): Planned {
    const planned = { at: at < this.now ? this.now : at, order: this.#order++, act };
    this.#up(planned);
    return planned;
  }

  in(ms: number, act: () => void): Planned {
    return this.at(this.now + ms, act);
  }

  /** The next act's time, undefined when nothing is planned. */
  get nextAt(): number | undefined {
    return this.#heap[0]?.at;
  }

  /** Does what is due next. False: nothing is planned. */
  step(): boolean {
    const next = this.#heap[0];
    if (next === undefined) return false;
    this.#down();
    const act = next.act;
    if (act === undefined) return true;
    next.act = undefined;
    this.now = next.at;
    act();
    return true;
  }

  #up(planned: Planned): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(planned);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent] as Planned;
      if (!before(planned, above)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = planned;
  }

  #down(): void {
    const heap = this.#heap;
    const last = heap.pop() as Planned;
    const size = heap.length;
    if (size === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= size) break;
      if (child + 1 < size && before(heap[child + 1] as Planned, heap[child] as Planned)) child++;
      const below = heap[child] as Planned;
      if (!before(below, last)) break;
      heap[i] = below;
      i = child;
    }
    heap[i] = last;
  }
}

function before(a: Planned, b: Planned): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
