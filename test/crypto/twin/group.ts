// Groups as crypto/README.md says them ("Groups"), on other primitives: one device of an account each. It takes what honest
// devices make, and refuses what is changed on the way; rival states and stores that were put back are not in it.
import { ascii, type Bytes, E, Fields, hex, join, L, lv16, same, u16, u32, u8 } from "./bytes.ts";
import type { Chance } from "./chance.ts";
import { CONTENT, pad, unpad } from "./envelope.ts";
import { addr, type Own } from "./keys.ts";
import {
  blake2b,
  ed25519Public,
  ed25519Sign,
  hmacSha512,
  verify,
  xchachaOpen,
  xchachaSeal,
} from "./primitives.ts";

const DAY = 24 * 3_600_000;
const ROLE = { member: 1, admin: 2 } as const;
export const WRITERS = { members: 1, admins: 2 } as const;
/** Kept of a sending device. */
const MAX_CHAINS = 3;
const [SIGNATURE, PREFIX, HEAD] = [64, 49, 62];

export interface Member {
  readonly account: Bytes;
  readonly fingerprint: Bytes;
  readonly admin: boolean;
}

export interface State {
  readonly bytes: Bytes;
  readonly hash: Bytes;
  readonly group: Bytes;
  readonly epoch: number;
  readonly signer: Bytes;
  readonly sealKeyHash: Bytes;
  readonly members: readonly Member[];
  readonly name: Bytes;
  readonly writers: number;
}

export const fingerprintOf = (AK: Bytes): Bytes => blake2b(32, E(AK));

export type Said = Pick<State, "group" | "epoch" | "members" | "name" | "writers">;

/** A state of these words, with its seal key. */
export function makeState(
  own: Own,
  chance: Chance,
  said: Said,
  previous: Bytes,
): { state: State; sealKey: Bytes } {
  const sealKey = chance.bytes(32);
  const members = said.members.toSorted((a, b) => Buffer.compare(a.account, b.account));
  const body = join(
    u8(1),
    said.group,
    u32(said.epoch),
    previous,
    addr(own.account, own.device),
    blake2b(32, sealKey),
    u16(members.length),
    ...members.map(({ account, fingerprint, admin }) =>
      join(account, fingerprint, u8(admin ? ROLE.admin : ROLE.member)),
    ),
    lv16(said.name),
    u8(said.writers),
    chance.bytes(16),
  );
  return { state: readState(join(body, ed25519Sign(own.secrets.DS, L("sig/group-state"), body))), sealKey };
}

/** What a state says; its signature is the caller's to verify. @throws Error */
export function readState(bytes: Bytes): State {
  const fields = new Fields(bytes);
  if (fields.number(1) !== 1) throw new Error("unknown state");
  const [group, epoch] = [fields.take(16), fields.number(4)];
  fields.take(32);
  const [signer, sealKeyHash] = [fields.take(18), fields.take(32)];
  const members = Array.from({ length: fields.number(2) }, () => ({
    account: fields.take(16),
    fingerprint: fields.take(32),
    admin: fields.number(1) === ROLE.admin,
  }));
  const [name, writers] = [fields.lv16(), fields.number(1)];
  fields.take(16);
  fields.take(SIGNATURE);
  fields.end();
  return { bytes, hash: blake2b(32, bytes), group, epoch, signer, sealKeyHash, members, name, writers };
}

/** What an account is told of a state. */
export function tellState({ bytes, members }: State, sealKey: Bytes, account: Bytes): Bytes {
  const isIn = members.some((member) => same(member.account, account));
  return join(u8(0x12), isIn ? join(u8(1), sealKey) : u8(0), lv16(bytes));
}

interface Chain {
  readonly id: Bytes;
  readonly seed: Bytes;
  readonly madeAt: number;
  readonly epoch: number;
  /** Addresses that were told it, in hex. */
  readonly holders: Set<string>;
  key: Bytes;
  n: number;
}

interface Heard {
  readonly sender: Bytes;
  readonly signingKey: Bytes;
  readonly skipped: Map<number, Bytes>;
  key: Bytes;
  n: number;
}

function step(key: Bytes): { next: Bytes; message: Bytes } {
  const both = hmacSha512(key, L("group-chain"));
  return { next: both.slice(0, 32), message: both.slice(32) };
}

