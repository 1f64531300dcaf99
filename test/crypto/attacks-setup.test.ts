// Attacks on how a ratchet is started. Every test is named after its number in the list of attacks; "refused" means a
// code of its own, no plaintext, and nothing changed.
import { existsSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { addressOf, decodeAll, type DeviceAddress, type DeviceNumber, toBytes, toHex } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import { makeCertificate } from "../../crypto/certificate.ts";
import { makeDeviceList } from "../../crypto/device-list.ts";
import { HpkeContext } from "../../crypto/hpke.ts";
import {
  type Bundle,
  certificateHash,
  destroyAt,
  type Identity,
  LABELS,
  makeSignedPrekeys,
  type PeerDevice,
  type PrekeyItem,
  type PrekeyRecord,
  publicIdentity,
  type Ratchet,
  RETENTION_MS,
  RETENTION_SLACK_MS,
  ready,
  SIGNED_PREKEY_LIFETIME_MS,
  signedPrekeysDueAt,
  startRatchet,
  type VerifiedPeer,
  verifyBundle,
  verifyPeer,
} from "../../crypto/index.ts";
import { encode, kemKey, x25519Key } from "../../crypto/layout.ts";
import { type Agreement, agree, type Prelude, prelude, type Transcript } from "../../crypto/pqxdh.ts";
import { keyId, makeSealingKey } from "../../crypto/sealing-key.ts";
import { ed25519Sign, kemEncapsulate, kemPublic, x25519 } from "../../crypto/primitives.ts";
import { DAY, Device, hex, itemOf, later, pair, seededRandom, START } from "./support.ts";

beforeAll(ready);

const MODULUS = new URL("../../../shared/vectors/cctv_mlkem768_modulus.txt.gz", import.meta.url);

/** Points of small order and non-canonical encodings (RFC 7748 sections 5 and 6.1). */
const BAD_POINTS = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  `09${"00".repeat(30)}80`,
].map(hex);

/** A bundle item of these bytes under the id that its key has. */
function itemWith(bytes: Uint8Array, encodedKey: Uint8Array): PrekeyItem {
  return { id: toBytes(keyId(encodedKey)), bytes };
}

/** Signs a changed prekey with its owner's own key: only purpose, key and times are left to catch it. */
function signAgain(owner: Device, bytes: Uint8Array, label: Uint8Array): Uint8Array {
  const said = bytes.subarray(0, -64);
  return Uint8Array.of(...said, ...ed25519Sign(owner.identity.signingSeed.reveal(), label, said));
}

/** Where the key of a signed prekey stands: format 1, address 18, type byte 1. */
const KEY_AT = 20;

function withBytes(bytes: Uint8Array, at: number, put: Uint8Array): Uint8Array {
  const out = bytes.slice();
  out.set(put, at);
  return out;
}

/** The ratchet with another prelude: what a relay could do if it could write into envelopes. */
function withPrelude(ratchet: Ratchet, change: (said: Prelude) => Partial<Prelude>): Ratchet {
  if (ratchet.standing.at !== "unconfirmed") throw new Error("already confirmed");
  const said = decodeAll(prelude, ratchet.standing.prelude);
  const bytes = encode(prelude, { ...said, ...change(said) }, 2_048);
  return { ...ratchet, standing: { at: "unconfirmed", prelude: bytes } };
}

function setRatchet(device: Device, peer: Device, ratchet: Ratchet): void {
  device.ratchets.set(peer.address, [ratchet]);
}

const people = (seed: number): [Device, Device] => {
  const random = seededRandom(seed);
  return [new Device(random), new Device(random)];
};

