// PQXDH (Signal, revision 3) with X25519 and ML-KEM-768, and with the whole transcript in the key derivation: both
// identities, every public key, the KEM key and its ciphertext. Pure; secrets in between are wiped.
import {
  type AccountId,
  accountId,
  bytes,
  type DeviceNumber,
  deviceNumber,
  MalformedError,
} from "@lethe/protocol";
import { type Codec, fromBytes, struct } from "@lethe/protocol";
import type { Certificate } from "./certificate.ts";
import { LABELS } from "./labels.ts";
import { encode, ed25519Key, kemKey, octets, x25519Key } from "./layout.ts";
import { PREKEY_ID_BYTES, type PrekeyId } from "./prekeys.ts";
import { Secret } from "./secret.ts";
import type { RatchetId } from "./state.ts";
import { blake2b, hkdfSha512, KEM_CIPHERTEXT_BYTES, sha512 } from "./primitives.ts";

/** What a first message says of the key agreement. */
export interface Prelude {
  /** E_A. */
  readonly ephemeral: Uint8Array;
  readonly signed: PrekeyId;
  readonly oneTime: PrekeyId | undefined;
  readonly kem: PrekeyId;
  readonly ciphertext: Uint8Array;
}

const prekeyId: Codec<PrekeyId> = {
  read: (r) => r.binary(PREKEY_ID_BYTES) as PrekeyId,
  write: (w, v) => w.binary(v),
};

const NO_ID = "\0".repeat(PREKEY_ID_BYTES) as PrekeyId;

/** One length whether there is one or not: a flag, and 8 bytes that are 0 where there is none. */
const maybePrekeyId: Codec<PrekeyId | undefined> = {
  read(r) {
    const flag = r.u8();
    const id = prekeyId.read(r);
    if (flag > 1 || (flag === 0 && id !== NO_ID)) throw new MalformedError(); // neither absent nor present
    return flag === 0 ? undefined : id;
  },
  write(w, v) {
    w.u8(v === undefined ? 0 : 1);
    prekeyId.write(w, v ?? NO_ID);
  },
};

export const prelude = struct({
  ephemeral: x25519Key,
  signed: prekeyId,
  oneTime: maybePrekeyId,
  kem: prekeyId,
  ciphertext: octets(KEM_CIPHERTEXT_BYTES),
});
export const PRELUDE_BYTES = 33 + 8 + 9 + 8 + KEM_CIPHERTEXT_BYTES;

/** The public side of one key agreement, the same for both parties. */
export interface Transcript {
  readonly initiator: Party;
  readonly responder: Party;
  /** E_A, SPK_B, OPK_B. */
  readonly ephemeral: Uint8Array;
  readonly signed: Uint8Array;
  readonly oneTime: Uint8Array | undefined;
  /** PQOPK_B or PQSPK_B, and the ciphertext for it. */
  readonly kem: Uint8Array;
  readonly ciphertext: Uint8Array;
}
export type Party = Pick<Certificate, "account" | "device" | "accountKey" | "signingKey" | "dhKey">;

/** DH1 to DH4 in order, and SS. */
export interface SharedSecrets {
  readonly dhs: readonly Uint8Array[];
  readonly kem: Uint8Array;
}

/** What comes out. */
export interface Agreement {
  readonly root: Secret;
  readonly headerKey: Secret;
  readonly id: RatchetId;
  readonly ad: Uint8Array;
}

const SUITE = new TextEncoder().encode("X25519 ML-KEM-768 HKDF-SHA-512 XChaCha20-Poly1305");
const party: Codec<Party> = struct({
  account: accountId as Codec<AccountId>,
  device: deviceNumber as Codec<DeviceNumber>,
  accountKey: ed25519Key,
  signingKey: ed25519Key,
  dhKey: x25519Key,
});
const field = bytes(2_048);
const fields = struct({
  suite: field,
  initiator: field,
  responder: field,
  ephemeral: field,
  signed: field,
  oneTime: field,
  kem: field,
  ciphertext: field,
});

/** th = SHA-512(P/pqxdh-transcript | fields), every field behind its length; an absent OPK is an empty field. */
export function transcriptHash(said: Transcript): Uint8Array {
  const encoded = encode(
    fields,
    {
      suite: SUITE,
      initiator: encode(party, said.initiator),
      responder: encode(party, said.responder),
      ephemeral: encode(x25519Key, said.ephemeral),
      signed: encode(x25519Key, said.signed),
      oneTime: said.oneTime === undefined ? new Uint8Array(0) : encode(x25519Key, said.oneTime),
      kem: encode(kemKey, said.kem, 2_048),
      ciphertext: said.ciphertext,
    },
    4_096,
  );
  return sha512(LABELS.pqxdhTranscript, encoded);
}

const SALT = new Uint8Array(64);
/** F of PQXDH section 2.2: 32 bytes 0xFF for X25519. */
const F = new Uint8Array(32).fill(0xff);

/** okm = HKDF-SHA-512(0, F | DH1 | DH2 | DH3 [| DH4] | SS, P/pqxdh | th, 112). Wipes the shared secrets. */
export function agree(secrets: SharedSecrets, said: Transcript): Agreement {
  const info = [LABELS.pqxdh, transcriptHash(said)];
  const okm = hkdfSha512({ salt: SALT, ikm: [F, ...secrets.dhs, secrets.kem], info, length: 112 });
  for (const secret of [...secrets.dhs, secrets.kem]) secret.fill(0);
  const agreement = {
    root: new Secret(okm.slice(0, 32)),
    headerKey: new Secret(okm.slice(32, 64)),
    id: fromBytes<RatchetId>(okm.subarray(64, 80)),
    ad: okm.slice(80, 112),
  };
  okm.fill(0);
  return agreement;
}

/** What is kept of a first message that used a last-resort key: 16 bytes, one character a byte. */
export function replayTagOf(said: Prelude): string {
  const tuple = encode(struct({ kem: prekeyId, signed: prekeyId, ephemeral: x25519Key }), said);
  return fromBytes<string>(blake2b(16, LABELS.replayTag, tuple));
}
