// The HTTP half: registration, prekeys, device lists, access keys, deletion, and each refusal that they can get.
import { randomBytes } from "node:crypto";
import { type AccountId, MAX_REQUEST_SKEW_MS, OPERATOR_PATHS, PATHS } from "@lethe/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { aFolder, filesHolding, type Folder, untilForgotten } from "../support/folder.ts";
import { type Answer, aPrekey, aSigningKey, ask, Person } from "../support/person.ts";
import { expectProblem } from "../support/problems.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { tracesOf } from "../support/traces.ts";
import { sealed, submitTo, textOf, Wire } from "../support/wire.ts";

let folder: Folder;
let relay: RelayProcess;
beforeAll(async () => {
  folder = await aFolder();
  relay = await RelayProcess.start({ data: folder.path });
});
afterAll(async () => {
  await relay.stop();
  await folder[Symbol.asyncDispose]();
});

const someone = (name: string): Promise<Person> => Person.called(name).register(relay);
describe("registration", () => {
  it("answers 201, and 200 for the same account with the same content again", async () => {
    const anna = Person.called("anna");
    const first = await anna.request(relay, "POST", PATHS.accounts, anna.registration);
    expect([first.status, first.body["name"]]).toEqual([201, anna.name]);
    const again = await anna.request(relay, "POST", PATHS.accounts, anna.registration);
    expect(again.status).toBe(200);
  });

  it("refuses a name that somebody else has", async () => {
    const anna = await someone("anna");
    const other = new Person(anna.name);
    expectProblem(await other.request(relay, "POST", PATHS.accounts, other.registration), "name-taken");
  });

  it.each(["Anna", "an", "a".repeat(33), "an na", "änna", ""])("refuses the name %j", async (name) => {
    const anna = new Person(name);
    expectProblem(await anna.request(relay, "POST", PATHS.accounts, anna.registration), "name-invalid");
  });

  it("refuses an account id that is registered with other keys", async () => {
    const anna = await someone("anna");
    const other = Person.called("mallory");
    const stolen = { ...other.registration, account: anna.registration.account };
    const impostor = Object.assign(Object.create(other) as Person, { account: anna.account });
    expectProblem(await impostor.request(relay, "POST", PATHS.accounts, stolen), "account-exists");
    await using device = await Wire.device(relay, anna); // whose keys still hold
    await device.take("drained");
  });

  it("must be signed by the device that is registered", async () => {
    const anna = Person.called("anna");
    const { secret } = aSigningKey();
    const answer = await anna.request(relay, "POST", PATHS.accounts, anna.registration, { key: secret });
    expectProblem(answer, "unauthorized");
    const other = Person.called("ben");
    expectProblem(await other.request(relay, "POST", PATHS.accounts, anna.registration), "unauthorized");
  });

  it.each<[string, (body: Record<string, unknown>) => unknown]>([
    ["without a field", ({ certificate: _gone, ...rest }) => rest],
    ["with a field too many", (body) => ({ ...body, admin: true })],
    ["with padding in base64url", (body) => ({ ...body, accountKey: `${String(body["accountKey"])}=` })],
    ["with bits behind the last byte", (body) => ({ ...body, accountKey: `${"A".repeat(42)}B` })],
    ["with a short key", (body) => ({ ...body, signingKey: "AAAA" })],
    ["with device 0", (body) => ({ ...body, device: 0 })],
    ["with device 1.5", (body) => ({ ...body, device: 1.5 })],
    ["with an account id in capitals", (body) => ({ ...body, account: "A".repeat(32) })],
    ["that is a list", (body) => [body]],
    ["that is null", () => null],
  ])("refuses a body %s", async (_what, change) => {
    const anna = Person.called("anna");
    const body = change(anna.registration as unknown as Record<string, unknown>);
    expectProblem(await anna.request(relay, "POST", PATHS.accounts, body), "bad-request");
  });
});

