// Envelopes in, answers out: accepted, pushed, acknowledged; signals and groups; what the relay counts.
import { blake2b } from "@lethe/crypto";
import {
  encode,
  encodeFrames,
  type FrameOf,
  type GroupEnvelopeId,
  groupIdTuple,
  PATHS,
  type Time,
} from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { aRelay } from "../support/a-relay.ts";
import { aFolder } from "../support/folder.ts";
import { Person } from "../support/person.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { anId, hex, type Sealed, sealed, submitTo, textOf, Wire } from "../support/wire.ts";

const relay = aRelay();

const someone = (name: string): Promise<Person> => Person.called(name).register(relay.at);

describe("an envelope", () => {
  it("is pushed to a device that is there, byte by byte, and accepted when the device has it", async () => {
    const ben = await someone("ben");
    await using device = await Wire.device(relay.at, ben);
    expect(await device.take("drained")).toEqual({ frame: "drained" });
    await device.rest();
    await using sender = await Wire.anonymous(relay.at);
    const letter = sealed("hello");
    sender.send(submitTo(ben, letter));

    const push = await device.take("push");
    expect(push).toEqual({ frame: "push", kind: "pairwise", ...letter });
    expect(await sender.rest()).toEqual([]); // nothing is said to the sender before the device has said it
    device.send({ frame: "delivered", ids: [letter.id] });
    expect(await sender.take("accepted")).toEqual({ frame: "accepted", ids: [letter.id] });
  });

  it("stands in a push frame as id, kind, length and ciphertext", async () => {
    const ben = await someone("ben");
    await using sender = await Wire.anonymous(relay.at);
    const letter = sealed("hello");
    sender.send(submitTo(ben, letter));
    await sender.take("accepted");
    await using device = await Wire.raw(relay.at, "device");
    ben.epoch++;
    await device.prove(ben);
    await device.take("welcome");
    await device.take("push");
    const messages = device.messages().join("");
    const id = Buffer.from(letter.id, "latin1").toString("hex");
    expect(messages).toContain(`2000001a${id}00${"00000005"}${Buffer.from("hello").toString("hex")}`);
  });

  it("waits for a device that is away, and comes in the order in which it was sent, before drained", async () => {
    const ben = await someone("ben");
    await using sender = await Wire.anonymous(relay.at);
    const letters = ["one", "two", "three"].map((text) => sealed(text));
    sender.send(...letters.map((letter) => submitTo(ben, letter)));
    const accepted = [];
    while (accepted.length < 3) accepted.push(...(await sender.take("accepted")).ids);
    expect(accepted).toEqual(letters.map((letter) => letter.id));

    await using device = await Wire.device(relay.at, ben);
    const pushes = await device.pushes(3);
    expect(pushes.map(textOf)).toEqual(["one", "two", "three"]);
    device.send({ frame: "delivered", ids: pushes.map((push) => push.id) });
    await device.take("drained");
    await device.close();
    await using again = await Wire.device(relay.at, ben);
    await again.take("drained"); // and is not there a second time
  });

  it("is pushed again to a device that went away without acknowledging it", async () => {
    const ben = await someone("ben");
    await using first = await Wire.device(relay.at, ben);
    await first.take("drained");
    await using sender = await Wire.anonymous(relay.at);
    const letter = sealed("again");
    sender.send(submitTo(ben, letter));
    await first.take("push");
    first.socket.terminate();
    expect((await sender.take("accepted")).ids).toEqual([letter.id]);
    await using second = await Wire.device(relay.at, ben);
    expect((await second.take("push")).id).toBe(letter.id);
  });

  it("goes to every device of an account, each with its own answer", async () => {
    const ben = await someone("ben");
    const tablet = new Person(ben.name, 2, ben);
    await ben.request(relay.at, "PUT", PATHS.deviceList, ben.listOf(2, [ben, tablet]));
    ben.listVersion = 2;
    await using phone = await Wire.device(relay.at, ben);
    await phone.take("drained");
    await using sender = await Wire.anonymous(relay.at);
    const [one, two] = [sealed("phone"), sealed("tablet")];
    const submit = submitTo(ben, one);
    sender.send({ ...submit, envelopes: [...submit.envelopes, { device: tablet.device, ...two }] });
    expect((await sender.take("accepted")).ids).toEqual([two.id]); // stored; the phone has not acknowledged yet
    phone.send({ frame: "delivered", ids: [(await phone.take("push")).id] });
    expect((await sender.take("accepted")).ids).toEqual([one.id]);
    await using other = await Wire.device(relay.at, tablet);
    expect(textOf(await other.take("push"))).toBe("tablet");
  });

  it("sent a second time under its id while it is under way is pushed once and answered once", async () => {
    const ben = await someone("ben");
    await using device = await Wire.device(relay.at, ben);
    await device.take("drained");
    await using first = await Wire.anonymous(relay.at);
    await using second = await Wire.anonymous(relay.at);
    const letter = sealed("once");
    first.send(submitTo(ben, letter));
    await device.take("push");
    second.send(submitTo(ben, letter));
    expect(await second.rest()).toEqual([]);
    device.send({ frame: "delivered", ids: [letter.id] });
    expect((await second.take("accepted")).ids).toEqual([letter.id]); // to the connection that asked last
    expect(await first.rest()).toEqual([]);
    expect(await device.rest()).toEqual([]);
  });

  it("from a device that has proved itself needs no access key: it is a first contact's request", async () => {
    const [anna, ben] = [await someone("anna"), await someone("ben")];
    await using annas = await Wire.device(relay.at, anna);
    await annas.take("drained");
    const { accessKey: _without, ...submit } = submitTo(ben, sealed("may I?"));
    annas.send({ ...submit, accessKey: undefined });
    expect((await annas.take("accepted")).ids).toEqual([submit.envelopes[0]?.id]);
  });
});

