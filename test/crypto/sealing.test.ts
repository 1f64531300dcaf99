// Sealed envelopes and what travels in them: lengths, keys that end, news of the sender, what the recipient learns.
import type { Time } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import {
  encrypt,
  LIST_RENEW_MS,
  MAX_PLAINTEXT_BYTES,
  maintainIdentity,
  mayAskResend,
  type Outcome,
  ready,
  SEALING_LIFETIME_MS,
  SEALING_ROTATE_MS,
  unseal,
} from "../../crypto/index.ts";
import { bucketFor, pad, padTo, unpad, unpadFrom } from "../../crypto/padding.ts";
import {
  newestSealing,
  type SealingKey,
  type SealingRecord,
  sealingDestroyAt,
} from "../../crypto/sealing-key.ts";
import {
  type Arrival,
  Device,
  later,
  type Mail,
  pair,
  START,
  seededRandom,
  talkingPair,
  text,
} from "./support.ts";

beforeAll(ready);

describe("attack 46: lengths", () => {
  it("one length for a text of 1 to 200 bytes, a receipt, a typing notice, once the ratchet is confirmed", () => {
    const { alice, bob } = talkingPair(46);
    const lengths = [1, 2, 57, 199, 200].map(
      (length) => alice.send(bob, "x".repeat(length)).ciphertext.length,
    );
    lengths.push(alice.send(bob, "typing", "passing").ciphertext.length);
    lengths.push(alice.send(bob, "", "control").ciphertext.length);
    expect(new Set(lengths)).toEqual(new Set([487]));
  });

  it("one length of their own for first messages, with and without one-time prekeys", () => {
    const lengths = [true, false].flatMap((oneTime) => {
      const { alice, bob } = pair(47);
      alice.start(bob, bob.bundle({ oneTime, oneTimeKem: oneTime }));
      return [alice.send(bob, "x").ciphertext.length, alice.send(bob, "x".repeat(200)).ciphertext.length];
    });
    expect(new Set(lengths)).toEqual(new Set([2659]));
  });

  it("a new sealing key and a new device list hide in the padding of a short text", () => {
    const { alice, bob } = talkingPair(48);
    alice.now = later(START, SEALING_ROTATE_MS);
    alice.identity = maintainIdentity(alice.identity, alice);
    expect(alice.send(bob, "x".repeat(120)).ciphertext.length).toBe(487);
  });

  it("pads to 256, 512, 1,024, 2,048 and multiples of 2,048 up to 64 KiB, each edge exactly", () => {
    const edges = [0, 254, 255, 256, 511, 512, 1_023, 1_024, 2_047, 2_048, 4_095, 4_096, 65_535].map(
      (length) => bucketFor(length),
    );
    expect(edges).toEqual([256, 256, 256, 512, 512, 1_024, 1_024, 2_048, 2_048, 4_096, 4_096, 6_144, 65_536]);
    expect(bucketFor(65_536)).toBe(undefined);
    expect(() => pad(new Uint8Array(65_536))).toThrow(RangeError);
  });

  it("takes back exactly what it padded, and no padding of another length", () => {
    for (const length of [0, 1, 254, 255, 256, 5_000]) {
      const content = new Uint8Array(length).fill(0x80);
      expect(unpad(pad(content))).toEqual(content);
      expect(unpadFrom(256, padTo(256, content))).toEqual(content);
    }
    const padded = pad(text("short"));
    expect(unpad(padded.subarray(0, 255))).toBe(undefined);
    expect(unpad(Uint8Array.of(...padded, ...new Uint8Array(256)))).toBe(undefined);
    expect(unpad(new Uint8Array(256))).toBe(undefined);
    expect(unpad(new Uint8Array(256).fill(1))).toBe(undefined);
    expect(unpadFrom(256, Uint8Array.of(...padTo(256, text("x")), ...new Uint8Array(256)))).toBe(undefined);
  });

  it("takes the longest plaintext, and refuses one byte more without a change", () => {
    const { alice, bob } = talkingPair(49);
    const longest = "y".repeat(MAX_PLAINTEXT_BYTES);
    expect(bob.read(alice.send(bob, longest))).toBe(longest);
    expect(() => alice.send(bob, `${longest}y`)).toThrow("too-long");
  });
});