describe("every answer that is not a success", () => {
  it.each<[string, string, string, Buffer]>([
    ["bytes that are not JSON", "POST", PATHS.accounts, Buffer.from("{")],
    ["bytes that are not UTF-8", "POST", PATHS.accounts, Buffer.from("ff", "hex")],
  ])("is a problem of the table: %s", async (_what, method, path, bytes) => {
    expectProblem(await ask(relay, method, path, bytes), "bad-request");
  });

  it("is a problem of the table: another content type, a body over the limit, nothing at a path", async () => {
    const response = await fetch(`${relay.url}${PATHS.accounts}`, {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: "hello",
    });
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
      400,
      "bad-request",
    ]);
    expectProblem(await ask(relay, "POST", PATHS.accounts, Buffer.alloc(2_000_000, " ")), "frame-too-large");
    for (const [method, path] of [
      ["GET", "/v2/accounts"],
      ["GET", PATHS.accounts],
      ["PATCH", PATHS.account],
      ["GET", "/%ff"],
      ["GET", `${OPERATOR_PATHS.metrics}/..%2f..%2fetc/passwd`],
    ] as const) {
      const answer = await ask(relay, method, path, Buffer.alloc(0));
      expectProblem(answer, path === "/%ff" ? "bad-request" : "not-found");
    }
  });
});

describe("a signed request", () => {
  const paths = [
    ["GET", PATHS.prekeys],
    ["PUT", PATHS.prekeys],
    ["PUT", PATHS.deviceList],
    ["PUT", PATHS.accessKey],
    ["DELETE", PATHS.account],
  ] as const;

  it.each(paths)(
    "%s %s is refused without a signature, with another's, and for an unknown account",
    async (method, path) => {
      const anna = await someone("anna");
      const body = method === "PUT" ? {} : undefined;
      const bytes = body === undefined ? Buffer.alloc(0) : Buffer.from("{}");
      expectProblem(await ask(relay, method, path, bytes), "unauthorized");
      expectProblem(await ask(relay, method, path, bytes, "Bearer of-nothing"), "unauthorized");
      const { secret } = aSigningKey();
      expectProblem(await anna.request(relay, method, path, body, { key: secret }), "unauthorized");
      expectProblem(await Person.called("nobody").request(relay, method, path, body), "unauthorized");
      expectProblem(await anna.request(relay, method, path, body, { device: 2 }), "unauthorized");
      expectProblem(await anna.request(relay, method, path, body, { relay: "other.test" }), "unauthorized");
    },
  );

  it("holds for its method, path and body alone", async () => {
    const anna = await someone("anna");
    const bytes = Buffer.from(JSON.stringify({ oneTime: [] }));
    const authorization = anna.authorization("PUT", PATHS.prekeys, bytes);
    expectProblem(await ask(relay, "PUT", PATHS.accessKey, bytes, authorization), "unauthorized");
    expectProblem(
      await ask(relay, "PUT", PATHS.prekeys, Buffer.from(`${bytes.toString()} `), authorization),
      "unauthorized",
    );
    expectProblem(await ask(relay, "GET", PATHS.prekeys, Buffer.alloc(0), authorization), "unauthorized");
    expectProblem(await ask(relay, "PUT", `${PATHS.prekeys}?x=1`, bytes, authorization), "unauthorized");
    expect((await ask(relay, "PUT", PATHS.prekeys, bytes, authorization)).status).toBe(200);
  });

  it("is taken once: the same request again is replayed", async () => {
    const anna = await someone("anna");
    const authorization = anna.authorization("GET", PATHS.prekeys, Buffer.alloc(0));
    expect((await ask(relay, "GET", PATHS.prekeys, Buffer.alloc(0), authorization)).status).toBe(200);
    expectProblem(await ask(relay, "GET", PATHS.prekeys, Buffer.alloc(0), authorization), "replayed");
  });

  it.each([-1, 1])(
    "with a clock too far off (%i) is refused, with the relay's time in the answer",
    async (sign) => {
      const anna = await someone("anna");
      const off = sign * (MAX_REQUEST_SKEW_MS + 5_000);
      const answer = await anna.request(relay, "GET", PATHS.prekeys, undefined, { time: Date.now() + off });
      expectProblem(answer, "clock-skew");
      const again = await anna.request(relay, "GET", PATHS.prekeys, undefined, {
        time: Number(answer.body["now"]),
      });
      expect(again.status).toBe(200);
    },
  );
});

