// Device lists of several devices: how they follow one another, and attacks 29, 30 and 32 as far as cryptography stops them.
import { addressOf, type DeviceNumber, fromBytes, type AccountId, type UserName } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import { makeCertificate } from "../../crypto/certificate.ts";
import { type DeviceList, type DeviceListBody, makeDeviceList } from "../../crypto/device-list.ts";
import {
  acceptGrant,
  adoptList,
  answerOffer,
  blake2b,
  certificateHash,
  confirmLinking,
  createIdentity,
  encodeIdentity,
  encrypt,
  followList,
  hearJoining,
  type Identity,
  LABELS,
  LIST_LIFETIME_MS,
  listChange,
  maintainIdentity,
  makeOneTimePrekeys,
  makeSignedPrekeys,
  parseDeviceList,
  type PeerDevice,
  publicIdentity,
  ready,
  removeDevice,
  verifyPeer,
} from "../../crypto/index.ts";
import { encode, ed25519Key } from "../../crypto/layout.ts";
import { ed25519Sign } from "../../crypto/primitives.ts";
import { withBytes } from "./attack-tools.ts";
import { done, flips, good, scan, SECOND, shown } from "./linking-support.ts";
import { Device, later, type Mail, START, text } from "./support.ts";

beforeAll(ready);

const seedOfAccount = (identity: Identity): Uint8Array =>
  (identity.accountSeed as NonNullable<Identity["accountSeed"]>).reveal();

/** A device that has this identity, with prekeys of its own. */
function deviceWith(identity: Identity, random: Device["random"]): Device {
  const device = new Device(random);
  device.identity = identity;
  device.prekeys.clear();
  const making = { identity, random, now: START };
  for (const record of [...makeSignedPrekeys(making), ...makeOneTimePrekeys(making, { curve: 3, kem: 2 })])
    device.prekeys.set(record.id, record);
  return device;
}

interface Family {
  readonly primary: Device;
  readonly second: Device;
  readonly contact: Device;
  /** The account's two devices as the contact has verified them, under version 2. */
  readonly known: readonly [PeerDevice, PeerDevice];
}

/** An account with two devices, and a contact that talks to both. */
function family(seed: number): Family {
  const { after, linked, random } = done(seed);
  const [primary, second, contact] = [
    deviceWith(after, random),
    deviceWith(linked, random),
    new Device(random),
  ];
  for (const device of [primary, second]) {
    contact.start(device);
    if (device.read(contact.send(device, "hello")) !== "hello") throw new Error("not heard");
    if (contact.read(device.send(contact, "hello")) !== "hello") throw new Error("not heard");
  }
  return { primary, second, contact, known: [contact.peer(primary), contact.peer(second)] };
}

/** A list after `known` that the account key has signed, with anything changed. */
function nextOf(primary: Device, change: Partial<DeviceListBody> = {}): DeviceList {
  const { account, version, hash, devices } = primary.identity.list;
  const said = { account, version: version + 1, previousHash: hash, issuedAt: START, devices, ...change };
  return makeDeviceList(said, seedOfAccount(primary.identity));
}

const follow = (known: readonly [PeerDevice, ...PeerDevice[]], deviceList: Uint8Array, now = START) =>
  followList({ known, deviceList, now });

