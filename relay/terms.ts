// What of the settings may change while the relay runs: who may register and connect, rates and caps, certificate. Always
// true: a reload takes effect as a whole, or not at all; connections that are open keep the rates that they began with.
import { readFile } from "node:fs/promises";
import { MAX_DEVICES, MAX_VERSION, MIN_VERSION, type PolicyJson } from "@lethe/protocol";
import type { MediaQuota } from "@lethe/queue";
import type { GatewayLimits } from "./edge/gateway.ts";
import { openRegistrar, type Registrar } from "./http/registration.ts";
import { mediaPlaceOf } from "./media/settings.ts";
import type { SettingName, Settings } from "./settings.ts";

/** Settings that only a new start can change: where it listens, what it stores where, who it is. */
const FIXED: readonly SettingName[] = [
  "host",
  "port",
  "store",
  "storeReplicas",
  "storeRewrite",
  "linkHost",
  "linkPort",
  "linkAddress",
  "linkCert",
  "linkKey",
  "linkCa",
  "clusterSecret",
  "data",
  "name",
  "mailboxEnvelopes",
  "mailboxBytes",
  "liveWindow",
  "media",
  "mediaCollect",
  "s3Url",
  "s3Bucket",
  "s3Region",
  "s3AccessKey",
  "s3SecretKey",
  "s3Prefix",
  "s3Direct",
  "s3PublicUrl",
  "log",
];

export interface Terms {
  readonly limits: GatewayLimits;
  readonly registrar: Registrar;
  /** What the relay says of itself, but its clock. */
  readonly policy: Omit<PolicyJson, "now">;
  /** Web pages that may connect, by origin; undefined: all. */
  readonly allowedOrigins: ReadonlySet<string> | undefined;
  /** One proxy stands in front and says in X-Forwarded-For, at its end, whom it speaks for. */
  readonly trustProxy: boolean;
  /** Accounts without a connection for longer are removed, ms; undefined: none are. */
  readonly idleMs: number | undefined;
  /** What may be left of media, for how long; undefined: none is kept. */
  readonly media: MediaTerms | undefined;
  /** Certificate chain and key, PEM; undefined: the relay speaks plain HTTP, behind something that does not. */
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | undefined;
}

export interface MediaTerms {
  /** The largest blob. */
  readonly bytes: number;
  readonly quota: MediaQuota;
  /** How long an upload may take, ms. */
  readonly unfinishedMs: number;
  /** How long a blob is kept at most, ms. */
  readonly keepMs: number;
  /** Parts are put to, and had from, the object store itself. */
  readonly direct: boolean;
}

/** The forget bound of the embedded store, ms. */
const FORGET_MS = 60_000;
/** On top of the interval at which Redis's files are rewritten: for the rewriting itself, ms. */
const REWRITE_MS = 60_000;

/** @throws Error where a file that the settings name cannot be read. */
export async function termsOf(settings: Settings, now: () => number): Promise<Terms> {
  const token = {
    issuer: settings.jwtIssuer,
    audience: settings.jwtAudience,
    keys: settings.jwtKeys,
    nameClaim: settings.jwtName,
  };
  return {
    limits: limitsOf(settings),
    registrar: await openRegistrar(settings.registration, token, now),
    policy: policyOf(settings),
    allowedOrigins: settings.origins === "" ? undefined : new Set(settings.origins.split(",")),
    trustProxy: settings.trustProxy,
    idleMs: idleMsOf(settings),
    media: mediaOf(settings),
    tls: await tlsOf(settings),
  };
}

/** Of two readings of the settings: what a reload can change, what it cannot, and what holds from now on. */
export function changes(
  before: Settings,
  after: Settings,
): { changed: readonly SettingName[]; needRestart: readonly SettingName[]; effective: Settings } {
  const differ = (Object.keys(before) as SettingName[]).filter((name) => before[name] !== after[name]);
  const needRestart = differ.filter((name) => FIXED.includes(name));
  return {
    changed: differ.filter((name) => !FIXED.includes(name)),
    needRestart,
    effective: { ...after, ...Object.fromEntries(needRestart.map((name) => [name, before[name]])) },
  };
}

function limitsOf(settings: Settings): GatewayLimits {
  return {
    envelopeBytes: settings.envelopeBytes,
    ttlMs: settings.ttl * 1_000,
    pingMs: settings.ping,
    connections: settings.connections,
    prekeyFetches: settings.prekeyFetches,
    connectionEnvelopes: settings.connectionRate,
    accountEnvelopes: settings.accountRate,
    requests: { toOne: settings.requestRate, toAll: settings.requestsDaily },
    addresses: {
      connections: settings.addressConnections,
      unproven: settings.addressUnproven,
      unprovenInAll: settings.unproven,
      envelopes: settings.addressRate,
      registrations: settings.addressRegistrations,
      local: settings.limitLocal,
    },
  };
}

function policyOf(settings: Settings): Omit<PolicyJson, "now"> {
  return {
    lethe: "relay",
    relay: settings.name,
    versions: { min: MIN_VERSION, max: MAX_VERSION },
    registration: settings.registration,
    limits: {
      envelopeBytes: settings.envelopeBytes,
      mailboxEnvelopes: settings.mailboxEnvelopes,
      mailboxBytes: settings.mailboxBytes,
      devices: MAX_DEVICES,
    },
    retention: {
      mailMs: settings.ttl * 1_000,
      idleAccountMs: idleMsOf(settings) ?? null,
      forgetMs: settings.store === "embedded" ? FORGET_MS : settings.storeRewrite * 1_000 + REWRITE_MS,
    },
    media: mediaPolicyOf(mediaOf(settings)),
    durability: {
      accepted: settings.storeReplicas === 0 ? "synced" : "replicated",
      copies: settings.storeReplicas + 1,
    },
  };
}

function mediaOf(settings: Settings): MediaTerms | undefined {
  const place = mediaPlaceOf(settings);
  if (place === "off") return undefined;
  return {
    bytes: settings.mediaBytes,
    quota: { bytes: settings.mediaAccountBytes, blobs: settings.mediaAccountBlobs },
    unfinishedMs: Math.ceil(settings.mediaUnfinished * 3_600_000),
    keepMs: Math.ceil(settings.mediaDays * 86_400_000),
    direct: settings.s3Direct,
  };
}

function mediaPolicyOf(media: MediaTerms | undefined): PolicyJson["media"] {
  if (media === undefined) return null;
  const { bytes, quota, keepMs, direct } = media;
  return { bytes, accountBytes: quota.bytes, accountBlobs: quota.blobs, keepMs, direct };
}

function idleMsOf({ idleDays }: Settings): number | undefined {
  return idleDays === 0 ? undefined : idleDays * 86_400_000;
}

export async function tlsOf({ tlsCert, tlsKey }: Settings): Promise<Terms["tls"]> {
  return tlsCert === "" ? undefined : { cert: await readFile(tlsCert), key: await readFile(tlsKey) };
}
