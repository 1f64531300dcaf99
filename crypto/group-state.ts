// The state of a group, signed by the device of a member: who belongs to it and in which role, its name, who may write, and
// the hash of the seal key of its epoch. Each names the hash of the one before. Immutable; known by its hash. Always
// true of one that was parsed: accounts ascend, at least one is an admin, and only epoch 1 has none before it.
import {
  type AccountId,
  accountId,
  accountOf,
  binary,
  type Codec,
  type DeviceAddress,
  decodeAll,
  deviceAddress,
  deviceOf,
  list,
  MalformedError,
  oneOf,
  struct,
  text,
  u32,
  joined,
} from "@lethe/protocol";
import type { Certificate } from "./certificate.ts";
import { LABELS } from "./labels.ts";
import { ed25519Key, encode, formatByte, octets } from "./layout.ts";
import { MAX_GROUP_MEMBERS, MAX_GROUP_NAME_BYTES, MAX_GROUP_STATE_BYTES } from "./limits.ts";
import { blake2b, ed25519Sign, ed25519Verify, SIGNATURE_BYTES } from "./primitives.ts";

declare const brand: unique symbol;
/** 16 random bytes that name a group for its life. */
export type GroupId = string & { readonly [brand]: "GroupId" };
export const groupIdCodec: Codec<GroupId> = binary(16, "group id");

export const GROUP_HASH_BYTES = 32;
export const GROUP_NONCE_BYTES = 16;

export type GroupRole = "member" | "admin";
/** Who may write: all members, or admins alone. */
export type GroupWriters = "members" | "admins";

export interface GroupMember {
  readonly account: AccountId;
  /** `accountFingerprint` of the account's key: another key under the same id is not this member. */
  readonly fingerprint: Uint8Array;
  readonly role: GroupRole;
}

/** What is signed. */
export interface GroupStateBody {
  readonly group: GroupId;
  /** 1 or more. */
  readonly epoch: number;
  /** Hash of the state before, 32 bytes 0 for the first. */
  readonly previousHash: Uint8Array;
  /** The device that signs. */
  readonly signer: DeviceAddress;
  /** BLAKE2b-256 of the seal key of this epoch: every sender uses the same one, and no member can be told another. */
  readonly sealKeyHash: Uint8Array;
  /** In ascending order of account ids, at least one of them an admin. */
  readonly members: readonly GroupMember[];
  /** At most `MAX_GROUP_NAME_BYTES` of UTF-8. */
  readonly name: string;
  readonly writers: GroupWriters;
  /** 16 random bytes: nobody can tell a state's hash beforehand. */
  readonly nonce: Uint8Array;
}

/** A group state with its bytes and their hash (BLAKE2b-256). */
export interface GroupState extends GroupStateBody {
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
}

/** What is known of a device that signs, from its verified certificate. */
export type GroupSigner = Pick<Certificate, "account" | "device" | "accountKey" | "signingKey">;

const member = struct({
  account: accountId,
  fingerprint: octets(GROUP_HASH_BYTES),
  role: oneOf({ member: 1, admin: 2 }),
});

const body = struct({
  format: formatByte(1),
  group: groupIdCodec,
  epoch: u32,
  previousHash: octets(GROUP_HASH_BYTES),
  signer: deviceAddress,
  sealKeyHash: octets(GROUP_HASH_BYTES),
  members: list(member, MAX_GROUP_MEMBERS, 1),
  name: text(MAX_GROUP_NAME_BYTES),
  writers: oneOf({ members: 1, admins: 2 }),
  nonce: octets(GROUP_NONCE_BYTES),
});

/** The fingerprint of an account key in a group state: BLAKE2b-256 of the encoded key. */
export function accountFingerprint(accountKey: Uint8Array): Uint8Array {
  return blake2b(GROUP_HASH_BYTES, encode(ed25519Key, accountKey, 64));
}

/** A new state, signed with the device's seed. The caller has sorted the members. */
export function makeGroupState(said: GroupStateBody, signingSeed: Uint8Array): GroupState {
  const front = encode(
    body,
    { format: undefined, ...said, members: [...said.members] },
    MAX_GROUP_STATE_BYTES,
  );
  return parseGroupState(joined(front, ed25519Sign(signingSeed, LABELS.signGroupState, front)));
}

/** What a state says, without verifying it. @throws MalformedError */
export function parseGroupState(bytes: Uint8Array): GroupState {
  if (bytes.length <= SIGNATURE_BYTES || bytes.length > MAX_GROUP_STATE_BYTES)
    throw new MalformedError("not a group state");
  const { format: _, ...said } = decodeAll(body, bytes.subarray(0, -SIGNATURE_BYTES));
  if (said.epoch === 0) throw new MalformedError("epochs start at 1");
  if ((said.epoch === 1) !== said.previousHash.every((byte) => byte === 0))
    throw new MalformedError("the first state alone has none before it");
  if (deviceOf(said.signer) === 0) throw new MalformedError("device number 0");
  said.members.forEach(({ account }, i) => {
    if (i > 0 && account <= (said.members[i - 1] as GroupMember).account)
      throw new MalformedError("members out of order");
  });
  if (!said.members.some(({ role }) => role === "admin"))
    throw new MalformedError("a group without an admin");
  return { ...said, bytes: bytes.slice(), hash: blake2b(GROUP_HASH_BYTES, bytes) };
}

/** Whether the state's signature is that of this device. */
export function isSignedBy({ bytes }: GroupState, { signingKey }: GroupSigner): boolean {
  const split = bytes.length - SIGNATURE_BYTES;
  const front = bytes.subarray(0, split);
  return ed25519Verify(signingKey, bytes.subarray(split), LABELS.signGroupState, front);
}

/** The member with this account id; undefined where there is none. */
export function memberOf({ members }: GroupStateBody, account: AccountId): GroupMember | undefined {
  let [from, to] = [0, members.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((members[middle] as GroupMember).account < account) from = middle + 1;
    else to = middle;
  }
  const found = members[from];
  return found?.account === account ? found : undefined;
}

/** The member whose device this is. */
export function memberAt(state: GroupStateBody, device: DeviceAddress): GroupMember | undefined {
  return memberOf(state, accountOf(device));
}
