// How a new ratchet says what it takes the place of: which ratchet, and where the initiator has stopped sending on it.
// Always true: one value has one encoding; a key of a chain is an acceptable X25519 key.
import { binary, type Codec, MalformedError, struct } from "@lethe/protocol";
import { bareX25519Key } from "./layout.ts";
import { MAX_CHAIN } from "./limits.ts";
import { hasForgotten, lostInOlder } from "./past-chains.ts";
import type { ChainEnd, Ratchet, RatchetId, Replaced } from "./state.ts";

const id = binary<RatchetId>(16, "ratchet id");
/** A u32. */
const count: Codec<number> = {
  read(r) {
    const value = r.u32();
    if (value > MAX_CHAIN + 1) throw new MalformedError(); // message number over its limit
    return value;
  },
  write: (w, v) => w.u32(v),
};
const counted = struct({ key: bareX25519Key, count });

/** An end on its own: 0 for none, 1 for one with its key. */
export const optionalEnd: Codec<ChainEnd | undefined> = {
  read(r) {
    const kind = r.u8();
    if (kind > 1) throw new MalformedError(); // unknown end
    return kind === 0 ? undefined : counted.read(r);
  },
  write(w, v) {
    w.u8(v?.key === undefined ? 0 : 1);
    if (v?.key !== undefined) counted.write(w, { key: v.key, count: v.count });
  },
};

/** 0: nothing; 1: id and generation; 2: and the count of the chain that was answered last; 3: and ratchet key and count. */
export const replaced: Codec<Replaced | undefined> = {
  read(r) {
    const kind = r.u8();
    if (kind === 0) return undefined;
    if (kind > 3) throw new MalformedError(); // unknown kind of replacement
    const [which, generation] = [id.read(r), r.u32()];
    if (kind === 1) return { id: which, generation, end: undefined };
    const end = kind === 2 ? { key: undefined, count: count.read(r) } : counted.read(r);
    return { id: which, generation, end };
  },
  write(w, v) {
    w.u8(v === undefined ? 0 : v.end === undefined ? 1 : v.end.key === undefined ? 2 : 3);
    if (v === undefined) return;
    id.write(w, v.id);
    w.u32(v.generation);
    if (v.end === undefined) return;
    if (v.end.key === undefined) count.write(w, v.end.count);
    else counted.write(w, { key: v.end.key, count: v.end.count });
  },
};

/** How far a restored store's new ratchet is ahead: of as many weekly ones as its initiator may have forgotten. */
const RESTORED_AHEAD = 1_000;
const MAX_GENERATION = 0xffff_ffff;

/** Of two ratchets with a device the one of the higher generation is used: both sides see the same one. */
export function generationOf({ replaces }: Pick<Ratchet, "replaces">): number {
  if (replaces === undefined) return 0;
  const ahead = replaces.end === undefined ? RESTORED_AHEAD : 1;
  return Math.min(MAX_GENERATION, replaces.generation + ahead);
}

/** What a ratchet started now takes the place of. `trusted`: our own counters are not those of a restored store. */
export function replacing(ratchet: Ratchet, generation: number, trusted: boolean): Replaced {
  if (!trusted) return { id: ratchet.id, generation, end: undefined };
  const { sending } = ratchet.core;
  const end: ChainEnd =
    sending.at === "due"
      ? { key: undefined, count: sending.previousCount }
      : { key: sending.own.publicKey, count: sending.next };
  return { id: ratchet.id, generation, end };
}

/** The ratchet, ended by the peer there. A later word never moves an end outwards. */
export function endAt(ratchet: Ratchet, end: ChainEnd | undefined): Ratchet {
  if (end === undefined || ratchet.ended !== undefined) return ratchet;
  return { ...ratchet, ended: { key: end.key ?? ratchet.core.receiving.peer, count: end.count } };
}

/**
 * Refuses a message with a place behind the end that the peer has set: only a copy of its state makes such a message.
 * `key-expired` where its chain may be one in front of the end whose name was dropped.
 */
export function behindEnd(
  { ended, core }: Ratchet,
  publicKey: Uint8Array,
  n: number,
): "superseded" | "key-expired" | undefined {
  if (ended?.key === undefined) return undefined;
  const same = (key: Uint8Array): boolean => key.every((byte, i) => byte === publicKey[i]);
  if (same(ended.key)) return n >= ended.count ? "superseded" : undefined;
  const known = [core.receiving, ...core.past, ...core.skipped].some(({ peer }) => same(peer));
  if (known || lostInOlder(core, publicKey) !== undefined) return undefined;
  return hasForgotten(core) ? "key-expired" : "superseded";
}
