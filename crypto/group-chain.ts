// Chains of sender keys: one symmetric chain for each sending device and group, whose messages an Ed25519 key of the chain
// signs. Each step works on a copy: a new state is returned only with a plaintext that has verified. Who calls `receiveOn`
// has verified the signature: until then no step is taken.
import { binary, type Codec, type DeviceNumber, fromBytes, type Time } from "@lethe/protocol";
import { LABELS } from "./labels.ts";
import { MAX_CHAIN, MAX_JUMP, MAX_SKIPPED, SKIPPED_LIFETIME_MS, TAG_RING } from "./limits.ts";
import { ed25519Public, equal, hmacSha512 } from "./primitives.ts";
import type { Random } from "./random.ts";
import { Secret } from "./secret.ts";
import type { SeenTag } from "./state.ts";
import { letheSuite } from "./suite.ts";

export const CHAIN_ID_BYTES = 8;
declare const brand: unique symbol;
/** 8 random bytes, the name of a chain among those of its sending device. */
export type ChainId = string & { readonly [brand]: "ChainId" };
export const chainIdCodec: Codec<ChainId> = binary(CHAIN_ID_BYTES, "chain id");

/** The state in which a chain was made, or told. */
export interface StateRef {
  readonly epoch: number;
  readonly hash: Uint8Array;
}

/** One's own chain in a group. */
export interface SendingChain {
  readonly id: ChainId;
  readonly key: Secret;
  /** The number of the next message. */
  readonly next: number;
  /** Seed of the chain's Ed25519 key. */
  readonly signingSeed: Secret;
  readonly signingKey: Uint8Array;
  readonly madeIn: StateRef;
  readonly createdAt: Time;
  /** The devices of one's own account when it was made. */
  readonly ownDevices: readonly DeviceNumber[];
}

/** A key of a message that has not come. */
export interface SkippedStep {
  readonly n: number;
  readonly key: Secret;
  readonly since: Time;
}

/** Another device's chain, from the position that it was told at. */
export interface ReceivingChain {
  readonly id: ChainId;
  readonly signingKey: Uint8Array;
  readonly key: Secret;
  readonly next: number;
  /** Keys below this number may have been dropped, or were never told. */
  readonly lostBelow: number;
  /** In ascending order of numbers. */
  readonly skipped: readonly SkippedStep[];
  /** The last `TAG_RING` messages: the same number with another tag is that of a copied store. */
  readonly tags: readonly SeenTag[];
  readonly toldIn: StateRef;
  /** When its sender made another; undefined for the newest. */
  readonly replacedAt: Time | undefined;
}

type MakingChain = Pick<SendingChain, "madeIn" | "createdAt" | "ownDevices">;

export function makeChain(random: Random, making: MakingChain): SendingChain {
  const id = fromBytes<ChainId>(random.bytes(CHAIN_ID_BYTES));
  const key = new Secret(random.bytes(32));
  const seed = random.bytes(32);
  const signingKey = ed25519Public(seed);
  return { id, key, next: 0, signingSeed: new Secret(seed), signingKey, ...making };
}

/** KDF of a chain: the next chain key and the message key, the caller's to wipe. */
function step(key: Uint8Array): { readonly next: Uint8Array; readonly message: Uint8Array } {
  const out = hmacSha512(key, LABELS.groupChain);
  const split = { next: out.slice(0, 32), message: out.slice(32) };
  out.fill(0);
  return split;
}

/** The key of the next message, the caller's to wipe; undefined where the chain is exhausted. */
export function stepChain(
  chain: SendingChain,
): { readonly chain: SendingChain; readonly n: number; readonly key: Uint8Array } | undefined {
  if (chain.next > MAX_CHAIN) return undefined;
  const { next, message } = step(chain.key.reveal());
  return { chain: { ...chain, key: new Secret(next), next: chain.next + 1 }, n: chain.next, key: message };
}

export interface SignedMessage {
  readonly n: number;
  readonly ad: readonly Uint8Array[];
  /** Nonce and ciphertext. */
  readonly sealed: Uint8Array;
  readonly now: Time;
}

