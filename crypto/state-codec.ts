// How a ratchet's state stands in bytes: total and canonical, with every count under its cap. Keys of one chain that were
// skipped stand together behind the chain's key once, in the order in which they were stored.
import {
  binary,
  type Codec,
  decodeAll,
  deviceAddress,
  list,
  MalformedError,
  oneOf,
  type Reader,
  struct,
  time,
  u32,
  type Writer,
} from "@lethe/protocol";
import { encode, bareX25519Key, formatByte, octets, secret } from "./layout.ts";
import { MAX_CHAIN, MAX_OLDER_CHAINS, MAX_PAST_CHAINS, MAX_SKIPPED, TAG_RING } from "./limits.ts";
import { optionalEnd, replaced } from "./replaced.ts";
import { OLDER_CHAIN_BYTES } from "./past-chains.ts";
import { PRELUDE_BYTES } from "./pqxdh.ts";
import { SEALING_ID_BYTES } from "./sealing-key.ts";
import { equal } from "./primitives.ts";
import type { DoubleRatchet, Ratchet, RatchetId, Receiving, Sending, SkippedKey, Standing } from "./state.ts";

const key = secret(32);
const tags = list(struct({ n: u32, tag: octets(8) }), TAG_RING);

/** Alternatives, each behind a byte of its own: a union's `at`. */
function union<T extends { readonly at: string }>(
  cases: {
    readonly [A in T["at"]]: readonly [number: number, body: Codec<Omit<Extract<T, { at: A }>, "at">>];
  },
): Codec<T> {
  const which = oneOf(
    Object.fromEntries(
      Object.entries<readonly [number, unknown]>(cases).map(([at, [n]]) => [at, n]),
    ) as Record<T["at"], number>,
  );
  const bodyOf = (at: T["at"]): Codec<object> => cases[at][1] as unknown as Codec<object>;
  return {
    read(r) {
      const at = which.read(r);
      return { at, ...bodyOf(at).read(r) } as unknown as T;
    },
    write(w, v) {
      const at: T["at"] = v.at;
      which.write(w, at);
      bodyOf(at).write(w, v);
    },
  };
}

const sending = union<Sending>({
  due: [0, struct({ previousCount: u32 })],
  chain: [
    1,
    struct({
      own: struct({ secret: key, publicKey: bareX25519Key }),
      key,
      next: u32,
      previousCount: u32,
    }),
  ],
});

const receiving = union<Receiving>({
  none: [0, struct({ peer: bareX25519Key })],
  chain: [1, struct({ peer: bareX25519Key, key, next: u32, lostBelow: u32, tags })],
});

const standing = union<Standing>({
  unconfirmed: [0, struct({ prelude: octets(PRELUDE_BYTES) })],
  confirmed: [1, struct({})],
});

const past = list(struct({ peer: bareX25519Key, next: u32, lostBelow: u32, tags }), MAX_PAST_CHAINS);

/** A u16 count, then the chains as they are, each of one length. */
const older: Codec<Uint8Array> = {
  read(r) {
    const count = r.u16();
    if (count > MAX_OLDER_CHAINS) throw new MalformedError(); // too many chains
    return r.bytes(count * OLDER_CHAIN_BYTES).slice();
  },
  write(w, v) {
    w.u16(v.length / OLDER_CHAIN_BYTES);
    w.bytes(v);
  },
};

const skippedKey = struct({ n: u32, since: time, key });
const run = struct({ peer: bareX25519Key, keys: list(skippedKey, MAX_SKIPPED, 1) });

/** Runs of keys of one chain; two neighbouring runs are of different chains, so there is one encoding. */
const skipped: Codec<readonly SkippedKey[]> = {
  read: readSkipped,
  write: writeSkipped,
};

function readSkipped(r: Reader): SkippedKey[] {
  const out: SkippedKey[] = [];
  let before: Uint8Array | undefined;
  for (let runs = r.u16(); runs > 0; runs--) {
    const { peer, keys } = run.read(r);
    if (before !== undefined && equal(before, peer)) throw new MalformedError(); // a run in two parts
    before = peer;
    for (const { n, since, key: kept } of keys) out.push({ peer, n, since, key: kept });
    if (out.length > MAX_SKIPPED) throw new MalformedError(); // too many skipped keys
  }
  return out;
}

function writeSkipped(w: Writer, keys: readonly SkippedKey[]): void {
  const runs: { peer: Uint8Array; keys: SkippedKey[] }[] = [];
  for (const kept of keys) {
    const last = runs.at(-1);
    if (last !== undefined && equal(last.peer, kept.peer)) last.keys.push(kept);
    else runs.push({ peer: kept.peer, keys: [kept] });
  }
  w.u16(runs.length);
  for (const each of runs) run.write(w, each);
}

const core: Codec<DoubleRatchet> = struct({
  root: key,
  sending,
  receiving,
  skipped,
  past,
  older,
}) as Codec<DoubleRatchet>;

/** A u8 length, 0 or that of an id, and as many bytes. */
const sealingIdOrNone: Codec<string> = {
  read(r) {
    const length = r.u8();
    if (length !== 0 && length !== SEALING_ID_BYTES) throw new MalformedError(); // not a sealing key id
    return r.binary(length);
  },
  write(w, v) {
    w.u8(v.length);
    w.binary(v);
  },
};

const ratchet = struct({
  format: formatByte(1),
  id: binary<RatchetId>(16, "ratchet id"),
  peer: deviceAddress,
  role: oneOf({ initiator: 1, responder: 2 }),
  standing,
  headerKey: key,
  ad: octets(32),
  createdAt: time,
  replaces: replaced,
  ended: optionalEnd,
  unanswered: u32,
  peerKnows: struct({ sealing: sealingIdOrNone, listVersion: u32 }),
  core,
});

/** The ratchet as bytes, secrets included: what the client's store keeps, encrypted. About 300 bytes to 110 KB. */
export function encodeRatchet(state: Ratchet): Uint8Array {
  const { skipped: keys, older: names } = state.core;
  return encode(ratchet, { format: undefined, ...state }, 8_192 + names.length + 80 * keys.length);
}

/** @throws MalformedError */
export function decodeRatchet(bytes: Uint8Array): Ratchet {
  const { format: _, ...state } = decodeAll(ratchet, bytes);
  const { sending: ours, receiving: theirs, past: ended } = state.core;
  const orderly =
    (ours.at === "due" || ours.next <= MAX_CHAIN + 1) &&
    (theirs.at === "none" || theirs.lostBelow <= theirs.next) &&
    ended.every((chain, i) => i === ended.length - 1 || chain.tags.length === 0);
  if (!orderly) throw new MalformedError(); // a ratchet that cannot be
  return state;
}
