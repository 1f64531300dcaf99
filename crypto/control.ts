// What two libraries say to each other about ratchets and keys: the plaintext of envelopes of content class `control`,
// which no person sees. Always true: a control message is believed only when it was opened, so it is its sender's; it
// is never answered by another one; its size is capped, and of one bucket.
import {
  binary,
  type Codec,
  type EnvelopeId,
  envelopeId,
  fixed,
  list,
  MalformedError,
  struct,
} from "@lethe/protocol";
import { decodeAll } from "@lethe/protocol";
import { ACCESS_KEY_BYTES } from "./identity.ts";
import { encode, octets, total } from "./layout.ts";
import type { RatchetId } from "./state.ts";

/** Envelope ids in one request: what the smallest padding bucket holds beside the rest. */
export const MAX_RESEND_IDS = 10;

/** `resend`: what could not be opened, to be sent again over the ratchet that this came on. */
export interface ResendRequest {
  readonly kind: "resend";
  /** The ratchet that failed; undefined where the message named none that is known. */
  readonly ratchet: RatchetId | undefined;
  /** The ratchet key in the header that failed, 32 bytes. */
  readonly ratchetKey: Uint8Array;
  readonly envelopes: readonly EnvelopeId[];
}

/** `access-key`: the sender's new delivery access key, 16 bytes. */
export interface AccessKeyNotice {
  readonly kind: "access-key";
  readonly accessKey: Uint8Array;
}

export type Control = ResendRequest | AccessKeyNotice;

const KIND = { resend: 1, "access-key": 2 } as const;
const NO_RATCHET = "\0".repeat(16);
const resend = struct({
  ratchet: binary<RatchetId>(16, "ratchet id, or zeros"),
  ratchetKey: octets(32),
  envelopes: list(envelopeId, MAX_RESEND_IDS, 1),
});
const notice = struct({ accessKey: fixed(ACCESS_KEY_BYTES) });

/** A u8 kind and what it tells. */
const control: Codec<Control> = {
  read(r) {
    const kind = r.u8();
    if (kind === KIND.resend) {
      const { ratchet, ...said } = resend.read(r);
      return { kind: "resend", ratchet: ratchet === NO_RATCHET ? undefined : ratchet, ...said };
    }
    if (kind !== KIND["access-key"]) throw new MalformedError(); // unknown control message
    return { kind: "access-key", accessKey: notice.read(r).accessKey.slice() };
  },
  write(w, v) {
    w.u8(KIND[v.kind]);
    if (v.kind === "access-key") return notice.write(w, v);
    const { ratchet = NO_RATCHET as RatchetId, ratchetKey, envelopes } = v;
    resend.write(w, { ratchet, ratchetKey, envelopes: [...envelopes] });
  },
};

export function encodeControl(said: Control): Uint8Array {
  return encode(control, said);
}

/** Undefined where it is malformed, or of a kind that this version does not know. */
export function decodeControl(plaintext: Uint8Array): Control | undefined {
  return total(() => decodeAll(control, plaintext));
}
