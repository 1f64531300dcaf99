// PQXDH with the transcript bound: "Key agreement" of crypto/README.md.
import { ascii, type Bytes, E, Fields, join, L, lv32, M, u8, X } from "./bytes.ts";
import { addr, type Party } from "./keys.ts";
import { hkdfSha512, sha512 } from "./primitives.ts";

const SUITE = ascii("X25519 ML-KEM-768 HKDF-SHA-512 XChaCha20-Poly1305");
const NOTHING = new Uint8Array(0);

export interface Transcript {
  readonly A: Party;
  readonly B: Party;
  readonly E_A: Bytes;
  readonly SPK_B: Bytes;
  readonly OPK_B: Bytes | undefined;
  readonly ek: Bytes;
  readonly ct: Bytes;
}

const party = ({ account, device, AK, DS, DI }: Party): Bytes =>
  join(addr(account, device), E(AK), E(DS), X(DI));

export function transcriptHash({ A, B, E_A, SPK_B, OPK_B, ek, ct }: Transcript): Bytes {
  const opk = OPK_B === undefined ? NOTHING : X(OPK_B);
  const fields = [SUITE, party(A), party(B), X(E_A), X(SPK_B), opk, M(ek), ct];
  return sha512(L("pqxdh-transcript"), ...fields.map(lv32));
}

export interface Agreed {
  readonly root: Bytes;
  readonly headerKey: Bytes;
  readonly id: Bytes;
  readonly AD0: Bytes;
}

/** `secrets`: DH1, DH2, DH3, DH4 if there is one, SS. */
export function agree(secrets: readonly Bytes[], transcript: Transcript): Agreed {
  const ikm = join(new Uint8Array(32).fill(0xff), ...secrets);
  const info = join(L("pqxdh"), transcriptHash(transcript));
  const okm = hkdfSha512(new Uint8Array(64), ikm, info, 112);
  return {
    root: okm.slice(0, 32),
    headerKey: okm.slice(32, 64),
    id: okm.slice(64, 80),
    AD0: okm.slice(80, 112),
  };
}

/** What every message of the initiator carries until the first reply. */
export interface Prelude {
  readonly E_A: Bytes;
  readonly signed: Bytes;
  readonly oneTime: Bytes | undefined;
  readonly kem: Bytes;
  readonly ct: Bytes;
}

export function writePrelude({ E_A, signed, oneTime, kem, ct }: Prelude): Bytes {
  const maybe = oneTime === undefined ? new Uint8Array(9) : join(u8(1), oneTime);
  return join(X(E_A), signed, maybe, kem, ct);
}

export function readPrelude(bytes: Bytes): Prelude {
  const fields = new Fields(bytes);
  const [E_A, signed, has] = [fields.key(1), fields.take(8), fields.number(1)];
  const [oneTime, kem, ct] = [fields.take(8), fields.take(8), fields.take(1_088)];
  fields.end();
  return { E_A, signed, oneTime: has === 1 ? oneTime : undefined, kem, ct };
}
