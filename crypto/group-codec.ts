// How a group's states stand in bytes for one's own encrypted store: total and canonical, with a layout version and every
// count under its cap. Signatures were verified before a state went in.
import {
  type Codec,
  type DeviceAddress,
  decodeAll,
  deviceAddress,
  deviceNumber,
  list,
  MAX_DEVICES,
  MalformedError,
  oneOf,
  optional,
  struct,
  time,
  u32,
} from "@lethe/protocol";
import { chainIdCodec, type ReceivingChain, type SendingChain } from "./group-chain.ts";
import type { SenderChains } from "./group-senders.ts";
import { GROUP_HASH_BYTES, groupIdCodec, parseGroupState } from "./group-state.ts";
import { stateRef } from "./group-told.ts";
import { type GroupView, isSealKeyOf } from "./group-view.ts";
import { blob, encode, formatByte, octets, secret } from "./layout.ts";
import {
  MAX_CHAIN,
  MAX_GROUP_MEMBERS,
  MAX_GROUP_STATE_BYTES,
  MAX_PAST_EPOCHS,
  MAX_SENDER_CHAINS,
  MAX_SKIPPED,
  TAG_RING,
} from "./limits.ts";
import { ed25519Public, equal } from "./primitives.ts";

/** Devices that can hold a chain: all of the largest group. */
const MAX_HOLDERS = MAX_GROUP_MEMBERS * MAX_DEVICES;

const pastEpoch = struct({
  epoch: u32,
  hash: octets(GROUP_HASH_BYTES),
  sealKeyHash: octets(GROUP_HASH_BYTES),
  sealKey: optional(secret(32)),
  endedAt: time,
  how: oneOf({ ended: 0, lost: 1 }),
});

const view = struct({
  format: formatByte(1),
  state: blob(MAX_GROUP_STATE_BYTES),
  before: optional(blob(MAX_GROUP_STATE_BYTES)),
  sealKey: optional(secret(32)),
  past: list(pastEpoch, MAX_PAST_EPOCHS),
  removedAt: u32,
  removedBefore: u32,
});

/** A group as bytes: up to 102 KB for the largest, and 114 for each past epoch. */
export function encodeGroupView(group: GroupView): Uint8Array {
  const { state, before, past } = group;
  const said = { ...group, format: undefined, state: state.bytes, before: before?.bytes, past: [...past] };
  return encode(view, said, state.bytes.length + (before?.bytes.length ?? 0) + 120 * past.length + 128);
}

/** @throws MalformedError also where the parts do not belong together. */
export function decodeGroupView(bytes: Uint8Array): GroupView {
  const { format: _, state: current, before: previous, ...rest } = decodeAll(view, bytes);
  const state = parseGroupState(current);
  const before = previous === undefined ? undefined : parseGroupState(previous);
  const belongs =
    (before === undefined || (before.group === state.group && equal(before.hash, state.previousHash))) &&
    (rest.sealKey === undefined || isSealKeyOf(state, rest.sealKey)) &&
    rest.past.every((past) => past.sealKey === undefined || isSealKeyOf(past, past.sealKey)) &&
    rest.removedBefore <= rest.removedAt &&
    rest.removedAt <= state.epoch;
  if (!belongs) throw new MalformedError(); // a group whose parts do not belong together
  return { state, before, ...rest };
}

const sendingChain = struct({
  id: chainIdCodec,
  key: secret(32),
  next: u32,
  signingSeed: secret(32),
  signingKey: octets(32),
  madeIn: stateRef,
  createdAt: time,
  ownDevices: list(deviceNumber, MAX_DEVICES, 1),
});

const own = struct({
  format: formatByte(1),
  chain: sendingChain,
  holders: list(deviceAddress, MAX_HOLDERS),
});

interface OwnKeys {
  readonly chain: SendingChain;
  readonly holders: ReadonlySet<DeviceAddress>;
}

/** One's own chain and its holders as bytes: 250, and 18 for each holder. Holders stand in ascending order. */
export function encodeOwnKeys({ chain, holders }: OwnKeys): Uint8Array {
  const said = { ...chain, ownDevices: [...chain.ownDevices] };
  const sorted = [...holders].toSorted((a, b) => (a < b ? -1 : 1));
  return encode(own, { format: undefined, chain: said, holders: sorted }, 512 + 18 * holders.size);
}

/** @throws MalformedError */
export function decodeOwnKeys(bytes: Uint8Array): OwnKeys {
  const { chain, holders } = decodeAll(own, bytes);
  const ascends = (items: readonly (string | number)[]): boolean =>
    items.every((item, i) => i === 0 || item > (items[i - 1] as string | number));
  const orderly =
    chain.next <= MAX_CHAIN + 1 &&
    ascends(holders) &&
    ascends(chain.ownDevices) &&
    equal(ed25519Public(chain.signingSeed.reveal()), chain.signingKey);
  if (!orderly) throw new MalformedError(); // a chain that cannot be
  return { chain, holders: new Set(holders) };
}

const receivingChain = struct({
  id: chainIdCodec,
  signingKey: octets(32),
  key: secret(32),
  next: u32,
  lostBelow: u32,
  skipped: list(struct({ n: u32, key: secret(32), since: time }), MAX_SKIPPED),
  tags: list(struct({ n: u32, tag: octets(8) }), TAG_RING),
  toldIn: stateRef,
  replacedAt: optional(time),
}) as Codec<ReceivingChain>;

const theirs = struct({
  format: formatByte(1),
  group: groupIdCodec,
  sender: deviceAddress,
  chains: list(receivingChain, MAX_SENDER_CHAINS),
});

/** Another device's chains as bytes: about 900 for each with its tags, and 44 for each key that is kept. */
export function encodeSenderChains(senders: SenderChains): Uint8Array {
  const kept = senders.chains.reduce((sum, { skipped }) => sum + skipped.length, 0);
  return encode(theirs, { format: undefined, ...senders, chains: [...senders.chains] }, 4_096 + 44 * kept);
}

/** @throws MalformedError */
export function decodeSenderChains(bytes: Uint8Array): SenderChains {
  const { group, sender, chains } = decodeAll(theirs, bytes);
  const kept = chains.reduce((sum, { skipped }) => sum + skipped.length, 0);
  const orderly =
    kept <= MAX_SKIPPED &&
    new Set(chains.map(({ id }) => id)).size === chains.length &&
    chains.every(isOrderly) &&
    chains.every(({ replacedAt }, i) => (replacedAt === undefined) === (i === chains.length - 1));
  if (!orderly) throw new MalformedError(); // chains that cannot be
  return { group, sender, chains };
}

function isOrderly({ next, lostBelow, skipped }: ReceivingChain): boolean {
  const ascends = skipped.every(
    ({ n }, i) => n < next && (i === 0 || n > (skipped[i - 1] as { n: number }).n),
  );
  return next <= MAX_CHAIN + 1 && lostBelow <= next && ascends;
}