describe("several frames in one message", () => {
  it("are taken in their order, and what follows from them goes out in one message too", async () => {
    const ben = await someone("ben");
    await using device = await Wire.device(relay.at, ben);
    await device.take("drained");
    await using sender = await Wire.anonymous(relay.at);
    await sender.message();
    const letters = Array.from({ length: 10 }, (_, i) => sealed(`letter ${i}`));
    sender.send(...letters.map((letter) => submitTo(ben, letter)));
    expect((await device.pushes(10)).map(textOf)).toEqual(letters.map((letter) => textOf(letter)));
    const id = (letter: { id: string }): string => hex(Buffer.from(letter.id, "latin1"));
    const push = (letter: (typeof letters)[number]): string =>
      `2000001d${id(letter)}00${"00000008"}${hex(letter.ciphertext)}`;
    expect(device.messages().at(-1)).toBe(letters.map(push).join(""));

    device.send(
      { frame: "delivered", ids: letters.slice(0, 4).map((letter) => letter.id) },
      { frame: "delivered", ids: letters.slice(4).map((letter) => letter.id) },
      { frame: "ping", token: 2 },
    );
    await device.take("pong");
    expect(await sender.message()).toBe(`120000a2000a${letters.map(id).join("")}`); // one frame, ten ids
  });

  it("are refused as a whole when one of them is malformed: nothing of the message is handed on", async () => {
    const ben = await someone("ben");
    await using sender = await Wire.anonymous(relay.at);
    await using device = await Wire.device(relay.at, ben);
    await device.take("drained");
    const good = encodeFrames(submitTo(ben, sealed("not to be seen")));
    sender.sendBytes(Buffer.concat([good, Buffer.from("ff000000", "hex")]));
    expect(await sender.ending()).toEqual({ code: "unknown-frame", status: 4400 });
    expect(await device.rest()).toEqual([]);
  });
});

describe("mail that has expired", () => {
  it("is not delivered", async () => {
    const ben = await someone("ben");
    await using sender = await Wire.anonymous(relay.at);
    const expiry = Date.now() + 300;
    sender.send(
      submitTo(ben, sealed("short-lived"), { expiry: expiry as Time }),
      submitTo(ben, sealed("lasting")),
    );
    const ids = [];
    while (ids.length < 2) ids.push(...(await sender.take("accepted")).ids);
    while (Date.now() <= expiry) await sender.rest(); // until the wall clock is past it
    await using device = await Wire.device(relay.at, ben);
    expect(textOf(await device.take("push"))).toBe("lasting");
  });
});

