// Several devices of one account: real client cores on the real cryptography, and a relay that counts what it is given.
import { beforeAll, describe, expect, it } from "vitest";
import {
  addressOf,
  type ClientFrame,
  type DeviceNumber,
  type EnvelopeId,
  MAX_FRAME_BYTES,
  type FrameOf,
  PROBLEMS,
  type Time,
} from "@lethe/protocol";
import type { MessageId } from "@lethe/client";
import { bodyOf, ownCopyOf } from "../../client-lib/content/content.ts";
import { Lookups } from "../../client-lib/delivery/lookups.ts";
import { ResendLog } from "../../client-lib/delivery/resend-log.ts";
import { Turn } from "../../client-lib/delivery/turn.ts";
import { ready } from "../../crypto/index.ts";
import { AttackWorld } from "../crypto/attack-world.ts";
import { account, id16, messageId, seeded } from "./support/bench-core.ts";

beforeAll(ready);

type Submit = FrameOf<"submit"> & { readonly frame: "submit" };

/** The submits of one device since a moment, with the connection of each. */
function submitsSince(world: AttackWorld, at: number, from: string): { on: string; frame: Submit }[] {
  const isSubmit = (frame: ClientFrame): frame is Submit => frame.frame === "submit";
  return world.frames
    .slice(at)
    .flatMap(({ from: who, on, frame }) => (who === from && isSubmit(frame) ? [{ on, frame }] : []));
}

/** Anna and Ben with so many devices each, all of whom have written to each other's people. */
function everybody(devices: number): AttackWorld {
  const world = new AttackWorld("anna", "ben");
  world.befriend("anna", "ben");
  for (const user of ["anna", "ben"]) for (let n = 2; n <= devices; n++) world.link(user, `${user}${n}`);
  for (let round = 0; round < 2; round++)
    for (const from of [...world.sides.keys()])
      world.say(from, world.side(from).user === "anna" ? "ben" : "anna", `${from}'s ${round}`);
  return world;
}

describe("a message between people with several devices", () => {
  it("goes up in one frame for the recipient's devices, and in one on the authenticated connection for one's own", () => {
    const world = everybody(5);
    const before = world.frames.length;
    world.say("anna2", "ben", "now");
    const submits = submitsSince(world, before, "anna2");
    const to = (of: string) => submits.filter(({ frame }) => frame.recipient === world.side(of).account);
    const devices = (of: string) => to(of).map(({ frame }) => frame.envelopes.map(({ device }) => device));
    expect(devices("ben")).toEqual([[1, 2, 3, 4, 5]]);
    expect(devices("anna")).toEqual([[1, 3, 4, 5]]);
    expect(to("ben").map(({ on, frame }) => [on, frame.accessKey !== undefined])).toEqual([
      ["anonymous", true],
    ]);
    expect(to("anna").map(({ on, frame }) => [on, frame.accessKey])).toEqual([["device", undefined]]);
    for (const name of ["ben", "ben2", "ben3", "ben4", "ben5"])
      expect(world.side(name).texts.at(-1)).toBe("now");
    for (const name of ["anna", "anna3", "anna4", "anna5"])
      expect(world.side(name).own.at(-1)).toBe("ben: now");
    expect(world.side("anna2").own).not.toContain("ben: now");
  });

  it("is cut where the frame would be over its limit, and each device gets everything in order", () => {
    const world = everybody(5);
    const before = world.frames.length;
    const anna = world.side("anna");
    for (const text of ["1", "2", "3"]) world.say("anna", "ben", text + "x".repeat(60_000));
    expect(anna.codes).toEqual([]);
    for (const { frame } of submitsSince(world, before, "anna")) {
      const bytes = frame.envelopes.reduce((sum, { ciphertext }) => sum + ciphertext.length + 24, 64);
      expect(bytes).toBeLessThanOrEqual(MAX_FRAME_BYTES);
    }
    for (const name of ["ben", "ben3", "ben5"])
      expect(
        world
          .side(name)
          .texts.slice(-3)
          .map(([first]) => first),
      ).toEqual(["1", "2", "3"]);
    for (const name of ["anna2", "anna5"])
      expect(
        world
          .side(name)
          .own.slice(-3)
          .map((text) => text.slice(0, 6)),
      ).toEqual(["ben: 1", "ben: 2", "ben: 3"]);
  });
});

/** What somebody's device has put on the wire since a moment, by the names of the frames. */
function namesSince(world: AttackWorld, at: number, from: string): string[] {
  return world.frames
    .slice(at)
    .filter((sent) => sent.from === from && sent.frame.frame !== "delivered")
    .map(({ frame }) => frame.frame);
}

