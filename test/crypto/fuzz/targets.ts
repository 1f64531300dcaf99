// Every decoder of crypto/, with an example of what it takes: what the quick test and `npm run fuzz` both work on.
import { type Codec, decodeAll, encode, MalformedError } from "@lethe/protocol";
import { parseCertificate } from "../../../crypto/certificate.ts";
import { packContent, unpackContent } from "../../../crypto/content.ts";
import { parseDeviceList } from "../../../crypto/device-list.ts";
import { readIntroduction } from "../../../crypto/envelope.ts";
import { readHeader } from "../../../crypto/header.ts";
import {
  compareSafetyCode,
  contactLink,
  decodeControl,
  decodeIdentity,
  decodePeer,
  decodePrekey,
  decodeRatchet,
  encodeControl,
  encodeIdentity,
  encodePeer,
  encodePrekey,
  encodeRatchet,
  linkingText,
  type Ratchet,
  readContactLink,
  readLinkingText,
  unseal,
} from "../../../crypto/index.ts";
import { bareX25519Key, ed25519Key, kemKey, x25519Key } from "../../../crypto/layout.ts";
import {
  decodeOffer,
  encodeOffer,
  grantBody,
  joinBody,
  openAnswer,
  readOffer,
} from "../../../crypto/linking-messages.ts";
import { OLDER_CHAIN_BYTES } from "../../../crypto/past-chains.ts";
import { prelude } from "../../../crypto/pqxdh.ts";
import { readKem, readOneTime, readSigned } from "../../../crypto/prekeys.ts";
import { replaced } from "../../../crypto/replaced.ts";
import { sealingRecord } from "../../../crypto/sealing-key.ts";
import { compared, done, RELAY } from "../linking-support.ts";
import { type Device, pair, START, talkingPair, text } from "../support.ts";
import { groupTargets } from "./group-targets.ts";

/** A decoder, and an example of what it takes. `again` encodes what was decoded, where there is an encoder. */
export interface Target {
  readonly name: string;
  readonly example: Uint8Array;
  readonly decode: (bytes: Uint8Array) => unknown;
  readonly again?: (value: never) => Uint8Array;
  /** Whether more bytes behind a good value are refused. Not for values in front of a rest. */
  readonly whole: boolean;
}

function codec<T>(name: string, kind: Codec<T>, example: Uint8Array): Target {
  const again = (value: T): Uint8Array => encode(kind, value);
  return { name, example, decode: (bytes) => decodeAll(kind, bytes), again, whole: true };
}

function throwing(decoded: unknown): unknown {
  if (decoded === undefined || decoded === "malformed") throw new MalformedError("refused");
  return decoded;
}

export function targets(): Target[] {
  const { alice, bob } = pair(52);
  const first = alice.send(bob, "hello");
  const opened = unseal({
    identity: bob.identity,
    ciphertext: first.ciphertext,
    envelope: first.id,
    now: START,
  });
  if (opened.code !== "ok" || opened.envelope.seal.head.opening === undefined)
    throw new Error("no first message");
  const { message, head } = opened.envelope.seal;
  const { introduction, prelude: started } = opened.envelope.seal.head.opening;
  if (head.content !== "lasting") throw new Error("other content");
  const talking = talkingPair(53);
  const skipped = skippedState(talking);
  const replacing = replacingState();
  const unconfirmed = alice.ratchet(bob);
  const { account, device, signingKey } = bob.identity.certificate;
  const expecting = { account, device, signingKey, now: START };
  const news = { sealing: bob.identity.sealing[0]?.record, deviceList: bob.identity.list.bytes };
  const scanned = Uint8Array.of(1, ...new Uint8Array(64).fill(5));
  const key = (type: number, length: number): Uint8Array =>
    Uint8Array.of(type, ...new Uint8Array(length).fill(9));
  const stored = [
    {
      name: "identity",
      example: encodeIdentity(bob.identity),
      decode: decodeIdentity,
      again: encodeIdentity,
    },
    { name: "peer", example: encodePeer(alice.peer(bob)), decode: decodePeer, again: encodePeer },
    {
      name: "ratchet, unconfirmed",
      example: encodeRatchet(unconfirmed),
      decode: decodeRatchet,
      again: encodeRatchet,
    },
    { name: "ratchet, skipped keys", example: skipped, decode: decodeRatchet, again: encodeRatchet },
    { name: "ratchet, ended", example: replacing, decode: decodeRatchet, again: encodeRatchet },
    ...(["signed", "lastResort", "oneTime", "oneTimeKem"] as const).map((kind) => ({
      name: `prekey ${kind}`,
      example: encodePrekey(bob.prekey(kind)),
      decode: decodePrekey,
      again: encodePrekey,
    })),
  ].map((target) => ({ ...target, whole: true }) as Target);
  return [
    ...stored,
    ...groupTargets(),
    codec("x25519 key", x25519Key, key(1, 32)),
    codec("bare x25519 key", bareX25519Key, key(9, 31)),
    codec("kem key", kemKey, key(2, 1_184)),
    codec("ed25519 key", ed25519Key, key(3, 32)),
    codec("prelude", prelude, started),
    ...replacements.map((example, i) => codec(`replaced, kind ${i}`, replaced, example)),
    ...controls.map(({ name, example }) => ({
      name,
      example,
      decode: (bytes: Uint8Array) => throwing(decodeControl(bytes)),
      again: encodeControl as (value: never) => Uint8Array,
      whole: true,
    })),
    {
      name: "safety code",
      example: scanned,
      decode: (bytes: Uint8Array) => throwing(compareSafetyCode(scanned, bytes)),
      whole: true,
    },
    ...linkingTargets(),
    codec("sealing key", sealingRecord, bob.prekey("signed").upload.slice(68, 68 + 113)),
    { name: "certificate", example: bob.identity.certificateBytes, decode: parseCertificate, whole: true },
    { name: "device list", example: bob.identity.list.bytes, decode: parseDeviceList, whole: true },
    { name: "introduction", example: introduction, decode: readIntroduction, whole: true },
    { name: "header", example: message.subarray(0, 58), decode: readHeader, whole: false },
    ...[false, true].map((isFirst) => ({
      name: isFirst ? "content, first" : "content",
      example: packContent(news, new Uint8Array(20).fill(7), isFirst),
      decode: (bytes: Uint8Array) => throwing(unpackContent(bytes, isFirst)),
      whole: true,
    })),
    ...(["lastResort", "oneTimeKem"] as const).map((kind) => ({
      name: `upload ${kind}`,
      example: bob.prekey(kind).upload,
      decode: (bytes: Uint8Array) => throwing(readKem(kind, bytes, expecting)),
      whole: true,
    })),
    {
      name: "upload signed",
      example: bob.prekey("signed").upload,
      decode: (bytes) => throwing(readSigned(bytes, expecting)),
      whole: true,
    },
    {
      name: "upload oneTime",
      example: bob.prekey("oneTime").upload,
      decode: (bytes) => throwing(readOneTime(bytes)),
      whole: true,
    },
  ];
}

