// Attacks on how a ratchet is started. Every test is named after its number in the list of attacks; "refused" means a
// code of its own, no plaintext, and nothing changed.

import { type DeviceNumber, toBytes, toHex } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";

import { makeDeviceList } from "../../crypto/device-list.ts";

import {
  type Bundle,
  ready,
  type Identity,
  LABELS,
  makeSignedPrekeys,
  type PeerDevice,
  type PrekeyItem,
  type PrekeyRecord,
  publicIdentity,
  SIGNED_PREKEY_LIFETIME_MS,
  type VerifiedPeer,
  verifyBundle,
  verifyPeer,
} from "../../crypto/index.ts";

import { type Agreement, agree, type Transcript } from "../../crypto/pqxdh.ts";
import { makeSealingKey } from "../../crypto/sealing-key.ts";
import { kemEncapsulate, kemPublic } from "../../crypto/primitives.ts";
import { DAY, type Device, itemOf, later, pair, START } from "./support.ts";
import { KEY_AT, people, setRatchet, signAgain, withBytes, withPrelude } from "./attack-tools.ts";

beforeAll(ready);

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

  it("agrees on another key where the KEM's secret alone differs: whoever breaks X25519 alone has none", () => {
    const [alice, bob] = people(4);
    const key = (byte: number, length = 32): Uint8Array => new Uint8Array(length).fill(byte);
    const said: Transcript = {
      initiator: alice.identity.certificate,
      responder: bob.identity.certificate,
      ephemeral: key(9),
      signed: key(10),
      oneTime: key(11),
      kem: key(12, 1_184),
      ciphertext: key(13, 1_088),
    };
    const rootOf = (kem: Uint8Array): string =>
      Buffer.from(agree({ dhs: [key(1), key(2), key(3), key(4)], kem }, said).root.reveal()).toString("hex");
    expect(rootOf(key(5))).toBe(rootOf(key(5)));
    expect(rootOf(key(6))).not.toBe(rootOf(key(5)));
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