describe("attack 1: KEM key confusion and re-encapsulation", () => {
  it("refuses a bundle in which another signed KEM prekey stands under an id", () => {
    const [alice, bob] = people(1);
    const [one, other] = [itemOf(bob.prekey("oneTimeKem", 0)), itemOf(bob.prekey("oneTimeKem", 1))];
    const swapped = { ...bob.bundle(), oneTimeKem: { id: one.id, bytes: other.bytes } };
    expect(alice.verifyBundle(bob, swapped).code).toBe("wrong-id");
  });

  it("refuses a first message whose KEM part was re-encapsulated to another key of the recipient", () => {
    const { alice, bob } = pair(2);
    const other = bob.prekey("oneTimeKem", 1);
    const made = kemEncapsulate(kemPublic(other.secret.reveal()), new Uint8Array(32).fill(7));
    const ciphertext = made?.ciphertext as Uint8Array;
    setRatchet(
      alice,
      bob,
      withPrelude(alice.ratchet(bob), () => ({ kem: other.id, ciphertext })),
    );
    expect(bob.read(alice.send(bob, "hello"))).toBe("!header-mac");
    expect(bob.ratchets.size + bob.peers.size).toBe(0);
  });

  it("agrees on nothing where any part of the transcript differs, although every shared secret is the same", () => {
    const [alice, bob] = people(3);
    const key = (byte: number, length = 32): Uint8Array => new Uint8Array(length).fill(byte);
    const secrets = () => ({ dhs: [key(1), key(2), key(3)], kem: key(4) });
    const said: Transcript = {
      initiator: alice.identity.certificate,
      responder: bob.identity.certificate,
      ephemeral: key(9),
      signed: key(10),
      oneTime: undefined,
      kem: key(11, 1_184),
      ciphertext: key(12, 1_088),
    };
    const changes: Partial<Transcript>[] = [
      {},
      { initiator: bob.identity.certificate },
      { responder: alice.identity.certificate },
      { initiator: { ...said.initiator, device: 2 as DeviceNumber } },
      { responder: { ...said.responder, accountKey: key(13) } },
      { ephemeral: key(14) },
      { signed: key(14) },
      { oneTime: key(14) },
      { kem: key(14, 1_184) },
      { ciphertext: key(14, 1_088) },
    ];
    const agreed = changes.map((change) => agree(secrets(), { ...said, ...change }));
    for (const part of [
      ({ id }: Agreement) => toHex(id),
      ({ root }: Agreement) => Buffer.from(root.reveal()).toString("hex"),
      ({ headerKey }: Agreement) => Buffer.from(headerKey.reveal()).toString("hex"),
      ({ ad }: Agreement) => Buffer.from(ad).toString("hex"),
    ])
      expect(new Set(agreed.map(part)).size).toBe(changes.length);
  });
});

describe("attack 2: keys and signatures of one kind where another belongs", () => {
  const [alice, bob] = ((): [() => Device, () => Device] => {
    let two: [Device, Device] | undefined;
    const made = (): [Device, Device] => (two ??= people(4));
    return [() => made()[0], () => made()[1]];
  })();

  it("refuses a KEM key as signed prekey, and an X25519 key as KEM prekey", () => {
    const bundle = bob().bundle();
    expect(alice().verifyBundle(bob(), { ...bundle, signed: bundle.lastResort }).code).toBe("malformed");
    expect(alice().verifyBundle(bob(), { ...bundle, lastResort: bundle.signed }).code).toBe("malformed");
    expect(alice().verifyBundle(bob(), { ...bundle, oneTime: bundle.oneTimeKem }).code).toBe("malformed");
    expect(alice().verifyBundle(bob(), { ...bundle, oneTimeKem: bundle.oneTime }).code).toBe("malformed");
  });

  it("refuses a wrong type byte under a good signature", () => {
    const signed = bob().prekey("signed");
    for (const type of [0x00, 0x02, 0x03, 0xff]) {
      const bytes = signAgain(
        bob(),
        withBytes(signed.upload, KEY_AT - 1, Uint8Array.of(type)),
        LABELS.signSignedPrekey,
      );
      const bundle = { ...bob().bundle(), signed: { id: toBytes(signed.id), bytes } };
      expect(alice().verifyBundle(bob(), bundle).code).toBe("malformed");
    }
  });

  it("refuses a prekey signed for another purpose, although its format byte was changed to fit", () => {
    const oneTime = bob().prekey("oneTimeKem");
    const lastResort = bob().prekey("lastResort");
    const asLastResort = { id: toBytes(oneTime.id), bytes: withBytes(oneTime.upload, 0, Uint8Array.of(2)) };
    const asOneTime = {
      id: toBytes(lastResort.id),
      bytes: withBytes(lastResort.upload, 0, Uint8Array.of(4)),
    };
    const bundle = bob().bundle();
    expect(alice().verifyBundle(bob(), { ...bundle, lastResort: asLastResort }).code).toBe("bad-signature");
    expect(alice().verifyBundle(bob(), { ...bundle, oneTimeKem: asOneTime }).code).toBe("bad-signature");
    const label = signAgain(bob(), bob().prekey("signed").upload, LABELS.signLastResort);
    const signed = { id: toBytes(bob().prekey("signed").id), bytes: label };
    expect(alice().verifyBundle(bob(), { ...bundle, signed }).code).toBe("bad-signature");
  });
});

