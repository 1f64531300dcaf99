// The quota of requests over real sockets: what a device submits without the recipient's access key, and what does not count.
import type { GroupEnvelopeId, Time } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { aRelay } from "../support/a-relay.ts";
import { Person } from "../support/person.ts";
import { anId, named, sealed, submitTo, textOf, Wire } from "../support/wire.ts";

const FLAGS = { "--limit-local": "on", "--request-rate": "3", "--requests-daily": "7" };
const relay = aRelay(() => Object.entries(FLAGS).flat());

const person = (name: string): Promise<Person> => Person.called(name).register(relay.at);

/** A person's device, on which everything that waited has come. */
async function online(who: Person): Promise<Wire> {
  const wire = await Wire.device(relay.at, who);
  await wire.take("drained");
  return wire;
}

const HOUR_MS = 3_600_000;
type Answer = "accepted" | { readonly code: string; readonly retryAfter: number };

async function answerTo(wire: Wire): Promise<Answer> {
  const frame = await wire.next();
  if (frame.frame === "accepted") return "accepted";
  if (frame.frame !== "refused") throw new Error(`${frame.frame} came`);
  return { code: named(frame.code), retryAfter: frame.retryAfter };
}

/** Submits without a key. */
function request(wire: Wire, to: Person, text = "may I?"): Promise<Answer> {
  wire.send(submitTo(to, sealed(text), { accessKey: undefined }));
  return answerTo(wire);
}

describe("requests", () => {
  it("of one account to another are taken up to the quota, then refused as rate-limited with the time to wait", async () => {
    const [anna, ben, cleo] = [await person("anna"), await person("ben"), await person("cleo")];
    await using annas = await online(anna);
    for (let i = 0; i < 3; i++) expect(await request(annas, ben, `${i}`)).toBe("accepted");
    const refused = await request(annas, ben);
    expect(refused).toMatchObject({ code: "rate-limited" });
    const { retryAfter } = refused as { retryAfter: number };
    expect(retryAfter).toBeGreaterThan(HOUR_MS / 3 - 60_000);
    expect(retryAfter).toBeLessThanOrEqual(HOUR_MS / 3);
    await using cleos = await online(cleo);
    expect(await request(cleos, ben), "another sender has a quota of its own").toBe("accepted");
    await using bens = await Wire.device(relay.at, ben);
    expect((await bens.pushes(4)).map(textOf)).toEqual(["0", "1", "2", "may I?"]);
  });

  it("over a new connection are counted on: the quota is the account's", async () => {
    const [anna, ben] = [await person("anna"), await person("ben")];
    const first = await online(anna);
    for (let i = 0; i < 3; i++) expect(await request(first, ben)).toBe("accepted");
    await first.close();
    await using again = await online(anna);
    expect(await request(again, ben)).toMatchObject({ code: "rate-limited" });
  });

  it("to all others have a quota a day, whoever they are to", async () => {
    const anna = await person("anna");
    await using annas = await online(anna);
    const others = await Promise.all(Array.from({ length: 8 }, (_, i) => person(`other-${i}`)));
    const answers: Answer[] = [];
    for (const other of others) answers.push(await request(annas, other));
    expect(answers.slice(0, 7)).toEqual(Array.from({ length: 7 }, () => "accepted"));
    expect(answers[7]).toMatchObject({ code: "rate-limited" });
    expect((answers[7] as { retryAfter: number }).retryAfter).toBeGreaterThan((24 * HOUR_MS) / 7 - 60_000);
  });

  it("in a group's submit and in signals are counted alike", async () => {
    const [anna, ben] = [await person("anna"), await person("ben")];
    await using annas = await online(anna);
    await using bens = await online(ben);
    annas.send({
      frame: "submit-group",
      groupEnvelope: anId() as string as GroupEnvelopeId,
      expiry: (Date.now() + HOUR_MS) as Time,
      recipients: [
        { account: ben.account, accessKey: undefined, listVersion: ben.listVersion, devices: [ben.device] },
      ],
      ciphertext: new TextEncoder().encode("to the group"),
    });
    const push = await bens.take("push");
    expect(textOf(push)).toBe("to the group");
    bens.send({ frame: "delivered", ids: [push.id] });
    expect(await answerTo(annas)).toBe("accepted");
    for (const text of ["one", "two", "three"])
      annas.send({
        frame: "signal",
        recipient: ben.account,
        accessKey: undefined,
        envelopes: [{ device: ben.device, ...sealed(text) }],
      });
    expect((await bens.pushes(2)).map(textOf)).toEqual(["one", "two"]);
    expect(await request(annas, ben)).toMatchObject({ code: "rate-limited" });
  });

  it("are not what an account sends to its own devices, nor what carries the access key", async () => {
    const [anna, ben] = [await person("anna"), await person("ben")];
    await using annas = await online(anna);
    for (let i = 0; i < 20; i++) {
      annas.send(submitTo(anna, sealed(`to myself ${i}`), { accessKey: undefined }));
      const id = (await annas.pushes(1))[0]?.id;
      annas.send({ frame: "delivered", ids: id === undefined ? [] : [id] });
      expect(await answerTo(annas)).toBe("accepted");
    }
    await using anonymous = await Wire.anonymous(relay.at);
    for (const wire of [anonymous, annas])
      for (let i = 0; i < 20; i++) {
        wire.send(submitTo(ben, sealed(`with the key ${i}`)));
        expect(await answerTo(wire)).toBe("accepted");
      }
    expect(await request(annas, ben), "and the quota is whole").toBe("accepted");
  });
});
