// The first state that a device sees of a group. Always true of what it gives: an admin by that state has signed it, it names this
// device's account and key, and its seal key is its own. What a device has seen before is never given up for an older state.
import type { Time } from "@lethe/protocol";
import {
  accountFingerprint,
  type GroupMember,
  type GroupSigner,
  type GroupState,
  type GroupStateBody,
  memberOf,
  parseGroupState,
} from "./group-state.ts";
import {
  compareHashes,
  type GroupStateRefusal,
  type GroupView,
  isOtherKey,
  isSealKeyOf,
  pastOf,
  signerIn,
} from "./group-view.ts";
import type { Identity } from "./identity.ts";
import { total } from "./layout.ts";
import { equal } from "./primitives.ts";
import type { Secret } from "./secret.ts";

export interface JoiningGroup {
  readonly identity: Identity;
  readonly bytes: Uint8Array;
  readonly signer: GroupSigner;
  readonly sealKey: Secret;
  /** What this device has of the group from before it was removed; undefined where it knows nothing of it. */
  readonly known: GroupView | undefined;
  readonly now: Time;
}

export type JoinedGroup =
  | { readonly code: "ok"; readonly view: GroupView }
  | { readonly code: GroupStateRefusal };

/**
 * The first state that a device sees of a group: one that it has made, or was told by a member. That its signer may do what
 * was done before cannot be checked, so it must be an admin by the state itself. A device that has seen no more than its first
 * state is taken along when that one loses: by an admin of it, with the rival or with a later state.
 */
export function joinGroup({ identity, bytes, signer, sealKey, known, now }: JoiningGroup): JoinedGroup {
  const state = total(() => parseGroupState(bytes));
  if (state === undefined) return { code: "malformed" };
  const by = signerIn(state, state, signer);
  if (typeof by === "string") return { code: by };
  if (by.role !== "admin") return { code: "not-admin" };
  const refusal = known === undefined ? undefined : judgeReturn(known, state, by, identity);
  if (refusal !== undefined) return { code: refusal };
  if (!isSealKeyOf(state, sealKey)) return { code: "wrong-seal-key" };
  if (!names(state, identity)) return { code: "not-a-member" };
  const past = known === undefined ? [] : pastOf(known, names(known.state, identity) ? "lost" : "ended", now);
  const removed = { removedAt: state.epoch, removedBefore: state.epoch };
  return { code: "ok", view: { state, before: undefined, sealKey, past, ...removed } };
}

/** Who was removed comes back with any later state; who is in the group goes on from the state it has. */
function judgeReturn(
  known: GroupView,
  next: GroupState,
  by: GroupMember,
  identity: Identity,
): GroupStateRefusal | undefined {
  const { state, before } = known;
  if (next.group !== state.group) return "wrong-group";
  const isIn = names(state, identity);
  if (isIn && (before !== undefined || equal(next.hash, state.hash))) return "already-joined";
  if (next.epoch < state.epoch || (!isIn && next.epoch === state.epoch)) return "old-epoch";
  if (!isIn) return undefined;
  const was = memberOf(state, by.account);
  if (was?.role !== "admin" || isOtherKey(was, by)) return "not-admin";
  return next.epoch === state.epoch && compareHashes(state.hash, next.hash) < 0 ? "lost" : undefined;
}

function names(state: GroupStateBody, { certificate }: Identity): boolean {
  const self = memberOf(state, certificate.account);
  return self !== undefined && equal(self.fingerprint, accountFingerprint(certificate.accountKey));
}