describe("a device list", () => {
  it("is replaced by its successor only", async () => {
    const ben = await someone("ben");
    const tablet = new Person(ben.name, 2, ben);
    const put = (version: number, devices: Person[]): Promise<Answer> =>
      ben.request(relay, "PUT", PATHS.deviceList, ben.listOf(version, devices));
    for (const version of [1, 3]) expectProblem(await put(version, [ben, tablet]), "list-conflict");
    expect((await put(2, [ben, tablet])).status).toBe(200);
    expectProblem(await put(2, [ben]), "list-conflict");
    expectProblem(await put(3, []), "bad-request");
  });

  it("is taken again as it stands, for the answer may have been lost", async () => {
    const ben = await someone("ben");
    const list = ben.listOf(2, [ben, new Person(ben.name, 2, ben)]);
    for (let i = 0; i < 2; i++)
      expect((await ben.request(relay, "PUT", PATHS.deviceList, list)).status).toBe(200);
  });

  it("lets the account's devices ask whether a new one has been here", async () => {
    const ben = await someone("ben");
    const tablet = new Person(ben.name, 2, ben);
    const held = (who: Person, device: number): Promise<Answer> =>
      who.request(relay, "GET", `${PATHS.prekeys}/${device}`);
    expectProblem(await held(ben, 2), "not-found");
    await ben.request(relay, "PUT", PATHS.deviceList, ben.listOf(2, [ben, tablet]));
    expect((await held(ben, 2)).body).toEqual({
      signed: null,
      lastResort: null,
      oneTime: [],
      oneTimeKem: [],
    });
    await tablet.request(relay, "PUT", PATHS.prekeys, { signed: aPrekey("s") });
    expect((await held(ben, 2)).body["signed"]).toBe(aPrekey("s").id);
    expect((await held(tablet, 1)).body["signed"]).toBeNull();
    expectProblem(await held(Person.called("nobody"), 2), "unauthorized");
  });

  it("is the primary device's alone: a linked one changes nothing, and shuts nobody out", async () => {
    const ben = await someone("ben");
    const tablet = new Person(ben.name, 2, ben);
    await ben.request(relay, "PUT", PATHS.deviceList, ben.listOf(2, [ben, tablet]));
    for (const list of [ben.listOf(3, [tablet]), ben.listOf(3, [ben]), ben.listOf(2, [ben, tablet])])
      expectProblem(await tablet.request(relay, "PUT", PATHS.deviceList, list), "unauthorized");
    expect((await ben.request(relay, "PUT", PATHS.deviceList, ben.listOf(3, [ben, tablet]))).status).toBe(
      200,
    );
  });

  it("that lacks a device ends its connection, its mailbox and its login", async () => {
    const ben = await someone("ben");
    const tablet = new Person(ben.name, 2, ben);
    await ben.request(relay, "PUT", PATHS.deviceList, ben.listOf(2, [ben, tablet]));
    await using lost = await Wire.device(relay, tablet);
    await lost.take("drained");
    await ben.request(relay, "PUT", PATHS.deviceList, ben.listOf(3, [ben]));
    expect(await lost.ending()).toEqual({ code: "device-removed", status: 4404 });

    await using sender = await Wire.anonymous(relay);
    const letter = sealed("to the tablet");
    sender.send(submitTo(tablet, letter, { listVersion: 3 }));
    expect(await sender.refusal()).toMatchObject({ code: "no-device", ids: [letter.id] });
    await using back = await Wire.raw(relay, "device");
    tablet.epoch++;
    await back.prove(tablet);
    expect(await back.ending()).toMatchObject({ code: "authentication-failed" });
  });
});