/** Anna writes, and before anything of it is at the relay something else happens. */
function meanwhile(world: AttackWorld, texts: readonly string[], happens: () => void): void {
  const anna = world.side("anna");
  for (const text of texts) {
    const message = text.padEnd(16, "\0") as MessageId;
    const body = bodyOf({ is: "text", text });
    world.step(anna, { event: "send", message, to: world.side("ben").account, body });
  }
  happens();
  world.pass(3_000);
}

describe("a list that is stale", () => {
  it("is mended in one round where a device was added: old ciphertexts again, new ones for it, in order", () => {
    const world = new AttackWorld("anna", "ben");
    world.befriend("anna", "ben");
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    const before = world.frames.length;
    meanwhile(world, ["one", "two", "three"], () => world.link("ben", "phone"));
    expect(world.side("phone").texts).toEqual(["one", "two", "three"]);
    expect(ben.texts.slice(-3)).toEqual(["one", "two", "three"]);
    const submit = ["submit", "submit", "submit"];
    const names = namesSince(world, before, "anna");
    expect(names.slice(0, 8)).toEqual([...submit, "ask-devices", "ask-prekeys", ...submit]);
    const frames = submitsSince(world, before, "anna").map(({ frame }) => frame);
    // The first goes to both, and nothing else to the device that was refused before it is accepted.
    expect(frames.slice(0, 4).map(({ envelopes }) => envelopes.map(({ device }) => device))).toEqual([
      [1],
      [1],
      [1],
      [1, 2],
    ]);
    const toBen = frames.flatMap(({ envelopes }) => envelopes.filter(({ device }) => device === 1));
    expect(toBen.slice(3)).toEqual(toBen.slice(0, 3));
    expect(frames.flatMap(({ envelopes }) => envelopes)).toHaveLength(9);
    expect(anna.tellsOf("sent").slice(-3)).toHaveLength(3);
    expect(anna.core.view.outbox).toBe(0);
  });

  it("is mended where a device was removed: what is for it ends, and the message is sent all the same", () => {
    const world = new AttackWorld("anna", "ben");
    world.link("ben", "phone");
    world.befriend("anna", "ben");
    const anna = world.side("anna");
    const heard = world.side("phone").texts.length;
    meanwhile(world, ["one", "two"], () => world.unlink("phone"));
    expect(world.side("ben").texts.slice(-2)).toEqual(["one", "two"]);
    expect(world.side("phone").texts).toHaveLength(heard);
    expect(anna.tellsOf("refused")).toEqual([]);
    expect(anna.core.view.outbox).toBe(0);
    expect(anna.tables.get("resendable")?.size ?? 0).toBe(0);
  });

  it("is mended where one device was added and another removed", () => {
    const world = new AttackWorld("anna", "ben");
    world.link("ben", "phone");
    world.befriend("anna", "ben");
    meanwhile(world, ["one", "two"], () => {
      world.unlink("phone");
      world.link("ben", "tablet");
    });
    expect(world.side("tablet").texts).toEqual(["one", "two"]);
    expect(world.side("ben").texts.slice(-2)).toEqual(["one", "two"]);
    expect(world.side("anna").core.view.outbox).toBe(0);
  });

  it("is mended over a crash at every write and frame: nothing lost, nothing twice, in order", () => {
    for (let edge = 1; edge < 14; edge++) {
      const world = new AttackWorld("anna", "ben");
      world.befriend("anna", "ben");
      world.edges = 0;
      world.dying = { who: "anna", edge };
      meanwhile(world, ["one", "two"], () => world.link("ben", "phone"));
      world.dying = undefined;
      world.pass(40_000);
      const said = world.side("ben").texts.slice(2);
      expect(world.side("phone").texts).toEqual(said);
      // What was sent before its row was written, the crash has unsaid.
      if (edge > 1) expect(said).toEqual(["one", "two"].slice(0, said.length));
      if (edge > 4) expect(said).toHaveLength(2);
    }
  });

  it("is mended for one's own devices too", () => {
    const world = new AttackWorld("anna", "ben");
    world.link("anna", "laptop");
    world.befriend("anna", "ben");
    const told = world.side("laptop").own.length;
    meanwhile(world, ["one", "two"], () => world.link("anna", "tablet"));
    world.say("anna", "ben", "three");
    const all = ["one", "two", "three"].map((text) => `ben: ${text}`);
    expect(world.side("laptop").own.slice(told)).toEqual(all);
    expect(world.side("tablet").own.slice(-1)).toEqual(all.slice(-1));
  });

  it("that a message has told of is asked for before mail goes by the old one", () => {
    const world = new AttackWorld("anna", "ben");
    world.befriend("anna", "ben");
    world.link("ben", "phone");
    const before = world.frames.length;
    world.say("ben", "anna", "I have a phone");
    world.say("anna", "ben", "to both");
    const names = namesSince(world, before, "anna");
    expect(names.slice(0, 3)).toEqual(["ask-devices", "ask-prekeys", "submit"]);
    expect(names.filter((name) => name === "ask-devices")).toHaveLength(1);
    expect(world.side("phone").texts).toEqual(["to both"]);
  });

  it("stops nothing where the keys of the added device are not to be had", () => {
    const world = new AttackWorld("anna", "ben");
    world.befriend("anna", "ben");
    world.lies = (frame, to) =>
      frame.frame === "has-prekeys" && to.name === "anna"
        ? {
            frame: "ask-refused",
            request: frame.request,
            code: PROBLEMS["no-device"].number,
            retryAfter: 0,
          }
        : frame;
    meanwhile(world, ["one", "two"], () => world.link("ben", "phone"));
    world.pass(25_000);
    expect(world.side("ben").texts.slice(-2)).toEqual(["one", "two"]);
    world.say("anna", "ben", "three");
    expect(world.side("ben").texts.at(-1)).toBe("three");
    expect(world.side("anna").tellsOf("refused")).toEqual([]);
    expect(world.side("anna").core.view.outbox).toBe(0);
    expect(world.side("phone").texts).toEqual([]);
  });

  it("waits a while for the keys of a device that is so new that they are not at the relay yet", () => {
    const world = new AttackWorld("anna", "ben");
    world.befriend("anna", "ben");
    const until = world.now + 5_000;
    world.lies = (frame, to) =>
      frame.frame === "has-prekeys" && to.name === "anna" && world.now < until
        ? {
            frame: "ask-refused",
            request: frame.request,
            code: PROBLEMS["no-device"].number,
            retryAfter: 0,
          }
        : frame;
    meanwhile(world, ["one", "two"], () => world.link("ben", "phone"));
    world.say("anna", "ben", "three");
    world.pass(10_000);
    for (const name of ["ben", "phone"])
      expect(world.side(name).texts.slice(-3)).toEqual(["one", "two", "three"]);
  });

  it("waits for a node that has an older list for a while, and gives up on a relay that keeps to it", () => {
    for (const forMs of [9_000, Number.POSITIVE_INFINITY]) {
      const world = new AttackWorld("anna", "ben");
      world.befriend("anna", "ben");
      const old = world.devicesOf(world.side("ben"), 0) as FrameOf<"has-devices">;
      world.link("ben", "phone");
      const since = world.now;
      world.lies = (frame, to) =>
        frame.frame === "has-devices" && to.name === "anna" && world.now < since + forMs
          ? { ...old, frame: "has-devices", request: frame.request }
          : frame;
      world.say("ben", "anna", "I have a phone");
      world.say("anna", "ben", "to both");
      expect(world.side("phone").texts).toEqual([]);
      world.pass(30_000);
      const codes = world
        .side("anna")
        .tellsOf("refused")
        .map(({ code }) => code);
      expect(codes).toEqual(forMs === 9_000 ? [] : ["list-rolled-back"]);
      expect(world.side("phone").texts).toEqual(forMs === 9_000 ? ["to both"] : []);
    }
  });
});

