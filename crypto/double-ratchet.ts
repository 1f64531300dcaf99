// The Double Ratchet (Signal, revision 4; section 3) over a suite of functions that is passed in. Each step works on a
// copy: the new state is returned only with a plaintext that has verified, so a failing message changes nothing. The
// sending half of a ratchet step waits until something is sent.
import type { Time } from "@lethe/protocol";
import { MAX_CHAIN, MAX_JUMP, MAX_SKIPPED, SKIPPED_LIFETIME_MS, TAG_RING } from "./limits.ts";
import { hasForgotten, lostInOlder, NO_CHAINS, olderWithout, pastWith } from "./past-chains.ts";
import type { Random } from "./random.ts";
import { Secret } from "./secret.ts";
import { equal } from "./primitives.ts";
import type { DoubleRatchet, KeyPair, PastChain, Receiving, SeenTag, SkippedKey } from "./state.ts";

/** The functions of section 5.1 of the specification ("external functions" there). */
export interface RatchetSuite {
  generate(random: Random): KeyPair;
  /** Undefined for a key that is none. */
  dh(secret: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined;
  /** KDF_RK; wipes `shared`. */
  root(root: Uint8Array, shared: Uint8Array): { readonly root: Secret; readonly chain: Secret };
  /** KDF_CK. */
  chain(key: Uint8Array): { readonly next: Uint8Array; readonly message: Uint8Array };
  /** AEAD with a single-use key; `ad` in parts. */
  seal(key: Uint8Array, ad: readonly Uint8Array[], plain: Uint8Array, random: Random): Uint8Array;
  open(key: Uint8Array, ad: readonly Uint8Array[], sealed: Uint8Array): Uint8Array | undefined;
  /** 8 bytes of the ciphertext's tag. */
  tag(sealed: Uint8Array): Uint8Array;
}

/** What a header says of the ratchet. */
export interface Counters {
  readonly publicKey: Uint8Array;
  readonly previousCount: number;
  readonly n: number;
}

/** The state at the start: the peer's first ratchet key is known, and nothing was sent or received. */
export function startSending(root: Secret, peer: Uint8Array): DoubleRatchet {
  return {
    root,
    sending: { at: "due", previousCount: 0 },
    receiving: { at: "none", peer },
    skipped: [],
    past: [],
    older: NO_CHAINS,
  };
}

/** The responder's start: `own` is the signed prekey, which the first message's ratchet step is made with. */
export function startReceiving(root: Secret, own: KeyPair): DoubleRatchet {
  const sending = {
    at: "chain",
    own,
    key: new Secret(new Uint8Array(32)),
    next: 0,
    previousCount: 0,
  } as const;
  const receiving = { at: "none", peer: new Uint8Array(32) } as const;
  return { root, sending, receiving, skipped: [], past: [], older: NO_CHAINS };
}

/** A message key and where it stands; `key` is the caller's to wipe. */
export interface SendStep {
  readonly core: DoubleRatchet;
  readonly counters: Counters;
  readonly key: Uint8Array;
}

/** The next message key for sending; undefined where the chain is exhausted or the peer's key is none. */
export function stepSending(suite: RatchetSuite, core: DoubleRatchet, random: Random): SendStep | undefined {
  const ready = core.sending.at === "due" ? beginChain(suite, core, random) : core;
  if (ready === undefined || ready.sending.at !== "chain" || ready.sending.next > MAX_CHAIN) return undefined;
  const { own, key, next: n, previousCount } = ready.sending;
  const { next, message } = suite.chain(key.reveal());
  const sending = { at: "chain", own, key: new Secret(next), next: n + 1, previousCount } as const;
  const counters = { publicKey: own.publicKey, previousCount, n };
  return { core: { ...ready, sending }, counters, key: message };
}

function beginChain(suite: RatchetSuite, core: DoubleRatchet, random: Random): DoubleRatchet | undefined {
  const own = suite.generate(random);
  const shared = suite.dh(own.secret.reveal(), core.receiving.peer);
  if (shared === undefined) return undefined;
  const { root, chain } = suite.root(core.root.reveal(), shared);
  const sending = {
    at: "chain",
    own,
    key: chain,
    next: 0,
    previousCount: core.sending.previousCount,
  } as const;
  return { ...core, root, sending };
}

export interface ReceivedMessage {
  readonly counters: Counters;
  readonly ad: readonly Uint8Array[];
  readonly sealed: Uint8Array;
  readonly now: Time;
}

export type ReceiveRefusal = "duplicate" | "key-expired" | "forked" | "too-far" | "aead-fail";
export type Received =
  | { readonly code: "ok"; readonly core: DoubleRatchet; readonly plaintext: Uint8Array }
  | { readonly code: ReceiveRefusal };

/** Opens one message whose header is known to be the peer's. */
export function receive(suite: RatchetSuite, core: DoubleRatchet, message: ReceivedMessage): Received {
  const { publicKey, n } = message.counters;
  const kept = core.skipped.findIndex((key) => key.n === n && equal(key.peer, publicKey));
  if (kept >= 0) return receiveSkipped(suite, core, message, kept);
  const { receiving } = core;
  if (equal(receiving.peer, publicKey)) {
    if (receiving.at === "none") return { code: "aead-fail" };
    if (n < receiving.next) return { code: judge(receiving, n, suite.tag(message.sealed)) };
    return receiveNext(suite, core, message, receiving);
  }
  const past = core.past.find((chain) => equal(chain.peer, publicKey));
  if (past !== undefined) return { code: judge(past, n, suite.tag(message.sealed)) };
  const lost = lostInOlder(core, publicKey);
  if (lost !== undefined) return { code: n < lost ? "key-expired" : "duplicate" };
  const received = receiveStep(suite, core, message);
  const isCopy = received.code === "forked" || received.code === "aead-fail";
  return isCopy && hasForgotten(core) ? { code: "key-expired" } : received;
}

/** What a message is whose key is gone: the number was used, or its key was dropped before it came. */
function judge(chain: Omit<PastChain, "peer">, n: number, tag: Uint8Array): ReceiveRefusal {
  const seen = chain.tags.find((entry) => entry.n === n);
  if (seen !== undefined) return equal(seen.tag, tag) ? "duplicate" : "forked";
  if (n >= chain.next) return "forked";
  return n < chain.lostBelow ? "key-expired" : "duplicate";
}

function receiveSkipped(
  suite: RatchetSuite,
  core: DoubleRatchet,
  message: ReceivedMessage,
  at: number,
): Received {
  const found = core.skipped[at] as SkippedKey;
  if (isExpired(found, message.now)) return { code: "key-expired" };
  const plaintext = suite.open(found.key.reveal(), message.ad, message.sealed);
  if (plaintext === undefined) return { code: "aead-fail" };
  const without = { ...core, skipped: core.skipped.toSpliced(at, 1) };
  const seen = { n: found.n, tag: suite.tag(message.sealed) };
  const { receiving } = core;
  if (receiving.at === "chain" && equal(receiving.peer, found.peer))
    return {
      code: "ok",
      core: tidy({ ...without, receiving: remember(receiving, seen) }, message.now),
      plaintext,
    };
  return { code: "ok", core: tidy(without, message.now), plaintext };
}

type ReceivingChain = Extract<Receiving, { at: "chain" }>;

function receiveNext(
  suite: RatchetSuite,
  core: DoubleRatchet,
  message: ReceivedMessage,
  chain: ReceivingChain,
): Received {
  const { n } = message.counters;
  if (n - chain.next > MAX_JUMP) return { code: "too-far" };
  const walked = walk(suite, chain, n, message.now);
  const { next, message: key } = suite.chain(walked.key);
  walked.key.fill(0);
  const plaintext = suite.open(key, message.ad, message.sealed);
  key.fill(0);
  if (plaintext === undefined) return { code: "aead-fail" };
  const advanced = { ...chain, key: new Secret(next), next: n + 1, lostBelow: walked.lostBelow };
  const receiving = remember(advanced, { n, tag: suite.tag(message.sealed) });
  const skipped = walked.skipped.length === 0 ? core.skipped : [...core.skipped, ...walked.skipped];
  return { code: "ok", core: tidy({ ...core, receiving, skipped }, message.now), plaintext };
}

/** A message with a new ratchet key: the old chain is finished, a new one begins (section 3.5, DHRatchet). */
function receiveStep(suite: RatchetSuite, core: DoubleRatchet, message: ReceivedMessage): Received {
  const { publicKey, previousCount, n } = message.counters;
  const { sending, receiving } = core;
  // Our last key was answered already: a second answer to it is that of another copy of the peer's state.
  if (sending.at !== "chain") return { code: "forked" };
  const left = receiving.at === "chain" ? Math.max(0, previousCount - receiving.next) : 0;
  if (left + n > MAX_JUMP) return { code: "too-far" };
  const shared = suite.dh(sending.own.secret.reveal(), publicKey);
  if (shared === undefined) return { code: "aead-fail" };
  const { root, chain: key } = suite.root(core.root.reveal(), shared);
  const fresh: ReceivingChain = {
    at: "chain",
    peer: publicKey.slice(),
    key,
    next: 0,
    lostBelow: 0,
    tags: [],
  };
  const ended = receiving.at === "chain" ? endChain(suite, receiving, previousCount, message.now) : undefined;
  const stepped = {
    ...core,
    root,
    sending: { at: "due", previousCount: sending.next } as const,
    receiving: fresh,
    skipped: ended === undefined ? core.skipped : [...core.skipped, ...ended.skipped],
    ...(ended === undefined ? undefined : pastWith(core, ended.past)),
  };
  const received = receiveNext(suite, stepped, message, fresh);
  if (received.code !== "ok") for (const made of [root, key]) made.wipe();
  return received;
}

function endChain(suite: RatchetSuite, chain: ReceivingChain, count: number, now: Time) {
  const { peer, next, tags } = chain;
  if (count <= next) return { skipped: [], past: { peer, next, lostBelow: chain.lostBelow, tags } };
  const walked = walk(suite, chain, count, now);
  walked.key.fill(0);
  return { skipped: walked.skipped, past: { peer, next: count, lostBelow: walked.lostBelow, tags } };
}

interface Walked {
  /** The chain key at the number walked to; the caller's to wipe. */
  readonly key: Uint8Array;
  readonly skipped: readonly SkippedKey[];
  readonly lostBelow: number;
}

/** Walks the chain from its next number up to `to`, keeping the keys in between: of too many only the last ones. */
function walk(suite: RatchetSuite, chain: ReceivingChain, to: number, now: Time): Walked {
  const keepFrom = Math.max(chain.next, to - MAX_SKIPPED);
  const skipped: SkippedKey[] = [];
  let key: Uint8Array = chain.key.reveal().slice();
  for (let n = chain.next; n < to; n++) {
    const { next, message } = suite.chain(key);
    key.fill(0);
    key = next;
    if (n >= keepFrom) skipped.push({ peer: chain.peer, n, key: new Secret(message), since: now });
    else message.fill(0);
  }
  return { key, skipped, lostBelow: keepFrom > chain.next ? keepFrom : chain.lostBelow };
}

function remember(chain: ReceivingChain, seen: SeenTag): ReceivingChain {
  const tags = chain.tags.length < TAG_RING ? chain.tags : chain.tags.slice(chain.tags.length - TAG_RING + 1);
  return { ...chain, tags: [...tags, seen] };
}

function isExpired(key: SkippedKey, now: Time): boolean {
  return now >= key.since + SKIPPED_LIFETIME_MS;
}

/** Drops skipped keys over the cap, oldest first, and those past their time; their chains remember up to where. */
function tidy(core: DoubleRatchet, now: Time): DoubleRatchet {
  const over = Math.max(0, core.skipped.length - MAX_SKIPPED);
  const oldest = core.skipped[over];
  if (over === 0 && (oldest === undefined || !isExpired(oldest, now))) return core;
  const isDropped = (key: SkippedKey, i: number): boolean => i < over || isExpired(key, now);
  const dropped = core.skipped.filter(isDropped);
  const { receiving } = core;
  return {
    ...core,
    skipped: core.skipped.filter((key, i) => !isDropped(key, i)),
    receiving:
      receiving.at === "chain" ? { ...receiving, lostBelow: lostBelow(receiving, dropped) } : receiving,
    past: core.past.map((chain) => ({ ...chain, lostBelow: lostBelow(chain, dropped) })),
    older: olderWithout(core.older, dropped),
  };
}

function lostBelow(
  chain: { readonly peer: Uint8Array; readonly lostBelow: number },
  dropped: readonly SkippedKey[],
) {
  let bound = chain.lostBelow;
  for (const key of dropped) if (key.n >= bound && equal(key.peer, chain.peer)) bound = key.n + 1;
  return bound;
}