describe("a newer list of a known account", () => {
  it("says what was added and removed, and leaves the peers that it names, under it", () => {
    const { primary, known } = family(1);
    const third = { device: 3 as DeviceNumber, certificateHash: new Uint8Array(32).fill(3) };
    const added = nextOf(primary, { devices: [...primary.identity.list.devices, third] });
    const one = good(follow(known, added.bytes));
    expect(one.change).toEqual({ added: [3], removed: [] });
    expect(one.peers.map(({ address }) => address)).toEqual(known.map(({ address }) => address));
    expect(one.peers.every(({ list }) => list.version === 3)).toBe(true);
    const { identity } = good(removeDevice(primary.identity, SECOND, START));
    const two = good(follow(known, identity.list.bytes));
    expect(two.change).toEqual({ added: [], removed: [2] });
    expect(two.peers.map(({ address }) => address)).toEqual([primary.address]);
    expect(listChange(added, identity.list)).toEqual({ added: [], removed: [2, 3] });
    expect(listChange(undefined, added)).toEqual({ added: [1, 2, 3], removed: [] });
    expect(good(follow(known, primary.identity.list.bytes)).change).toEqual({ added: [], removed: [] });
  });

  it("tells of a removal even where one of the peers has heard of it before", () => {
    const { primary, known } = family(2);
    const { identity } = good(removeDevice(primary.identity, SECOND, START));
    const heard = { ...known[0], list: identity.list };
    expect(good(follow([heard, known[1]], identity.list.bytes)).change).toEqual({ added: [], removed: [2] });
    // Of a device that is listed, and that nothing was ever sent to, no peer is kept.
    expect(good(follow([known[0]], identity.list.bytes)).change).toEqual({ added: [], removed: [2] });
    expect(good(follow([known[0]], nextOf(primary).bytes)).change).toEqual({ added: [], removed: [] });
    const again = maintainIdentity(identity, { random: primary.random, now: later(START, LIST_LIFETIME_MS) });
    const now = later(START, LIST_LIFETIME_MS);
    expect(good(follow([heard, known[1]], again.list.bytes, now)).change).toEqual({
      added: [],
      removed: [2],
    });
    // One peer knows version 3: version 2 is rolled back, whatever the other knows.
    expect(follow([known[1], heard], primary.identity.list.bytes).code).toBe("list-rolled-back");
  });

  it("of the primary device is its own to change: it does not remove itself, nor what is not there", () => {
    const { primary, second } = family(3);
    expect(removeDevice(primary.identity, 1 as DeviceNumber, START).code).toBe("own-device");
    expect(removeDevice(primary.identity, 3 as DeviceNumber, START).code).toBe("not-listed");
    expect(() => removeDevice(second.identity, 1 as DeviceNumber, START)).toThrow("primary");
    const { identity } = good(removeDevice(primary.identity, SECOND, START));
    expect(identity.list.version).toBe(3);
    expect(identity.list.previousHash).toEqual(primary.identity.list.hash);
    expect(identity.list.devices.map(({ device }) => device)).toEqual([1]);
    expect(primary.identity.list.version).toBe(2);
  });

  it("is used for sending for 35 d after its issue, and not a moment longer", () => {
    const { primary, known } = family(4);
    const list = nextOf(primary).bytes;
    expect(follow(known, list, later(START, LIST_LIFETIME_MS - 1)).code).toBe("ok");
    expect(follow(known, list, later(START, LIST_LIFETIME_MS)).code).toBe("list-expired");
  });

  it("names no device and no certificate twice", () => {
    const { primary } = family(5);
    const { bytes, devices } = primary.identity.list;
    const front = bytes.subarray(0, -64);
    const entry = front.length - 34;
    const [first, second] = devices.map(({ certificateHash: hash }) => hash) as [Uint8Array, Uint8Array];
    expect(front.subarray(entry + 2)).toEqual(second);
    const signed = (said: Uint8Array): Uint8Array =>
      Uint8Array.of(...said, ...ed25519Sign(seedOfAccount(primary.identity), LABELS.signDeviceList, said));
    expect(parseDeviceList(signed(front)).devices).toEqual(devices);
    expect(() => parseDeviceList(signed(withBytes(front, entry + 2, first)))).toThrow("two numbers");
    expect(() => parseDeviceList(signed(withBytes(front, entry, Uint8Array.of(0, 1))))).toThrow("order");
  });
});

describe("attack 29: a relay that changes device lists", () => {
  it("adds no device: neither to a list that it changes, nor in one that it signs", () => {
    const { primary, contact, known } = family(10);
    const { list } = primary.identity;
    const mallory = createIdentity({ random: contact.random, now: START });
    const its = { device: 3 as DeviceNumber, certificateHash: certificateHash(mallory.certificateBytes) };
    const said = { ...nextOf(primary), devices: [...list.devices, its] };
    const forged = makeDeviceList(said, seedOfAccount(mallory)).bytes;
    const spliced = Uint8Array.of(...forged.subarray(0, -64), ...list.bytes.subarray(-64));
    expect([forged, spliced].map((bytes) => follow(known, bytes).code)).toEqual([
      "bad-signature",
      "bad-signature",
    ]);
    expect(follow(known, mallory.list.bytes).code).toBe("bad-signature");
    const ofAnother = makeDeviceList(
      { ...said, account: mallory.list.account },
      seedOfAccount(primary.identity),
    );
    expect(follow(known, ofAnother.bytes).code).toBe("wrong-account");
    const listed = flips(nextOf(primary).bytes).map((bytes) => follow(known, bytes).code);
    expect(new Set(listed)).toEqual(new Set(["bad-signature", "malformed"]));
    const asked = { identity: contact.identity, pinned: known[0], address: undefined, now: START };
    const { certificate } = publicIdentity(mallory);
    expect(verifyPeer({ ...asked, certificate, deviceList: list.bytes }).code).toBe("wrong-account");
  });

  it("rolls no version back, shows no second list of a version, breaks no chain and gives no number to another device", () => {
    const { primary, known } = family(11);
    const { list } = primary.identity;
    const next = nextOf(primary);
    const [first, second] = list.devices as [DeviceListBody["devices"][0], DeviceListBody["devices"][0]];
    const other = { ...second, certificateHash: new Uint8Array(32).fill(9) };
    const codeOf = (change: Partial<DeviceListBody>): string =>
      follow(known, nextOf(primary, change).bytes).code;
    expect(codeOf({ version: list.version - 1 })).toBe("list-rolled-back");
    expect(codeOf({ version: list.version })).toBe("list-forked");
    expect(codeOf({ previousHash: new Uint8Array(32) })).toBe("list-forked");
    expect(codeOf({ devices: [first, other] })).toBe("list-forked");
    expect(codeOf({ version: list.version + 5, devices: [first, other] })).toBe("list-forked");
    // What lies between was not seen: it is believed by its signature.
    expect(codeOf({ version: list.version + 5, previousHash: new Uint8Array(32) })).toBe("ok");
    expect(follow(known, next.bytes).code).toBe("ok");
  });

  it("that shows two contacts different lists is told of by the next message of either", () => {
    const { primary, contact } = family(12);
    const forked = nextOf(primary, { issuedAt: later(START, 1) });
    contact.peers.set(primary.address, { ...contact.peer(primary), list: forked });
    primary.identity = { ...primary.identity, list: nextOf(primary) };
    const seen = primary.receive(contact.send(primary, "by the list that I was shown"));
    expect(seen).toMatchObject({ code: "ok", ourList: "forked" });
    const told = contact.receive(primary.send(contact, "by the one that I have"));
    expect(told).toMatchObject({ code: "ok", theirList: "forked" });
  });

  it("that keeps a newer list back is overtaken by the account's next message", () => {
    const { primary, contact } = family(13);
    primary.identity = good(removeDevice(primary.identity, SECOND, START)).identity;
    const heard = primary.receive(contact.send(primary, "by the old list"));
    expect(heard).toMatchObject({ code: "ok", ourList: "older" });
    const before = contact.peer(primary).list;
    expect(contact.read(primary.send(contact, "by the new one"))).toBe("by the new one");
    expect(listChange(before, contact.peer(primary).list)).toEqual({ added: [], removed: [2] });
  });
});

