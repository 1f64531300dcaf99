// Receiving chains that have ended: the newest ones with their counts, those before by name. Always true: until `hasForgotten`,
// every ratchet key that the peer has used is known, since a peer makes a new one only after an answer to its last.
import { MAX_OLDER_CHAINS, MAX_PAST_CHAINS } from "./limits.ts";
import type { DoubleRatchet, PastChain, SkippedKey } from "./state.ts";

/** The name of a chain: the first bytes of its ratchet key. */
const NAME_BYTES = 8;
/** An older chain: its name, and the number below which messages of it may have been dropped unopened, u32. */
export const OLDER_CHAIN_BYTES = NAME_BYTES + 4;
export const NO_CHAINS = new Uint8Array(0);

type Ended = Pick<DoubleRatchet, "past" | "older">;

/** One more chain has ended. Tags are kept for the newest only. */
export function pastWith({ past, older }: Ended, ended: PastChain): Ended {
  const all = [...past.map((chain) => (chain.tags.length === 0 ? chain : { ...chain, tags: [] })), ended];
  const named = all.slice(0, -MAX_PAST_CHAINS);
  return { past: all.slice(-MAX_PAST_CHAINS), older: named.reduce(withName, older) };
}

function withName(older: Uint8Array, { peer, lostBelow }: PastChain): Uint8Array {
  const kept = older.subarray(Math.max(0, older.length - (MAX_OLDER_CHAINS - 1) * OLDER_CHAIN_BYTES));
  const out = new Uint8Array(kept.length + OLDER_CHAIN_BYTES);
  out.set(kept);
  out.set(peer.subarray(0, NAME_BYTES), kept.length);
  lostAt(out, kept.length).setUint32(0, lostBelow);
  return out;
}

function lostAt(older: Uint8Array, chain: number): DataView {
  return new DataView(older.buffer, older.byteOffset + chain + NAME_BYTES, 4);
}

/** Where the chain of a ratchet key stands among the older ones; undefined where it does not. */
function find(older: Uint8Array, publicKey: Uint8Array): number | undefined {
  for (let at = 0; at < older.length; at += OLDER_CHAIN_BYTES) {
    let same = 0;
    while (same < NAME_BYTES && older[at + same] === publicKey[same]) same++;
    if (same === NAME_BYTES) return at;
  }
  return undefined;
}

/** The number below which messages of an older chain may have been dropped; undefined for the key of no older chain. */
export function lostInOlder({ older }: Ended, publicKey: Uint8Array): number | undefined {
  const at = find(older, publicKey);
  return at === undefined ? undefined : lostAt(older, at).getUint32(0);
}

/** The older chains, when these keys were dropped unused. */
export function olderWithout(older: Uint8Array, dropped: readonly SkippedKey[]): Uint8Array {
  const out = older.slice();
  for (const { peer, n } of dropped) {
    const at = find(out, peer);
    if (at !== undefined && n >= lostAt(out, at).getUint32(0)) lostAt(out, at).setUint32(0, n + 1);
  }
  return out;
}

/** Whether names may have been dropped: then a ratchet key that is not known need not be that of a copied state. */
export function hasForgotten({ older }: Ended): boolean {
  return older.length >= MAX_OLDER_CHAINS * OLDER_CHAIN_BYTES;
}
