// Attacks on who may send and who is who: access keys, blocking, receipts, changed account keys.
import { fromBytes, type Time } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import type { EnvelopeId, FrameOf } from "@lethe/protocol";
import { ClientError } from "../../client-lib/errors.ts";
import { putKey, OWN } from "../../client-lib/keys/key-rows.ts";
import { Trust } from "../../client-lib/keys/trust.ts";
import { accessKey, encodeIdentity, publicIdentity, ready } from "../../crypto/index.ts";
import { AttackWorld, type Side } from "./attack-world.ts";
import { impostorOf } from "./impostor.ts";
import { START } from "./support.ts";

beforeAll(ready);

const receiptsOf = (world: AttackWorld, from: string): number =>
  world.frames.filter((sent) => sent.from === from && sent.frame.frame === "submit").length;

function block(world: AttackWorld, who: string, whom: string): void {
  world.step(world.side(who), { event: "decide", account: world.side(whom).account, decision: "blocked" });
}

/** The relay is told the new hash, as the library does once the contacts have had time to learn it. */
function publish(side: Side): void {
  side.accessHash = publicIdentity(side.keys.identity).accessKeyHash;
}

describe("blocking (access keys)", () => {
  it("gives a new access key to the contacts that remain before the relay knows it, and none to the blocked one", () => {
    const world = new AttackWorld("anna", "ben", "cleo");
    world.befriend("anna", "ben");
    world.befriend("cleo", "ben");
    const [anna, ben, cleo] = [world.side("anna"), world.side("ben"), world.side("cleo")];
    const old = accessKey(ben.keys.identity);
    const toAnna = world.submitsOf("ben").filter(({ to }) => to === "anna").length;
    block(world, "ben", "anna");
    world.run();
    const key = accessKey(ben.keys.identity);
    expect(key).not.toEqual(old);
    expect(ben.keys.accessPending).toBe(true);
    expect(ben.tellsOf("access-key-changed")).toHaveLength(1);
    expect(cleo.core.view.contact(ben.account).accessKey).toEqual(key);
    expect(anna.core.view.contact(ben.account).accessKey).toEqual(old);
    expect(world.submitsOf("ben").filter(({ to }) => to === "anna")).toHaveLength(toAnna);
    publish(ben);
    world.say("cleo", "ben", "still here");
    expect(ben.texts.at(-1)).toBe("still here");
    world.say("anna", "ben", "let me in");
    world.pass(60_000);
    expect(anna.tellsOf("refused")).toMatchObject([{ code: "not-permitted" }]);
    expect(ben.texts).not.toContain("let me in");
    const requests = world.frames.filter(
      ({ from, on, frame }) => from === "anna" && on === "device" && frame.frame === "submit",
    );
    expect(requests, "a refused key never becomes a request").toHaveLength(1);
  });

  it("a contact that was away sends with the old key, waits for the new one, and its message comes", () => {
    const world = new AttackWorld("anna", "ben", "cleo");
    world.befriend("anna", "ben");
    world.befriend("cleo", "ben");
    const [ben, cleo] = [world.side("ben"), world.side("cleo")];
    // What the relay pushes to Cleo is late.
    const late: (() => void)[] = [];
    world.hostile = (mail) => {
      if (mail.to !== "cleo") return mail.ciphertext;
      late.push(() => {
        const connection = cleo.sockets.get("device") ?? 0;
        const push: FrameOf<"push"> = {
          frame: "push",
          id: mail.id,
          kind: "pairwise",
          ciphertext: mail.ciphertext,
        };
        world.step(cleo, { event: "frames", socket: "device", connection, frames: [push] });
      });
      return undefined;
    };
    block(world, "ben", "anna");
    world.run();
    publish(ben);
    world.say("cleo", "ben", "from afar");
    expect(ben.texts).not.toContain("from afar");
    expect(cleo.tellsOf("waiting")).toMatchObject([{ code: "not-permitted" }]);
    for (const push of late) push();
    world.pass(1_000);
    expect(ben.texts.at(-1)).toBe("from afar");
    expect(cleo.tellsOf("refused")).toEqual([]);
  });

  it("is durable: the key, and that the relay is to be told, outlive the process", () => {
    const world = new AttackWorld("anna", "ben");
    world.befriend("anna", "ben");
    const ben = world.side("ben");
    block(world, "ben", "anna");
    world.run();
    const key = accessKey(ben.keys.identity);
    world.start(ben);
    expect(accessKey(ben.keys.identity)).toEqual(key);
    expect(ben.keys.accessPending).toBe(true);
  });
});