describe("attack 3: each byte of a bundle flipped", () => {
  it("refuses the bundle, whichever byte of whichever part was flipped", () => {
    const [alice, bob] = people(5);
    const bundle = bob.bundle();
    const passed: string[] = [];
    for (const part of ["signed", "lastResort", "oneTime", "oneTimeKem"] as const) {
      const item = bundle[part] as PrekeyItem;
      for (const field of ["id", "bytes"] as const)
        for (let i = 0; i < item[field].length; i++) {
          const flipped = withBytes(
            item[field],
            i,
            Uint8Array.of((item[field][i] as number) ^ (1 << (i % 8))),
          );
          const broken: Bundle = { ...bundle, [part]: { ...item, [field]: flipped } };
          if (alice.verifyBundle(bob, broken).code === "ok") passed.push(`${part}.${field}[${i}]`);
        }
    }
    expect(passed).toEqual([]);
    expect(alice.verifyBundle(bob, bundle).code).toBe("ok");
  });

  it("refuses the certificate and the device list, whichever byte was flipped", () => {
    const [alice, bob] = people(6);
    const told = publicIdentity(bob.identity);
    const check = (certificate: Uint8Array, deviceList: Uint8Array): VerifiedPeer =>
      verifyPeer({
        identity: alice.identity,
        certificate,
        deviceList,
        pinned: undefined,
        address: bob.address,
        now: START,
      });
    const flips = (bytes: Uint8Array): Uint8Array[] =>
      Array.from(bytes, (byte, i) => withBytes(bytes, i, Uint8Array.of(byte ^ (1 << (i % 8)))));
    const results = [
      ...flips(told.certificate).map((bytes) => check(bytes, told.deviceList)),
      ...flips(told.deviceList).map((bytes) => check(told.certificate, bytes)),
    ];
    expect(results.filter(({ code }) => code === "ok")).toEqual([]);
    expect(check(told.certificate, told.deviceList).code).toBe("ok");
  });
});

