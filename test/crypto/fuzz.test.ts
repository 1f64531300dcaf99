// Every decoder of this package under generated and mutated bytes: a value or a refusal, never another exception; no
// trailing bytes; and what decodes encodes to the same bytes again.
import { type Codec, decodeAll, encode, MalformedError } from "@lethe/protocol";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { parseCertificate } from "../../crypto/certificate.ts";
import { unpackContent } from "../../crypto/content.ts";
import { parseDeviceList } from "../../crypto/device-list.ts";
import { readIntroduction } from "../../crypto/envelope.ts";
import { readHeader } from "../../crypto/header.ts";
import {
  decodeIdentity,
  decodePeer,
  decodePrekey,
  decodeRatchet,
  encodeIdentity,
  encodePeer,
  encodePrekey,
  encodeRatchet,
  open,
  ready,
  unseal,
  verifyBundle,
} from "../../crypto/index.ts";
import { bareX25519Key, ed25519Key, kemKey, x25519Key } from "../../crypto/layout.ts";
import { prelude } from "../../crypto/pqxdh.ts";
import { readKem, readOneTime, readSigned } from "../../crypto/prekeys.ts";
import { sealingRecord } from "../../crypto/sealing-key.ts";
import { type Device, pair, seedOf, START, talkingPair } from "./support.ts";

beforeAll(ready);

const seed = seedOf("fuzz", 52);
const runs = Number(process.env["FUZZ_RUNS"] ?? 300);

/** A decoder, and an example of what it takes. `again` encodes what was decoded, where there is an encoder. */
interface Target {
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

function targets(): Target[] {
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
  expect(head.content).toBe("lasting");
  const talking = talkingPair(53);
  const skipped = skippedState(talking);
  const unconfirmed = alice.ratchet(bob);
  const { account, device, signingKey } = bob.identity.certificate;
  const expecting = { account, device, signingKey, now: START };
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
    ...(["signed", "lastResort", "oneTime", "oneTimeKem"] as const).map((kind) => ({
      name: `prekey ${kind}`,
      example: encodePrekey(bob.prekey(kind)),
      decode: decodePrekey,
      again: encodePrekey,
    })),
  ].map((target) => ({ ...target, whole: true }) as Target);
  return [
    ...stored,
    codec("x25519 key", x25519Key, key(1, 32)),
    codec("bare x25519 key", bareX25519Key, key(9, 31)),
    codec("kem key", kemKey, key(2, 1_184)),
    codec("ed25519 key", ed25519Key, key(3, 32)),
    codec("prelude", prelude, started),
    codec("sealing key", sealingRecord, bob.prekey("signed").upload.slice(68, 68 + 113)),
    { name: "certificate", example: bob.identity.certificateBytes, decode: parseCertificate, whole: true },
    { name: "device list", example: bob.identity.list.bytes, decode: parseDeviceList, whole: true },
    { name: "introduction", example: introduction, decode: readIntroduction, whole: true },
    { name: "header", example: message.subarray(0, 58), decode: readHeader, whole: false },
    {
      name: "content",
      example: new Uint8Array(256).fill(0x80, 200, 201),
      decode: (bytes) => throwing(unpackContent(bytes)),
      whole: true,
    },
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

function skippedState({ alice, bob }: { alice: Device; bob: Device }): Uint8Array {
  const mail = Array.from({ length: 8 }, (_, i) => alice.send(bob, `m${i}`));
  for (const i of [2, 5]) bob.read(mail[i] as (typeof mail)[number]);
  alice.read(bob.send(alice, "a step"));
  alice.send(bob, "lost");
  bob.read(alice.send(bob, "the next chain"));
  const state = bob.ratchet(alice);
  expect([state.core.skipped.length, state.core.past.length]).toEqual([7, 2]);
  return encodeRatchet(state);
}

/** One to four changes of a good value: bytes set, cut, put in, doubled. */
function mutations(example: Uint8Array): fc.Arbitrary<Uint8Array> {
  const change = fc.tuple(
    fc.nat(example.length),
    fc.integer({ min: 0, max: 255 }),
    fc.constantFrom(0, 1, 2, 3),
  );
  return fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => {
    let bytes = [...example];
    for (const [at, value, how] of changes) {
      if (how === 0) bytes[at % Math.max(1, bytes.length)] = value;
      else if (how === 1) bytes = bytes.slice(0, at);
      else if (how === 2) bytes.splice(at, 0, value);
      else bytes = [...bytes, ...bytes.slice(at)];
    }
    return Uint8Array.from(bytes);
  });
}

function check(target: Target, bytes: Uint8Array): void {
  let value: unknown;
  try {
    value = target.decode(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedError);
    return;
  }
  if (target.again !== undefined) expect(Buffer.from(target.again(value as never)).equals(bytes)).toBe(true);
}

describe("attack 52: decoders", () => {
  it("give a value or MalformedError for generated bytes, and one value has one encoding", () => {
    for (const target of targets())
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => check(target, bytes)),
        { seed, numRuns: runs },
      );
  });