describe("attack 41: receipts", () => {
  it("go to accepted contacts alone, for messages that opened, over the anonymous connection", () => {
    const world = new AttackWorld("anna", "ben");
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    world.say("anna", "ben", "hello");
    world.pass(10_000);
    expect(anna.receipts).toHaveLength(1);
    const receipts = world.frames.filter(({ from, frame }) => from === "ben" && frame.frame === "submit");
    expect(new Set(receipts.map(({ on }) => on))).toEqual(new Set(["anonymous"]));
    const before = receiptsOf(world, "ben");
    block(world, "ben", "anna");
    world.run();
    world.say("anna", "ben", "and now?");
    world.pass(10_000);
    expect(receiptsOf(world, "ben")).toBe(before);
    expect(ben.texts).toEqual(["hello"]);
  });

  it("forged by a third party, or for what was never sent, are believed by nobody", () => {
    const world = new AttackWorld("anna", "ben", "mallory");
    world.befriend("mallory", "anna");
    world.hostile = (mail) => (mail.to === "ben" ? undefined : mail.ciphertext);
    const message = world.say("anna", "ben", "not delivered");
    const [anna, mallory] = [world.side("anna"), world.side("mallory")];
    const before = anna.receipts.length;
    const id = "forged receipt!!" as EnvelopeId;
    const sealed = mallory.cipher.seal({
      to: anna.address,
      id,
      message: "m".repeat(16) as never,
      place: undefined,
      content: { kind: "receipt", delivered: [message, "never sent......" as never], read: [message] },
      sentAt: world.now,
      now: world.now,
    });
    const ciphertext = sealed.ciphertext ?? new Uint8Array();
    const connection = anna.sockets.get("device") ?? 0;
    world.step(anna, {
      event: "frames",
      socket: "device",
      connection,
      frames: [{ frame: "push", id, kind: "pairwise", ciphertext }],
    });
    world.pass(10_000);
    expect(anna.receipts).toHaveLength(before);
    expect(anna.core.view.sent(message)?.state).toBe("sent");
    expect(anna.tables.get("resendable")?.has(message), "and it may still be asked for").toBe(true);
  });
});

describe("attack 44: careless whispers", () => {
  it("a stranger's mail, what cannot be opened, and unknown content cause nothing to be sent", () => {
    const world = new AttackWorld("anna", "ben");
    const ben = world.side("ben");
    // Ben decides about strangers himself: nothing was decided yet.
    const before = world.frames.filter(
      ({ from, frame }) => from === "ben" && frame.frame === "submit",
    ).length;
    world.hostile = ({ ciphertext }) => ciphertext.map((byte, i) => (i === 70 ? byte ^ 1 : byte));
    world.say("anna", "ben", "hello");
    world.pass(60_000);
    expect(ben.codes).toEqual(["not-sealed-for-us"]);
    expect(world.frames.filter(({ from, frame }) => from === "ben" && frame.frame === "submit")).toHaveLength(
      before,
    );
  });
});

