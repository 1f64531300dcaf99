// The envelope of a group: one ciphertext for all its devices, sealed with the seal key of an epoch. Inside the head says who
// sends, on which chain and in which state; nothing of it is proved before the chain's signature has verified. The
// lengths are those of pairwise envelopes. Nothing here touches chains.
import {
  type DeviceAddress,
  deviceAddress,
  deviceOf,
  type EnvelopeId,
  fromBytes,
  type GroupEnvelopeId,
  groupIdTuple,
  ID_BYTES,
  MAX_ENVELOPE_BYTES,
  MalformedError,
  Reader,
  struct,
  toBytes,
  u32,
  Writer,
  joined,
} from "@lethe/protocol";
import { type ChainId, chainIdCodec, type StateRef } from "./group-chain.ts";
import { GROUP_HASH_BYTES, type GroupId } from "./group-state.ts";
import type { GroupView } from "./group-view.ts";
import { LABELS } from "./labels.ts";
import { encode, octets, total } from "./layout.ts";
import { AEAD_TAG_BYTES, blake2b, SIGNATURE_BYTES, xchachaOpen, xchachaSeal } from "./primitives.ts";
import type { Random } from "./random.ts";
import type { Secret } from "./secret.ts";

/** No pairwise envelope begins with it. */
const VERSION = 0x81;
const SEAL_ID_BYTES = 8;
const NONCE_BYTES = 24;
const PREFIX_BYTES = 1 + SEAL_ID_BYTES + ID_BYTES + NONCE_BYTES;

/** The first 8 bytes of a seal key's hash, one character a byte: what a group's envelope is found by. */
export type GroupSealId = string;

/** What stands in front of the signature. */
export interface GroupHead {
  readonly sender: DeviceAddress;
  readonly chain: ChainId;
  readonly n: number;
  /** Hash of the state that the sender holds; it says the epoch as well. */
  readonly stateHash: Uint8Array;
}

const head = struct({
  sender: deviceAddress,
  chain: chainIdCodec,
  n: u32,
  stateHash: octets(GROUP_HASH_BYTES),
});
const HEAD_BYTES = 62;

/** The id of a group envelope for one device (clause D-GROUP-ID): BLAKE2b-128 of both. */
export function envelopeIdFor(groupEnvelope: GroupEnvelopeId, address: DeviceAddress): EnvelopeId {
  return fromBytes<EnvelopeId>(blake2b(ID_BYTES, encode(groupIdTuple, { groupEnvelope, address }, 64)));
}

/** The seal id in a group's envelope; undefined where it is none. */
export function groupSealId(ciphertext: Uint8Array): GroupSealId | undefined {
  const tooShort = ciphertext.length < PREFIX_BYTES + HEAD_BYTES + SIGNATURE_BYTES + AEAD_TAG_BYTES;
  if (tooShort || ciphertext.length > MAX_ENVELOPE_BYTES || ciphertext[0] !== VERSION) return undefined;
  return new Reader(ciphertext, 1).binary(SEAL_ID_BYTES);
}

/** The seal ids by which this group's envelopes are found. */
export function sealIdsOf(view: GroupView): GroupSealId[] {
  return epochsOf(view).map(({ sealId }) => sealId);
}

interface SealedEpoch {
  readonly ref: StateRef;
  readonly sealId: GroupSealId;
  readonly sealKey: Secret;
}

function epochsOf({ state, sealKey: current, past }: GroupView): SealedEpoch[] {
  const all = [{ ...state, sealKey: current }, ...past];
  return all.flatMap(({ epoch, hash, sealKeyHash, sealKey }) =>
    sealKey === undefined ? [] : [{ ref: { epoch, hash }, sealId: sealIdOf(sealKeyHash), sealKey }],
  );
}

function sealIdOf(sealKeyHash: Uint8Array): GroupSealId {
  return fromBytes(sealKeyHash.subarray(0, SEAL_ID_BYTES));
}

