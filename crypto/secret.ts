// Secret bytes that do not leak by accident: not printed, not in JSON, wiped by their owner. Wiping in JavaScript is best
// effort: the engine may have moved or copied the array before.

/** Secret bytes. `reveal` is the only way to them, so every use can be found by name. */
export class Secret {
  readonly #bytes: Uint8Array;
  #wiped = false;

  /** Takes the array over: the caller keeps no other reference. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** The bytes themselves, not a copy: neither to be changed nor kept. */
  reveal(): Uint8Array {
    return this.#bytes;
  }

  /** Whether its owner has wiped it: its bytes are zeros now, and no key. */
  get wiped(): boolean {
    return this.#wiped;
  }

  wipe(): void {
    this.#wiped = true;
    this.#bytes.fill(0);
  }

  toString(): string {
    return "[secret]";
  }

  toJSON(): string {
    return "[secret]";
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return "[secret]";
  }
}
