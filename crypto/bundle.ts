// A bundle: the prekeys that the relay hands out for one device. It is verified whole, every signature before any DH, and
// what has been verified is a type of its own: a ratchet cannot be started with anything else.
import { fromBytes, type Time } from "@lethe/protocol";
import { isCurrent } from "./device-list.ts";
import type { PeerDevice } from "./peer.ts";
import {
  type PrekeyId,
  type PrekeyRefusal,
  type PublicPrekey,
  readKem,
  readOneTime,
  readSigned,
} from "./prekeys.ts";
import { newestSealing, sealingRecordIsGood } from "./sealing-key.ts";

/** A prekey as it comes off the wire: an id of 8 bytes and the bytes that its owner uploaded. */
export interface PrekeyItem {
  readonly id: Uint8Array;
  readonly bytes: Uint8Array;
}

/** The fields of the frame `has-prekeys`. */
export interface Bundle {
  readonly signed: PrekeyItem;
  readonly lastResort: PrekeyItem;
  readonly oneTime: PrekeyItem | undefined;
  readonly oneTimeKem: PrekeyItem | undefined;
}

declare const verified: unique symbol;

/** A bundle whose signatures, ids, owner and times are good. */
export interface VerifiedBundle {
  readonly [verified]: true;
  readonly peer: PeerDevice;
  readonly signed: PublicPrekey;
  readonly oneTime: PublicPrekey | undefined;
  /** The one-time KEM prekey where there is one, else the last-resort one. */
  readonly kem: PublicPrekey;
}

export type BundleRefusal = PrekeyRefusal | "list-expired" | "bad-sealing-key";

export type BundleResult =
  | { readonly code: "ok"; readonly bundle: VerifiedBundle; readonly peer: PeerDevice }
  | { readonly code: BundleRefusal };

/**
 * Verifies a bundle against its device. `peer` in the answer has the bundle's sealing key: store it with the ratchet.
 * Refused whole if any part is bad, the parts that would not be used included.
 */
export function verifyBundle(input: {
  readonly peer: PeerDevice;
  readonly bundle: Bundle;
  readonly now: Time;
}): BundleResult {
  const { peer, bundle, now } = input;
  if (!isCurrent(peer.list, now)) return { code: "list-expired" };
  const { account, device, signingKey } = peer.certificate;
  const expecting = { account, device, signingKey, now };
  const signed = readSigned(bundle.signed.bytes, expecting);
  if (typeof signed === "string") return { code: signed };
  const lastResort = readKem("lastResort", bundle.lastResort.bytes, expecting);
  if (typeof lastResort === "string") return { code: lastResort };
  const oneTimeKem =
    bundle.oneTimeKem === undefined ? undefined : readKem("oneTimeKem", bundle.oneTimeKem.bytes, expecting);
  if (typeof oneTimeKem === "string") return { code: oneTimeKem };
  const oneTime = bundle.oneTime === undefined ? undefined : readOneTime(bundle.oneTime.bytes);
  if (typeof oneTime === "string") return { code: oneTime };
  const idsAreRight =
    named(bundle.signed, signed.prekey) &&
    named(bundle.lastResort, lastResort) &&
    (bundle.oneTime === undefined || named(bundle.oneTime, oneTime)) &&
    (bundle.oneTimeKem === undefined || named(bundle.oneTimeKem, oneTimeKem));
  if (!idsAreRight) return { code: "wrong-id" };
  if (now >= signed.sealing.expiresAt) return { code: "expired" };
  if (!sealingRecordIsGood(signed.sealing, expecting, signingKey, now)) return { code: "bad-sealing-key" };
  const withSealing = { ...peer, sealing: newestSealing(peer.sealing, signed.sealing) };
  return {
    code: "ok",
    bundle: {
      peer: withSealing,
      signed: signed.prekey,
      oneTime,
      kem: oneTimeKem ?? lastResort,
    } as VerifiedBundle,
    peer: withSealing,
  };
}

function named(item: PrekeyItem, prekey: PublicPrekey | undefined): boolean {
  return prekey !== undefined && fromBytes<PrekeyId>(item.id) === prekey.id;
}
