// How a connection begins: hello, challenge, proof, welcome, and every way in which it does not.
import { type ClientFrame, encodeFrames, PROBLEMS } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { aRelay } from "../support/a-relay.ts";
import { Person } from "../support/person.ts";
import { RELAY_NAME } from "../support/relay-process.ts";
import { eventually } from "../support/waiting.ts";
import { errorBytes, helloOf, hex, proofOf, sealed, submitTo, Wire } from "../support/wire.ts";

const relay = aRelay();

const nameBytes = Buffer.from(RELAY_NAME).toString("hex");
const someone = (name: string): Promise<Person> => Person.called(name).register(relay.at);

describe("a device's connection", () => {
  it("is hello, challenge, proof, welcome and drained, byte by byte", async () => {
    const anna = await someone("anna");
    anna.epoch = 7;
    await using wire = await Wire.raw(relay.at, "device");

    const account = Buffer.from(anna.account, "latin1").toString("hex");
    wire.sendBytes(
      Buffer.from(`01 00001c 01 01 ${account} 0001 0000000000000007`.replaceAll(" ", ""), "hex"),
    );

    const challenge = await wire.message(); // opcode, length, version, name, nonce
    expect(challenge).toMatch(new RegExp(`^0300002d01000a${nameBytes}[0-9a-f]{64}$`));
    const signature = hex(proofOf(anna, await wire.take("challenge")));
    wire.sendBytes(Buffer.from(`04000040${signature}`, "hex"));

    const welcome = await wire.message(); // version, name, now, largest envelope, longest life, ping time-out
    expect(welcome).toMatch(
      new RegExp(`^0500002501000a${nameBytes}0000[0-9a-f]{12}00012000000000009a7ec80000007530`),
    );
    expect(await wire.take("welcome")).toMatchObject({ version: 1, relay: RELAY_NAME, pingMs: 30_000 });
    await wire.take("drained");
  });

  it("ends with authentication-failed for a wrong proof", async () => {
    const anna = await someone("anna");
    await using wire = await Wire.raw(relay.at, "device");
    wire.send(helloOf(anna));
    await wire.message();
    const proof = proofOf(anna, await wire.take("challenge"));
    proof[0] = (proof[0] ?? 0) ^ 1;
    wire.send({ frame: "proof", signature: proof });
    expect(await wire.message()).toBe("530000020006");
    expect(await wire.ending()).toEqual({ code: "authentication-failed", status: 4401 });
  });

  it("challenges a device that is not on record like any other, and refuses its proof with the same code", async () => {
    const nobody = Person.called("nobody");
    await using wire = await Wire.raw(relay.at, "device");
    await wire.prove(nobody);
    expect(await wire.ending()).toEqual({ code: "authentication-failed", status: 4401 });
  });

  it("refuses the proof of another device of the same account", async () => {
    const anna = await someone("anna");
    await using wire = await Wire.raw(relay.at, "device");
    await wire.prove(new Person(anna.name, 2, anna));
    expect(await wire.ending()).toMatchObject({ code: "authentication-failed" });
  });

  it("refuses a proof that was made for another connection", async () => {
    const anna = await someone("anna");
    anna.epoch = 1;
    await using first = await Wire.raw(relay.at, "device");
    first.send(helloOf(anna));
    const signature = proofOf(anna, await first.take("challenge"));

    await using second = await Wire.raw(relay.at, "device");
    second.send(helloOf(anna));
    await second.take("challenge");
    second.send({ frame: "proof", signature });
    expect(await second.ending()).toMatchObject({ code: "authentication-failed" });

    first.send({ frame: "proof", signature }); // where it belongs it holds
    await first.take("welcome");
  });

  it.each([
    ["relay's name", (said: Said) => ({ ...said, relay: "other.test" })],
    ["version", (said: Said) => ({ ...said, version: 2 })],
    ["nonce", (said: Said) => ({ ...said, nonce: new Uint8Array(32) })],
  ])("refuses a proof over another %s", async (_what, change) => {
    const anna = await someone("anna");
    await using wire = await Wire.raw(relay.at, "device");
    wire.send(helloOf(anna));
    wire.send({ frame: "proof", signature: proofOf(anna, change(await wire.take("challenge"))) });
    expect(await wire.ending()).toMatchObject({ code: "authentication-failed" });
  });

  it("refuses a proof over another epoch than the hello's", async () => {
    const anna = await someone("anna");
    await using wire = await Wire.raw(relay.at, "device");
    wire.send(helloOf(anna));
    anna.epoch = 99;
    wire.send({ frame: "proof", signature: proofOf(anna, await wire.take("challenge")) });
    expect(await wire.ending()).toMatchObject({ code: "authentication-failed" });
  });

  it("answers epoch-behind with the last epoch seen, and ends", async () => {
    const anna = await someone("anna");
    anna.epoch = 41;
    await (await Wire.device(relay.at, anna)).close();
    for (const epoch of [42, 41, 0]) {
      anna.epoch = epoch;
      await using wire = await Wire.raw(relay.at, "device");
      await wire.prove(anna);
      expect(await wire.take("epoch-behind")).toEqual({ frame: "epoch-behind", last: 42 });
      expect(await wire.ending()).toEqual({ code: "epoch-behind", status: 4410 });
    }
    anna.epoch = 42;
    await using next = await Wire.device(relay.at, anna);
    await next.take("drained");
  });

  it("that is gone before its proof was looked at leaves nothing behind: nobody is taken for being online", async () => {
    const people = await Promise.all(Array.from({ length: 20 }, () => someone("hasty")));
    await Promise.all(
      people.map(async (person) => {
        const wire = await Wire.raw(relay.at, "device");
        person.epoch++;
        wire.send(helloOf(person));
        const signature = proofOf(person, await wire.take("challenge"));
        wire.socket.send(encodeFrames({ frame: "proof", signature }), () => wire.socket.terminate());
        await wire.closed;
      }),
    );
    await eventually(10_000, "a relay without sessions", async () => {
      const metrics = await relay.at.metrics();
      return metrics.get("lethe_connections") === 0 && metrics.get("lethe_sessions") === 0 ? true : undefined;
    });
    await using watcher = await Wire.anonymous(relay.at);
    for (const { account, accessKey } of people) {
      watcher.send({ frame: "watch", account, accessKey });
      expect(await watcher.take("notice")).toMatchObject({ account, state: "offline" });
    }
  });

  it("is displaced by the next one of the same device, which gets what the first had not acknowledged", async () => {
    const ben = await someone("ben");
    await using first = await Wire.device(relay.at, ben);
    await first.take("drained");
    await using sender = await Wire.anonymous(relay.at);
    const letter = sealed("for whoever is there");
    sender.send(submitTo(ben, letter));
    await first.take("push");

    await using second = await Wire.device(relay.at, ben);
    expect(await first.message()).toBeDefined();
    expect(await first.ending()).toEqual({ code: "displaced", status: 4409 });
    const two = [await second.next(), await second.next()]; // its mailbox is empty; the letter was never written down
    const push = two.find((frame) => frame.frame === "push");
    expect(push).toEqual({ frame: "push", kind: "pairwise", ...letter });
    second.send({ frame: "delivered", ids: [letter.id] });
    expect(await sender.take("accepted")).toEqual({ frame: "accepted", ids: [letter.id] });
    expect(await sender.rest()).toEqual([]);
  });
});