describe("attack 33: a changed account key", () => {
  it("under the same account id is never believed: no list, no bundle, no message of it", () => {
    const world = new AttackWorld("anna", "ben");
    world.befriend("anna", "ben");
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    const pinned = anna.cipher.accountKey(ben.account);
    const fake = impostorOf(ben);
    expect(fake.certificate.account).toBe(ben.account);
    const { certificate, deviceList, listVersion } = publicIdentity(fake);
    const answer: FrameOf<"has-devices"> = {
      frame: "has-devices",
      request: 1,
      version: listVersion,
      deviceList,
      certificates: [certificate],
    };
    expect(anna.cipher.learnDevices(ben.account, answer, world.now).code).toBe("account-key-changed");
    expect(anna.cipher.accountKey(ben.account)).toEqual(pinned);
    // Mail of the impostor, begun with keys of Anna's that are right.
    const mallory = new AttackWorld("anna", "ben").side("ben");
    mallory.write([putKey("identity", OWN, encodeIdentity(fake))]);
    const other = new AttackWorld("anna", "ben");
    other.start(mallory);
    const learned = mallory.cipher.learnDevices(
      anna.account,
      world.devicesOf(anna, 1) as FrameOf<"has-devices">,
      world.now,
    );
    expect(learned.code).toBe("ok");
    const prekeys = [...anna.keys.prekeys.values()];
    const one = (kind: string) => {
      const found = prekeys.find((record) => record.kind === kind);
      if (found === undefined) throw new Error(kind);
      return { id: Uint8Array.from(found.id, (c) => c.charCodeAt(0)), bytes: found.upload };
    };
    const bundle = {
      frame: "has-prekeys",
      request: 1,
      signed: one("signed"),
      lastResort: one("lastResort"),
      oneTime: undefined,
      oneTimeKem: undefined,
    } as const;
    expect(mallory.cipher.learnPrekeys(anna.address, bundle, world.now).code).toBe("ok");
    const id = "of the impostor!" as EnvelopeId;
    const content = { kind: "message", body: new Uint8Array([0x52, 2, 0x0a, 0]) } as const;
    const sealed = mallory.cipher.seal({
      to: anna.address,
      id,
      message: "m".repeat(16) as never,
      place: undefined,
      content,
      sentAt: world.now,
      now: world.now,
    });
    const ciphertext = sealed.ciphertext ?? new Uint8Array();
    expect(anna.cipher.open({ id, kind: "pairwise", ciphertext, now: world.now })).toMatchObject({
      outcome: "poison",
      code: "bad-sender-tag",
      writes: [],
    });
  });

  it("a name that moves to another account blocks a verified contact until it is accepted, and an unverified one is told of", async () => {
    const world = new AttackWorld("anna", "ben", "mallory");
    world.befriend("anna", "ben");
    const [anna, ben, mallory] = [world.side("anna"), world.side("ben"), world.side("mallory")];
    const trust = new Trust({
      keys: anna.keys,
      cipher: anna.cipher,
      commit: async (writes) => anna.write(writes),
    });
    await trust.moved(ben.account, mallory.account);
    expect(trust.blocks(ben.account), "not verified: told, not blocked").toBe(false);
    await trust.forget(ben.account);
    await trust.verify(ben.account, undefined);
    expect(trust.isVerified(ben.account)).toBe(true);
    expect(trust.blocks(ben.account)).toBe(false);
    await trust.moved(ben.account, mallory.account);
    expect(trust.blocks(ben.account)).toBe(true);
    world.start(anna);
    const again = new Trust({
      keys: anna.keys,
      cipher: anna.cipher,
      commit: async (writes) => anna.write(writes),
    });
    expect(again.blocks(ben.account), "after a restart as well").toBe(true);
    expect(again.successor(ben.account)).toBe(mallory.account);
    await again.forget(ben.account);
    expect(again.blocks(ben.account)).toBe(false);
    expect(again.isVerified(ben.account)).toBe(false);
  });

  it("the safety number is the same on both sides, differs for another pair, and a scanned code of another pair is refused", async () => {
    const world = new AttackWorld("anna", "ben", "mallory");
    world.befriend("anna", "ben");
    world.befriend("anna", "mallory");
    const [anna, ben, mallory] = [world.side("anna"), world.side("ben"), world.side("mallory")];
    const trustOf = (side: Side) =>
      new Trust({ keys: side.keys, cipher: side.cipher, commit: async (writes) => side.write(writes) });
    const [atAnna, atBen] = [trustOf(anna).number(ben.account), trustOf(ben).number(anna.account)];
    expect(atAnna.digits).toBe(atBen.digits);
    expect(atAnna.digits).toMatch(/^[0-9]{60}$/);
    expect(trustOf(anna).number(mallory.account).digits).not.toBe(atAnna.digits);
    await trustOf(anna).verify(ben.account, atBen.code);
    await expect(
      trustOf(anna).verify(ben.account, trustOf(mallory).number(anna.account).code),
    ).rejects.toThrow(ClientError);
    expect(() => trustOf(ben).number(fromBytes(new Uint8Array(16)))).toThrow(ClientError);
    const now: Time = world.now;
    expect(now).toBeGreaterThan(START);
  });
});

describe("a relay that passes on another relay's challenge", () => {
  it("gets a proof for the pinned relay alone, whatever name stands in the challenge", () => {
    const { cipher } = new AttackWorld("anna").side("anna");
    const asked = { nonce: new Uint8Array(32).fill(7), epoch: 3, version: 1 };
    const proof = cipher.prove({ ...asked, relay: "world" });
    expect(cipher.prove({ ...asked, relay: "elsewhere" })).toEqual(proof);
    expect(cipher.prove({ ...asked, nonce: new Uint8Array(32), relay: "world" })).not.toEqual(proof);
  });
});