export interface Read {
  readonly content: "lasting" | "passing";
  readonly epoch: number;
  readonly text: Bytes;
}

export class TwinMember {
  readonly own: Own;
  readonly chance: Chance;
  state: State | undefined;
  /** Of every epoch that was lived through, by the first 8 bytes of the seal key's hash. */
  readonly #epochs = new Map<string, { readonly sealKey: Bytes; readonly state: State }>();
  readonly #heard = new Map<string, Heard>();
  #chain: Chain | undefined;
  /** The epoch that somebody was removed with last. */
  #removedAt = 0;

  constructor(own: Own, chance: Chance) {
    this.own = own;
    this.chance = chance;
  }

  get address(): Bytes {
    return addr(this.own.account, this.own.device);
  }

  /** Takes a told state; `DS` is the signing key of the device that it names. @throws Error */
  takeState(told: Bytes, DS: Bytes): void {
    const fields = new Fields(told);
    if (fields.number(1) !== 0x12) throw new Error("not a state");
    const sealKey = fields.number(1) === 1 ? fields.take(32) : undefined;
    const bytes = fields.lv16();
    fields.end();
    const state = readState(bytes);
    verify(DS, bytes.slice(-SIGNATURE), L("sig/group-state"), bytes.slice(0, -SIGNATURE));
    if (this.state !== undefined && state.epoch !== this.state.epoch + 1) return;
    const before = this.state?.members ?? [];
    const stays = (one: Member) => state.members.some(({ account }) => same(account, one.account));
    if (!before.every(stays)) this.#removedAt = state.epoch;
    this.state = state;
    if (sealKey === undefined) return;
    if (!same(blake2b(32, sealKey), state.sealKeyHash)) throw new Error("wrong seal key");
    this.#epochs.set(hex(state.sealKeyHash.slice(0, 8)), { sealKey, state });
  }