type Said = Parameters<typeof proofOf>[1];

describe("versions", () => {
  it("speaks the highest version that both sides know: a client of 1 to 9 gets 1", async () => {
    const anna = await someone("anna");
    await using device = await Wire.raw(relay.at, "device");
    anna.epoch++;
    await device.prove(anna, { min: 1, max: 9 });
    expect(await device.take("welcome")).toMatchObject({ version: 1 });

    await using anonymous = await Wire.raw(relay.at, "anonymous");
    anonymous.sendBytes(Buffer.from("020000020109", "hex"));
    expect(await anonymous.take("welcome")).toMatchObject({ version: 1 });
  });

  it.each([
    ["newer than the relay", { min: 2, max: 9 }],
    ["of a range that is upside down", { min: 9, max: 1 }],
    ["of version 0", { min: 0, max: 0 }],
  ])("ends with version-unsupported for a client %s", async (_what, { min, max }) => {
    await using anonymous = await Wire.raw(relay.at, "anonymous");
    anonymous.send({ frame: "hello-anonymous", minVersion: min, maxVersion: max });
    expect(await anonymous.message()).toBe(errorBytes("version-unsupported"));
    expect(await anonymous.ending()).toEqual({ code: "version-unsupported", status: 4426 });

    await using device = await Wire.raw(relay.at, "device");
    device.send(helloOf(Person.called("anna"), { min, max }));
    expect(await device.ending()).toEqual({ code: "version-unsupported", status: 4426 });
  });
});