describe("attack 4: stale bundles and lists", () => {
  it("refuses a bundle whose signed prekey is past its expiry, and takes it a moment before", () => {
    const [alice, bob] = people(7);
    const bundle = bob.bundle();
    const verified = alice.verify(bob);
    if (verified.code !== "ok") throw new Error(verified.code);
    // The list is issued again, as its owner would have; only the prekeys are stale.
    const issuedAt = later(START, SIGNED_PREKEY_LIFETIME_MS - DAY);
    const { account, devices, hash, version } = bob.identity.list;
    const said = { account, version: version + 1, previousHash: hash, issuedAt, devices };
    const list = makeDeviceList(
      said,
      (bob.identity.accountSeed as NonNullable<Identity["accountSeed"]>).reveal(),
    );
    bob.identity = { ...bob.identity, list };
    alice.now = later(START, SIGNED_PREKEY_LIFETIME_MS - 1);
    expect(alice.verifyBundle(bob, bundle).code).toBe("ok");
    alice.now = later(START, SIGNED_PREKEY_LIFETIME_MS);
    expect(alice.verifyBundle(bob, bundle).code).toBe("expired");
  });

  it("refuses each kind of prekey past its own expiry, or signed for longer than it may live", () => {
    const [alice, bob] = people(32);
    const { identity, random } = bob;
    // A sealing key that is younger than the prekeys, so that it is not what is refused.
    const young = makeSealingKey(identity.certificate, identity.signingSeed, random, later(START, 20 * DAY));
    const making = { identity: { ...identity, sealing: [young] }, random };
    const [signed, lastResort] = makeSignedPrekeys({ ...making, now: START });
    const [freshSigned, freshLastResort] = makeSignedPrekeys({ ...making, now: later(START, 20 * DAY) });
    const verified = alice.verify(bob);
    if (verified.code !== "ok") throw new Error(verified.code);
    const code = (one: PrekeyRecord, other: PrekeyRecord, ms: number): string => {
      const bundle = {
        signed: itemOf(one),
        lastResort: itemOf(other),
        oneTime: undefined,
        oneTimeKem: undefined,
      };
      const peer = { ...verified.peer, list: { ...verified.peer.list, issuedAt: later(START, 20 * DAY) } };
      return verifyBundle({ peer, bundle, now: later(START, ms) }).code;
    };
    const end = SIGNED_PREKEY_LIFETIME_MS;
    expect(code(signed, lastResort, end - 1)).toBe("ok");
    expect(code(signed, freshLastResort, end)).toBe("expired");
    expect(code(freshSigned, lastResort, end)).toBe("expired");
    expect(code(freshSigned, freshLastResort, end)).toBe("ok");
    expect(code(freshSigned, freshLastResort, DAY)).toBe("expired");
    // Behind format, address and key: when it was made, and when it ends.
    const long = withBytes(freshLastResort.upload, 1 + 18 + 1_185 + 14, Uint8Array.of(0xff));
    const upload = signAgain(bob, long, LABELS.signLastResort);
    expect(code(freshSigned, { ...freshLastResort, upload }, 20 * DAY)).toBe("expired");
  });

  it("refuses prekeys that the device's key has signed for another address", () => {
    const [alice, bob] = people(33);
    const { account } = alice.identity.certificate;
    const identity = { ...bob.identity, certificate: { ...bob.identity.certificate, account } };
    const [signed, lastResort] = makeSignedPrekeys({ identity, random: bob.random, now: START });
    const bundle = bob.bundle();
    expect(alice.verifyBundle(bob, { ...bundle, signed: itemOf(signed) }).code).toBe("wrong-device");
    expect(alice.verifyBundle(bob, { ...bundle, lastResort: itemOf(lastResort) }).code).toBe("wrong-device");
  });

  it("refuses a device list past its age, an older one, and another one of the same version", () => {
    const [alice, bob] = people(8);
    alice.start(bob);
    const seed = (bob.identity.accountSeed as NonNullable<Identity["accountSeed"]>).reveal();
    const { account, devices, hash } = bob.identity.list;
    const first = bob.identity.list;
    const second = makeDeviceList(
      { account, version: 2, previousHash: hash, issuedAt: START, devices },
      seed,
    );
    const forked = makeDeviceList(
      { account, version: 2, previousHash: hash, issuedAt: later(START, 1), devices },
      seed,
    );
    const asked = {
      identity: alice.identity,
      certificate: bob.identity.certificateBytes,
      address: bob.address,
    };
    const check = (deviceList: Uint8Array, pinned: PeerDevice | undefined, now = START): VerifiedPeer =>
      verifyPeer({ ...asked, deviceList, pinned, now });
    const newest = check(second.bytes, alice.peer(bob));
    if (newest.code !== "ok") throw new Error(newest.code);
    expect(check(first.bytes, newest.peer).code).toBe("list-rolled-back");
    expect(check(forked.bytes, newest.peer).code).toBe("list-forked");
    expect(check(second.bytes, newest.peer, later(START, 35 * DAY)).code).toBe("list-expired");
  });

  it("refuses the bundle's device once the newest list does not name it", () => {
    const [alice, bob] = people(9);
    alice.start(bob);
    const seed = (bob.identity.accountSeed as NonNullable<Identity["accountSeed"]>).reveal();
    const { account, hash } = bob.identity.list;
    const devices = [{ device: 2 as DeviceNumber, certificateHash: new Uint8Array(32) }];
    const removed = makeDeviceList(
      { account, version: 2, previousHash: hash, issuedAt: START, devices },
      seed,
    );
    bob.identity = { ...bob.identity, list: removed };
    expect(alice.verify(bob).code).toBe("device-not-listed");
  });
});