/** What signature and message cover of everything around them: BLAKE2b-256. */
function contextOf(
  group: GroupId,
  { epoch }: StateRef,
  prefix: Uint8Array,
  headBytes: Uint8Array,
): Uint8Array {
  return blake2b(32, LABELS.groupContext, toBytes(group), encode(u32, epoch, 4), prefix, headBytes);
}

export interface SealingGroup {
  readonly view: GroupView & { readonly sealKey: Secret };
  readonly groupEnvelope: GroupEnvelopeId;
  readonly head: Omit<GroupHead, "stateHash">;
  readonly random: Random;
  /** Makes the signature and the message, given the context that they must cover. */
  readonly signed: (context: Uint8Array) => { readonly signature: Uint8Array; readonly message: Uint8Array };
}

/** The envelope's bytes, sealed in the current epoch. */
export function sealGroup({ view, groupEnvelope, head: said, random, signed }: SealingGroup): Uint8Array {
  const { group, hash, sealKeyHash } = view.state;
  const nonce = random.bytes(NONCE_BYTES);
  const writer = new Writer(PREFIX_BYTES);
  writer.u8(VERSION);
  writer.binary(sealIdOf(sealKeyHash));
  writer.binary(groupEnvelope);
  writer.bytes(nonce);
  const prefix = writer.take();
  const headBytes = encode(head, { ...said, stateHash: hash }, 64);
  const { signature, message } = signed(contextOf(group, view.state, prefix, headBytes));
  const input = { key: view.sealKey.reveal(), nonce, ad: [prefix] };
  return joined(prefix, xchachaSeal(input, headBytes, signature, message));
}

/** A group's envelope without its seal. Nothing in it is proved. */
export interface OpenGroupSeal {
  readonly head: GroupHead;
  /** The state whose seal key has opened it. */
  readonly sealedIn: StateRef;
  readonly context: Uint8Array;
  readonly signature: Uint8Array;
  readonly message: Uint8Array;
}

export interface OpeningGroupSeal {
  readonly view: GroupView;
  readonly ciphertext: Uint8Array;
  /** The id under which the relay has pushed it. */
  readonly envelope: EnvelopeId;
  /** The device's own address. */
  readonly recipient: DeviceAddress;
}

export type GroupSealRefusal = "malformed" | "unknown-seal-key" | "wrong-envelope-id" | "not-sealed-for-us";

export function openGroupSeal(opening: OpeningGroupSeal): OpenGroupSeal | GroupSealRefusal {
  const { view, ciphertext, envelope, recipient } = opening;
  const id = groupSealId(ciphertext);
  if (id === undefined) return "malformed";
  const epoch = epochsOf(view).find(({ sealId }) => sealId === id);
  if (epoch === undefined) return "unknown-seal-key";
  const reader = new Reader(ciphertext, 1 + SEAL_ID_BYTES);
  const groupEnvelope = reader.binary(ID_BYTES) as GroupEnvelopeId;
  if (envelopeIdFor(groupEnvelope, recipient) !== envelope) return "wrong-envelope-id";
  const prefix = ciphertext.subarray(0, PREFIX_BYTES);
  const input = { key: epoch.sealKey.reveal(), nonce: reader.bytes(NONCE_BYTES), ad: [prefix] };
  const plain = xchachaOpen(input, ciphertext.subarray(PREFIX_BYTES));
  if (plain === undefined) return "not-sealed-for-us";
  const said = total(() => readHead(plain));
  if (said === undefined) return "malformed";
  const context = contextOf(view.state.group, epoch.ref, prefix, plain.subarray(0, HEAD_BYTES));
  const signature = plain.subarray(HEAD_BYTES, HEAD_BYTES + SIGNATURE_BYTES);
  const message = plain.subarray(HEAD_BYTES + SIGNATURE_BYTES);
  return { head: said, sealedIn: epoch.ref, context, signature, message };
}

function readHead(plain: Uint8Array): GroupHead {
  const said = head.read(new Reader(plain));
  if (deviceOf(said.sender) === 0) throw new MalformedError(); // device number 0
  return said;
}
