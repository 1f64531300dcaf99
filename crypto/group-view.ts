// A group as one device has verified it: the current state, the one before (to judge another successor of it), and the seal
// keys of epochs whose mail may be under way. Always true: the current state was signed by somebody who was an admin in the one
// before, or is that one without its signer; of two successors of one state all devices come to hold that of the lower hash.
import { type AccountId, addressOf, type Time } from "@lethe/protocol";
import {
  accountFingerprint,
  GROUP_HASH_BYTES,
  type GroupMember,
  type GroupSigner,
  type GroupState,
  type GroupStateBody,
  isSignedBy,
  memberOf,
  parseGroupState,
} from "./group-state.ts";
import { total } from "./layout.ts";
import { MAX_PAST_EPOCHS, PAST_EPOCH_LIFETIME_MS } from "./limits.ts";
import { blake2b, equal } from "./primitives.ts";
import type { Secret } from "./secret.ts";

/** An epoch that has ended, or lost. */
export interface PastEpoch {
  readonly epoch: number;
  readonly hash: Uint8Array;
  readonly sealKeyHash: Uint8Array;
  /** Undefined where it was never told. */
  readonly sealKey: Secret | undefined;
  readonly endedAt: Time;
  /** `lost`: another successor of the state before took its place. */
  readonly how: "ended" | "lost";
}

export interface GroupView {
  readonly state: GroupState;
  /** Undefined where this device has joined with `state`, or made it as the first. */
  readonly before: GroupState | undefined;
  /** The current seal key; undefined until it was told. */
  readonly sealKey: Secret | undefined;
  /** Oldest first. */
  readonly past: readonly PastEpoch[];
  /** The epoch with which somebody was last removed, as far as this device knows: chains from before it are not used. */
  readonly removedAt: number;
  /** What `removedAt` was in the state before: another successor of that goes on from it. */
  readonly removedBefore: number;
}

/** Why a state is refused. */
export type GroupStateRefusal =
  | "malformed"
  /** Of another group. */
  | "wrong-group"
  /** Of an epoch that has passed: a replay, or a fork that is settled. */
  | "old-epoch"
  /** States between are missing. */
  | "epoch-gap"
  /**
   * It does not follow the state that is known: another successor of that one's predecessor is missing, or a relay splits the
   * group. Where the state that is known is the first that this device has seen, `joinGroup` may take it.
   */
  | "forked"
  /** A valid successor, and the one that is known has the lower hash: its maker applies its change again to the winner. */
  | "lost"
  /** The certificate given is not that of the device that the state names, or its account key is not the member's. */
  | "wrong-signer"
  | "bad-signature"
  /** Its signer was no admin, and did more than to leave. */
  | "not-admin"
  /** A member's account key is another than before. */
  | "key-changed"
  /** It does not name this device's account with its key. */
  | "not-a-member"
  /** This device is in the group already: only the next state is taken. */
  | "already-joined"
  /** The seal key is not the one whose hash the state has. */
  | "wrong-seal-key";

/** What a state did to the one before. */
export interface GroupChanges {
  readonly added: readonly AccountId[];
  readonly removed: readonly AccountId[];
  readonly promoted: readonly AccountId[];
  readonly demoted: readonly AccountId[];
  readonly renamed: boolean;
  readonly writersChanged: boolean;
}

export type AcceptedGroupState =
  | { readonly code: "ok"; readonly how: "newer"; readonly view: GroupView; readonly changes: GroupChanges }
  /** The state that was current has lost: whoever made `lost` applies its change again. `changes` are against it. */
  | {
      readonly code: "ok";
      readonly how: "replaces";
      readonly view: GroupView;
      readonly changes: GroupChanges;
      readonly lost: GroupState;
    }
  /** The state that is current; `view` has its seal key if that was missing. */
  | { readonly code: "ok"; readonly how: "same"; readonly view: GroupView }
  | { readonly code: GroupStateRefusal };

export interface AcceptingGroupState {
  readonly view: GroupView;
  readonly bytes: Uint8Array;
  /** From the verified certificate and newest device list of the device that the state names (`parseGroupState`). */
  readonly signer: GroupSigner;
  readonly sealKey: Secret | undefined;
  readonly now: Time;
}

/** Takes or refuses a state, wherever it came from: its signature says whose it is. */
export function acceptGroupState({
  view,
  bytes,
  signer,
  sealKey,
  now,
}: AcceptingGroupState): AcceptedGroupState {
  const next = total(() => parseGroupState(bytes));
  if (next === undefined) return { code: "malformed" };
  const { state } = view;
  if (next.group !== state.group) return { code: "wrong-group" };
  if (sealKey !== undefined && !isSealKeyOf(next, sealKey)) return { code: "wrong-seal-key" };
  if (equal(next.hash, state.hash)) {
    const same = sealKey === undefined ? view : withSealKey(view, state.hash, sealKey);
    return { code: "ok", how: "same", view: same };
  }
  const parent = parentOf(view, next);
  if (typeof parent === "string") return { code: parent };
  const refusal = judge(parent, next, signer);
  if (refusal !== undefined) return { code: refusal };
  if (parent !== state && compareHashes(state.hash, next.hash) < 0) return { code: "lost" };
  const changes = changesBetween(state, next);
  const after = follow(view, { next, parent, sealKey, now });
  if (parent === state) return { code: "ok", how: "newer", view: after, changes };
  return { code: "ok", how: "replaces", view: after, changes, lost: state };
}