function linkingTargets(): Target[] {
  const { text: code, offering, join, offer } = compared(57);
  const { certificate, after } = done(58);
  const plain = openAnswer("join", offering, join);
  if (typeof plain === "string") throw new Error(plain);
  const said = { ...offering.offered, relay: RELAY };
  const granted = { certificate, deviceList: after.list.bytes, profileKey: after.profileKey };
  const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
  return [
    {
      name: "linking code",
      example: text(code),
      decode: (bytes) => {
        const read = readLinkingText(latin1(bytes), RELAY);
        return throwing(read.code === "ok" ? read.linking : undefined);
      },
      again: ((linking: Parameters<typeof linkingText>[0]) => text(linkingText(linking))) as Target["again"] &
        object,
      whole: true,
    },
    {
      name: "contact link",
      example: text(contactLink(after, RELAY, "anna")),
      decode: (bytes) => {
        const read = readContactLink(latin1(bytes), RELAY);
        return throwing(read.code === "ok" ? read.link : undefined);
      },
      whole: true,
    },
    {
      name: "linking offer",
      example: encodeOffer(said),
      decode: decodeOffer,
      again: encodeOffer as (value: never) => Uint8Array,
      whole: true,
    },
    {
      name: "linking offer, sealed",
      example: offer,
      decode: (bytes) => throwing(readOffer(bytes)),
      whole: false,
    },
    codec("linking answer", joinBody, plain),
    codec("linking grant", grantBody, encode(grantBody, granted)),
  ];
}

function skippedState({ alice, bob }: { alice: Device; bob: Device }): Uint8Array {
  const mail = Array.from({ length: 8 }, (_, i) => alice.send(bob, `m${i}`));
  for (const i of [2, 5]) bob.read(mail[i] as (typeof mail)[number]);
  alice.read(bob.send(alice, "a step"));
  alice.send(bob, "lost");
  bob.read(alice.send(bob, "the next chain"));
  const state = bob.ratchet(alice);
  const { skipped, past } = state.core;
  if (skipped.length !== 7 || past.length !== 2) throw new Error("another state");
  return encodeRatchet(state);
}

/** A ratchet that the peer has ended, since it has started another one. */
function replacingState(): Uint8Array {
  const state = talkingPair(56).bob;
  const ratchet = [...state.ratchets.values()][0]?.[0] as Ratchet;
  const end = { key: new Uint8Array(32).fill(9), count: 3 };
  const core = { ...ratchet.core, older: new Uint8Array(2 * OLDER_CHAIN_BYTES).fill(5) };
  return encodeRatchet({ ...ratchet, core, replaces: { id: ratchet.id, generation: 7, end }, ended: end });
}

const id = new Uint8Array(16).fill(3);
const generation = [0, 0, 0, 5];
const replacements = [
  Uint8Array.of(0),
  Uint8Array.of(1, ...id, ...generation),
  Uint8Array.of(2, ...id, ...generation, 0, 0, 0, 7),
  Uint8Array.of(3, ...id, ...generation, ...new Uint8Array(32).fill(9), 0, 0, 0, 7),
];
const controls = [
  {
    name: "control, resend",
    example: Uint8Array.of(
      1,
      ...id,
      ...new Uint8Array(32).fill(9),
      0,
      2,
      ...id,
      ...new Uint8Array(16).fill(4),
    ),
  },
  { name: "control, access key", example: Uint8Array.of(2, ...id) },
];