describe("attack 5: X25519 keys of small order, all-zero results, non-canonical keys", () => {
  it("refuses them as SPK, although the owner signed them", () => {
    const [alice, bob] = people(10);
    const { upload } = bob.prekey("signed");
    for (const point of BAD_POINTS) {
      const bytes = signAgain(bob, withBytes(upload, KEY_AT, point), LABELS.signSignedPrekey);
      const signed = itemWith(bytes, Uint8Array.of(1, ...point));
      expect(alice.verifyBundle(bob, { ...bob.bundle(), signed }).code).toBe("malformed");
    }
  });

  it("refuses them as OPK", () => {
    const [alice, bob] = people(11);
    for (const point of BAD_POINTS) {
      const oneTime = itemWith(Uint8Array.of(3, 1, ...point), Uint8Array.of(1, ...point));
      expect(alice.verifyBundle(bob, { ...bob.bundle(), oneTime }).code).toBe("malformed");
    }
  });

  it("refuses them as sealing key", () => {
    const [alice, bob] = people(12);
    const { upload, id } = bob.prekey("signed");
    // Behind format, address, key and two times.
    const at = 1 + 18 + 33 + 16 + 1;
    for (const point of BAD_POINTS) {
      const bytes = signAgain(bob, withBytes(upload, at, point), LABELS.signSignedPrekey);
      expect(alice.verifyBundle(bob, { ...bob.bundle(), signed: { id: toBytes(id), bytes } }).code).toBe(
        "malformed",
      );
    }
  });

  it("refuses them as DI in a certificate", () => {
    const [alice, bob] = people(13);
    const seeds = {
      account: (bob.identity.accountSeed as NonNullable<Identity["accountSeed"]>).reveal(),
      signing: bob.identity.signingSeed.reveal(),
    };
    const { deviceList } = publicIdentity(bob.identity);
    for (const dhKey of BAD_POINTS) {
      const certificate = makeCertificate({ ...bob.identity.certificate, dhKey }, seeds);
      const asked = {
        identity: alice.identity,
        certificate,
        deviceList,
        pinned: undefined,
        address: undefined,
      };
      expect(verifyPeer({ ...asked, now: START }).code).toBe("malformed");
    }
  });

  it("refuses them as E_A of a first message", () => {
    for (const point of BAD_POINTS) {
      const { alice, bob } = pair(14);
      setRatchet(
        alice,
        bob,
        withPrelude(alice.ratchet(bob), () => ({ ephemeral: point })),
      );
      expect(bob.read(alice.send(bob, "hello"))).toBe("!malformed");
    }
  });

  it("refuses them as ratchet key in a header", () => {
    for (const publicKey of BAD_POINTS) {
      const { alice, bob } = pair(15);
      alice.send(bob, "begins the chain");
      const ratchet = alice.ratchet(bob);
      const { sending } = ratchet.core;
      if (sending.at !== "chain") throw new Error("no chain");
      const core = { ...ratchet.core, sending: { ...sending, own: { ...sending.own, publicKey } } };
      setRatchet(alice, bob, { ...ratchet, core });
      expect(bob.read(alice.send(bob, "hello"))).toBe("!malformed");
    }
  });

  it("refuses them as HPKE enc and as the key sealed to", () => {
    const { alice, bob } = pair(16);
    const mail = alice.send(bob, "hello");
    for (const point of BAD_POINTS) {
      expect(bob.read({ id: mail.id, ciphertext: withBytes(mail.ciphertext, 9, point) })).toBe(
        "!not-sealed-for-us",
      );
      expect(new HpkeContext(new Uint8Array(0)).sender(point, new Uint8Array(32).fill(5))).toBe(undefined);
    }
    expect(bob.read(mail)).toBe("hello");
  });

  it("has no result in X25519 for the points of small order, as a last resort", () => {
    for (const point of BAD_POINTS.slice(0, 7))
      expect(x25519(new Uint8Array(32).fill(9), point)).toBe(undefined);
  });
});