describe("what one's own other devices are told", () => {
  it("is sealed in the commit of the message, and goes after a jitter of its own", () => {
    const world = new AttackWorld("anna", "ben");
    world.ownJitterMs = 5_000;
    world.befriend("anna", "ben");
    world.link("anna", "laptop");
    world.start(world.side("anna"));
    world.say("anna", "ben", "first");
    world.pass(10_000);
    const waits = new Set<number>();
    for (let n = 0; n < 20; n++) {
      const [before, at] = [world.frames.length, world.now];
      world.say("anna", "ben", `message ${n}`);
      const own = () =>
        submitsSince(world, before, "anna").filter(
          ({ frame }) => frame.recipient === world.side("anna").account,
        );
      while (own().length === 0 && world.now < at + 6_000) world.pass(100);
      waits.add(world.now - at);
      world.pass(6_000);
      expect(own()).toHaveLength(1);
    }
    expect(Math.max(...waits)).toBeLessThanOrEqual(5_200);
    expect(waits.size).toBeGreaterThan(5);
    expect(world.side("laptop").own).toHaveLength(21);
  });

  it("survives a crash at every write and frame: each is told once, in order", () => {
    for (let edge = 1; edge < 16; edge++) {
      const world = new AttackWorld("anna", "ben");
      world.befriend("anna", "ben");
      world.link("anna", "laptop");
      world.say("anna", "ben", "one");
      world.dying = { who: "anna", edge };
      world.say("anna", "ben", "two");
      world.dying = undefined;
      world.say("anna", "ben", "three");
      world.pass(40_000);
      const own = world.side("laptop").own;
      // A message that was never durable was never said, on neither side.
      expect(own).toEqual(
        world
          .side("ben")
          .texts.filter((t) => ["one", "two", "three"].includes(t))
          .map((t) => `ben: ${t}`),
      );
      expect(own.length).toBeGreaterThanOrEqual(2);
    }
  });

  it("makes receipts for it believed there, and the contact known", () => {
    const world = new AttackWorld("anna", "ben", "carla");
    world.link("anna", "laptop");
    world.befriend("anna", "ben");
    const laptop = world.side("laptop");
    expect(laptop.own).toEqual(["ben: hello ben", "ben: so, ben"]);
    const { account } = world.side("ben");
    expect(laptop.core.view.contact(account).decision).toBe("accepted");
    const message = world.say("anna", "ben", "read me");
    world.step(world.side("ben"), { event: "read", from: world.side("anna").account, messages: [message] });
    world.pass(2_000);
    expect(laptop.core.view.sent(message)).toMatchObject({ to: account, state: "read" });
    expect(laptop.receipts).toContain(message);
    expect(laptop.core.view.contacts().has(laptop.account)).toBe(false);
  });

  it("is believed of a device of one's own account alone", () => {
    const world = new AttackWorld("anna", "ben");
    world.befriend("anna", "ben");
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    const body = ownCopyOf(ben.account, Uint8Array.of(0x52, 0x04, 0x0a, 0x02, 0x68, 0x69)); // text "hi"
    world.step(ben, {
      event: "send",
      message: "forged own copy..".slice(0, 16) as never,
      to: anna.account,
      body,
    });
    world.pass(2_000);
    expect(anna.own).toEqual([]);
    expect(anna.codes).toEqual(["not-an-own-device"]);
    world.say("ben", "anna", "and the next flows");
    world.pass(11_000); // the forged one had a place in the order, and is missing now
    expect(anna.texts.at(-1)).toBe("and the next flows");
  });

  it("costs nobody anything who has one device: no question, no frame", () => {
    const world = new AttackWorld("anna", "ben");
    world.befriend("anna", "ben");
    const own = world.frames.filter(
      ({ from, frame }) =>
        from === "anna" && "account" in frame && frame.account === world.side("anna").account,
    );
    expect(own.map(({ frame }) => frame.frame)).toEqual(["hello"]);
  });
});

