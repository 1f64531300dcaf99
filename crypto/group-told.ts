// What one device tells another of a group, as the plaintext of a pairwise message of content class `control`: a chain of
// sender keys, or a group state with its seal key. Always true: its kinds are none of `control.ts`, so neither is taken
// for the other; who tells is known by the ratchet and not by what it says; a state is believed by its signature alone.
import {
  type AccountId,
  type Codec,
  type DeviceAddress,
  decodeAll,
  deviceAddress,
  MalformedError,
  optional,
  struct,
  u32,
} from "@lethe/protocol";
import { type ChainId, chainIdCodec, type StateRef } from "./group-chain.ts";
import { GROUP_HASH_BYTES, type GroupId, groupIdCodec, type GroupState, memberOf } from "./group-state.ts";
import { blob, ed25519Key, encode, octets, secret, total } from "./layout.ts";
import { MAX_CHAIN, MAX_GROUP_STATE_BYTES } from "./limits.ts";
import type { Secret } from "./secret.ts";

/** `chain`: its teller's sender key, from message `n` on. */
export interface ToldChain {
  readonly kind: "chain";
  readonly group: GroupId;
  /** The state that its teller holds. */
  readonly state: StateRef;
  /** The device whose chain it is: refused unless it is the one that tells. */
  readonly sender: DeviceAddress;
  readonly chain: ChainId;
  readonly signingKey: Uint8Array;
  readonly n: number;
  readonly key: Secret;
  /** The seal key of that state's epoch. */
  readonly sealKey: Secret;
}

/** `state`: a group state, from its maker or from anybody who has it. */
export interface ToldState {
  readonly kind: "state";
  /** Undefined for an account that the state leaves out. */
  readonly sealKey: Secret | undefined;
  readonly state: Uint8Array;
}

export type GroupTold = ToldChain | ToldState;

const KIND = { chain: 0x11, state: 0x12 } as const;

export const stateRef: Codec<StateRef> = struct({ epoch: u32, hash: octets(GROUP_HASH_BYTES) });
const chainBody = struct({
  group: groupIdCodec,
  state: stateRef,
  sender: deviceAddress,
  chain: chainIdCodec,
  signingKey: ed25519Key,
  n: u32,
  key: secret(32),
  sealKey: secret(32),
});
const stateBody = struct({ sealKey: optional(secret(32)), state: blob(MAX_GROUP_STATE_BYTES) });

const told: Codec<GroupTold> = {
  read(r) {
    const kind = r.u8();
    if (kind === KIND.state) return { kind: "state", ...stateBody.read(r) };
    if (kind !== KIND.chain) throw new MalformedError(); // not told of a group
    const said = chainBody.read(r);
    if (said.n > MAX_CHAIN) throw new MalformedError(); // message number over its limit
    return { kind: "chain", ...said };
  },
  write(w, v) {
    w.u8(KIND[v.kind]);
    if (v.kind === "chain") chainBody.write(w, v);
    else stateBody.write(w, v);
  },
};

/** About 230 bytes for a chain; for a state up to 51 KB. */
export function encodeTold(said: GroupTold): Uint8Array {
  return encode(told, said, said.kind === "chain" ? 512 : said.state.length + 64);
}

/** What an account is told of a state: who is not in it gets no seal key. */
export function tellState(state: GroupState, sealKey: Secret, account: AccountId): Uint8Array {
  const isIn = memberOf(state, account) !== undefined;
  return encodeTold({ kind: "state", state: state.bytes, sealKey: isIn ? sealKey : undefined });
}

/** Undefined where it is malformed, or of a kind that this version does not know. */
export function decodeTold(plaintext: Uint8Array): GroupTold | undefined {
  return total(() => decodeAll(told, plaintext));
}