describe("attack 30: a device that was removed", () => {
  it("gets no ciphertext once the new list is known", () => {
    const { primary, second, contact, known } = family(20);
    const { identity } = good(removeDevice(primary.identity, SECOND, START));
    const { peers, list } = good(follow(known, identity.list.bytes));
    const sent: Mail[] = peers.map((peer) => {
      const to = [primary, second].find(({ address }) => address === peer.address) as Device;
      return contact.send(to, "after the removal");
    });
    expect(sent.map((mail) => primary.read(mail))).toEqual(["after the removal"]);
    expect(sent.map((mail) => second.look(mail).code)).toEqual(["key-expired"]);
    // What was kept of it against the rule is not encrypted for, under the list that the account has now.
    const kept = { identity: contact.identity, ratchet: contact.ratchet(second), random: contact.random };
    const message = { plaintext: text("no"), content: "lasting", now: START } as const;
    const envelope = fromBytes<Mail["id"]>(contact.random.bytes(16));
    const to = (peer: PeerDevice): string => encrypt({ ...kept, ...message, envelope, peer }).code;
    expect(to({ ...known[1], list })).toBe("device-not-listed");
    expect(to(known[1])).toBe("ok");
  });

  it("is given to nobody with a bundle, nor verified again, by the new list", () => {
    const { primary, second, contact, known } = family(21);
    const { identity } = good(removeDevice(primary.identity, SECOND, START));
    const { certificate } = publicIdentity(second.identity);
    const asked = { identity: contact.identity, certificate, address: second.address, now: START };
    const by = (deviceList: Uint8Array, pinned: PeerDevice | undefined): string =>
      verifyPeer({ ...asked, deviceList, pinned }).code;
    expect(by(identity.list.bytes, known[0])).toBe("device-not-listed");
    expect(by(identity.list.bytes, undefined)).toBe("device-not-listed");
    const [heard] = good(follow(known, identity.list.bytes)).peers;
    expect(by(primary.identity.list.bytes, heard)).toBe("list-rolled-back");
    expect(by(primary.identity.list.bytes, known[0])).toBe("ok");
  });

  it("is not heard any more, neither on its ratchet nor with a new one", () => {
    const { primary, second, contact, known } = family(22);
    const { identity } = good(removeDevice(primary.identity, SECOND, START));
    const mail = second.send(contact, "I am still here");
    const [heard] = good(follow(known, identity.list.bytes)).peers as [PeerDevice];
    expect(contact.look(mail).code).toBe("ok");
    contact.peers.set(primary.address, heard);
    expect(contact.look(mail, heard).code).toBe("untrusted-device");
    second.start(contact, contact.bundle({ oneTime: false, oneTimeKem: false }));
    const first = second.send(contact, "a new ratchet");
    expect(contact.look(first, heard).code).toBe("untrusted-device");
    contact.peers.delete(second.address);
    expect(contact.look(first, heard).code).toBe("untrusted-device");
    expect(contact.look(first, known[0]).code).toBe("ok");
  });

  it("does not take a list that names it no more for its own, nor issue one", () => {
    const { primary, second } = family(23);
    const { identity } = good(removeDevice(primary.identity, SECOND, START));
    expect(adoptList(second.identity, identity.list.bytes)).toBe(second.identity);
    const now = later(START, LIST_LIFETIME_MS);
    expect(maintainIdentity(second.identity, { random: second.random, now }).list).toBe(second.identity.list);
  });
});

