// PQXDH as the responder (section 3.4): from a first message and the private prekeys it names to a ratchet that is not
// kept until the message verifies. Order: certificate and list, sender tag, replay, prekeys, and only then the agreement.
import type { Time } from "@lethe/protocol";
import { certificateHash } from "./certificate.ts";
import { startReceiving } from "./double-ratchet.ts";
import { readIntroduction, tagIsGood } from "./envelope.ts";
import type { Identity } from "./identity.ts";
import { total } from "./layout.ts";
import type { FirstMessageNeeds, Fresh, NotOpened, Opening } from "./open.ts";
import { checkPeer, type PeerDevice, peerFrom } from "./peer.ts";
import { agree, type Prelude, type Transcript } from "./pqxdh.ts";
import { destroyAt, type PrekeyId, type PrekeyKind, type PrekeyRecord, publicKeyOf } from "./prekeys.ts";
import { kemDecapsulate, x25519 } from "./primitives.ts";
import type { Ratchet, Replaced } from "./state.ts";

export type Begun =
  | { readonly code: "ok"; readonly ratchet: Ratchet; readonly peer: PeerDevice; readonly fresh: Fresh }
  | NotOpened;

export function begin(opening: Opening, first: FirstMessageNeeds): Begun {
  const found = senderOf(opening);
  if (typeof found === "string") return { code: found, tagVerified: false };
  const { peer, firstSight, replaces } = found;
  if (!tagIsGood(peer.tagKey.reveal(), opening.envelope.seal))
    return { code: "bad-sender-tag", tagVerified: false };
  if (opening.replayed) return { code: "duplicate", tagVerified: true };
  const keys = prekeysFor(first.prelude, opening.prekeys, opening.now);
  if (keys === undefined) return { code: "key-expired", tagVerified: true };
  const ratchet = respond({ ...opening, peer, prelude: first.prelude, replaces, keys });
  if (ratchet === undefined) return { code: "malformed", tagVerified: true };
  return { code: "ok", ratchet, peer, fresh: { firstSight, ...spent(keys, first.replayTag) } };
}

/** The sender's device, from its introduction and what is known of it; or why it is not believed. */
function senderOf({ envelope, identity, peer, pinned }: Opening) {
  const { opening } = envelope.seal.head;
  const said = opening === undefined ? undefined : total(() => readIntroduction(opening.introduction));
  if (said === undefined) return "malformed";
  const account = pinned ?? peer;
  const { certificate: bytes, deviceList, replaces } = said;
  const asked = { certificate: bytes, deviceList, pinned: account, address: envelope.sender };
  const checked = checkPeer({ ...asked, older: "use-known" });
  if (checked.code === "malformed") return "malformed";
  if (checked.code !== "ok") return "untrusted-device";
  const { certificate, list } = checked;
  if (peer !== undefined && samePeer(peer, bytes))
    return { peer: { ...peer, list }, firstSight: false, replaces };
  if (peer !== undefined) return "untrusted-device";
  const found = peerFrom(identity, certificate, bytes, list);
  return found === undefined
    ? "untrusted-device"
    : { peer: found, firstSight: account === undefined, replaces };
}

/** A device number is never used again, so one address has one certificate for ever. */
function samePeer(peer: PeerDevice, certificateBytes: Uint8Array): boolean {
  const [known, said] = [certificateHash(peer.certificateBytes), certificateHash(certificateBytes)];
  return known.every((byte, i) => byte === said[i]);
}

interface OwnPrekeys {
  readonly signed: PrekeyRecord;
  readonly oneTime: PrekeyRecord | undefined;
  readonly kem: PrekeyRecord;
}

/** The private prekeys of a first message; undefined where one is gone, is of another kind, or is past its time. */
function prekeysFor(said: Prelude, records: readonly PrekeyRecord[], now: Time): OwnPrekeys | undefined {
  const find = (id: PrekeyId, ...kinds: PrekeyKind[]): PrekeyRecord | undefined =>
    records.find((record) => record.id === id && kinds.includes(record.kind) && now < destroyAt(record));
  const signed = find(said.signed, "signed");
  const kem = find(said.kem, "oneTimeKem", "lastResort");
  const oneTime = said.oneTime === undefined ? undefined : find(said.oneTime, "oneTime");
  if (signed === undefined || kem === undefined || (said.oneTime !== undefined && oneTime === undefined))
    return undefined;
  return { signed, oneTime, kem };
}

/** What a ratchet made with these keys uses up; with a last-resort key, the tag that its repeat is known by. */
function spent({ signed, oneTime, kem }: OwnPrekeys, replayTag: string): Omit<Fresh, "firstSight"> {
  const reusable = kem.kind === "lastResort";
  const consumed = [...(oneTime === undefined ? [] : [oneTime.id]), ...(reusable ? [] : [kem.id])];
  const until = Math.min(destroyAt(signed), destroyAt(kem)) as Time;
  return { consumed, replayTag: reusable ? { tag: replayTag, until } : undefined };
}

interface Responding {
  readonly identity: Identity;
  readonly peer: PeerDevice;
  readonly prelude: Prelude;
  readonly replaces: Replaced | undefined;
  readonly keys: OwnPrekeys;
  readonly now: Time;
}

function respond({ identity, peer, prelude, replaces, keys, now }: Responding): Ratchet | undefined {
  const { ephemeral, ciphertext } = prelude;
  const { signed, oneTime, kem } = keys;
  const dhs = [
    x25519(signed.secret.reveal(), peer.certificate.dhKey),
    x25519(identity.dhSecret.reveal(), ephemeral),
    x25519(signed.secret.reveal(), ephemeral),
    ...(oneTime === undefined ? [] : [x25519(oneTime.secret.reveal(), ephemeral)]),
  ].filter((dh) => dh !== undefined);
  const shared = kemDecapsulate(kem.secret.reveal(), ciphertext);
  if (shared === undefined || dhs.length !== (oneTime === undefined ? 3 : 4)) return undefined;
  const signedKey = publicKeyOf(signed);
  const transcript: Transcript = {
    initiator: peer.certificate,
    responder: identity.certificate,
    ephemeral,
    signed: signedKey,
    oneTime: oneTime === undefined ? undefined : publicKeyOf(oneTime),
    kem: publicKeyOf(kem),
    ciphertext,
  };
  const { id, headerKey, ad, root } = agree({ dhs, kem: shared }, transcript);
  return {
    id,
    peer: peer.address,
    role: "responder",
    standing: { at: "confirmed" },
    headerKey,
    ad,
    createdAt: now,
    replaces,
    ended: undefined,
    unanswered: 0,
    peerKnows: { sealing: "", listVersion: 0 },
    core: startReceiving(root, { secret: signed.secret, publicKey: signedKey }),
  };
}