  #current(): { readonly sealKey: Bytes; readonly state: State } {
    const found = this.#epochs.get(hex((this.state as State).sealKeyHash.slice(0, 8)));
    if (found === undefined) throw new Error("no seal key");
    return found;
  }

  /** Whether a new chain is to be made before the next message. */
  #isDue(members: readonly string[], now: number): boolean {
    const chain = this.#chain;
    if (
      chain === undefined ||
      chain.epoch < this.#removedAt ||
      chain.n >= 500 ||
      now - chain.madeAt >= 7 * DAY
    )
      return true;
    return [...chain.holders].some((holder) => !members.includes(holder));
  }

  /** What is told before the next message, and to whom, by the addresses of the members' devices; undefined for nothing. */
  prepare(addresses: readonly Bytes[], now: number): { told: Bytes; to: readonly string[] } | undefined {
    const members = addresses.map(hex);
    if (this.#isDue(members, now)) {
      const [id, key, seed] = [this.chance.bytes(8), this.chance.bytes(32), this.chance.bytes(32)];
      this.#chain = {
        id,
        key,
        seed,
        n: 0,
        madeAt: now,
        epoch: this.#current().state.epoch,
        holders: new Set([hex(this.address)]),
      };
    }
    const chain = this.#chain as Chain;
    const to = members.filter((member) => !chain.holders.has(member));
    if (to.length === 0) return undefined;
    for (const member of to) chain.holders.add(member);
    const { state, sealKey } = this.#current();
    const ref = join(state.group, u32(state.epoch), state.hash);
    const { id, seed, n, key } = chain;
    const told = join(u8(0x11), ref, this.address, id, E(ed25519Public(seed)), u32(n), key, sealKey);
    return { told, to };
  }

  /** Takes a told chain from the device that tells it. @throws Error */
  hear(told: Bytes, teller: Bytes): void {
    const fields = new Fields(told);
    if (fields.number(1) !== 0x11) throw new Error("not a chain");
    fields.take(16 + 4 + 32);
    const [sender, id] = [fields.take(18), fields.take(8)];
    if (!same(sender, teller)) throw new Error("of another device");
    const [signingKey, n, key] = [fields.key(3), fields.number(4), fields.take(32)];
    fields.take(32);
    fields.end();
    const at = hex(join(sender, id));
    if (this.#heard.has(at)) return;
    this.#heard.set(at, { sender, signingKey, key, n, skipped: new Map() });
    const known = [...this.#heard].filter(([, heard]) => same(heard.sender, sender));
    for (const [oldest] of known.slice(0, -MAX_CHAINS)) this.#heard.delete(oldest);
  }

  send(text: string, content: Read["content"]): { id: Bytes; envelope: Bytes } {
    const chain = this.#chain as Chain;
    const { state, sealKey } = this.#current();
    const id = this.chance.bytes(16);
    const prefix = join(u8(0x81), state.sealKeyHash.slice(0, 8), id, this.chance.bytes(24));
    const head = join(this.address, chain.id, u32(chain.n), state.hash);
    const context = contextOf(state, prefix, head);
    const { next, message: key } = step(chain.key);
    const nonce = this.chance.bytes(24);
    const padded = pad(join(u8(CONTENT[content]), ascii(text)), false);
    const message = join(nonce, xchachaSeal(key, nonce, context, padded));
    const signature = ed25519Sign(chain.seed, L("sig/group-message"), context, message);
    chain.key = next;
    chain.n++;
    const nonceOfSeal = prefix.slice(25);
    return {
      id,
      envelope: join(prefix, xchachaSeal(sealKey, nonceOfSeal, prefix, join(head, signature, message))),
    };
  }

  /** @param id of the group envelope, as the relay says it. @returns undefined for a repeat. @throws Error for what is refused */
  read(id: Bytes, envelope: Bytes): Read | undefined {
    const prefix = envelope.slice(0, PREFIX);
    const fields = new Fields(prefix);
    if (fields.number(1) !== 0x81) throw new Error("not a group's envelope");
    const sealed = this.#epochs.get(hex(fields.take(8)));
    if (sealed === undefined || this.state === undefined) throw new Error("unknown seal key");
    if (!same(fields.take(16), id)) throw new Error("of another envelope id");
    const opened = new Fields(xchachaOpen(sealed.sealKey, fields.take(24), prefix, envelope.slice(PREFIX)));
    const headBytes = opened.take(HEAD);
    const [signature, message] = [opened.take(SIGNATURE), opened.rest()];
    const head = new Fields(headBytes);
    const [sender, chainId, n, stateHash] = [head.take(18), head.take(8), head.number(4), head.take(32)];
    if (same(sender, this.address)) throw new Error("one's own");
    const member = this.state.members.find(({ account }) => same(account, sender.slice(0, 16)));
    if (member === undefined) throw new Error("not a member");
    if (!same(stateHash, sealed.state.hash)) throw new Error("of another state");
    const heard = this.#heard.get(hex(join(sender, chainId)));
    if (heard === undefined) throw new Error("unknown chain");
    const context = contextOf(sealed.state, prefix, headBytes);
    verify(heard.signingKey, signature, L("sig/group-message"), context, message);
    this.#mayWrite(this.state, sender);
    return this.#decrypt(heard, { n, message, context, epoch: sealed.state.epoch });
  }

  #mayWrite({ writers, members }: State, sender: Bytes): void {
    const member = members.find(({ account }) => same(account, sender.slice(0, 16)));
    if (member === undefined || (writers === WRITERS.admins && !member.admin))
      throw new Error("may not write");
  }

  #decrypt(
    heard: Heard,
    { n, message, context, epoch }: { n: number; message: Bytes; context: Bytes; epoch: number },
  ): Read | undefined {
    let { key, n: at } = heard;
    const skipped = new Map(heard.skipped);
    for (; at <= n; at++) {
      const { next, message: one } = step(key);
      skipped.set(at, one);
      key = next;
    }
    const messageKey = skipped.get(n);
    if (messageKey === undefined) return undefined;
    const padded = xchachaOpen(messageKey, message.slice(0, 24), context, message.slice(24));
    skipped.delete(n);
    heard.skipped.clear();
    for (const [of, one] of skipped) heard.skipped.set(of, one);
    [heard.key, heard.n] = [key, at];
    const said = unpad(padded, false);
    const content = said[0] === CONTENT.lasting ? "lasting" : "passing";
    return { content, epoch, text: said.slice(1) };
  }
}

function contextOf({ group, epoch }: State, prefix: Bytes, head: Bytes): Bytes {
  return blake2b(32, L("group-context"), group, u32(epoch), prefix, head);
}
