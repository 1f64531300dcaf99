// Telling peers our access key and name: with messages, until an answer proves that they have come.
// Always true: what is told is never withheld from a device that is not known to know it for longer than a few messages;
// where it would make a short text longer on the wire it waits for the next one, so that lengths tell nothing.
import type { DeviceAddress } from "@lethe/protocol";
import { accessKey, blake2b, bucketFor, equal, type Identity, type Ratchet } from "@lethe/crypto";
import type { Write } from "../delivery/events.ts";
import { type KeyState, putTold, removeKey, TOLD_BYTES } from "./key-rows.ts";

/** So many messages without an answer may leave it out for the sake of their length. */
const PATIENCE = 3;
const NOTHING = { accessKey: new Uint8Array(), name: "" };

/** What a message says of its sender beside what a person wrote. */
export interface Introducing {
  readonly accessKey: Uint8Array;
  readonly name: string;
}

export interface Telling {
  readonly plaintext: Uint8Array;
  readonly told: boolean;
}

/** What goes to one's own devices, which know whose they are. */
export function sayNothing(write: (self: Introducing) => Uint8Array): Telling {
  return { plaintext: write(NOTHING), told: false };
}

export class Told {
  readonly #keys: Pick<KeyState, "told">;
  readonly #name: string;
  readonly #nameBytes: Uint8Array;
  #hashed: { readonly of: Identity["profileKey"]; readonly hash: Uint8Array } | undefined;

  constructor(keys: Pick<KeyState, "told">, name: string) {
    this.#keys = keys;
    this.#name = name;
    this.#nameBytes = new TextEncoder().encode(name);
  }

  #hash(identity: Identity): Uint8Array {
    if (this.#hashed?.of !== identity.profileKey)
      this.#hashed = {
        of: identity.profileKey,
        hash: blake2b(TOLD_BYTES, accessKey(identity), this.#nameBytes),
      };
    return this.#hashed.hash;
  }

  /** The plaintext of a message to a device, with or without what is to be told. */
  write(ratchet: Ratchet, identity: Identity, write: (self: Introducing) => Uint8Array): Telling {
    const known = this.#keys.told.get(ratchet.peer);
    if (known?.at === "known" && equal(known.what, this.#hash(identity)))
      return { plaintext: write(NOTHING), told: false };
    const [short, full] = [write(NOTHING), write({ accessKey: accessKey(identity), name: this.#name })];
    const isFirst = ratchet.standing.at === "unconfirmed";
    const fits = bucketFor(short.length + 1) === bucketFor(full.length + 1);
    const told = isFirst || fits || ratchet.unanswered >= PATIENCE;
    return { plaintext: told ? full : short, told };
  }

  /** A message was sealed. `ratchet`: behind it. */
  sealed(ratchet: Ratchet, identity: Identity, told: boolean): Write[] {
    const { sending } = ratchet.core;
    const what = this.#hash(identity);
    const known = this.#keys.told.get(ratchet.peer);
    if (sending.at !== "chain" || (known?.at === "known" && equal(known.what, what))) return [];
    const inChain = known?.chain !== undefined && equal(known.chain, sending.own.publicKey);
    const current = known !== undefined && equal(known.what, what) ? known : undefined;
    if (current !== undefined && inChain && told) return [];
    const chain = told && sending.next === 1 ? sending.own.publicKey : undefined;
    if (current !== undefined && current.chain === undefined && chain === undefined) return [];
    return this.#set(ratchet.peer, { what, at: "telling", chain });
  }

  /** A message of the peer was opened: `before` and `after` of one ratchet. An answer to our chain has read the chain. */
  heard(before: Ratchet, after: Ratchet): Write[] {
    const [ours, now] = [before.core.sending, after.core.sending];
    const told = this.#keys.told.get(after.peer);
    if (ours.at !== "chain" || now.at !== "due" || told?.chain === undefined || told.at === "known")
      return [];
    if (!equal(told.chain, ours.own.publicKey)) return [];
    return this.#set(after.peer, { what: told.what, at: "known", chain: undefined });
  }

  /** Nothing is known of what anybody knows: our store was restored. */
  forgetAll(): Write[] {
    return [...this.#keys.told.keys()].flatMap((address) => this.forget(address));
  }

  /** A device that may have lost what it knew. */
  forget(address: DeviceAddress): Write[] {
    return this.#keys.told.delete(address) ? [removeKey("told", address)] : [];
  }

  #set(address: DeviceAddress, told: Parameters<typeof putTold>[1]): Write[] {
    this.#keys.told.set(address, told);
    return [putTold(address, told)];
  }
}
