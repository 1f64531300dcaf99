// The HTTP half of the contract: paths, JSON shapes and what a signed request signs. Binary fields are base64url
// without padding, ids are lower-case hexadecimal. Relay and client take the shapes from here.
import { fixed, struct, text, joined } from "./codec.ts";
import { accountId, deviceNumber, time } from "./ids.ts";
import { MAX_RELAY_NAME_BYTES } from "./limits.ts";
import type { ProblemCode } from "./problems.ts";

export const PATHS = {
  deviceSocket: "/v1/device",
  anonymousSocket: "/v1/anonymous",
  accounts: "/v1/accounts",
  account: "/v1/account",
  prekeys: "/v1/prekeys",
  deviceList: "/v1/device-list",
  accessKey: "/v1/access-key",
  presence: "/v1/presence",
  linking: "/v1/linking",
  media: "/v1/media",
  policy: "/.well-known/lethe",
} as const;

/** What the operator, and whoever watches the relay, asks for. */
export const OPERATOR_PATHS = {
  health: "/health",
  ready: "/ready",
  metrics: "/metrics",
  document: "/openapi.json",
  adminFigures: "/admin/figures",
  adminInvites: "/admin/invites",
  adminAccounts: "/admin/accounts",
} as const;

/** A prekey as it is uploaded: content-addressed id (8 bytes) and opaque bytes. */
export interface PrekeyJson {
  readonly id: string;
  readonly bytes: string;
}

/** `POST /v1/accounts`: signed by the new device (the request's signature is the proof that it holds the key). */
export interface RegisterRequest {
  readonly name: string;
  /** 16 bytes, hexadecimal. */
  readonly account: string;
  /** Ed25519, 32 bytes. */
  readonly accountKey: string;
  readonly device: number;
  /** The device's Ed25519 signing key, 32 bytes. */
  readonly signingKey: string;
  readonly certificate: string;
  readonly deviceList: string;
  readonly listVersion: number;
  /** BLAKE2b-256 of the access key, 32 bytes. */
  readonly accessKeyHash: string;
  /** What the relay's registration policy asks for: an invite, or a JSON Web Token (RFC 7519). At most 8,192 characters. */
  readonly ticket?: string;
}

/** Who may register. */
export type RegistrationPolicy = "open" | "invite" | "jwt" | "closed";

/** `GET /.well-known/lethe`: what this relay does and does not, for programs. Times in ms, sizes in bytes. */
export interface PolicyJson {
  readonly lethe: "relay";
  /** The name that logins are bound to. */
  readonly relay: string;
  readonly versions: { readonly min: number; readonly max: number };
  readonly registration: RegistrationPolicy;
  readonly limits: {
    readonly envelopeBytes: number;
    readonly mailboxEnvelopes: number;
    readonly mailboxBytes: number;
    readonly devices: number;
  };
  readonly retention: {
    /** How long undelivered mail is kept at most. */
    readonly mailMs: number;
    /** After how long without a connection an account is removed with everything of it; null: never. */
    readonly idleAccountMs: number | null;
    /** How long bytes of delivered mail may still be in a file. */
    readonly forgetMs: number;
  };
  /** What it keeps of files; null: none. */
  readonly media: {
    /** The largest blob. */
    readonly bytes: number;
    /** What one account may have waiting for others, in bytes and in blobs. */
    readonly accountBytes: number;
    readonly accountBlobs: number;
    /** How long a blob is kept at most. */
    readonly keepMs: number;
    /** Parts are put to, and had from, the object store itself: the relay answers with where. */
    readonly direct: boolean;
  } | null;
  /** What `accepted` means: `synced` to a disk, or `replicated` to so many stores. */
  readonly durability: { readonly accepted: "synced" | "replicated"; readonly copies: number };
  /** The relay's clock. */
  readonly now: number;
}

/** `PUT /v1/prekeys`: replaces the signed keys where given, adds one-time keys, or replaces all of them. */
export interface PrekeysRequest {
  readonly signed?: PrekeyJson;
  readonly lastResort?: PrekeyJson;
  readonly oneTime?: readonly PrekeyJson[];
  readonly oneTimeKem?: readonly PrekeyJson[];
  /** True: one-time keys that are not in this request are deleted. */
  readonly replace?: boolean;
}

