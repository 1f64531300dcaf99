// Changes of a group as data, and the signed state that each leads to. A change that lost against another successor of the
// same state is re-based by applying it again to the winner. Always true: a new state has a new seal key, so who has
// left cannot open even the seal of what comes next, and who has joined not that of what was before.
import { type AccountId, addressOf, fromBytes } from "@lethe/protocol";
import {
  accountFingerprint,
  GROUP_HASH_BYTES,
  GROUP_NONCE_BYTES,
  type GroupId,
  type GroupMember,
  type GroupRole,
  type GroupState,
  type GroupStateBody,
  type GroupWriters,
  makeGroupState,
  memberOf,
} from "./group-state.ts";
import type { Identity } from "./identity.ts";
import { MAX_GROUP_MEMBERS, MAX_GROUP_NAME_BYTES } from "./limits.ts";
import type { PinnedAccount } from "./peer.ts";
import { blake2b } from "./primitives.ts";
import type { Random } from "./random.ts";
import { Secret } from "./secret.ts";

export const GROUP_SEAL_KEY_BYTES = 32;

export type GroupChange =
  | { readonly kind: "add"; readonly accounts: readonly PinnedAccount[] }
  | { readonly kind: "remove"; readonly accounts: readonly AccountId[] }
  | { readonly kind: "promote" | "demote"; readonly account: AccountId }
  | { readonly kind: "rename"; readonly name: string }
  | { readonly kind: "writers"; readonly writers: GroupWriters }
  /** Nothing but a new seal key: a device was removed from an account, or the state before is to be final. */
  | { readonly kind: "renew" }
  /** The signer leaves; the one change that needs no admin. */
  | { readonly kind: "leave" };

/** Why a change cannot be made to a state. */
export type GroupChangeRefusal =
  | "not-a-member"
  | "not-admin"
  | "already-member"
  | "unknown-member"
  | "group-full"
  | "last-admin"
  | "name-too-long"
  | "unchanged";

/** The state to be told to all its members, with the seal key that goes with it. */
export interface MadeGroupState {
  readonly code: "ok";
  readonly state: GroupState;
  readonly sealKey: Secret;
}

export type ChangedGroup = MadeGroupState | { readonly code: GroupChangeRefusal };

type Content = Pick<GroupStateBody, "members" | "name" | "writers">;

export interface CreatingGroup {
  readonly identity: Identity;
  readonly name: string;
  readonly writers: GroupWriters;
  /** Accounts besides one's own, as verified. */
  readonly accounts: readonly PinnedAccount[];
  readonly random: Random;
}

/** The first state of a new group; its maker is the only admin. */
export function createGroup({ identity, name, writers, accounts, random }: CreatingGroup): ChangedGroup {
  const { account, accountKey } = identity.certificate;
  const self: GroupMember = { account, fingerprint: accountFingerprint(accountKey), role: "admin" };
  const content = withAdded({ members: [self], name, writers }, accounts);
  if (typeof content === "string") return { code: content };
  if (!isNameShort(name)) return { code: "name-too-long" };
  const group = fromBytes<GroupId>(random.bytes(16));
  const previousHash = new Uint8Array(GROUP_HASH_BYTES);
  return sign(identity, { ...content, group, epoch: 1, previousHash }, random);
}

export interface ChangingGroup {
  readonly identity: Identity;
  readonly state: GroupState;
  readonly change: GroupChange;
  readonly random: Random;
}

/** The next state, signed by this device. */
export function changeGroup({ identity, state, change, random }: ChangingGroup): ChangedGroup {
  const self = memberOf(state, identity.certificate.account);
  if (self === undefined) return { code: "not-a-member" };
  if (self.role !== "admin" && change.kind !== "leave") return { code: "not-admin" };
  const content = apply(state, self.account, change);
  if (typeof content === "string") return { code: content };
  if (!content.members.some(({ role }) => role === "admin")) return { code: "last-admin" };
  const { group, epoch, hash: previousHash } = state;
  return sign(identity, { ...content, group, epoch: epoch + 1, previousHash }, random);
}

type Unsigned = Content & Pick<GroupStateBody, "group" | "epoch" | "previousHash">;

function sign(identity: Identity, said: Unsigned, random: Random): MadeGroupState {
  const { account, device } = identity.certificate;
  const sealKey = random.bytes(GROUP_SEAL_KEY_BYTES);
  const body: GroupStateBody = {
    ...said,
    signer: addressOf(account, device),
    sealKeyHash: blake2b(GROUP_HASH_BYTES, sealKey),
    nonce: random.bytes(GROUP_NONCE_BYTES),
  };
  const state = makeGroupState(body, identity.signingSeed.reveal());
  return { code: "ok", state, sealKey: new Secret(sealKey) };
}

function apply(state: GroupState, self: AccountId, change: GroupChange): Content | GroupChangeRefusal {
  const { members, name, writers } = state;
  const content: Content = { members, name, writers };
  switch (change.kind) {
    case "add":
      return change.accounts.length === 0 ? "unchanged" : withAdded(content, change.accounts);
    case "remove":
      return change.accounts.length === 0 ? "unchanged" : withRemoved(state, change.accounts);
    case "leave":
      return withRemoved(state, [self]);
    case "promote":
      return withRole(state, change.account, "admin");
    case "demote":
      return withRole(state, change.account, "member");
    case "rename":
      if (!isNameShort(change.name)) return "name-too-long";
      return change.name === name ? "unchanged" : { ...content, name: change.name };
    case "writers":
      return change.writers === writers ? "unchanged" : { ...content, writers: change.writers };
    case "renew":
      return content;
  }
}

function withAdded(content: Content, accounts: readonly PinnedAccount[]): Content | GroupChangeRefusal {
  const added = accounts.map(({ accountKey, list }): GroupMember => {
    return { account: list.account, fingerprint: accountFingerprint(accountKey), role: "member" };
  });
  const members = [...content.members, ...added].toSorted((a, b) => (a.account < b.account ? -1 : 1));
  if (members.some(({ account }, i) => members[i + 1]?.account === account)) return "already-member";
  return members.length > MAX_GROUP_MEMBERS ? "group-full" : { ...content, members };
}

function withRemoved(state: GroupState, accounts: readonly AccountId[]): Content | GroupChangeRefusal {
  const { members, name, writers } = state;
  const gone = new Set(accounts);
  if (accounts.some((account) => memberOf(state, account) === undefined)) return "unknown-member";
  return { members: members.filter(({ account }) => !gone.has(account)), name, writers };
}

function withRole(state: GroupState, account: AccountId, role: GroupRole): Content | GroupChangeRefusal {
  const { members, name, writers } = state;
  const found = memberOf(state, account);
  if (found === undefined) return "unknown-member";
  if (found.role === role) return "unchanged";
  return { members: members.map((each) => (each === found ? { ...each, role } : each)), name, writers };
}

function isNameShort(name: string): boolean {
  return new TextEncoder().encode(name).length <= MAX_GROUP_NAME_BYTES;
}