describe.skipIf(!existsSync(MODULUS))("attack 6: invalid ML-KEM encapsulation keys", () => {
  it("refuses each of the 780 keys over the modulus in a bundle, although its owner signed them", () => {
    const [alice, bob] = people(17);
    const { upload } = bob.prekey("oneTimeKem");
    const keys = gunzipSync(readFileSync(MODULUS)).toString().trim().split("\n").map(hex);
    const codes = keys.map((key) => {
      const bytes = signAgain(bob, withBytes(upload, KEY_AT, key), LABELS.signOneTimeKem);
      const oneTimeKem = itemWith(bytes, encode(kemKey, key, 2_048));
      const verified = alice.verifyBundle(bob, { ...bob.bundle(), oneTimeKem });
      if (verified.code !== "ok") return verified.code;
      const { identity, random } = alice;
      return startRatchet({ identity, bundle: verified.bundle, random, now: START }).code;
    });
    expect([codes.length, new Set(codes)]).toEqual([780, new Set(["bad-key"])]);
  });
});

describe("attack 7: unknown key share", () => {
  it("refuses Alice's device keys in Mallory's certificate: Alice's device never signed for that account", () => {
    const random = seededRandom(18);
    const [alice, mallory, bob] = [new Device(random), new Device(random), new Device(random)];
    const { signingKey, dhKey } = alice.identity.certificate;
    const account = (mallory.identity.accountSeed as NonNullable<Identity["accountSeed"]>).reveal();
    const signing = mallory.identity.signingSeed.reveal();
    const stolen = makeCertificate(
      { ...mallory.identity.certificate, signingKey, dhKey },
      { account, signing },
    );
    const { account: id, version, previousHash, issuedAt } = mallory.identity.list;
    const devices = [{ device: 1 as DeviceNumber, certificateHash: certificateHash(stolen) }];
    const list = makeDeviceList({ account: id, version, previousHash, issuedAt, devices }, account);
    const asked = { identity: bob.identity, certificate: stolen, deviceList: list.bytes, pinned: undefined };
    expect(verifyPeer({ ...asked, address: undefined, now: START }).code).toBe("bad-signature");
  });

  it("refuses a certificate that the account key did not sign, although the signed list names it", () => {
    const [alice, bob] = people(34);
    const seed = (bob.identity.accountSeed as NonNullable<Identity["accountSeed"]>).reveal();
    const account = new Uint8Array(32).fill(34);
    const certificate = makeCertificate(bob.identity.certificate, {
      account,
      signing: bob.identity.signingSeed.reveal(),
    });
    const devices = [{ device: 1 as DeviceNumber, certificateHash: certificateHash(certificate) }];
    const { bytes: deviceList } = makeDeviceList({ ...bob.identity.list, devices }, seed);
    const asked = {
      identity: alice.identity,
      certificate,
      deviceList,
      pinned: undefined,
      address: bob.address,
    };
    expect(verifyPeer({ ...asked, now: START }).code).toBe("bad-signature");
  });

  it("refuses a message whose sender was relabelled, and one under another's introduction", () => {
    const random = seededRandom(19);
    const [alice, mallory, bob] = [new Device(random), new Device(random), new Device(random)];
    mallory.start(bob);
    const { account, device } = alice.identity.certificate;
    const asAlice = { ...mallory.identity.certificate, account, device };
    mallory.identity = { ...mallory.identity, certificate: asAlice };
    expect(bob.read(mallory.send(bob, "it is me, Alice"))).toBe("!untrusted-device");
    mallory.identity = { ...alice.identity, dhSecret: mallory.identity.dhSecret };
    expect(bob.read(mallory.send(bob, "it is me, Alice"))).toBe("!bad-sender-tag");
    expect(bob.peers.size).toBe(0);
  });

  it("refuses another account key for a pinned account", () => {
    const { alice, bob } = pair(20);
    expect(bob.read(alice.send(bob, "first"))).toBe("first");
    const fake = new Device(seededRandom(21));
    const seeds = {
      account: (fake.identity.accountSeed as NonNullable<Identity["accountSeed"]>).reveal(),
      signing: fake.identity.signingSeed.reveal(),
    };
    const { account } = alice.identity.certificate;
    const certificate = makeCertificate({ ...fake.identity.certificate, account }, seeds);
    const devices = [{ device: 1 as DeviceNumber, certificateHash: certificateHash(certificate) }];
    const said = { account, version: 2, previousHash: alice.identity.list.hash, issuedAt: START, devices };
    const list = makeDeviceList(said, seeds.account);
    const asked = {
      identity: bob.identity,
      certificate,
      deviceList: list.bytes,
      address: undefined,
      now: START,
    };
    expect(verifyPeer({ ...asked, pinned: bob.peer(alice) }).code).toBe("account-key-changed");
    fake.identity = {
      ...fake.identity,
      certificate: { ...fake.identity.certificate, account },
      certificateBytes: certificate,
      list,
    };
    const before = bob.peer(alice);
    fake.start(bob);
    const refused = bob.look(fake.send(bob, "it is me, Alice"));
    expect(refused.code === "ok").toBe(false);
    expect(bob.peer(alice)).toBe(before);
  });
});