describe("before the welcome", () => {
  it.each<[string, ClientFrame]>([
    ["a submit", submitTo(Person.called("ben"), sealed("too early"))],
    ["a proof without a hello", { frame: "proof", signature: new Uint8Array(64) }],
    ["a delivered-ack", { frame: "delivered", ids: [sealed("").id] }],
  ])("refuses %s on a device's connection", async (_what, frame) => {
    await using wire = await Wire.raw(relay.at, "device");
    wire.send(frame);
    expect(await wire.ending()).toEqual({ code: "unexpected-frame", status: 4400 });
  });

  it("refuses a second hello, and a hello after the welcome", async () => {
    const anna = await someone("anna");
    await using twice = await Wire.raw(relay.at, "device");
    twice.send(helloOf(anna), helloOf(anna));
    await twice.take("challenge");
    expect(await twice.ending()).toMatchObject({ code: "unexpected-frame" });

    await using late = await Wire.device(relay.at, anna);
    await late.take("drained");
    late.send(helloOf(anna));
    expect(await late.ending()).toMatchObject({ code: "unexpected-frame" });
  });

  it("refuses messages over 4 KiB, whatever is in them", async () => {
    await using wire = await Wire.raw(relay.at, "anonymous");
    wire.sendBytes(new Uint8Array(4_097));
    expect(await wire.ending()).toEqual({
      code: "frame-too-large",
      status: PROBLEMS["frame-too-large"].close,
    });
  });

  it("answers pings", async () => {
    await using wire = await Wire.raw(relay.at, "device");
    wire.sendBytes(Buffer.from("50000004deadbeef", "hex"));
    expect(await wire.message()).toBe("51000004deadbeef");
  });
});

describe("the kind of a connection", () => {
  it("decides which frames it takes", async () => {
    const anna = await someone("anna");
    await using device = await Wire.device(relay.at, anna);
    await device.take("drained");
    device.send({ frame: "watch", account: anna.account, accessKey: anna.accessKey });
    expect(await device.ending()).toMatchObject({ code: "unexpected-frame" });

    const frames: ClientFrame[] = [
      { frame: "delivered", ids: [sealed("").id] },
      { frame: "ask-name", request: 1, name: "anna" },
      helloOf(anna),
    ];
    for (const frame of frames) {
      await using anonymous = await Wire.anonymous(relay.at);
      anonymous.send(frame);
      expect(await anonymous.ending()).toEqual({ code: "unexpected-frame", status: 4400 });
    }
  });

  it("refuses text messages", async () => {
    await using wire = await Wire.anonymous(relay.at);
    wire.socket.send("hello");
    expect(await wire.ending()).toEqual({ code: "malformed-frame", status: 4400 });
  });

  it("is in the path: another path is not found", async () => {
    const { status } = await fetch(`${relay.at.url}/v1/elsewhere`);
    expect(status).toBe(404);
  });
});
