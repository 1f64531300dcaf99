// Prekeys: uploaded by their owner over HTTP, handed out over the wire, each one-time key to one asker only.
import { randomBytes } from "node:crypto";
import { PATHS } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { aRelay } from "../support/a-relay.ts";
import { type Answer, aPrekey, Person } from "../support/person.ts";
import { expectProblem } from "../support/problems.ts";
import { named, Wire } from "../support/wire.ts";

const relay = aRelay();

const someone = (name: string): Promise<Person> => Person.called(name).register(relay.at);
const keys = (what: string, count: number) =>
  Array.from({ length: count }, (_, i) => aPrekey(`${what} ${i} ${randomBytes(4).toString("hex")}`));

describe("prekeys", () => {
  const requestId = (): Uint8Array => new Uint8Array(randomBytes(16));
  const askFor = (person: Person, id: Uint8Array, request = 1) =>
    ({
      frame: "ask-prekeys",
      request,
      account: person.account,
      device: person.device,
      accessKey: person.accessKey,
      requestId: id,
    }) as const;

  async function withPrekeys(name: string, oneTime: number): Promise<Person> {
    const person = await someone(name);
    const upload = {
      signed: aPrekey("signed"),
      lastResort: aPrekey("last resort"),
      oneTime: keys("one-time", oneTime),
      oneTimeKem: keys("kem", oneTime),
    };
    expect((await person.request(relay.at, "PUT", PATHS.prekeys, upload)).status).toBe(200);
    return person;
  }

  it("one-time keys are handed out once; the same requester gets the same ones again", async () => {
    const ben = await withPrekeys("ben", 2);
    await using contact = await Wire.anonymous(relay.at);
    const [mine, theirs] = [requestId(), requestId()];
    contact.send(
      askFor(ben, mine, 1),
      askFor(ben, mine, 2),
      askFor(ben, theirs, 3),
      askFor(ben, requestId(), 4),
    );
    const bundles = [];
    for (let i = 0; i < 4; i++) bundles.push(await contact.take("has-prekeys"));
    const [first, repeat, second, third] = bundles;
    expect(bundles.map((bundle) => bundle.request)).toEqual([1, 2, 3, 4]);
    expect({ ...repeat, request: 1 }).toEqual(first);
    expect(first?.oneTime).toBeDefined();
    expect(second?.oneTime).toBeDefined();
    expect(second?.oneTime).not.toEqual(first?.oneTime);
    expect(second?.oneTimeKem).not.toEqual(first?.oneTimeKem);
    expect(third).toMatchObject({ oneTime: undefined, oneTimeKem: undefined, signed: first?.signed });

    const held = await ben.request(relay.at, "GET", PATHS.prekeys);
    expect(held.body).toMatchObject({ signed: aPrekey("signed").id, oneTime: [], oneTimeKem: [] });
  });

  it("are refused in the same bytes for a wrong access key and an unknown account", async () => {
    const ben = await withPrekeys("ben", 1);
    await using contact = await Wire.anonymous(relay.at);
    await contact.message();
    contact.send({ ...askFor(ben, requestId(), 7), accessKey: new Uint8Array(16) });
    const wrong = await contact.message();
    contact.send(askFor(Person.called("nobody"), requestId(), 7));
    expect(await contact.message()).toBe(wrong);
    expect(wrong).toBe("4b00000a00000007001400000000");
  });

  it("are given to a device that has proved itself, for a first contact", async () => {
    const [anna, ben] = [await someone("anna"), await withPrekeys("ben", 1)];
    await using device = await Wire.device(relay.at, anna);
    await device.take("drained");
    device.send(
      { frame: "ask-name", request: 1, name: ben.name },
      { frame: "ask-devices", request: 2, account: ben.account, accessKey: undefined },
      { ...askFor(ben, requestId(), 3), accessKey: undefined },
    );
    expect(await device.take("is-account")).toEqual({
      frame: "is-account",
      request: 1,
      account: ben.account,
    });
    const devices = await device.take("has-devices");
    expect(devices).toMatchObject({ request: 2, version: 1 });
    expect(Buffer.from(devices.deviceList).toString()).toBe("device list 1");
    expect(devices.certificates.map((c) => Buffer.from(c).toString())).toEqual(["certificate of device 1"]);
    expect((await device.take("has-prekeys")).request).toBe(3);
    device.send({ frame: "ask-name", request: 4, name: Person.called("nobody").name });
    const refused = await device.take("ask-refused");
    expect([refused.request, named(refused.code)]).toEqual([4, "unknown-name"]);
  });

  it("come with one-time keys for devices of the account, though strangers have used up theirs", async () => {
    const ben = await withPrekeys("ben", 30);
    const without = (request: number) => ({ ...askFor(ben, requestId(), request), accessKey: undefined });
    const given = [];
    for (const name of ["anna", "carla", "dora", "emil"]) {
      await using stranger = await Wire.device(relay.at, await someone(name));
      await stranger.take("drained");
      stranger.send(...Array.from({ length: 6 }, (_, n) => without(n)));
      for (let n = 0; n < 6; n++) given.push(await stranger.take("has-prekeys"));
    }
    expect(given.filter(({ oneTime }) => oneTime !== undefined)).toHaveLength(20);
    await using own = await Wire.device(relay.at, ben);
    await own.take("drained");
    own.send(...[1, 2, 3, 4].map(without));
    for (let n = 0; n < 4; n++) expect((await own.take("has-prekeys")).oneTime).toBeDefined();
  });

  it("of a device that is not there, or has none, are no-device", async () => {
    const [ben, bare] = [await withPrekeys("ben", 1), await someone("bare")];
    await using contact = await Wire.anonymous(relay.at);
    contact.send({ ...askFor(ben, requestId()), device: 9 as typeof ben.device }, askFor(bare, requestId()));
    for (let i = 0; i < 2; i++) expect(named((await contact.take("ask-refused")).code)).toBe("no-device");
  });

  it("uploaded again change nothing; an upload can replace what is there", async () => {
    const ben = await someone("ben");
    const [first, second] = [keys("a", 3), keys("b", 2)];
    const upload = (body: object): Promise<Answer> => ben.request(relay.at, "PUT", PATHS.prekeys, body);
    const held = async (): Promise<string[]> =>
      (await ben.request(relay.at, "GET", PATHS.prekeys)).body["oneTime"] as string[];
    await upload({ oneTime: first });
    await upload({ oneTime: first });
    expect((await held()).toSorted()).toEqual(first.map((key) => key.id).toSorted());
    await upload({ oneTime: second, replace: true });
    expect((await held()).toSorted()).toEqual(second.map((key) => key.id).toSorted());
  });

  it("more than the relay keeps are too-many-prekeys; malformed ones a bad-request", async () => {
    const ben = await someone("ben");
    const upload = (body: object): Promise<Answer> => ben.request(relay.at, "PUT", PATHS.prekeys, body);
    expect((await upload({ oneTime: keys("k", 200) })).status).toBe(200);
    expectProblem(await upload({ oneTime: keys("over", 1) }), "too-many-prekeys");
    expectProblem(await upload({ oneTime: keys("over", 201) }), "bad-request");
    expectProblem(await upload({ signed: { id: "AAAA", bytes: "AAAA" } }), "bad-request");
    expectProblem(await upload({ signed: { id: aPrekey("x").id, bytes: "A".repeat(2_800) } }), "bad-request");
  });

  it("attack 10: a thousand requests from one address use up six one-time keys; repeats and strangers are served", async () => {
    const [anna, ben] = [await someone("anna"), await withPrekeys("ben", 20)];
    await using contact = await Wire.anonymous(relay.at);
    const first = requestId();
    for (let i = 0; i < 1_000; i += 50)
      contact.send(
        ...Array.from({ length: 50 }, (_, n) => askFor(ben, i + n === 0 ? first : requestId(), i + n)),
      );
    const given = [];
    for (let i = 0; i < 6; i++) given.push(await contact.take("has-prekeys"));
    expect(new Set(given.map((bundle) => Buffer.from(bundle.oneTime?.id ?? []).toString("hex"))).size).toBe(
      6,
    );
    for (let i = 6; i < 1_000; i++) {
      const { code, retryAfter } = await contact.take("ask-refused");
      expect(named(code)).toBe("rate-limited");
      expect(retryAfter).toBeGreaterThan(0);
      expect(retryAfter).toBeLessThanOrEqual(600_000);
    }
    contact.send(askFor(ben, first, 2_000));
    expect(await contact.take("has-prekeys")).toEqual({ ...given[0], request: 2_000 });
    const held = await ben.request(relay.at, "GET", PATHS.prekeys);
    expect((held.body["oneTime"] as string[]).length).toBe(14);

    await using stranger = await Wire.device(relay.at, anna);
    await stranger.take("drained");
    stranger.send({ ...askFor(ben, requestId(), 3_000), accessKey: undefined });
    expect(await stranger.take("has-prekeys")).toMatchObject({
      request: 3_000,
      signed: { id: given[0]?.signed.id },
    });
  });
});
