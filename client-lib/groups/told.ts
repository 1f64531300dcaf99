// What two libraries say to each other about a group, as the plaintext of a pairwise control message: what the cryptography
// tells (a chain, a state), with what is needed to write to its teller. Always true: its kinds are none of the control
// messages' and none of the cryptography's, so none is taken for another; who says it is known by the ratchet alone.
//
//   chain    0x21 | access key 16 | stream 8 | next u64 | lv16(name) | told          `next`: the first number to expect
//   state    0x22 | access key 16 | lv16(name) | told
//   keys     0x23 | group 16 | u16 n, n × (account 16 | access key 16)                of members, as far as known
//   ask      0x24 | group 16 | epoch u32             tell me your chain, and the states behind this one, 0 for none, again
import {
  accountId,
  type Codec,
  decodeAll,
  encode,
  fixed,
  list,
  MAX_GROUP_RECIPIENTS,
  MAX_USER_NAME_BYTES,
  type Of,
  struct,
  text,
  u32,
  u64,
  joined,
} from "@lethe/protocol";
import { groupId, streamId } from "../delivery/rows.ts";

const KIND = { chain: 0x21, state: 0x22, keys: 0x23, ask: 0x24 } as const;
const name = text(MAX_USER_NAME_BYTES);

/** All bytes that are left, copied. */
const rest: Codec<Uint8Array> = {
  read: (r) => r.bytes(r.remaining).slice(),
  write: (w, v) => w.bytes(v),
};

const LAYOUTS = {
  chain: struct({ accessKey: fixed(16), stream: streamId, next: u64, name, told: rest }),
  state: struct({ accessKey: fixed(16), name, told: rest }),
  keys: struct({
    group: groupId,
    keys: list(struct({ account: accountId, accessKey: fixed(16) }), MAX_GROUP_RECIPIENTS),
  }),
  ask: struct({ group: groupId, epoch: u32 }),
} as const;

type Layouts = typeof LAYOUTS;
export type GroupTelling = {
  [K in keyof Layouts]: { readonly kind: K } & Readonly<Of<Layouts[K]>>;
}[keyof Layouts];
/** Whether the plaintext of a control message is about a group. */
export function isTelling(plaintext: Uint8Array): boolean {
  return Object.values(KIND).includes(plaintext[0] as (typeof KIND)["chain"]);
}

export function encodeTelling(telling: GroupTelling): Uint8Array {
  const body = encode(LAYOUTS[telling.kind] as Codec<unknown> as Codec<GroupTelling>, telling);
  return joined(Uint8Array.of(KIND[telling.kind]), body);
}

/** Undefined where it is malformed. */
export function decodeTelling(plaintext: Uint8Array): GroupTelling | undefined {
  for (const kind of Object.keys(KIND) as (keyof Layouts)[]) {
    if (plaintext[0] !== KIND[kind]) continue;
    try {
      return { kind, ...decodeAll(LAYOUTS[kind] as Codec<object>, plaintext.subarray(1)) } as GroupTelling;
    } catch {
      return undefined;
    }
  }
  return undefined;
}
