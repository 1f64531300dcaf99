// Registration with tokens of the operator's own login service, whose keys lie in a file or at an address: what is refused,
// keys that change while the relay runs, and a service that is down.
import { createPublicKey, type JsonWebKey } from "node:crypto";
import { SignJWT } from "jose";
import { afterAll, describe, expect, it } from "vitest";
import { aRelay, type RelayUnderTest } from "../support/a-relay.ts";
import { AUDIENCE, ISSUER, LoginService, type Published, type Signing } from "../support/login-service.ts";
import { type Answer, Person } from "../support/person.ts";
import { expectProblem } from "../support/problems.ts";
import { eventually } from "../support/waiting.ts";

/** Longer than the relay waits between two looks at keys, ms. */
const PATIENCE_MS = 20_000;

interface Trusting {
  readonly relay: RelayUnderTest;
  readonly service: LoginService;
  /** Somebody new registers with a token of the service's for them. */
  readonly comes: (signing?: Signing, claims?: Record<string, unknown>) => Promise<Answer>;
  /** New people come until one is answered so: a registration ("") or a refusal's code. */
  readonly untilAnswered: (code: string, signing: Signing) => Promise<void>;
}

/** A relay that trusts a login service, for the tests of one `describe`. */
function trusting(published: Published): Trusting {
  const opened: { service?: LoginService } = {};
  const relay = aRelay(async () => {
    opened.service = await LoginService.open(published);
    return opened.service.flags;
  });
  afterAll(() => opened.service?.[Symbol.asyncDispose]());
  const comes = async (signing: Signing = {}, claims = {}): Promise<Answer> => {
    const person = Person.called("anna");
    return relay.register(person, await opened.service?.sign({ login: person.name, ...claims }, signing));
  };
  return {
    relay,
    get service(): LoginService {
      if (opened.service === undefined) throw new Error("the login service has not started");
      return opened.service;
    },
    comes,
    untilAnswered: async (code, signing) => {
      await eventually(PATIENCE_MS, `the answer "${code}"`, async () =>
        (await comes(signing)).code === code ? true : undefined,
      );
    },
  };
}

describe.each<Published>(["in a file", "at an address"])("a login service with its keys %s", (published) => {
  const world = trusting(published);
  const { relay, comes } = world;

  it("vouches for the name that the token names, and no other", async () => {
    const ben = Person.called("ben");
    const { service } = world;
    expectProblem(await relay.register(ben), "ticket-required");
    for (const claims of [{ login: Person.called("other").name }, { sub: ben.name }, { login: [ben.name] }])
      expectProblem(await relay.register(ben, await service.sign(claims)), "ticket-invalid");
    expect((await relay.register(ben, await service.sign({ login: ben.name }))).status).toBe(201);
  });

  it.each<[string, Signing, Record<string, unknown>]>([
    ["of another issuer", {}, { iss: "https://evil.example" }],
    ["of no issuer", {}, { iss: undefined }],
    ["for another audience", {}, { aud: "elsewhere.example" }],
    ["that has expired", { expires: "-90s" }, {}],
    ["that is not valid yet", { notBefore: "90s" }, {}],
    ["under a key that is not published", { kid: "two" }, {}],
  ])("is not believed with a token %s", async (_what, signing, claims) => {
    expectProblem(await comes(signing, claims), "ticket-invalid");
  });

  it("may have a clock that is half a minute off", async () => {
    expect((await comes({ expires: "-30s" })).status).toBe(201);
    expect((await comes({ notBefore: "30s" })).status).toBe(201);
  });

  it("is not believed with what it has not signed: nothing, other words, its public key as a shared secret", async () => {
    const carl = Person.called("carl");
    const { service } = world;
    const said = { login: carl.name, iss: ISSUER, aud: AUDIENCE, exp: 9e9 };
    const [head, body, mac] = (await service.sign({ login: carl.name })).split(".") as [
      string,
      string,
      string,
    ];
    const json = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const jwk = service.publicKey("one");
    const pem = createPublicKey({ key: jwk as JsonWebKey, format: "jwk" }).export({
      type: "spki",
      format: "pem",
    });
    const shared = [JSON.stringify(jwk), String(pem), String(jwk.x)].map((secret) =>
      new SignJWT(said).setProtectedHeader({ alg: "HS256", kid: "one" }).sign(Buffer.from(secret)),
    );
    const flipped = Buffer.from(mac, "base64url");
    flipped[0] = (flipped[0] ?? 0) ^ 1;
    for (const token of [
      "no token",
      `${json({ alg: "none", kid: "one" })}.${body}.`,
      `${json({ alg: "none" })}.${json(said)}.${mac}`,
      `${head}.${body}.${flipped.toString("base64url")}`,
      `${head}.${json(said)}.${mac}`,
      ...(await Promise.all(shared)),
    ])
      expectProblem(await relay.register(carl, token), "ticket-invalid");
    expectProblem(await relay.register(carl, "x".repeat(8_193)), "bad-request");
  });

  it("changes its keys without a signal: a new one counts, a withdrawn one ends", async () => {
    const { service, untilAnswered } = world;
    await service.publish("one", "two");
    await untilAnswered("", { kid: "two" });
    expect((await comes({ kid: "one" })).status).toBe(201);
    await service.publish("two", "three");
    await untilAnswered("", { kid: "three" });
    await untilAnswered("ticket-invalid", { kid: "one" });
    expect((await comes({ kid: "two" })).status).toBe(201);
    await service.publish("one");
    await untilAnswered("", { kid: "one" });
  });

  it("is down and back: who comes with a key that is not known is told to try again, and then registers", async () => {
    const { service, untilAnswered } = world;
    await service.down();
    await service.publish("one", "three");
    await untilAnswered("identity-unreachable", { kid: "three" });
    await service.up();
    await untilAnswered("", { kid: "three" });
  });
});

describe("a login service at an address", () => {
  const world = trusting("at an address");

  it("that answers with errors or with no key set is down; the same token counts later", async () => {
    const { relay, service } = world;
    const anna = Person.called("anna");
    const token = await service.sign({ login: anna.name });
    service.status = 500;
    expectProblem(await relay.register(anna, token), "identity-unreachable");
    service.status = 302;
    expectProblem(await relay.register(anna, token), "identity-unreachable");
    service.status = 200;
    expect((await relay.register(anna, token)).status).toBe(201);
  });

  it("is not asked for each token under a key that nobody knows", async () => {
    const { service, comes } = world;
    const [before, began] = [service.asked, performance.now()];
    for (let i = 0; i < 50; i++) expectProblem(await comes({ kid: "two" }), "ticket-invalid");
    expect(service.asked - before).toBeLessThanOrEqual(1 + (performance.now() - began) / 2_000);
  });
});
