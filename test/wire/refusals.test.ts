// Every refusal that a submit can get, with what it says and what it leaves behind: nothing.
import { PATHS, PROBLEMS, type Time } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { aRelay } from "../support/a-relay.ts";
import { Person } from "../support/person.ts";
import { anId, hex, sealed, submitTo, Wire } from "../support/wire.ts";

const MAILBOX = 20;
const LARGEST = 4_096;

const relay = aRelay(() => ["--mailbox-envelopes", String(MAILBOX), "--envelope-bytes", String(LARGEST)]);

const someone = (name: string): Promise<Person> => Person.called(name).register(relay.at);

describe("a submit is refused", () => {
  it("with not-permitted for a wrong key, an unknown account and no key at all: byte for byte the same", async () => {
    const ben = await someone("ben");
    const nobody = Person.called("nobody");
    await using sender = await Wire.anonymous(relay.at);
    await sender.message();
    const id = anId();
    const cases = [
      submitTo(ben, { ...sealed("x"), id }, { accessKey: new Uint8Array(16) }),
      submitTo(nobody, { ...sealed("x"), id }),
      submitTo(ben, { ...sealed("x"), id }, { accessKey: undefined }),
      submitTo(nobody, { ...sealed("x"), id }, { accessKey: undefined }),
      submitTo(ben, { ...sealed("x"), id }, { accessKey: new Uint8Array(16), listVersion: 9 }),
    ];
    const answers = [];
    for (const submit of cases) {
      sender.send(submit);
      answers.push(await sender.message());
    }
    const same = `1300001800140000000000${"01"}${hex(Buffer.from(id, "latin1"))}`;
    expect(answers).toEqual(cases.map(() => same));
  });

  it("with not-permitted on the anonymous path although the sender's own device is known", async () => {
    const [anna, ben] = [await someone("anna"), await someone("ben")];
    await using annas = await Wire.device(relay.at, anna);
    await annas.take("drained");
    const letter = sealed("with a wrong key");
    annas.send(submitTo(ben, letter, { accessKey: new Uint8Array(16) }));
    expect(await annas.refusal()).toEqual({ code: "not-permitted", ids: [letter.id], retryAfter: 0 });
  });

  it("with stale-list, which says the version and what is missing or too much", async () => {
    const ben = await someone("ben");
    const tablet = new Person(ben.name, 2, ben);
    await ben.request(relay.at, "PUT", PATHS.deviceList, ben.listOf(2, [ben, tablet]));
    await using sender = await Wire.anonymous(relay.at);
    const letter = sealed("for one device only");
    sender.send(submitTo(ben, letter, { listVersion: 1 }));
    expect(await sender.take("stale-list")).toEqual({
      frame: "stale-list",
      account: ben.account,
      version: 2,
      missing: [2],
      extra: [],
      ids: [letter.id],
    });
    const submit = submitTo(ben, letter, { listVersion: 3 });
    sender.send({ ...submit, envelopes: [{ ...letter, device: 7 as typeof ben.device }] });
    expect(await sender.take("stale-list")).toMatchObject({ version: 2, missing: [1, 2], extra: [7] });
    await using device = await Wire.device(relay.at, ben);
    await device.take("drained"); // nothing of it was kept
  });

  it("with no-device for a device that is not in the list", async () => {
    const ben = await someone("ben");
    await using sender = await Wire.anonymous(relay.at);
    const letter = sealed("to device 9");
    const submit = submitTo(ben, letter);
    sender.send({ ...submit, envelopes: [{ ...letter, device: 9 as typeof ben.device }] });
    expect(await sender.refusal()).toMatchObject({ code: "no-device", ids: [letter.id] });
  });

  it("with repeated-id for an id or a device that stands twice in it", async () => {
    const ben = await someone("ben");
    const tablet = new Person(ben.name, 2, ben);
    await ben.request(relay.at, "PUT", PATHS.deviceList, ben.listOf(2, [ben, tablet]));
    await using sender = await Wire.anonymous(relay.at);
    const [one, two] = [sealed("one"), sealed("two")];
    const submit = submitTo(ben, one, { listVersion: 2 });
    sender.send({ ...submit, envelopes: [...submit.envelopes, { device: ben.device, ...two }] });
    expect(await sender.refusal()).toMatchObject({ code: "repeated-id", ids: [one.id, two.id] });
    sender.send({ ...submit, envelopes: [...submit.envelopes, { device: tablet.device, ...one }] });
    expect(await sender.refusal()).toMatchObject({ code: "repeated-id" });
  });

  it("with expired at its expiry; an expiry beyond the relay's longest life is cut, not refused", async () => {
    const ben = await someone("ben");
    await using sender = await Wire.anonymous(relay.at);
    const [late, long] = [sealed("late"), sealed("for ever")];
    sender.send(submitTo(ben, late, { expiry: (Date.now() - 1) as Time }));
    expect(await sender.refusal()).toMatchObject({ code: "expired", ids: [late.id] });
    sender.send(submitTo(ben, long, { expiry: Number.MAX_SAFE_INTEGER as Time }));
    expect((await sender.take("accepted")).ids).toEqual([long.id]);
  });

  it("with envelope-too-large over the relay's limit, and not at it", async () => {
    const ben = await someone("ben");
    await using sender = await Wire.anonymous(relay.at);
    const [fits, over] = [sealed(new Uint8Array(LARGEST)), sealed(new Uint8Array(LARGEST + 1))];
    sender.send(submitTo(ben, fits), submitTo(ben, over));
    expect((await sender.refusal()).code).toBe("envelope-too-large");
    expect((await sender.take("accepted")).ids).toEqual([fits.id]);
  });

  it("with mailbox-full when the mailbox is full, and what it held is all there; delivery makes room", async () => {
    const ben = await someone("ben");
    await using sender = await Wire.anonymous(relay.at);
    const letters = Array.from({ length: MAILBOX + 3 }, (_, i) => sealed(`letter ${i}`));
    sender.send(...letters.map((letter) => submitTo(ben, letter)));
    const accepted: string[] = [];
    const refused: string[] = [];
    while (accepted.length + refused.length < letters.length) {
      const frame = await sender.next();
      if (frame.frame === "accepted") accepted.push(...frame.ids);
      else if (frame.frame === "refused") {
        expect(frame).toMatchObject({ code: PROBLEMS["mailbox-full"].number, retryAfter: 30_000 });
        refused.push(...frame.ids);
      }
    }
    expect(accepted).toEqual(letters.slice(0, MAILBOX).map((letter) => letter.id));
    expect(refused).toEqual(letters.slice(MAILBOX).map((letter) => letter.id));

    await using device = await Wire.device(relay.at, ben);
    const pushes = await device.pushes(MAILBOX);
    expect(pushes.map((push) => push.id)).toEqual(accepted);
    device.send({ frame: "delivered", ids: pushes.map((push) => push.id) });
    await device.take("drained");
    await device.close();
    sender.send(submitTo(ben, sealed("room again")));
    expect((await sender.take("accepted")).ids).toHaveLength(1);
  });
});