describe("attack 32: ids that look like other ids", () => {
  const fingerprint = (identity: Identity): Uint8Array =>
    blake2b(32, encode(ed25519Key, identity.certificate.accountKey));

  it("a user's name that is an account key's fingerprint changes nothing of what is linked", () => {
    const linkedAs = (name: UserName): Uint8Array => {
      const { primary, random, showing, text: code } = shown(30);
      const offered = good(scan({ identity: primary, random, text: code, name }));
      const joined = good(answerOffer(showing, { message: offered.message, random, now: START }));
      const { state } = good(hearJoining(offered.state, { message: joined.message, now: START }));
      const { message } = good(confirmLinking(state, { identity: primary, random, now: START }));
      return encodeIdentity(good(acceptGrant(joined.state, { message, now: START })).identity);
    };
    const name = Buffer.from(fingerprint(shown(30).primary))
      .toString("hex")
      .slice(0, 32) as UserName;
    expect(linkedAs(name)).toEqual(linkedAs("anna" as UserName));
  });

  it("a list that has an account key's fingerprint where a certificate's hash belongs names no device", () => {
    const { primary, known, contact } = family(31);
    const [first] = primary.identity.list.devices as [DeviceListBody["devices"][0]];
    const third = { device: 3 as DeviceNumber, certificateHash: fingerprint(primary.identity) };
    const { peers, list } = good(follow(known, nextOf(primary, { devices: [first, third] }).bytes));
    expect(peers.map(({ address }) => address)).toEqual([primary.address]);
    const asked = { identity: contact.identity, pinned: undefined, now: START };
    const { accountKey } = primary.identity.certificate;
    for (const certificate of [encode(ed25519Key, accountKey), primary.identity.certificateBytes])
      expect(
        verifyPeer({
          ...asked,
          certificate,
          deviceList: list.bytes,
          address: addressOf(list.account, 3 as DeviceNumber),
        }).code,
      ).not.toBe("ok");
  });

  it("an account whose id is another's fingerprint is an account of its own", () => {
    const { primary, contact, known } = family(33);
    const { random } = contact;
    const id = fingerprint(primary.identity).slice(0, 16);
    let drawn = 0;
    const mallory = createIdentity({
      random: { bytes: (length) => (drawn++ === 0 ? id : random.bytes(length)) },
      now: START,
    });
    expect(mallory.certificate.account).toBe(fromBytes<AccountId>(id));
    const { certificate, deviceList } = publicIdentity(mallory);
    const asked = { identity: contact.identity, certificate, deviceList, now: START };
    expect(verifyPeer({ ...asked, pinned: known[0], address: undefined }).code).toBe("wrong-account");
    expect(verifyPeer({ ...asked, pinned: undefined, address: primary.address }).code).toBe("wrong-account");
    const own = verifyPeer({ ...asked, pinned: undefined, address: undefined });
    expect(own).toMatchObject({
      code: "ok",
      peer: { address: addressOf(mallory.certificate.account, 1 as DeviceNumber) },
    });
  });

  it("a device whose signing key is to be somebody's account key proves nothing with it", () => {
    const { primary, contact } = family(34);
    const mallory = createIdentity({ random: contact.random, now: START });
    const seeds = { account: seedOfAccount(mallory), signing: mallory.signingSeed.reveal() };
    const { accountKey } = primary.identity.certificate;
    const certificate = makeCertificate({ ...mallory.certificate, signingKey: accountKey }, seeds);
    const devices = [{ device: 1 as DeviceNumber, certificateHash: certificateHash(certificate) }];
    const { account } = mallory.certificate;
    const said = { account, version: 1, previousHash: new Uint8Array(32), issuedAt: START, devices };
    const deviceList = makeDeviceList(said, seeds.account).bytes;
    const asked = { identity: contact.identity, pinned: undefined, address: undefined, now: START };
    expect(verifyPeer({ ...asked, certificate, deviceList }).code).toBe("bad-signature");
  });

  it("a number that another device has is given to none by a linking", () => {
    const { after, random } = done(36);
    const { text: code } = shown(37);
    for (const device of [1, 2] as DeviceNumber[])
      expect(scan({ identity: after, random, text: code, device }).code).toBe("device-number-used");
    expect(scan({ identity: after, random, text: code, device: 3 as DeviceNumber }).code).toBe("ok");
  });
});
