// What can become of an envelope on the receiving side: one table of codes, and for each what the client decides. Every
// outcome is acknowledged to the relay: what cannot be opened now will not be openable later either.

/** What the client does with an envelope of this outcome, besides acknowledging it. */
export interface Policy {
  /** `deliver`: to the application; `silent`: nothing; `quarantine`: a row that says that something was lost. */
  readonly inbox: "deliver" | "silent" | "quarantine";
  /** Whether a resend may be asked for: only if the sender tag has verified as well. */
  readonly resend: boolean;
}

export const OUTCOMES = {
  /** Opened: the plaintext, the advanced ratchet and all that goes with it are committed together. */
  ok: { inbox: "deliver", resend: false },
  /** Opened before, or a first message whose replay tag is known. */
  duplicate: { inbox: "silent", resend: false },
  /** Not an envelope, a head or a header: nothing was decrypted. */
  malformed: { inbox: "quarantine", resend: false },
  /** Decrypted, and the content is no content: the ratchet in the outcome is committed all the same. */
  "malformed-content": { inbox: "quarantine", resend: false },
  /** The sealing layer does not open: for somebody else, or garbage. Anybody can make these. */
  "not-sealed-for-us": { inbox: "quarantine", resend: false },
  /** Sealed to, or started with, a key that is destroyed or unknown here; or a skipped key that was dropped. */
  "key-expired": { inbox: "quarantine", resend: true },
  /** The sender tag is not that of the device that the head names. */
  "bad-sender-tag": { inbox: "quarantine", resend: false },
  /** The sender's account key is not the pinned one, or its device is not in the newest list known. */
  "untrusted-device": { inbox: "quarantine", resend: false },
  /** No ratchet is known with that device, and the message starts none. */
  "unknown-session": { inbox: "quarantine", resend: true },
  /** No ratchet with that device has this header's key. */
  "header-mac": { inbox: "quarantine", resend: true },
  /** The header is the peer's and the body does not decrypt. */
  "aead-fail": { inbox: "quarantine", resend: true },
  /** More chain steps than `MAX_JUMP`. */
  "too-far": { inbox: "quarantine", resend: true },
  /** The same message number came before with another tag: the peer's store was restored or copied. */
  forked: { inbox: "quarantine", resend: true },
  /** On a ratchet that the peer has replaced, behind the end that it named: a copy of its store has sent it. */
  superseded: { inbox: "quarantine", resend: false },
} as const satisfies Readonly<Record<string, Policy>>;

export type OutcomeCode = keyof typeof OUTCOMES;

const RESENT: readonly OutcomeCode[] = [
  "key-expired",
  "unknown-session",
  "header-mac",
  "aead-fail",
  "too-far",
  "forked",
];

/** As the table has it, without the table: a page that receives needs no more. */
export function mayBeResent(code: OutcomeCode): boolean {
  return RESENT.includes(code);
}

/** As the table has it. */
export function isSilent(code: OutcomeCode): boolean {
  return code === "duplicate";
}