describe("attack 47: sealing keys that have ended", () => {
  it("refuses what was sealed to a destroyed key, and opens it a moment before", () => {
    const { alice, bob } = pair(50);
    const mail = alice.send(bob, "old");
    const record = bob.identity.sealing[0]?.record;
    if (record === undefined) throw new Error("no sealing key");
    const end = sealingDestroyAt(record);
    const unsealedAt = (now: Time): string =>
      unseal({ identity: bob.identity, ciphertext: mail.ciphertext, envelope: mail.id, now }).code;
    expect([unsealedAt(later(end, -1)), unsealedAt(end)]).toEqual(["ok", "key-expired"]);
    bob.now = end;
    bob.identity = maintainIdentity(bob.identity, bob);
    expect(bob.identity.sealing.length).toBe(1);
    bob.now = START;
    expect(bob.look(mail).code).toBe("key-expired");
  });

  it("does not seal to a peer's key past its expiry", () => {
    const { alice, bob } = pair(51);
    const refusal = (ms: number): string => {
      const input = {
        identity: alice.identity,
        ratchet: alice.ratchet(bob),
        peer: { ...alice.peer(bob), list: { ...alice.peer(bob).list, issuedAt: later(START, ms) } },
        plaintext: text("hello"),
        content: "lasting" as const,
        random: alice.random,
        now: later(START, ms),
      };
      return encrypt({ ...input, envelope: alice.send(bob, "x").id }).code;
    };
    expect([refusal(SEALING_LIFETIME_MS - 1), refusal(SEALING_LIFETIME_MS)]).toEqual([
      "ok",
      "no-sealing-key",
    ]);
  });

  it("tells the peer of a new sealing key until the peer uses it, and never takes an older one back", () => {
    const { alice, bob } = talkingPair(52);
    alice.now = later(START, SEALING_ROTATE_MS);
    alice.identity = maintainIdentity(alice.identity, alice);
    bob.now = alice.now;
    const old = bob.peer(alice).sealing;
    const mail = alice.send(bob, "news");
    expect(bob.read(mail)).toBe("news");
    const learned = bob.peer(alice).sealing;
    expect(learned?.createdAt).toBe(alice.now);
    expect(alice.send(bob, "x".repeat(250)).ciphertext.length).toBeGreaterThan(487 + 200);
    expect(alice.read(bob.send(alice, "sealed to the new one"))).toBe("sealed to the new one");
    expect(alice.send(bob, "x".repeat(250)).ciphertext.length).toBe(487);
    expect(learned?.key).not.toEqual(old?.key);
    expect(newestSealing(learned, old as SealingRecord)).toBe(learned);
    expect(newestSealing(old, learned as SealingRecord)).toBe(learned);
  });

  it("takes no sealing key from a message that the device's signing key did not sign, and delivers the message", () => {
    const { alice, bob } = talkingPair(62);
    alice.now = bob.now = later(START, SEALING_ROTATE_MS);
    alice.identity = maintainIdentity(alice.identity, alice);
    const [old, next] = alice.identity.sealing as [SealingKey, SealingKey];
    const record = { ...next.record, signature: next.record.signature.map((byte) => byte ^ 1) };
    alice.identity = { ...alice.identity, sealing: [old, { ...next, record }] };
    expect(bob.read(alice.send(bob, "hello"))).toBe("hello");
    expect(bob.peer(alice).sealing?.key).toEqual(old.record.key);
  });
});

describe("what an envelope is bound to", () => {
  it("opens under its own envelope id only, and for its own recipient only", () => {
    const { alice, bob } = talkingPair(53);
    const mail = alice.send(bob, "hello");
    const other = alice.send(bob, "other");
    expect(bob.look({ id: other.id, ciphertext: mail.ciphertext }).code).toBe("not-sealed-for-us");
    expect(alice.look(mail).code).toBe("key-expired");
  });

  it("has a new enc and a new ciphertext each time, and shows nothing of the sender", () => {
    const { alice, bob } = talkingPair(54);
    const [one, two] = [alice.send(bob, "same"), alice.send(bob, "same")].map(({ ciphertext }) =>
      Buffer.from(ciphertext).toString("latin1"),
    ) as [string, string];
    expect(one.slice(0, 9)).toBe(two.slice(0, 9));
    expect(one.slice(9, 41)).not.toBe(two.slice(9, 41));
    for (const told of [alice.address, alice.ratchet(bob).id, alice.identity.certificate.account])
      expect(one.includes(told)).toBe(false);
  });

  it("refuses every flip of a bit of an envelope, and changes nothing", () => {
    const { alice, bob } = talkingPair(55);
    const mail = alice.send(bob, "hello");
    const codes = new Set<string>();
    for (let i = 0; i < mail.ciphertext.length; i++) {
      const ciphertext = mail.ciphertext.slice();
      ciphertext[i] = (ciphertext[i] as number) ^ (1 << (i % 8));
      codes.add(bob.look({ id: mail.id, ciphertext }).code);
    }
    expect(codes).toEqual(new Set(["malformed", "key-expired", "not-sealed-for-us"]));
    expect(bob.read(mail)).toBe("hello");
  });
});