describe("attack 8: replay of a first message that used last-resort keys", () => {
  it("makes one ratchet and delivers once, also when the ratchet is forgotten", () => {
    const [alice, bob] = people(22);
    alice.start(bob, bob.bundle({ oneTime: false, oneTimeKem: false }));
    const mail = alice.send(bob, "hello");
    expect(bob.read(mail)).toBe("hello");
    expect(bob.read(mail)).toBe("!duplicate");
    expect(bob.ratchets.get(alice.address)?.length).toBe(1);
    bob.ratchets.clear();
    expect(bob.read(mail)).toBe("!duplicate");
    expect(bob.ratchets.size).toBe(0);
  });
});

describe("attack 9: replay after a one-time prekey was consumed", () => {
  it.each([
    ["both", { oneTime: true, oneTimeKem: true }],
    ["the X25519 one", { oneTime: true, oneTimeKem: false }],
    ["the KEM one", { oneTime: false, oneTimeKem: true }],
  ])("never makes a second ratchet: %s consumed", (_, which) => {
    const [alice, bob] = people(23);
    alice.start(bob, bob.bundle(which));
    const mail = alice.send(bob, "hello");
    expect(bob.read(mail)).toBe("hello");
    expect(bob.read(mail)).toBe("!duplicate");
    bob.ratchets.clear();
    expect(bob.read(mail)).toMatch(/^!(duplicate|key-expired)$/);
    expect(bob.ratchets.size).toBe(0);
  });
});

