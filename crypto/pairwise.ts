// Sending between two devices: starting a ratchet from a verified bundle, and sealing messages with it. Pure: the state
// given is not changed, the state returned is to be committed together with the ciphertext, before it is sent.
import type { EnvelopeId, Time } from "@lethe/protocol";
import type { VerifiedBundle } from "./bundle.ts";
import type { Identity } from "./identity.ts";
import { RENEW_AFTER_MESSAGES, RENEW_AFTER_MS } from "./limits.ts";
import type { PeerDevice } from "./peer.ts";
import type { Random } from "./random.ts";
import type { Ratchet } from "./state.ts";

/**
 * What a message is to the ratchet layer; inside the seal, and bound to the ciphertext. `lasting`: worth asking for again
 * if it cannot be opened; `passing` (typing, receipts): not worth it; `control`: about the ratchets themselves, never
 * answered by a control message.
 */
export type ContentKind = "lasting" | "passing" | "control";

export interface StartingRatchet {
  readonly identity: Identity;
  readonly bundle: VerifiedBundle;
  readonly random: Random;
  readonly now: Time;
}

/** `bad-key`: a key of the bundle is not one (KEM modulus check, small order); another bundle is needed. */
export type Started = { readonly code: "ok"; readonly ratchet: Ratchet } | { readonly code: "bad-key" };

/** PQXDH as the initiator (section 3.3, with the transcript bound). About 1.5 ms. */
export function startRatchet(_starting: StartingRatchet): Started {
  throw new Error("not built yet");
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
 * `wrong-peer`: the ratchet is with another device. `too-long`: over the limit. `exhausted`: start a new ratchet.
 */
export type EncryptRefusal = "no-sealing-key" | "list-expired" | "wrong-peer" | "too-long" | "exhausted";

export type Encrypted =
  | { readonly code: "ok"; readonly ratchet: Ratchet; readonly ciphertext: Uint8Array }
  | { readonly code: EncryptRefusal };

/** Pads, encrypts and seals one message. Commit `ratchet` and `ciphertext` in one transaction before sending. */
export function encrypt(_encrypting: Encrypting): Encrypted {
  throw new Error("not built yet");
}

/** Whether a new ratchet should be started before the next message: 2,000 messages without a reply, or 7 days old. */
export function isRenewalDue(ratchet: Ratchet, now: Time): boolean {
  return ratchet.unanswered >= RENEW_AFTER_MESSAGES || now >= ratchet.createdAt + RENEW_AFTER_MS;
}
