// Identities: what is registered, what the relay verifies, and how they stand in bytes.
import { createPublicKey, verify } from "node:crypto";
import { inspect } from "node:util";
import { type Time, signedBytes } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import {
  accessKey,
  accessKeyHash,
  blake2b,
  createIdentity,
  decodeIdentity,
  encodeIdentity,
  type Identity,
  LIST_RENEW_MS,
  maintainIdentity,
  publicIdentity,
  ready,
  replaceProfileKey,
  SEALING_ROTATE_MS,
  Secret,
  signAsAccount,
  signAsDevice,
  verifyCertificate,
  verifyDeviceList,
} from "../../crypto/index.ts";
import { sealingDestroyAt } from "../../crypto/sealing-key.ts";
import { Device, later, seededRandom, START, text } from "./support.ts";

beforeAll(ready);

const make = (seed = 1): Identity => createIdentity({ random: seededRandom(seed), now: START });

/** As a relay verifies, which has no libsodium. */
function nodeVerifies(key: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), key]);
  return verify(null, bytes, createPublicKey({ key: der, format: "der", type: "spki" }), signature);
}

describe("an identity", () => {
  it("registers keys that its certificate and device list vouch for", () => {
    const told = publicIdentity(make());
    const certificate = verifyCertificate(told.certificate);
    expect(certificate?.accountKey).toEqual(told.accountKey);
    expect(certificate?.signingKey).toEqual(told.signingKey);
    const list = verifyDeviceList(told.deviceList, told.accountKey);
    expect(list?.version).toBe(told.listVersion);
    expect(list?.hash).toEqual(told.listHash);
    expect(list?.devices.map(({ device }) => device)).toEqual([told.device]);
  });

  it("signs what node:crypto verifies over label, 0 and tuple, and only under its own purpose", () => {
    const identity = make();
    const { signingKey, accountKey } = publicIdentity(identity);
    const tuple = text("a tuple");
    const signature = signAsDevice(identity, "connect", tuple);
    expect(nodeVerifies(signingKey, signedBytes("connect", tuple), signature)).toBe(true);
    expect(nodeVerifies(signingKey, signedBytes("request", tuple), signature)).toBe(false);
    const byAccount = signAsAccount(identity, "request", tuple);
    expect(nodeVerifies(accountKey, signedBytes("request", tuple), byAccount)).toBe(true);
  });

  it("has an access key of 16 bytes of which the relay knows the hash, and a new one with a new profile key", () => {
    const identity = make();
    expect(accessKey(identity).length).toBe(16);
    expect(publicIdentity(identity).accessKeyHash).toEqual(blake2b(32, accessKey(identity)));
    const changed = replaceProfileKey(identity, seededRandom(2));
    expect(accessKeyHash(accessKey(changed))).not.toEqual(accessKeyHash(accessKey(identity)));
  });

  it("comes back from its bytes, and refuses bytes whose parts do not belong together", () => {
    const identity = make();
    const bytes = encodeIdentity(identity);
    expect(encodeIdentity(decodeIdentity(bytes))).toEqual(bytes);
    const other = encodeIdentity(make(2));
    expect(other.length).toBe(bytes.length);
    const mixed = bytes.slice();
    mixed.set(other.subarray(300), 300);
    expect(() => decodeIdentity(mixed)).toThrow();
    expect(() => decodeIdentity(Uint8Array.of(...bytes, 0))).toThrow("trailing");
  });

  it("does not tell its secrets to logs or JSON", () => {
    const printed =
      inspect(make(), { depth: 9 }) +
      JSON.stringify(new Secret(text("hidden"))) +
      String(new Secret(text("hidden")));
    expect(printed).not.toContain("hidden");
    expect(printed).toContain("[secret]");
  });
});

describe("maintenance of an identity", () => {
  it("leaves it alone before anything is due", () => {
    const identity = make();
    expect(maintainIdentity(identity, { random: seededRandom(2), now: later(START, 1_000) })).toBe(identity);
  });

  it("makes a new sealing key after 7 days, and destroys the old one R + 2 d after its expiry", () => {
    const identity = make();
    const random = seededRandom(2);
    const rotated = maintainIdentity(identity, { random, now: later(START, SEALING_ROTATE_MS) });
    expect(rotated.sealing.length).toBe(2);
    const end = sealingDestroyAt((identity.sealing[0] as Identity["sealing"][number]).record);
    const before = maintainIdentity(rotated, { random, now: (end - 1) as Time });
    expect(before.sealing.map(({ record }) => record.createdAt)).toContain(START);
    const after = maintainIdentity(rotated, { random, now: end });
    expect(after.sealing.map(({ record }) => record.createdAt)).not.toContain(START);
  });

  it("issues its device list again after 14 days, chained to the one before, and peers follow", () => {
    const [alice, bob] = [new Device(seededRandom(1)), new Device(seededRandom(2))];
    alice.start(bob);
    const old = bob.identity.list;
    const now = later(START, LIST_RENEW_MS);
    bob.identity = maintainIdentity(bob.identity, { random: bob.random, now });
    expect(bob.identity.list.version).toBe(old.version + 1);
    expect(bob.identity.list.previousHash).toEqual(old.hash);
    alice.now = now;
    expect(alice.verify(bob)).toMatchObject({ code: "ok", listChanged: true, firstSight: false });
  });
});