describe("an access key", () => {
  it("that is replaced opens nothing any more; the new one does", async () => {
    const ben = await someone("ben");
    const after = Object.assign(Object.create(ben) as Person, { accessKey: new Uint8Array(randomBytes(16)) });
    await using contact = await Wire.anonymous(relay);
    contact.send(submitTo(ben, sealed("before")));
    await contact.take("accepted");
    const { accessKeyHash } = after.registration;
    expect((await ben.request(relay, "PUT", PATHS.accessKey, { accessKeyHash })).status).toBe(200);
    contact.send(submitTo(ben, sealed("with the old one")));
    expect((await contact.refusal()).code).toBe("not-permitted");
    contact.send(submitTo(after, sealed("with the new one")));
    await contact.take("accepted");
    await using device = await Wire.device(relay, ben);
    expect((await device.pushes(2)).map(textOf)).toEqual(["before", "with the new one"]);
    expectProblem(await ben.request(relay, "PUT", PATHS.accessKey, {}), "bad-request");
  });
});

describe("an account that is deleted", () => {
  it("is gone: connection, mail, keys, login; its name is free and its id is not", async () => {
    const ben = await someone("ben");
    await ben.request(relay, "PUT", PATHS.prekeys, { signed: aPrekey("s"), lastResort: aPrekey("l") });
    await using sender = await Wire.anonymous(relay);
    sender.send(submitTo(ben, sealed("never to be read")));
    await sender.take("accepted");
    const envelopes = await relay.metric("lethe_mailbox_envelopes");
    await using device = await Wire.device(relay, ben);
    await device.take("push");
    await device.take("drained");

    expect((await ben.request(relay, "DELETE", PATHS.account)).status).toBe(204);
    expect(await device.ending()).toEqual({ code: "device-removed", status: 4404 });
    expect(await relay.metric("lethe_mailbox_envelopes")).toBe(envelopes - 1);
    sender.send(submitTo(ben, sealed("to nobody")));
    expect((await sender.refusal()).code).toBe("not-permitted");
    await using back = await Wire.raw(relay, "device");
    ben.epoch++;
    await back.prove(ben);
    expect(await back.ending()).toMatchObject({ code: "authentication-failed" });
    expectProblem(await ben.request(relay, "GET", PATHS.prekeys), "unauthorized");

    const heir = await new Person(ben.name).register(relay);
    expect(heir.account).not.toBe(ben.account);
    const revenant = Object.assign(Object.create(Person.called("revenant")) as Person, {
      account: ben.account as AccountId,
    });
    expectProblem(
      await revenant.request(relay, "POST", PATHS.accounts, revenant.registration),
      "account-exists",
    );
  });

  it("leaves nothing of it in any file within the forget bound, while the relay runs", async () => {
    const ben = await someone("marked");
    const traces = await tracesOf(ben, relay);
    for (const [what, bytes] of Object.entries(traces))
      expect([what, await filesHolding(folder.path, bytes)]).not.toEqual([what, []]); // else the search shows nothing
    expect((await ben.request(relay, "DELETE", PATHS.account)).status).toBe(204);
    await untilForgotten(folder.path, traces);
  });
});

describe("an operator", () => {
  it("sees health, readiness and metrics, and nobody's name", async () => {
    const ben = await someone("ben");
    expect(await (await fetch(`${relay.url}${OPERATOR_PATHS.health}`)).json()).toEqual({ status: "up" });
    expect(await (await fetch(`${relay.url}${OPERATOR_PATHS.ready}`)).json()).toEqual({ status: "ready" });
    const page = await fetch(`${relay.url}${OPERATOR_PATHS.metrics}`);
    expect(page.headers.get("content-type")).toMatch("text/plain");
    const text = await page.text();
    expect(text).toMatch(/^lethe_connections \d+$/m);
    expect(text).not.toContain(ben.name);
    expect(text).not.toContain(ben.registration.account);
  });

  it("gets headers that keep a browser from guessing", async () => {
    const { headers } = await fetch(`${relay.url}/`);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("x-powered-by")).toBeNull();
  });
});