/** `GET /v1/prekeys`: the ids that the relay still holds for the asking device. */
export interface PrekeysHeld {
  readonly signed: string | null;
  readonly lastResort: string | null;
  readonly oneTime: readonly string[];
  readonly oneTimeKem: readonly string[];
}

/** `PUT /v1/device-list`: the successor of the list on record, with the certificates of its devices. */
export interface DeviceListRequest {
  readonly deviceList: string;
  readonly version: number;
  readonly devices: readonly {
    readonly device: number;
    readonly signingKey: string;
    readonly certificate: string;
  }[];
}

/** `PUT /v1/access-key` */
export interface AccessKeyRequest {
  readonly accessKeyHash: string;
}

/** `PUT /v1/presence`: whether holders of the access key may see when this account was last here. */
export interface PresenceRequest {
  readonly lastSeen: boolean;
}

/** `PUT /v1/linking/{mailbox}/{offer, join or grant}`, and what `GET` of one of them answers: sealed bytes, at most 2,048. */
export interface LinkingMessage {
  readonly message: string;
}

/**
 * `PUT /v1/media/{media}`, signed by the device (clause H-SIGN): begins an upload. `{media}` is 16 random bytes, hexadecimal.
 * The same again answers the same. Everything further of the upload is asked for with `Authorization: LetheMedia KEY`, where
 * KEY is the upload key, 32 random bytes, base64url.
 */
export interface MediaBeginRequest {
  /** Bytes of the whole blob. */
  readonly bytes: number;
  /** `capabilityMark` of the upload key. */
  readonly uploadKey: string;
}

/** What `GET /v1/media/{media}` answers to the upload key, and `PUT` to the device. */
export interface MediaUploadJson {
  readonly bytes: number;
  /** `open`: parts are taken. `ready`: all are there, and it can be had. */
  readonly state: "open" | "ready";
  /** Parts that are there, in rising order. */
  readonly parts: readonly number[];
  /** When it is removed in any case, by the relay's clock. */
  readonly expires: number;
  readonly now: number;
}

/** `GET /v1/media/{media}/parts/{part}/place`: where a part is to be put, where parts are put directly. */
export interface MediaPlaceJson {
  /** A presigned URL for `PUT`. */
  readonly url: string;
  readonly now: number;
}

/** `PUT /v1/media/{media}/tokens`, with the upload key: marks of release tokens, one for each recipient device. */
export interface MediaTokensRequest {
  readonly add: readonly string[];
  /** Of devices that are gone: as if they had released it. */
  readonly strike: readonly string[];
  /** None is added any more: the blob goes when all are struck. */
  readonly close: boolean;
}

/** A release token and an upload key, bytes; what the relay keeps of one: the first bytes of its BLAKE2b-256. */
export const CAPABILITY_BYTES = 32;
export const CAPABILITY_MARK_BYTES = 16;
export const MEDIA_SCHEME = "LetheMedia";

/** Every answer that is not a success. */
export interface ProblemJson {
  readonly code: ProblemCode;
  readonly says: string;
  /** The relay's clock, ms. */
  readonly now: number;
  /** Milliseconds, where waiting helps. */
  readonly retryAfter?: number;
}

/** Header of a signed request: `Lethe account=HEX,device=N,time=MS,nonce=B64U,signature=B64U` (clause H-SIGN). */
export const AUTHORIZATION_SCHEME = "Lethe";

/** How far a signed request's time may be from the relay's clock, ms. */
export const MAX_REQUEST_SKEW_MS = 60_000;

/** What a device signs for an HTTP request, after the label of device signatures. `bodyHash` is SHA-512 of the body. */
export const requestTuple = struct({
  relay: text(MAX_RELAY_NAME_BYTES),
  method: text(16),
  path: text(1_024),
  account: accountId,
  device: deviceNumber,
  time,
  nonce: fixed(16),
  bodyHash: fixed(64),
});

/** The labels that a device's signatures start with; each is followed by one byte 0 and the encoded tuple. */
export const SIGNATURE_LABELS = {
  connect: "Lethe/E2EE/v1/sig/connect",
  request: "Lethe/E2EE/v1/sig/request",
} as const;

const utf8 = new TextEncoder();

/** The exact bytes that are signed: label, one byte 0, tuple. */
export function signedBytes(purpose: keyof typeof SIGNATURE_LABELS, tuple: Uint8Array): Uint8Array {
  return joined(utf8.encode(`${SIGNATURE_LABELS[purpose]}\0`), tuple);
}