export type ChainRefusal = "duplicate" | "key-expired" | "forked" | "too-far" | "aead-fail";
export type ReceivedOn =
  | { readonly code: "ok"; readonly chain: ReceivingChain; readonly plaintext: Uint8Array }
  | { readonly code: ChainRefusal };

/** Opens one message whose signature has verified. */
export function receiveOn(chain: ReceivingChain, message: SignedMessage): ReceivedOn {
  const { n } = message;
  if (n < chain.next) return receiveSkipped(chain, message);
  if (n - chain.next > MAX_JUMP) return { code: "too-far" };
  const walked = walk(chain, n, message.now);
  const { next, message: key } = step(walked.key);
  walked.key.fill(0);
  const plaintext = letheSuite.open(key, message.ad, message.sealed);
  key.fill(0);
  if (plaintext === undefined) {
    next.fill(0);
    for (const made of walked.skipped) made.key.wipe();
    return { code: "aead-fail" };
  }
  const skipped = [...chain.skipped, ...walked.skipped];
  const stepped = { ...chain, key: new Secret(next), next: n + 1, lostBelow: walked.lostBelow, skipped };
  return { code: "ok", chain: remember(stepped, message), plaintext };
}

function receiveSkipped(chain: ReceivingChain, message: SignedMessage): ReceivedOn {
  const { n, sealed, now } = message;
  const at = chain.skipped.findIndex((kept) => kept.n === n);
  const found = chain.skipped[at];
  if (found === undefined) return { code: judge(chain, n, letheSuite.tag(sealed)) };
  if (now >= found.since + SKIPPED_LIFETIME_MS) return { code: "key-expired" };
  const plaintext = letheSuite.open(found.key.reveal(), message.ad, sealed);
  if (plaintext === undefined) return { code: "aead-fail" };
  return {
    code: "ok",
    chain: remember({ ...chain, skipped: chain.skipped.toSpliced(at, 1) }, message),
    plaintext,
  };
}

/** What a message is whose key is gone: the number was used, or its key was dropped, or never told. */
function judge(chain: ReceivingChain, n: number, tag: Uint8Array): ChainRefusal {
  const seen = chain.tags.find((entry) => entry.n === n);
  if (seen !== undefined) return equal(seen.tag, tag) ? "duplicate" : "forked";
  return n < chain.lostBelow ? "key-expired" : "duplicate";
}

function remember(chain: ReceivingChain, { n, sealed }: SignedMessage): ReceivingChain {
  return { ...chain, tags: [...chain.tags, { n, tag: letheSuite.tag(sealed) }].slice(-TAG_RING) };
}

interface Walked {
  /** The chain key at the number walked to; the caller's to wipe. */
  readonly key: Uint8Array;
  readonly skipped: readonly SkippedStep[];
  readonly lostBelow: number;
}

/** Walks the chain up to `to`, keeping the keys in between: of too many only the last ones. */
function walk(chain: ReceivingChain, to: number, now: Time): Walked {
  const keepFrom = Math.max(chain.next, to - MAX_SKIPPED);
  const skipped: SkippedStep[] = [];
  let key: Uint8Array = chain.key.reveal().slice();
  for (let n = chain.next; n < to; n++) {
    const { next, message } = step(key);
    key.fill(0);
    key = next;
    if (n >= keepFrom) skipped.push({ n, key: new Secret(message), since: now });
    else message.fill(0);
  }
  return { key, skipped, lostBelow: keepFrom > chain.next ? keepFrom : chain.lostBelow };
}

/** The chain without keys past their time, and without the oldest `over`; it remembers up to where they are gone. */
export function dropSkipped(chain: ReceivingChain, over: number, now: Time): ReceivingChain {
  const isDropped = (kept: SkippedStep, i: number): boolean =>
    i < over || now >= kept.since + SKIPPED_LIFETIME_MS;
  const dropped = chain.skipped.filter(isDropped);
  if (dropped.length === 0) return chain;
  const lostBelow = Math.max(chain.lostBelow, (dropped.at(-1) as SkippedStep).n + 1);
  return { ...chain, skipped: chain.skipped.filter((kept, i) => !isDropped(kept, i)), lostBelow };
}
