// Attacks on what happens when a ratchet fails: resend requests and resets. A hostile relay between real client cores.
import type { EnvelopeId } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import { ratchetsOf, ready } from "../../crypto/index.ts";
import { AttackWorld } from "./attack-world.ts";

beforeAll(ready);

const HOUR = 3_600_000;

function friends(...others: string[]): AttackWorld {
  const world = new AttackWorld("anna", "ben", ...others);
  world.befriend("anna", "ben");
  for (const other of others) world.befriend(other, "ben");
  return world;
}

describe("recovery", () => {
  it("sends again what could not be opened: the same message, a fresh envelope, once and in order", () => {
    const world = friends();
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    world.loseRatchets(ben);
    const before = world.seen.length;
    world.say("anna", "ben", "one");
    world.pass(10_000);
    world.say("anna", "ben", "two");
    expect(ben.texts).toEqual(["hello ben", "so, ben", "one", "two"]);
    expect(ben.codes).toEqual(["unknown-session"]);
    expect(ben.tellsOf("ratchet-reset")).toMatchObject([{ missing: 1, from: anna.address }]);
    expect(anna.tellsOf("resent")).toMatchObject([{ to: ben.account }]);
    const [first, , again] = world.seen.slice(before).filter(({ to }) => to === "ben");
    expect(first?.id).not.toBe(again?.id);
    expect(ben.entries.filter(({ message }) => message.startsWith("one\0"))).toHaveLength(1);
    world.pass(HOUR);
    expect(anna.core.view.outbox + ben.core.view.outbox).toBe(0);
    expect(anna.tables.get("resendable")?.size ?? 0, "everything was confirmed").toBe(0);
  });

  it("outlives the death of both: what is asked for, and what is to be sent again, is durable", () => {
    const world = friends();
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    world.loseRatchets(ben);
    world.hostile = ({ ciphertext }) => ciphertext;
    world.step(anna, {
      event: "send",
      message: "x".repeat(16) as never,
      to: ben.account,
      body: bodyText("lost"),
    });
    world.run();
    expect(ben.tables.get("recovery")?.size).toBe(1);
    world.start(ben);
    world.run();
    world.start(anna);
    world.pass(5_000);
    expect(ben.texts.at(-1)).toBe("lost");
  });

  it("many messages that fail together are asked for together, a hundred at most, and come in order", () => {
    const world = friends();
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    world.loseRatchets(ben);
    for (let i = 0; i < 105; i++)
      world.step(anna, {
        event: "send",
        message: `m${i}`.padEnd(16, "\0") as never,
        to: ben.account,
        body: bodyText(`m${i}`),
      });
    world.pass(30_000);
    expect(ben.tellsOf("ratchet-reset")).toMatchObject([{ missing: 100 }]);
    expect(ben.texts.slice(2)).toEqual(Array.from({ length: 100 }, (_, i) => `m${i}`));
  });

  it("both sides of a ratchet lost at once: mail of both comes", () => {
    const world = friends();
    for (const side of [world.side("anna"), world.side("ben")]) world.loseRatchets(side);
    world.say("anna", "ben", "from anna");
    world.say("ben", "anna", "from ben");
    world.pass(5_000);
    expect(world.side("ben").texts.at(-1)).toBe("from anna");
    expect(world.side("anna").texts.at(-1)).toBe("from ben");
  });
});

function bodyText(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  return Uint8Array.of(0x52, bytes.length + 2, 0x0a, bytes.length, ...bytes);
}

