// What the attacks on groups are made with: envelopes and announcements of the attacker's choice, and what opens with which key.
import { fromBytes, type GroupEnvelopeId } from "@lethe/protocol";
import { expect } from "vitest";
import { stepChain } from "../../crypto/group-chain.ts";
import { type GroupHead, type OpenGroupSeal, openGroupSeal, sealGroup } from "../../crypto/group-envelope.ts";
import {
  acceptGroupState,
  decodeTold,
  encodeGroupView,
  encodeTold,
  envelopeIdFor,
  type GroupState,
  type MadeGroupState,
  Secret,
  senderKeys,
  type ToldChain,
} from "../../crypto/index.ts";
import { type GroupStateBody, makeGroupState } from "../../crypto/group-state.ts";
import { LABELS } from "../../crypto/labels.ts";
import { pad } from "../../crypto/padding.ts";
import { ed25519Sign, hmacSha512 } from "../../crypto/primitives.ts";
import { letheSuite } from "../../crypto/suite.ts";
import { type GroupDevice, type GroupMail, groupOf } from "./group-world.ts";
import { START, text } from "./support.ts";

export type Three = [GroupDevice, GroupDevice, GroupDevice];
export const three = (seed: number): Three => groupOf(seed, 3).people as Three;

export function everybody(people: readonly GroupDevice[], made: Parameters<GroupDevice["take"]>[0]): void {
  for (const each of people) expect(each.take(made)).toMatch(/^(newer|joined)$/);
}

/** What `from` would tell now, with anything in it changed. */
export function announcement(
  from: GroupDevice,
  to: GroupDevice,
  change: Partial<ToldChain> = {},
): Uint8Array {
  const made = senderKeys.tell({ ...from.inGroup(), own: from.keys, devices: [to.address] });
  const told = made.code === "ok" ? decodeTold(made.told) : undefined;
  if (told?.kind !== "chain") throw new Error(made.code);
  return encodeTold({ ...told, ...change });
}

export interface Forging {
  readonly head?: Partial<GroupHead>;
  readonly n?: number;
  /** Whose chain's key signs, if not the forger's own. */
  readonly signer?: GroupDevice;
  readonly padded?: Uint8Array;
  readonly messageKey?: Uint8Array;
  /** The epoch whose seal is used, if not the current one. */
  readonly view?: GroupDevice["group"];
}

/** A group envelope of the attacker's choice, right in everything else, made with the forger's keys. */
export function forge(by: GroupDevice, forging: Forging = {}): GroupMail {
  const groupEnvelope = fromBytes<GroupEnvelopeId>(by.random.bytes(16));
  const view = forging.view ?? by.group;
  const step = stepChain(by.keys.chain);
  if (step === undefined || view.sealKey === undefined) throw new Error("no keys");
  const head = { sender: by.address, chain: by.keys.chain.id, n: step.n, ...forging.head };
  const ciphertext = sealGroup({
    view: { ...view, sealKey: view.sealKey },
    groupEnvelope,
    head,
    random: by.random,
    signed(context) {
      const padded = forging.padded ?? pad(Uint8Array.of(1, ...text("forged")));
      const message = letheSuite.seal(forging.messageKey ?? step.key, [context], padded, by.random);
      const seed = (forging.signer ?? by).keys.chain.signingSeed.reveal();
      return { message, signature: ed25519Sign(seed, LABELS.signGroupMessage, context, message) };
    },
  });
  return { groupEnvelope, ciphertext };
}

/** Reads it, and checks that a refusal changes no chain and takes no step. */
export function refused(by: GroupDevice, mail: GroupMail): string {
  const before = [...by.theirs.values()].map(senderKeys.encodeTheirs);
  const code = by.read(mail);
  expect([...by.theirs.values()].map(senderKeys.encodeTheirs)).toEqual(before);
  return code;
}

/** A group envelope without its seal, to somebody who has the seal key. */
export function sealOf({ groupEnvelope, ciphertext }: GroupMail, by: GroupDevice): OpenGroupSeal {
  const envelope = envelopeIdFor(groupEnvelope, by.address);
  const seal = openGroupSeal({ view: by.group, ciphertext, envelope, recipient: by.address });
  if (typeof seal === "string") throw new Error(seal);
  return seal;
}

/** What a chain key opens of a message, by any of the next 50 keys that it leads to. */
export function opensWith(chainKey: Uint8Array, ad: Uint8Array[], message: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = [];
  let key = chainKey;
  for (let i = 0; i < 50; i++) {
    const out = hmacSha512(key, LABELS.groupChain);
    const opened = letheSuite.open(out.slice(32), ad, message);
    if (opened !== undefined) found.push(opened);
    key = out.slice(0, 32);
  }
  return found;
}

/** A state of the attacker's choice, signed with this device's key. */
export function forgedState(
  signer: GroupDevice,
  said: GroupState,
  change: Partial<GroupStateBody>,
): MadeGroupState {
  const body = { ...said, epoch: said.epoch + 1, previousHash: said.hash, signer: signer.address, ...change };
  const state = makeGroupState(body, signer.identity.signingSeed.reveal());
  return { code: "ok", state, sealKey: new Secret(new Uint8Array(32)) };
}

/** Takes a state without its seal key, and checks that a refusal changes nothing. */
export function judge(device: GroupDevice, { state }: { state: GroupState }, signer: GroupDevice): string {
  const before = encodeGroupView(device.group);
  const { certificate } = signer.identity;
  const asked = { view: device.group, bytes: state.bytes, sealKey: undefined, now: START };
  const accepted = acceptGroupState({ ...asked, signer: certificate });
  expect(encodeGroupView(device.group)).toEqual(before);
  return accepted.code === "ok" ? accepted.how : accepted.code;
}
