// The chains of one sending device in one group, as this device was told them by it. Always true: at most three, oldest
// first, of different ids; a chain that is known is never set back, and its key never changed, by being told again.
import { accountOf, type DeviceAddress, type Time } from "@lethe/protocol";
import { type ChainId, dropSkipped, type ReceivingChain } from "./group-chain.ts";
import { checkRoster, type GroupRoster } from "./group-roster.ts";
import { type GroupId, memberOf } from "./group-state.ts";
import type { ToldChain } from "./group-told.ts";
import { type GroupView, isSealKeyOf, withSealKey } from "./group-view.ts";
import { MAX_SENDER_CHAINS, MAX_SKIPPED, SENDER_CHAIN_LIFETIME_MS } from "./limits.ts";
import { equal } from "./primitives.ts";

export interface SenderChains {
  readonly group: GroupId;
  readonly sender: DeviceAddress;
  /** Oldest first. */
  readonly chains: readonly ReceivingChain[];
}

/** Why a chain that was told is refused. */
export type ChainToldRefusal =
  /** It is announced as that of another device than the one that tells it. */
  | "wrong-sender"
  | "wrong-group"
  /** Told in a state that is not known yet: to be kept until it is. */
  | "unknown-state"
  /** Told in a state of a known epoch that is not the one known. */
  | "forked"
  /** Told in a state that was forgotten. */
  | "old-epoch"
  | "not-a-member"
  /** Not in its account's newest list. */
  | "untrusted-device"
  | "wrong-seal-key"
  /** A chain of that id is known, with another signing key. */
  | "chain-reused";

export type HeardChain =
  /** `known`: nothing new but, maybe, the seal key. */
  | {
      readonly code: "ok" | "known";
      readonly senders: SenderChains;
      readonly view: GroupView;
    }
  | { readonly code: ChainToldRefusal };

export interface HearingChain {
  readonly view: GroupView;
  readonly roster: GroupRoster;
  /** What is known of the teller's chains in that group; undefined for nothing. */
  readonly senders: SenderChains | undefined;
  readonly told: ToldChain;
  /** The device that the pairwise ratchet has proved. */
  readonly teller: DeviceAddress;
  readonly now: Time;
}

/** Takes a chain from the device whose it is. */
export function hearChain({ view, roster, senders, told, teller, now }: HearingChain): HeardChain {
  checkRoster(view, roster);
  if (told.sender !== teller) return { code: "wrong-sender" };
  const { group } = view.state;
  if (told.group !== group) return { code: "wrong-group" };
  const known = senders ?? { group, sender: teller, chains: [] };
  if (known.group !== group || known.sender !== teller) throw new RangeError(); // chains of another device
  if (memberOf(view.state, accountOf(teller)) === undefined) return { code: "not-a-member" };
  if (!roster.listed.has(teller)) return { code: "untrusted-device" };
  const epoch = epochOf(view, told);
  if (typeof epoch === "string") return { code: epoch };
  if (!isSealKeyOf(epoch, told.sealKey)) return { code: "wrong-seal-key" };
  const informed = withSealKey(view, epoch.hash, told.sealKey);
  const same = known.chains.find(({ id }) => id === told.chain);
  if (same === undefined) return { code: "ok", senders: withChain(known, told, now), view: informed };
  if (!equal(same.signingKey, told.signingKey)) return { code: "chain-reused" };
  return { code: "known", senders: known, view: informed };
}

/** The epoch that a chain was told in, of those that are known. */
function epochOf(
  { state, past }: GroupView,
  { state: said }: ToldChain,
): GroupView["state"] | GroupView["past"][number] | "unknown-state" | "forked" | "old-epoch" {
  if (said.epoch > state.epoch) return "unknown-state";
  const known = [state, ...past].filter(({ epoch }) => epoch === said.epoch);
  if (known.length === 0) return "old-epoch";
  return known.find(({ hash }) => equal(hash, said.hash)) ?? "forked";
}

function withChain(known: SenderChains, told: ToldChain, now: Time): SenderChains {
  const added: ReceivingChain = {
    id: told.chain,
    signingKey: told.signingKey,
    key: told.key,
    next: told.n,
    lostBelow: told.n,
    skipped: [],
    tags: [],
    toldIn: told.state,
    replacedAt: undefined,
  };
  const before = known.chains.map((chain) => ({ ...chain, replacedAt: chain.replacedAt ?? now }));
  return tidyChains({ ...known, chains: [...before, added] }, now);
}

/** The chains with one of them advanced. */
export function withAdvanced(known: SenderChains, advanced: ReceivingChain, now: Time): SenderChains {
  const chains = known.chains.map((chain) => (chain.id === advanced.id ? advanced : chain));
  return tidyChains({ ...known, chains }, now);
}

export function chainOf({ chains }: SenderChains, id: ChainId): ReceivingChain | undefined {
  return chains.find((chain) => chain.id === id);
}

/** Without chains and keys past their time or over their number, the oldest first. */
export function tidyChains(known: SenderChains, now: Time): SenderChains {
  const alive = known.chains.filter(
    ({ replacedAt }) => replacedAt === undefined || now < replacedAt + SENDER_CHAIN_LIFETIME_MS,
  );
  const kept = alive.slice(-MAX_SENDER_CHAINS);
  let over = kept.reduce((sum, { skipped }) => sum + skipped.length, 0) - MAX_SKIPPED;
  const chains = kept.map((chain) => {
    const tidied = dropSkipped(chain, Math.max(0, over), now);
    over -= chain.skipped.length - tidied.skipped.length;
    return tidied;
  });
  return { ...known, chains };
}