describe("attack 26: a crash at every edge of a recovery", () => {
  const live = (who: string, edge: number): AttackWorld => {
    const world = friends();
    world.loseRatchets(world.side("ben"));
    world.dying = { who, edge };
    world.say("anna", "ben", "one");
    world.say("anna", "ben", "two");
    world.pass(15_000);
    return world;
  };

  for (const who of ["anna", "ben"])
    it(`${who} dies before and after every write and before every frame: each message comes once, in order`, () => {
      const { edges } = live(who, 0);
      expect(edges).toBeGreaterThan(20);
      for (let edge = 1; edge <= edges; edge++) {
        const world = live(who, edge);
        const ben = world.side("ben");
        // Handed over again, under the same id, if the process died before it was settled.
        const said = [...new Set(ben.texts.filter((text) => !text.startsWith("hello")))];
        // A message that Anna's process died with, before it was taken, was never sent.
        const taken = ["one", "two"].filter((text) =>
          world
            .side("anna")
            .tellsOf("queued")
            .some(({ message }) => message.startsWith(`${text}\0`)),
        );
        expect(said.slice(1), `${who} dies at ${edge}`).toEqual(expect.arrayContaining(taken));
        const messages = ben.entries.filter(({ content }) => content.kind === "message");
        expect(new Set(messages.map(({ message }) => message)).size).toBe(new Set(ben.texts).size);
        expect(said.indexOf("one") < said.indexOf("two") || !said.includes("two")).toBe(true);
      }
    }, 120_000);
});