describe("a signal", () => {
  it("is pushed to a device that is there", async () => {
    const ben = await someone("ben");
    await using device = await Wire.device(relay.at, ben);
    await device.take("drained");
    await using sender = await Wire.anonymous(relay.at);
    const typing = sealed("typing");
    sender.send(signalTo(ben, typing));
    expect(await device.take("push")).toEqual({ frame: "push", kind: "signal", ...typing });
  });

  it("is never stored, and nobody is told whether it was pushed", async () => {
    const ben = await someone("ben");
    await using sender = await Wire.anonymous(relay.at);
    sender.send(signalTo(ben, sealed("typing")), signalTo(Person.called("nobody"), sealed("typing")));
    expect(await sender.rest()).toEqual([]);
    await using device = await Wire.device(relay.at, ben);
    await device.take("drained");
    expect(await device.rest()).toEqual([]);
  });

  it("with a wrong access key is dropped without a word", async () => {
    const ben = await someone("ben");
    await using device = await Wire.device(relay.at, ben);
    await device.take("drained");
    await using sender = await Wire.anonymous(relay.at);
    sender.send({ ...signalTo(ben, sealed("typing")), accessKey: new Uint8Array(16) });
    expect(await sender.rest()).toEqual([]);
    expect(await device.rest()).toEqual([]);
  });
});

function signalTo(person: Person, envelope: Sealed): FrameOf<"signal"> {
  const { account: recipient, accessKey, device } = person;
  return { frame: "signal", recipient, accessKey, envelopes: [{ device, ...envelope }] };
}

describe("a group's shared ciphertext", () => {
  it("goes to each device under an id made of the group's id and its address", async () => {
    const [ben, cleo] = [await someone("ben"), await someone("cleo")];
    await using bens = await Wire.device(relay.at, ben);
    await bens.take("drained");
    await using sender = await Wire.anonymous(relay.at);
    const groupEnvelope = anId() as string as GroupEnvelopeId;
    const ciphertext = Buffer.from("to all of you");
    const nobody = Person.called("nobody");
    sender.send({
      frame: "submit-group",
      groupEnvelope,
      expiry: (Date.now() + 60_000) as Time,
      ciphertext,
      recipients: [ben, cleo, nobody].map(({ account, accessKey, listVersion, device }) => ({
        account,
        accessKey,
        listVersion,
        devices: [device],
      })),
    });
    const idFor = ({ address }: Person): string =>
      Buffer.from(blake2b(16, encode(groupIdTuple, { groupEnvelope, address }))).toString("latin1");

    const push = await bens.take("push");
    expect([push.id, push.kind, textOf(push)]).toEqual([idFor(ben), "group", "to all of you"]);
    bens.send({ frame: "delivered", ids: [push.id] });
    const accepted: string[] = [];
    const refused: string[] = [];
    while (accepted.length + refused.length < 3) {
      const frame = await sender.next();
      if (frame.frame === "accepted") accepted.push(...frame.ids);
      if (frame.frame === "refused") refused.push(...frame.ids);
    }
    expect(new Set(accepted)).toEqual(new Set([idFor(ben), idFor(cleo)]));
    expect(refused).toEqual([idFor(nobody)]); // one who may not be written to does not hold up the others
    await using cleos = await Wire.device(relay.at, cleo);
    expect((await cleos.take("push")).id).toBe(idFor(cleo));
  });
});

describe("the relay's counters", () => {
  it("agree with what happened, and nothing is left behind", async () => {
    await using place = await aFolder();
    await using own = await RelayProcess.start({ data: place.path });
    const ben = await Person.called("ben").register(own);
    await using device = await Wire.device(own, ben);
    await device.take("drained");
    await using sender = await Wire.anonymous(own);
    for (let i = 0; i < 5; i++) {
      sender.send(submitTo(ben, sealed(`live ${i}`)));
      device.send({ frame: "delivered", ids: [(await device.take("push")).id] });
      await sender.take("accepted");
    }
    const counts = await own.metricsOnceAccepted(5);
    const names = ["accepted", "delivered_live", "pushed", "stored", "spilled"];
    expect(names.map((name) => counts.get(`lethe_${name}_total`))).toEqual([5, 5, 5, 0, 0]);
    expect(counts.get("lethe_unsettled_bytes")).toBe(0);
  });
});
