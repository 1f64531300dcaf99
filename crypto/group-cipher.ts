// How a group encrypts: the interface that the client library uses, in words that MLS could fulfil as well, and its fulfilment
// by sender keys. Pure: the states given are not changed; those returned are to be committed together with the
// ciphertext before it is sent, or with the plaintext before it is acknowledged.
import { type DeviceAddress, type EnvelopeId, type GroupEnvelopeId, type Time } from "@lethe/protocol";
import type { ContentKind } from "./envelope.ts";
import type { GroupOutcomeCode } from "./group-outcomes.ts";
import type { GroupRoster, RotationReason } from "./group-roster.ts";
import type { ChainToldRefusal } from "./group-senders.ts";
import type { GroupView } from "./group-view.ts";
import type { Identity } from "./identity.ts";
import type { Random } from "./random.ts";

/** Control messages are about ratchets and belong to two devices: groups have none. */
export type GroupContentKind = Exclude<ContentKind, "control">;

/** What every step looks at. */
export interface InGroup {
  readonly identity: Identity;
  readonly view: GroupView;
  /** Of the view's state, from the newest lists. */
  readonly roster: GroupRoster;
  readonly now: Time;
}

export interface TellingKeys<Own> extends InGroup {
  readonly own: Own;
  /** Whom they are told; the caller commits what is returned before it tells them. */
  readonly devices: readonly DeviceAddress[];
}

export type ToldKeys<Own> =
  /** `told`: the plaintext for each of these devices' pairwise ratchet, of content class `control`. */
  | { readonly code: "ok"; readonly own: Own; readonly told: Uint8Array }
  /** `not-in-roster`: one of the devices is none of the group's. `no-seal-key`: that of the current state is not known. */
  | { readonly code: "not-in-roster" | "no-seal-key" };

export interface HearingKeys<Theirs> extends InGroup {
  /** What is kept of the teller in this group; undefined for nothing. */
  readonly theirs: Theirs | undefined;
  /** The plaintext that the teller's pairwise message had. */
  readonly told: Uint8Array;
  readonly teller: DeviceAddress;
}

export type HeardKeys<Theirs> =
  | { readonly code: "ok" | "known"; readonly theirs: Theirs; readonly view: GroupView }
  | { readonly code: "malformed" | ChainToldRefusal };

export interface EncryptingForGroup<Own> extends InGroup {
  readonly own: Own;
  readonly content: GroupContentKind;
  /** At most `MAX_PLAINTEXT_BYTES`; padded here. */
  readonly plaintext: Uint8Array;
  /** 16 random bytes; `envelopeIdFor` gives the id for each device. */
  readonly groupEnvelope: GroupEnvelopeId;
  readonly random: Random;
}

export type EncryptedForGroup<Own> =
  | { readonly code: "ok"; readonly own: Own; readonly ciphertext: Uint8Array }
  | { readonly code: "rotation-due"; readonly reason: RotationReason }
  /** These devices are to be told the keys before. */
  | { readonly code: "not-told"; readonly devices: readonly DeviceAddress[] }
  | { readonly code: "not-a-member" | "not-allowed" | "no-seal-key" | "too-long" };

export interface OpeningInGroup<Theirs> extends InGroup {
  readonly ciphertext: Uint8Array;
  /** The id under which the relay has pushed it. */
  readonly envelope: EnvelopeId;
  /** What is kept of the device that the envelope names inside its seal. */
  readonly theirs: (sender: DeviceAddress) => Theirs | undefined;
}

export type OpenedInGroup<Theirs> =
  | {
      readonly code: "ok";
      readonly theirs: Theirs;
      readonly sender: DeviceAddress;
      readonly content: GroupContentKind;
      readonly plaintext: Uint8Array;
      /** The epoch in which it was sent: below the current one, it was under way. */
      readonly epoch: number;
    }
  | { readonly code: "malformed-content"; readonly theirs: Theirs; readonly sender: DeviceAddress }
  /** `sender`: whose chain or list is missing, as the seal says; nothing has proved it. */
  | { readonly code: "unknown-chain" | "untrusted-device"; readonly sender: DeviceAddress }
  | {
      readonly code: Exclude<
        GroupOutcomeCode,
        "ok" | "malformed-content" | "unknown-chain" | "untrusted-device"
      >;
    };

/** `Own`: what a device keeps for sending in one group. `Theirs`: what it keeps of one other device in it. */
export interface GroupCipher<Own, Theirs> {
  /** Why new keys are made before the next message; undefined where those there are may be used. */
  readonly rotationDue: (asked: InGroup & { readonly own: Own | undefined }) => RotationReason | undefined;
  /** New keys of this device, which nobody has been told. */
  readonly rotate: (asked: InGroup & { readonly random: Random }) => Own;
  /** Devices of the group that have not been told the keys there are. */
  readonly untold: (own: Own, roster: GroupRoster) => readonly DeviceAddress[];
  readonly tell: (telling: TellingKeys<Own>) => ToldKeys<Own>;
  readonly hear: (hearing: HearingKeys<Theirs>) => HeardKeys<Theirs>;
  readonly encrypt: (encrypting: EncryptingForGroup<Own>) => EncryptedForGroup<Own>;
  readonly open: (opening: OpeningInGroup<Theirs>) => OpenedInGroup<Theirs>;
  /** Without what no mail under way can need any more. */
  readonly tidy: (theirs: Theirs, now: Time) => Theirs;
  /** States as bytes, secrets included: what the client's store keeps, encrypted. Decoders throw `MalformedError`. */
  readonly encodeOwn: (own: Own) => Uint8Array;
  readonly decodeOwn: (bytes: Uint8Array) => Own;
  readonly encodeTheirs: (theirs: Theirs) => Uint8Array;
  readonly decodeTheirs: (bytes: Uint8Array) => Theirs;
}