describe("attack 22: reset flooding", () => {
  it("a relay that corrupts every envelope causes no request and no new ratchet", () => {
    const world = friends();
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    const asked = world.asksOf("ben", "ask-prekeys");
    const used = ratchetsOf(ben.keys.ratchets.get(anna.address) ?? { sending: undefined, archived: [] });
    world.hostile = ({ ciphertext }) => ciphertext.map((byte, i) => (i === 60 ? byte ^ 1 : byte));
    const sent = world.submitsOf("ben").length;
    for (let i = 0; i < 50; i++) world.say("anna", "ben", `corrupted ${i}`);
    expect(new Set(ben.codes)).toEqual(new Set(["not-sealed-for-us"]));
    expect(world.asksOf("ben", "ask-prekeys")).toBe(asked);
    expect(world.submitsOf("ben")).toHaveLength(sent);
    expect(ben.keys.ratchets.get(anna.address)?.sending?.id).toBe(used[0]?.id);
    expect(ben.tellsOf("ratchet-reset")).toEqual([]);
  });

  it("a ratchet that breaks again and again is begun anew after one hour, two, four; three resends a message", () => {
    const world = friends();
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    const resets: number[] = [];
    for (let minute = 0; minute < 8 * 60; minute += 10) {
      world.loseRatchets(ben);
      world.say("anna", "ben", `at ${minute}`);
      world.pass(10 * 60_000 - 2_000);
      while (resets.length < ben.tellsOf("ratchet-reset").length) resets.push(minute);
    }
    expect(resets).toHaveLength(4);
    const apart = resets.slice(1).map((at, i) => at - (resets[i] ?? 0));
    expect(apart.map((minutes) => Math.round(minutes / 60))).toEqual([1, 2, 4]);
    for (const message of new Set(anna.tellsOf("resent").map(({ message: id }) => id)))
      expect(anna.tellsOf("resent").filter((told) => told.message === message).length).toBeLessThanOrEqual(3);
  });

  it("twelve contacts that fail at once: ten requests a minute, and each of them in the end", () => {
    const others = Array.from({ length: 11 }, (_, i) => `other${i}`);
    const world = friends(...others);
    const ben = world.side("ben");
    world.loseRatchets(ben);
    for (const name of ["anna", ...others])
      world.step(world.side(name), {
        event: "send",
        message: name.padEnd(16, "!") as never,
        to: ben.account,
        body: bodyText(`of ${name}`),
      });
    world.pass(20_000);
    expect(ben.tellsOf("ratchet-reset")).toHaveLength(10);
    world.pass(60_000);
    expect(ben.tellsOf("ratchet-reset")).toHaveLength(12);
    for (const name of ["anna", ...others]) expect(ben.texts).toContain(`of ${name}`);
  });

  it("a receipt, a typing notice or a control message that cannot be opened is not asked for", () => {
    const world = friends();
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    world.loseRatchets(ben);
    const connection = ben.sockets.get("device") ?? 0;
    const push = (
      id: string,
      kind: "pairwise" | "signal",
      ciphertext: Uint8Array = new Uint8Array(),
    ): void => {
      const frames = [{ frame: "push", id: id as EnvelopeId, kind, ciphertext } as const];
      world.step(ben, { event: "frames", socket: "device", connection, frames });
    };
    const [to, now] = [ben.address, world.now];
    const around = { to, place: undefined, sentAt: now, now, message: "m".repeat(16) as never };
    const receipt = { kind: "receipt", delivered: ["x".repeat(16) as never], read: [] } as const;
    const typing = { kind: "signal", body: new Uint8Array([0x6a, 0]) } as const;
    const [idA, idB, idC] = ["a".repeat(16), "b".repeat(16), "c".repeat(16)] as EnvelopeId[];
    push(
      "a".repeat(16),
      "pairwise",
      anna.cipher.seal({ ...around, id: idA as EnvelopeId, content: receipt }).ciphertext,
    );
    push(
      "b".repeat(16),
      "signal",
      anna.cipher.seal({ ...around, id: idB as EnvelopeId, content: typing }).ciphertext,
    );
    const control = { kind: "access-key", accessKey: new Uint8Array(16) } as const;
    push(
      "c".repeat(16),
      "pairwise",
      anna.cipher.sealControl({ to, id: idC as EnvelopeId, control, now }).ciphertext,
    );
    world.pass(2 * HOUR);
    expect(ben.codes).toEqual(["unknown-session", "unknown-session"]);
    expect(ben.tellsOf("ratchet-reset")).toEqual([]);
    world.say("anna", "ben", "worth it");
    expect(ben.tellsOf("ratchet-reset")).toHaveLength(1);
  });

  it("mail of somebody who is not an accepted contact is not asked for: that would tell that we are here", () => {
    const world = friends();
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    world.step(ben, { event: "decide", account: anna.account, decision: "blocked" });
    world.run();
    world.loseRatchets(ben);
    const sent = world.submitsOf("ben").length;
    world.say("anna", "ben", "are you there?");
    world.pass(2 * HOUR);
    expect(ben.codes).toEqual(["unknown-session"]);
    expect(ben.tellsOf("ratchet-reset")).toEqual([]);
    expect(world.submitsOf("ben")).toHaveLength(sent);
  });

  it("a contact that asks without end is answered ten times a minute", () => {
    const world = friends();
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    world.hostile = (mail) => (mail.from === "anna" ? undefined : mail.ciphertext);
    for (let i = 0; i < 14; i++) world.say("anna", "ben", `lost ${i}`);
    const lost = world.submitsOf("anna").slice(-14);
    const connection = anna.sockets.get("device") ?? 0;
    for (const [i, mail] of lost.entries()) {
      const id = `request number ${String.fromCharCode(65 + i)}` as EnvelopeId;
      const control = {
        kind: "resend",
        ratchet: undefined,
        ratchetKey: new Uint8Array(32).fill(9),
        envelopes: [mail.id],
      } as const;
      const sealed = ben.cipher.sealControl({ to: anna.address, id, control, now: world.now });
      const frames = [
        { frame: "push", id, kind: "pairwise", ciphertext: sealed.ciphertext ?? new Uint8Array() } as const,
      ];
      world.step(anna, { event: "frames", socket: "device", connection, frames });
      world.run();
    }
    world.pass(5_000);
    expect(anna.tellsOf("resent")).toHaveLength(10);
  });

  it("what is said about ratchets is sealed like everything else, in the size of a short text", () => {
    const world = friends();
    world.loseRatchets(world.side("ben"));
    world.say("anna", "ben", "one");
    world.pass(5_000);
    const kinds = new Set(world.frames.map(({ frame }) => frame.frame));
    const known = [
      "hello",
      "proof",
      "hello-anonymous",
      "submit",
      "delivered",
      "ask-devices",
      "ask-prekeys",
      "ping",
    ];
    expect([...kinds].every((kind) => known.includes(kind))).toBe(true);
    expect(new Set(world.seen.map(({ ciphertext }) => ciphertext.length))).toEqual(new Set([487, 2_659]));
  });
});

