// Attacks on keys, identities and what has ended: 5 to 9, 13 and 25, against the real code with deterministic chance and clock.
import { existsSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { addressOf, decodeAll, type DeviceAddress, type DeviceNumber, toBytes } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import { makeCertificate } from "../../crypto/certificate.ts";
import { makeDeviceList } from "../../crypto/device-list.ts";
import { HpkeContext } from "../../crypto/hpke.ts";
import {
  certificateHash,
  destroyAt,
  type Identity,
  LABELS,
  publicIdentity,
  RETENTION_MS,
  RETENTION_SLACK_MS,
  signedPrekeysDueAt,
  startRatchet,
  ready,
  verifyPeer,
} from "../../crypto/index.ts";
import { encode, kemKey, x25519Key } from "../../crypto/layout.ts";

import { x25519 } from "../../crypto/primitives.ts";
import { DAY, Device, hex, later, pair, seededRandom, START } from "./support.ts";
import {
  BAD_POINTS,
  KEY_AT,
  MODULUS,
  itemWith,
  people,
  setRatchet,
  signAgain,
  withBytes,
  withPrelude,
} from "./attack-tools.ts";

beforeAll(ready);

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
    expect(bob.look(mail)).toMatchObject({ code: "key-expired", tagVerified: true });
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