describe("attack 22: garbage sealed in another's name", () => {
  it("is refused by the sender tag, changes nothing, and never lets a resend be asked for", () => {
    const { alice, bob } = talkingPair(60);
    const mallory = new Device(seededRandom(61));
    mallory.start(bob);
    // Everything of Alice that is public, and a header that she once made: only the key between her and Bob is missing.
    const genuine = alice.ratchet(bob);
    mallory.identity = { ...alice.identity, dhSecret: mallory.identity.dhSecret };
    mallory.ratchets.set(bob.address, [genuine]);
    const before = bob.ratchet(alice);
    const outcome = bob.receive(mallory.send(bob, "reset, please"));
    expect(outcome).toEqual({ code: "bad-sender-tag", tagVerified: false });
    expect(bob.ratchet(alice)).toBe(before);
    expect("tagVerified" in outcome && mayAskResend(outcome)).toBe(false);
  });
});

describe("what the recipient learns", () => {
  const okOf = (arrival: Arrival): Extract<Outcome, { code: "ok" }> => {
    if (arrival.code !== "ok") throw new Error(arrival.code);
    return arrival;
  };
  const list = (device: Device): void => {
    device.now = later(device.now, LIST_RENEW_MS);
    device.identity = maintainIdentity(device.identity, device);
  };

  it("pins the sender at first sight, and knows which prekeys to delete", () => {
    const { alice, bob } = pair(56);
    const consumed = [bob.prekey("oneTime").id, bob.prekey("oneTimeKem").id];
    const outcome = okOf(bob.receive(alice.send(bob, "hello")));
    expect(outcome).toMatchObject({
      firstSight: true,
      isNew: true,
      theirList: "same",
      ourList: "same",
      consumed,
    });
    expect(outcome.peer.accountKey).toEqual(alice.identity.certificate.accountKey);
    expect(okOf(bob.receive(alice.send(bob, "again")))).toMatchObject({ firstSight: false, isNew: false });
  });

  it("takes over the sender's newer list from the message itself", () => {
    const { alice, bob } = talkingPair(57);
    list(alice);
    const outcome = okOf(bob.receive(alice.send(bob, "news")));
    expect(outcome.theirList).toBe("same");
    expect(bob.peer(alice).list.version).toBe(2);
    list(bob);
    expect(okOf(bob.receive(alice.send(bob, "seen")))).toMatchObject({ ourList: "older" });
  });

  it("hears of a list of ours that never was, and of another list of the sender under a known version", () => {
    const { alice, bob } = talkingPair(58);
    const peer = alice.peer(bob);
    alice.peers.set(bob.address, { ...peer, list: { ...peer.list, hash: new Uint8Array(32) } });
    expect(okOf(bob.receive(alice.send(bob, "x"))).ourList).toBe("forked");
    alice.peers.set(bob.address, { ...peer, list: { ...peer.list, version: 9 } });
    expect(okOf(bob.receive(alice.send(bob, "x"))).ourList).toBe("newer");
    const own = alice.identity.list;
    alice.identity = { ...alice.identity, list: { ...own, hash: new Uint8Array(32) } };
    expect(okOf(bob.receive(alice.send(bob, "x"))).theirList).toBe("forked");
  });

  it("may ask for a resend only where the sender tag has verified", () => {
    const { alice, bob } = talkingPair(59);
    const mail = alice.send(bob, "hello");
    const asked = (arrival: Arrival): boolean => "tagVerified" in arrival && mayAskResend(arrival);
    bob.ratchets.clear();
    const known = bob.look(mail);
    expect([known.code, asked(known)]).toEqual(["unknown-session", true]);
    bob.peers.clear();
    const unknown = bob.look(mail);
    expect([unknown.code, asked(unknown)]).toEqual(["unknown-session", false]);
    const garbage: Mail = {
      id: mail.id,
      ciphertext: mail.ciphertext.map((byte, i) => (i > 60 ? byte ^ 1 : byte)),
    };
    expect(asked(bob.look(garbage))).toBe(false);
  });
});