describe("attack 23: resend requests for what is not one's own", () => {
  const ask = (world: AttackWorld, from: string, to: string, envelopes: EnvelopeId[]): void => {
    const [asker, asked] = [world.side(from), world.side(to)];
    const control = {
      kind: "resend",
      ratchet: undefined,
      ratchetKey: new Uint8Array(32).fill(9),
      envelopes,
    } as const;
    const id = "forged request!!" as EnvelopeId;
    const sealed = asker.cipher.sealControl({ to: asked.address, id, control, now: world.now });
    if (sealed.ciphertext === undefined) throw new Error(sealed.code);
    const outcome = asked.cipher.open({
      id,
      kind: "pairwise",
      ciphertext: sealed.ciphertext,
      now: world.now,
    });
    expect(outcome.outcome).toBe("control");
    const connection = asked.sockets.get("device") ?? 0;
    const again = asker.cipher.sealControl({ to: asked.address, id, control, now: world.now });
    if (again.ciphertext === undefined) throw new Error(again.code);
    const frames = [{ frame: "push", id, kind: "pairwise", ciphertext: again.ciphertext } as const];
    world.step(asked, { event: "frames", socket: "device", connection, frames });
    world.pass(5_000);
  };

  it("of a message to somebody else are refused, and of one's own granted, three times", () => {
    const world = new AttackWorld("anna", "ben", "mallory");
    world.befriend("anna", "ben");
    world.befriend("mallory", "anna");
    const anna = world.side("anna");
    world.hostile = (mail) => (mail.from === "anna" ? undefined : mail.ciphertext);
    world.say("anna", "ben", "for ben alone");
    const secret = world.submitsOf("anna").at(-1);
    expect(secret?.to).toBe("ben");
    const sent = world.submitsOf("anna").length;
    ask(world, "mallory", "anna", [secret?.id as EnvelopeId]);
    expect(world.submitsOf("anna")).toHaveLength(sent);
    expect(anna.tellsOf("resent")).toEqual([]);
    for (let i = 1; i <= 5; i++) {
      ask(world, "ben", "anna", [
        world.submitsOf("anna").findLast(({ to }) => to === "ben")?.id as EnvelopeId,
      ]);
      expect(anna.tellsOf("resent")).toHaveLength(Math.min(3, i));
    }
    ask(world, "ben", "anna", [secret?.id as EnvelopeId]);
    expect(anna.tellsOf("resent"), "the first envelope's id stands for nothing any more").toHaveLength(3);
  });

  it("of a contact that was blocked, or of a device that the list does not name, are refused", () => {
    const world = friends();
    const anna = world.side("anna");
    world.hostile = (mail) => (mail.from === "anna" ? undefined : mail.ciphertext);
    world.say("anna", "ben", "not delivered");
    const own = world.submitsOf("anna").at(-1)?.id as EnvelopeId;
    const peer = anna.cipher.peer.bind(anna.cipher);
    anna.cipher.peer = (account, now) => {
      const state = peer(account, now);
      return state === undefined ? undefined : { ...state, devices: [] };
    };
    ask(world, "ben", "anna", [own]);
    expect(anna.tellsOf("resent")).toEqual([]);
    anna.cipher.peer = peer;
    world.step(anna, { event: "decide", account: world.side("ben").account, decision: "blocked" });
    world.run();
    ask(world, "ben", "anna", [own]);
    expect(anna.tellsOf("resent")).toEqual([]);
  });
});

describe("attack 24: a message that opens and is no content", () => {
  it("is kept aside once, and the next one flows", () => {
    const world = friends();
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    const id = "poison envelope!" as EnvelopeId;
    const control = {
      kind: "resend",
      ratchet: undefined,
      ratchetKey: new Uint8Array(32),
      envelopes: [id],
    } as const;
    const sealed = anna.cipher.sealControl({ to: ben.address, id, control, now: world.now });
    const frame = {
      frame: "push",
      id,
      kind: "pairwise",
      ciphertext: sealed.ciphertext ?? new Uint8Array(),
    } as const;
    const connection = ben.sockets.get("device") ?? 0;
    world.step(ben, { event: "frames", socket: "device", connection, frames: [frame, frame, frame] });
    world.run();
    world.say("anna", "ben", "flows");
    expect(ben.texts.at(-1)).toBe("flows");
    expect(ben.tellsOf("ratchet-reset")).toEqual([]);
  });
});