describe("what mending rests on", () => {
  const [ben, now] = [account("ben"), 1_000 as Time];
  const at = (device: number) => addressOf(ben, device as DeviceNumber);

  it("keys of a device that come before its account's list are learned after it", () => {
    const lookups = new Lookups(seeded(1));
    lookups.ask({ now }, { about: "devices", account: ben }, undefined);
    lookups.ask({ now }, { about: "prekeys", address: at(2), requestId: new Uint8Array(16) }, undefined);
    expect(lookups.pump(now, "device")).toHaveLength(2);
    const prekey = { id: new Uint8Array(8), bytes: new Uint8Array() };
    const keys = { signed: prekey, lastResort: prekey, oneTime: undefined, oneTimeKem: undefined };
    expect(lookups.answered({ frame: "has-prekeys", request: 2, ...keys })).toEqual([]);
    const list = { version: 2, deviceList: new Uint8Array(), certificates: [] };
    const ended = lookups.answered({ frame: "has-devices", request: 1, ...list });
    expect(ended.map(({ question }) => question.about)).toEqual(["devices", "prekeys"]);
  });

  it("a device that has confirmed a message is not one that lacks it", () => {
    const log = new ResendLog(account("anna"), {});
    const turn = new Turn(now);
    const carried = [1, 2].map((n) => ({ to: at(n), id: id16(`${n}`) as EnvelopeId, place: undefined }));
    const [message, body] = [messageId("one"), new Uint8Array(3)];
    log.keep(turn, { message, body, sentAt: now, expiry: now, carried });
    log.delivered(turn, message, at(1));
    const lacking = log.lacking(message, ben, [1, 2, 3] as DeviceNumber[]);
    expect(lacking.map(({ to }) => to)).toEqual([at(3)]);
  });
});