describe("prekeys that have ended", () => {
  it("start no ratchet R + 2 d after their expiry, although they were not deleted, and do a moment before", () => {
    const [alice, bob] = people(29);
    alice.start(bob, bob.bundle({ oneTime: false, oneTimeKem: false }));
    const mail = alice.send(bob, "hello");
    const end = destroyAt(bob.prekey("signed"));
    // Sealing keys that live longer, so that only the prekeys decide.
    const sealing = bob.identity.sealing.map((key) => ({
      ...key,
      record: { ...key.record, expiresAt: later(START, 900 * DAY) },
    }));
    bob.identity = { ...bob.identity, sealing };
    bob.now = end;
    expect(bob.look(mail)).toEqual({ code: "key-expired", tagVerified: true });
    bob.now = later(end, -1);
    expect(bob.look(mail).code).toBe("ok");
  });

  it("live R + 2 d beyond the moment from which the relay no longer listed them", () => {
    const [, bob] = people(30);
    const record = bob.prekey("oneTime");
    const tail = RETENTION_MS + RETENTION_SLACK_MS;
    expect(destroyAt(record)).toBe(record.expiresAt + tail);
    expect(destroyAt(record, later(START, DAY))).toBe(START + DAY + tail);
    expect(destroyAt(record, later(record.expiresAt, DAY))).toBe(record.expiresAt + tail);
  });

  it("are due for replacement 48 h after they were made, give or take 6 h, by chance", () => {
    const random = seededRandom(31);
    const hours = Array.from({ length: 200 }, () => (signedPrekeysDueAt(START, random) - START) / 3_600_000);
    expect(Math.min(...hours)).toBeGreaterThanOrEqual(42);
    expect(Math.max(...hours)).toBeLessThanOrEqual(54);
    expect(Math.max(...hours) - Math.min(...hours)).toBeGreaterThan(10);
  });
});

describe("attack 13: downgrade", () => {
  it("refuses a bundle without its KEM part, or of another format", () => {
    const [alice, bob] = people(24);
    const bundle = bob.bundle();
    const none = { id: new Uint8Array(8), bytes: new Uint8Array(0) };
    expect(alice.verifyBundle(bob, { ...bundle, lastResort: none }).code).toBe("malformed");
    for (const format of [0, 5, 0xff]) {
      const bytes = withBytes(bundle.signed.bytes, 0, Uint8Array.of(format));
      expect(alice.verifyBundle(bob, { ...bundle, signed: { ...bundle.signed, bytes } }).code).toBe(
        "malformed",
      );
    }
  });

  it("refuses a first message without its KEM ciphertext or with another one", () => {
    const { alice, bob } = pair(25);
    const ratchet = alice.ratchet(bob);
    setRatchet(
      alice,
      bob,
      withPrelude(ratchet, ({ ciphertext }) => ({ ciphertext: ciphertext.map((byte) => byte ^ 1) })),
    );
    expect(bob.read(alice.send(bob, "hello"))).toBe("!header-mac");
    setRatchet(alice, bob, { ...ratchet, standing: { at: "confirmed" } });
    expect(bob.read(alice.send(bob, "hello"))).toBe("!unknown-session");
  });

  it("refuses other versions of envelope and bundle ids that are left out", () => {
    const { alice, bob } = pair(26);
    const mail = alice.send(bob, "hello");
    for (const version of [0, 2, 255]) {
      const ciphertext = withBytes(mail.ciphertext, 0, Uint8Array.of(version));
      expect(bob.read({ id: mail.id, ciphertext })).toBe("!malformed");
    }
  });

  it("does not make a ratchet without the one-time key that the initiator used", () => {
    const { alice, bob } = pair(27);
    setRatchet(
      alice,
      bob,
      withPrelude(alice.ratchet(bob), () => ({ oneTime: undefined })),
    );
    expect(bob.read(alice.send(bob, "hello"))).toBe("!header-mac");
  });
});

it("attack 25: refuses a message that is sent back to its sender", () => {
  const { alice, bob } = pair(28);
  const mail = alice.send(bob, "hello");
  expect(alice.look(mail).code).toBe("key-expired");
  // Sealed again to Alice's own device, by somebody who has opened it.
  const itself: DeviceAddress = alice.address;
  expect(addressOf(alice.identity.certificate.account, alice.identity.certificate.device)).toBe(itself);
  alice.peers.set(itself, {
    ...alice.peer(bob),
    address: itself,
    sealing: alice.identity.sealing[0]?.record,
  });
  alice.ratchets.set(itself, [{ ...alice.ratchet(bob), peer: itself }]);
  expect(alice.look(alice.send(alice, "hello")).code).toBe("untrusted-device");
});

it("keys of x25519Key are those that isX25519Key takes", () => {
  for (const point of BAD_POINTS)
    expect(() => decodeAll(x25519Key, Uint8Array.of(1, ...point))).toThrow("acceptable");
});
