// Sending between two devices: starting a ratchet from a verified bundle, and sealing messages with it. Pure: the state
// given is not changed, the state returned is to be committed together with the ciphertext, before it is sent.
import { encode } from "./layout.ts";
import { type EnvelopeId, type Time, joined } from "@lethe/protocol";
import type { VerifiedBundle } from "./bundle.ts";
import { packContent } from "./content.ts";
import { isCurrent } from "./device-list.ts";
import { startSending, stepSending } from "./double-ratchet.ts";
import { type ContentKind, introduce, seal, viewOf } from "./envelope.ts";
import { writeHeader } from "./header.ts";
import { addressOfIdentity, currentSealing, type Identity } from "./identity.ts";
import { MAX_PLAINTEXT_BYTES, RENEW_AFTER_MESSAGES, RENEW_AFTER_MS } from "./limits.ts";
import { hasForgotten } from "./past-chains.ts";
import { isListed, type PeerDevice } from "./peer.ts";
import { agree, PRELUDE_BYTES, prelude, type Transcript } from "./pqxdh.ts";
import type { Random } from "./random.ts";
import { kemEncapsulate, x25519, x25519Base } from "./primitives.ts";
import type { Ratchet, Replaced } from "./state.ts";
import { letheSuite } from "./suite.ts";

export interface StartingRatchet {
  readonly identity: Identity;
  readonly bundle: VerifiedBundle;
  /** What the new ratchet takes the place of (`replacement`); undefined where there is none with that device. */
  readonly replaces?: Replaced | undefined;
  readonly random: Random;
  readonly now: Time;
}

/** `bad-key`: a key of the bundle is not one (KEM modulus check, small order); another bundle is needed. */
export type Started = { readonly code: "ok"; readonly ratchet: Ratchet } | { readonly code: "bad-key" };

/** PQXDH as the initiator (section 3.3, with the transcript bound). About 1.5 ms. */
export function startRatchet({ identity, bundle, replaces, random, now }: StartingRatchet): Started {
  const { peer, signed, oneTime, kem } = bundle;
  const secret = random.bytes(32);
  const ephemeral = x25519Base(secret);
  const dhs = [
    x25519(identity.dhSecret.reveal(), signed.key),
    x25519(secret, peer.certificate.dhKey),
    x25519(secret, signed.key),
    ...(oneTime === undefined ? [] : [x25519(secret, oneTime.key)]),
  ].filter((dh) => dh !== undefined);
  secret.fill(0);
  const wrapped = kemEncapsulate(kem.key, random.bytes(32));
  if (wrapped === undefined || dhs.length !== (oneTime === undefined ? 3 : 4)) return { code: "bad-key" };
  const { ciphertext, shared } = wrapped;
  const transcript: Transcript = {
    initiator: identity.certificate,
    responder: peer.certificate,
    ephemeral,
    signed: signed.key,
    oneTime: oneTime?.key,
    kem: kem.key,
    ciphertext,
  };
  const agreed = agree({ dhs, kem: shared }, transcript);
  const said = { ephemeral, signed: signed.id, oneTime: oneTime?.id, kem: kem.id, ciphertext };
  const ratchet: Ratchet = {
    id: agreed.id,
    peer: peer.address,
    role: "initiator",
    standing: { at: "unconfirmed", prelude: encode(prelude, said, PRELUDE_BYTES) },
    headerKey: agreed.headerKey,
    ad: agreed.ad,
    createdAt: now,
    replaces,
    ended: undefined,
    unanswered: 0,
    peerKnows: { sealing: "", listVersion: 0 },
    core: startSending(agreed.root, signed.key),
  };
  return { code: "ok", ratchet };
}