  it("give a value or MalformedError for mutated values, and one value has one encoding", () => {
    for (const target of targets()) {
      check(target, target.example);
      expect([target.name, target.decode(target.example) !== undefined]).toEqual([target.name, true]);
      fc.assert(
        fc.property(mutations(target.example), (bytes) => check(target, bytes)),
        { seed, numRuns: runs },
      );
    }
  });

  it("refuse trailing bytes and every truncation", () => {
    for (const target of targets().filter(({ whole }) => whole)) {
      expect(() => target.decode(Uint8Array.of(...target.example, 0))).toThrow(MalformedError);
      const step = Math.max(1, Math.floor(target.example.length / 60));
      for (let length = 0; length < target.example.length; length += step)
        expect(() => target.decode(target.example.slice(0, length))).toThrow(MalformedError);
    }
  });

  it("of envelopes and bundles give a code for any bytes, and never throw", () => {
    const { alice, bob } = pair(54);
    const mail = alice.send(bob, "hello");
    const bundle = bob.bundle();
    const peer = alice.peer(bob);
    const { identity } = bob;
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 3_000 }), mutations(mail.ciphertext)), (ciphertext) => {
        const same = Buffer.from(ciphertext).equals(mail.ciphertext);
        expect(unseal({ identity, ciphertext, envelope: mail.id, now: START }).code === "ok").toBe(same);
      }),
      { seed, numRuns: runs },
    );
    fc.assert(
      fc.property(mutations(bundle.oneTimeKem?.bytes ?? new Uint8Array(0)), (bytes) => {
        const oneTimeKem = { id: bundle.oneTimeKem?.id ?? new Uint8Array(8), bytes };
        const same = Buffer.from(bytes).equals(bundle.oneTimeKem?.bytes ?? new Uint8Array(0));
        expect(verifyBundle({ peer, bundle: { ...bundle, oneTimeKem }, now: START }).code === "ok").toBe(
          same,
        );
      }),
      { seed, numRuns: runs },
    );
  });

  it("of messages inside a good seal give a code for any bytes, and never throw", () => {
    const { alice, bob } = talkingPair(55);
    const mail = alice.send(bob, "hello");
    const opened = unseal({
      identity: bob.identity,
      ciphertext: mail.ciphertext,
      envelope: mail.id,
      now: START,
    });
    if (opened.code !== "ok") throw new Error(opened.code);
    const { envelope } = opened;
    const input = {
      identity: bob.identity,
      peer: bob.peer(alice),
      pinned: bob.peer(alice),
      replayed: false,
      now: START,
    };
    const given = { ...input, ratchets: [bob.ratchet(alice)], prekeys: [] };
    fc.assert(
      fc.property(mutations(envelope.seal.message), (message) => {
        const same = Buffer.from(message).equals(envelope.seal.message);
        const outcome = open({ ...given, envelope: { ...envelope, seal: { ...envelope.seal, message } } });
        expect(outcome.code === "ok").toBe(same);
      }),
      { seed, numRuns: runs },
    );
  });
});
