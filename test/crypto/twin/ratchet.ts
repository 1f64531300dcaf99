// The Double Ratchet: "Ratchet" of crypto/README.md. One object that changes; `read` works on a copy of itself and takes
// it over when the message has verified.
import { type Bytes, Fields, hex, join, L, same, u32, u8 } from "./bytes.ts";
import type { Chance } from "./chance.ts";
import type { Agreed } from "./handshake.ts";
import { dh, hkdfSha512, hmacSha512, x25519Public, xchachaOpen, xchachaSeal } from "./primitives.ts";

function KDF_RK(rk: Bytes, shared: Bytes): [root: Bytes, chain: Bytes] {
  const out = hkdfSha512(rk, shared, L("dr-root"), 64);
  return [out.slice(0, 32), out.slice(32)];
}

function KDF_CK(ck: Bytes): [chain: Bytes, message: Bytes] {
  const out = hmacSha512(ck, L("dr-chain"));
  return [out.slice(0, 32), out.slice(32)];
}

interface State {
  root: Bytes;
  /** Our ratchet key; undefined until we send with a new one. */
  own: { readonly secret: Bytes; readonly key: Bytes } | undefined;
  theirs: Bytes | undefined;
  sendChain: Bytes;
  receiveChain: Bytes;
  sent: number;
  received: number;
  previous: number;
  /** Message keys by chain and number. */
  skipped: ReadonlyMap<string, Bytes>;
  /** Every ratchet key of theirs so far. */
  known: ReadonlySet<string>;
}

export interface Header {
  readonly first: boolean;
  readonly fromInitiator: boolean;
  readonly key: Bytes;
  readonly pn: number;
  readonly n: number;
}

/** The header's 42 bytes in front of its MAC. */
export function readFront(message: Bytes): Header {
  const fields = new Fields(message);
  if (fields.number(1) !== 1) throw new Error("unknown header");
  const flags = fields.number(1);
  const [key, pn, n] = [fields.take(32), fields.number(4), fields.number(4)];
  return { first: (flags & 1) !== 0, fromInitiator: (flags & 2) !== 0, key, pn, n };
}

export class TwinRatchet {
  /** Ratchet id, header key and AD0. */
  readonly agreed: Agreed;
  readonly #isInitiator: boolean;
  #state: State;

  constructor(agreed: Agreed, start: { theirs: Bytes } | { own: State["own"] }) {
    this.agreed = agreed;
    this.#isInitiator = "theirs" in start;
    const none = new Uint8Array(32);
    this.#state = {
      root: agreed.root,
      own: "own" in start ? start.own : undefined,
      theirs: "theirs" in start ? start.theirs : undefined,
      sendChain: none,
      receiveChain: none,
      sent: 0,
      received: 0,
      previous: 0,
      skipped: new Map(),
      known: new Set(),
    };
  }

  #mac(front: Bytes): Bytes {
    return hmacSha512(this.agreed.headerKey, L("dr-hdr"), this.agreed.id, front).slice(0, 16);
  }

  /** The header and the key of the next message. */
  next(chance: Chance, first: boolean): { header: Bytes; key: Bytes } {
    const state = this.#state;
    if (state.own === undefined && state.theirs !== undefined) {
      const secret = chance.bytes(32);
      state.own = { secret, key: x25519Public(secret) };
      [state.root, state.sendChain] = KDF_RK(state.root, dh(secret, state.theirs));
    }
    if (state.own === undefined) throw new Error("nothing to send with");
    const [chain, key] = KDF_CK(state.sendChain);
    const flags = (first ? 1 : 0) | (this.#isInitiator ? 2 : 0);
    const front = join(u8(1), u8(flags), state.own.key, u32(state.previous), u32(state.sent));
    state.sendChain = chain;
    state.sent++;
    return { header: join(front, this.#mac(front)), key };
  }

  /** What the introduction of a ratchet that takes this one's place says: which, and where we stop sending on it. */
  replaced(generation: number): Bytes {
    const { own, sent, previous } = this.#state;
    const { id } = this.agreed;
    const front = join(u8(own === undefined ? 2 : 3), id, u32(generation));
    return own === undefined ? join(front, u32(previous)) : join(front, own.key, u32(sent));
  }

  /** header | nonce | ciphertext. */
  seal({ header, key }: { header: Bytes; key: Bytes }, padded: Bytes, context: Bytes, chance: Chance): Bytes {
    const nonce = chance.bytes(24);
    return join(header, nonce, xchachaSeal(key, nonce, join(this.agreed.AD0, header, context), padded));
  }

  /** Whether the peer of this ratchet made the header of a message. */
  isOurs(message: Bytes): boolean {
    const front = message.slice(0, 42);
    if (readFront(front).fromInitiator === this.#isInitiator) return false;
    return same(this.#mac(front), message.slice(42, 58));
  }

  /** @returns undefined for a message whose number was used; @throws Error where the tag does not verify */
  read(message: Bytes, context: Bytes): Bytes | undefined {
    const state = {
      ...this.#state,
      skipped: new Map(this.#state.skipped),
      known: new Set(this.#state.known),
    };
    const { key: theirs, pn, n } = readFront(message);
    const name = `${hex(theirs)} ${n}`;
    let key = state.skipped.get(name);
    if (key !== undefined) state.skipped.delete(name);
    else {
      const isCurrent = state.theirs !== undefined && same(theirs, state.theirs);
      if (state.known.has(hex(theirs)) && (!isCurrent || n < state.received)) return undefined;
      if (!isCurrent) step(state, theirs, pn);
      skip(state, n);
      [state.receiveChain, key] = KDF_CK(state.receiveChain);
      state.received++;
    }
    const ad = join(this.agreed.AD0, message.slice(0, 58), context);
    const padded = xchachaOpen(key, message.slice(58, 82), ad, message.slice(82));
    this.#state = state;
    return padded;
  }
}

type Candidate = State & { skipped: Map<string, Bytes>; known: Set<string> };

/** Keeps the keys of messages that have not come, up to number `to` of the current chain. */
function skip(state: Candidate, to: number): void {
  if (state.theirs === undefined) return;
  for (; state.received < to; state.received++) {
    const [chain, key] = KDF_CK(state.receiveChain);
    state.receiveChain = chain;
    state.skipped.set(`${hex(state.theirs)} ${state.received}`, key);
  }
}

/** The peer's new ratchet key: their old chain had `pn` messages; ours ends, and a new one begins when we send. */
function step(state: Candidate, theirs: Bytes, pn: number): void {
  if (state.own === undefined) throw new Error("no key of ours that they can have answered");
  if (state.known.size > 0) skip(state, pn);
  [state.root, state.receiveChain] = KDF_RK(state.root, dh(state.own.secret, theirs));
  state.theirs = theirs;
  state.known.add(hex(theirs));
  state.received = 0;
  state.previous = state.sent;
  state.sent = 0;
  state.own = undefined;
}