export interface Encrypting {
  readonly identity: Identity;
  readonly ratchet: Ratchet;
  readonly peer: PeerDevice;
  /** At most `MAX_PLAINTEXT_BYTES`; padded here. */
  readonly plaintext: Uint8Array;
  readonly content: ContentKind;
  /** Chosen by the caller, random, new for each recipient device. */
  readonly envelope: EnvelopeId;
  readonly random: Random;
  readonly now: Time;
}

/**
 * `no-sealing-key`: the peer's is unknown or expired: fetch its bundle. `list-expired`: fetch its device list.
 * `device-not-listed`: its account has removed it. `wrong-peer`: the ratchet is with another device. `too-long`: over
 * the limit. `exhausted`: start a new ratchet.
 */
export type EncryptRefusal =
  | "no-sealing-key"
  | "list-expired"
  | "device-not-listed"
  | "wrong-peer"
  | "too-long"
  | "exhausted";

export type Encrypted =
  | { readonly code: "ok"; readonly ratchet: Ratchet; readonly ciphertext: Uint8Array }
  | { readonly code: EncryptRefusal };

/** Pads, encrypts and seals one message. Commit `ratchet` and `ciphertext` in one transaction before sending. */
export function encrypt(encrypting: Encrypting): Encrypted {
  const { identity, ratchet, peer, envelope, random } = encrypting;
  const refusal = refuse(encrypting);
  if (refusal !== undefined) return { code: refusal };
  const step = stepSending(letheSuite, ratchet.core, random);
  if (step === undefined) return { code: "exhausted" };
  const { standing } = ratchet;
  const first = standing.at === "unconfirmed";
  const head = {
    content: encrypting.content,
    sender: addressOfIdentity(identity),
    senderList: viewOf(identity.list),
    recipientList: viewOf(peer.list),
    opening: first
      ? { introduction: introduce(identity, ratchet.replaces), prelude: standing.prelude }
      : undefined,
  };
  const message = (context: Uint8Array): Uint8Array => {
    const fromInitiator = ratchet.role === "initiator";
    const header = writeHeader(ratchet, { counters: step.counters, first, fromInitiator });
    const padded = packContent(newsFor(encrypting), encrypting.plaintext, first);
    const sealed = letheSuite.seal(step.key, [ratchet.ad, header, context], padded, random);
    padded.fill(0);
    step.key.fill(0);
    return joined(header, sealed);
  };
  const ciphertext = seal({ identity, peer, envelope, head, random, message });
  if (ciphertext === undefined) return { code: "no-sealing-key" };
  const next = { ...ratchet, core: step.core, unanswered: ratchet.unanswered + 1 };
  return { code: "ok", ratchet: next, ciphertext };
}

function refuse({ ratchet, peer, plaintext, now }: Encrypting): EncryptRefusal | undefined {
  if (ratchet.peer !== peer.address) return "wrong-peer";
  if (plaintext.length > MAX_PLAINTEXT_BYTES) return "too-long";
  if (!isListed(peer, peer.list)) return "device-not-listed";
  if (!isCurrent(peer.list, now)) return "list-expired";
  if (peer.sealing === undefined || now >= peer.sealing.expiresAt) return "no-sealing-key";
  return undefined;
}

/** A first message carries all of it in its introduction. */
function newsFor({ identity, ratchet }: Encrypting) {
  if (ratchet.standing.at === "unconfirmed") return { sealing: undefined, deviceList: undefined };
  const current = currentSealing(identity).record;
  const { sealing, listVersion } = ratchet.peerKnows;
  return {
    sealing: current.id === sealing ? undefined : current,
    deviceList: listVersion >= identity.list.version ? undefined : identity.list.bytes,
  };
}

/** Whether a new ratchet should be started: 2,000 messages without a reply, 7 days old, or too many chains to know. */
export function isRenewalDue(ratchet: Ratchet, now: Time): boolean {
  if (hasForgotten(ratchet.core)) return true;
  return ratchet.unanswered >= RENEW_AFTER_MESSAGES || now >= ratchet.createdAt + RENEW_AFTER_MS;
}