/** The state that `next` follows: the current one, or the one before it. */
function parentOf({ state, before }: GroupView, next: GroupState): GroupState | GroupStateRefusal {
  if (next.epoch < state.epoch) return "old-epoch";
  if (next.epoch > state.epoch + 1) return "epoch-gap";
  const parent = next.epoch === state.epoch ? before : state;
  if (parent === undefined || !equal(next.previousHash, parent.hash)) return "forked";
  return parent;
}

function judge(parent: GroupState, next: GroupState, signer: GroupSigner): GroupStateRefusal | undefined {
  const by = signerIn(parent, next, signer);
  if (typeof by === "string") return by;
  if (next.members.some((each) => isOtherKey(memberOf(parent, each.account), each))) return "key-changed";
  return by.role === "admin" || isLeave(parent, next, by) ? undefined : "not-admin";
}

/** The member, by `state`, who has signed `signed`. */
export function signerIn(
  state: GroupState,
  signed: GroupState,
  signer: GroupSigner,
): GroupMember | "wrong-signer" | "bad-signature" | "not-admin" {
  if (signed.signer !== addressOf(signer.account, signer.device)) return "wrong-signer";
  const by = memberOf(state, signer.account);
  if (by === undefined) return "not-admin";
  if (!equal(by.fingerprint, accountFingerprint(signer.accountKey))) return "wrong-signer";
  return isSignedBy(signed, signer) ? by : "bad-signature";
}

export function isOtherKey(known: GroupMember | undefined, said: GroupMember): boolean {
  return known !== undefined && !equal(known.fingerprint, said.fingerprint);
}

/** Whether a state is the one before without its signer, and nothing else. */
function isLeave(parent: GroupStateBody, next: GroupStateBody, by: GroupMember): boolean {
  const rest = parent.members.filter((each) => each !== by);
  const same = (each: GroupMember, i: number): boolean =>
    each.account === next.members[i]?.account && each.role === next.members[i]?.role;
  return (
    next.name === parent.name &&
    next.writers === parent.writers &&
    next.members.length === rest.length &&
    rest.every(same)
  );
}

export function compareHashes(a: Uint8Array, b: Uint8Array): number {
  const at = a.findIndex((byte, i) => byte !== b[i]);
  return at < 0 ? 0 : (a[at] as number) - (b[at] as number);
}

export function changesBetween(before: GroupStateBody, after: GroupStateBody): GroupChanges {
  const added: AccountId[] = [];
  const promoted: AccountId[] = [];
  const demoted: AccountId[] = [];
  for (const { account, role } of after.members) {
    const was = memberOf(before, account);
    if (was === undefined) added.push(account);
    else if (was.role !== role) (role === "admin" ? promoted : demoted).push(account);
  }
  const gone = before.members.filter(({ account }) => memberOf(after, account) === undefined);
  const removed = gone.map(({ account }) => account);
  const renamed = before.name !== after.name;
  return { added, removed, promoted, demoted, renamed, writersChanged: before.writers !== after.writers };
}

interface Following {
  readonly next: GroupState;
  readonly parent: GroupState;
  readonly sealKey: Secret | undefined;
  readonly now: Time;
}

function follow(view: GroupView, { next, parent, sealKey, now }: Following): GroupView {
  const isNewer = parent === view.state;
  const removedBefore = isNewer ? view.removedAt : view.removedBefore;
  const removes = changesBetween(parent, next).removed.length > 0;
  return {
    state: next,
    before: parent,
    sealKey,
    past: pastOf(view, isNewer ? "ended" : "lost", now),
    removedAt: removes ? next.epoch : removedBefore,
    removedBefore,
  };
}

/** The past epochs, when the current one has become one of them. */
export function pastOf(view: GroupView, how: PastEpoch["how"], now: Time): readonly PastEpoch[] {
  const { epoch, hash, sealKeyHash } = view.state;
  const ended = { epoch, hash, sealKeyHash, sealKey: view.sealKey, endedAt: now, how };
  return [...expirePast(view, now).past, ended].slice(-MAX_PAST_EPOCHS);
}

/** The view without past epochs whose mail cannot be under way any more. The same object where there is none. */
export function expirePast(view: GroupView, now: Time): GroupView {
  const past = view.past.filter(({ endedAt }) => now < endedAt + PAST_EPOCH_LIFETIME_MS);
  return past.length === view.past.length ? view : { ...view, past };
}

/** Whether this is the seal key of the epoch. */
export function isSealKeyOf(epoch: Pick<GroupStateBody, "sealKeyHash">, sealKey: Secret): boolean {
  return equal(blake2b(GROUP_HASH_BYTES, sealKey.reveal()), epoch.sealKeyHash);
}

/** The view with the seal key of a state that it knows, if that was missing. The caller has checked the key. */
export function withSealKey(view: GroupView, hash: Uint8Array, sealKey: Secret): GroupView {
  if (equal(hash, view.state.hash)) return view.sealKey === undefined ? { ...view, sealKey } : view;
  const isMissing = (epoch: PastEpoch): boolean => epoch.sealKey === undefined && equal(epoch.hash, hash);
  if (!view.past.some(isMissing)) return view;
  return { ...view, past: view.past.map((epoch) => (isMissing(epoch) ? { ...epoch, sealKey } : epoch)) };
}
