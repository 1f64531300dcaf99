// Who may register, for each policy, over HTTP and a real login service's key set; and the operator's door.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PATHS } from "@lethe/protocol";
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { afterAll, describe, expect, it } from "vitest";
import { aRelay } from "../support/a-relay.ts";
import { aFolder } from "../support/folder.ts";
import { ask, Person } from "../support/person.ts";
import { expectProblem } from "../support/problems.ts";
import { Wire } from "../support/wire.ts";

const ISSUER = "https://login.example";
const AUDIENCE = "lethe.example";

describe("a closed relay", () => {
  const relay = aRelay(() => ["--registration", "closed"]);

  it("registers nobody, and says so beforehand", async () => {
    expectProblem(await relay.register(Person.called("anna")), "registration-closed");
    const policy = await ask(relay.at, "GET", PATHS.policy, Buffer.alloc(0));
    expect(policy.body).toMatchObject({ lethe: "relay", registration: "closed", relay: "relay.test" });
    expect(policy.body).toMatchObject({
      versions: { min: 1, max: 1 },
      limits: { envelopeBytes: 73_728 },
      retention: { mailMs: 2_592_000_000, forgetMs: 60_000 },
      durability: { accepted: "synced", copies: 1 },
    });
  });
});

describe("a relay by invitation", () => {
  const relay = aRelay(() => ["--registration", "invite"]);

  it("takes whoever has an invite, as often as it says, and nobody else", async () => {
    const made = await relay.admin("POST", PATHS.adminInvites, { uses: 2, days: 1 });
    expect(made.status).toBe(201);
    const invite = String(made.body["invite"]);
    const [anna, ben, carl] = [Person.called("anna"), Person.called("ben"), Person.called("carl")];
    expectProblem(await relay.register(anna), "ticket-required");
    expectProblem(await relay.register(anna, "not-an-invite"), "ticket-invalid");
    expect((await relay.register(anna, invite)).status).toBe(201);
    expect((await relay.register(anna, invite)).status).toBe(200);
    expect((await relay.register(anna)).status).toBe(200);
    expect((await relay.register(ben, invite)).status).toBe(201);
    expectProblem(await relay.register(carl, invite), "ticket-invalid");
  });

  it("forgets an invite that is withdrawn, and never shows one again", async () => {
    const invite = String((await relay.admin("POST", PATHS.adminInvites, {})).body["invite"]);
    const listed = (await relay.admin("GET", PATHS.adminInvites)).body["invites"] as {
      mark: string;
      uses: number;
    }[];
    expect(listed.length).toBe(1);
    expect(JSON.stringify(listed)).not.toContain(invite);
    const mark = listed[0]?.mark ?? "";
    expect((await relay.admin("DELETE", `${PATHS.adminInvites}/${mark}`)).status).toBe(204);
    expectProblem(await relay.admin("DELETE", `${PATHS.adminInvites}/${mark}`), "not-found");
    expectProblem(await relay.register(Person.called("dora"), invite), "ticket-invalid");
  });
});

describe("a relay with a login service of its operator's", () => {
  const service: { server?: Server; keys: JWK[]; status: number } = { keys: [], status: 200 };
  let sign: (
    claims: Record<string, unknown>,
    options?: { expires?: string; kid?: string },
  ) => Promise<string>;
  const relay = aRelay(async () => {
    const mine = await generateKeyPair("ES256");
    const others = await generateKeyPair("ES256");
    service.keys = [{ ...(await exportJWK(mine.publicKey)), kid: "one", alg: "ES256" }];
    sign = (claims, { expires = "5m", kid = "one" } = {}) =>
      new SignJWT({ iss: ISSUER, aud: AUDIENCE, ...claims })
        .setProtectedHeader({ alg: "ES256", kid })
        .setExpirationTime(expires)
        .sign(kid === "one" ? mine.privateKey : others.privateKey);
    service.server = createServer((_request, response) => {
      response.writeHead(service.status, { "content-type": "application/json" });
      response.end(JSON.stringify({ keys: service.keys }));
    }).listen(0, "127.0.0.1");
    await once(service.server, "listening");
    const { port } = service.server.address() as AddressInfo;
    const address = `http://127.0.0.1:${port}/keys`;
    const jwt = [
      "--jwt-issuer",
      ISSUER,
      "--jwt-audience",
      AUDIENCE,
      "--jwt-keys",
      address,
      "--jwt-name",
      "login",
    ];
    return ["--registration", "jwt", ...jwt];
  });
  afterAll(() => service.server?.close());

  it("says that it cannot check while the keys cannot be had, and takes the same token later", async () => {
    const anna = Person.called("anna");
    const token = await sign({ login: anna.name });
    service.status = 500;
    expectProblem(await relay.register(anna, token), "identity-unreachable");
    service.status = 200;
    expect((await relay.register(anna, token)).status).toBe(201);
  });

  it("takes the name that the token names, and no other", async () => {
    const ben = Person.called("ben");
    expectProblem(await relay.register(ben), "ticket-required");
    expectProblem(
      await relay.register(ben, await sign({ login: Person.called("other").name })),
      "ticket-invalid",
    );
    expectProblem(await relay.register(ben, await sign({ sub: ben.name })), "ticket-invalid");
    expect((await relay.register(ben, await sign({ login: ben.name }))).status).toBe(201);
  });

  const carl = Person.called("carl");
  it.each<[string, Record<string, unknown>, { expires?: string; kid?: string }]>([
    ["of another issuer", { iss: "https://evil.example" }, {}],
    ["for another audience", { aud: "elsewhere.example" }, {}],
    ["that has expired", {}, { expires: "-2m" }],
    ["under an unknown key", {}, { kid: "two" }],
  ])("refuses a token %s", async (_what, claims, options) => {
    expectProblem(
      await relay.register(carl, await sign({ login: carl.name, ...claims }, options)),
      "ticket-invalid",
    );
  });

  it("refuses what is no token, unsigned tokens, and tokens signed with the public key as a shared secret", async () => {
    const [head, body, mac] = (await sign({ login: carl.name })).split(".") as [string, string, string];
    const json = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const shared = await new SignJWT({ login: carl.name, iss: ISSUER, aud: AUDIENCE })
      .setProtectedHeader({ alg: "HS256", kid: "one" })
      .setExpirationTime("5m")
      .sign(Buffer.from(JSON.stringify(service.keys[0])));
    const flipped = Buffer.from(mac, "base64url");
    flipped[0] = (flipped[0] ?? 0) ^ 1;
    for (const token of [
      "no token",
      `${json({ alg: "none", kid: "one" })}.${body}.`,
      `${head}.${body}.${flipped.toString("base64url")}`,
      `${head}.${json({ login: carl.name, iss: ISSUER, aud: AUDIENCE, exp: 9e9 })}.${mac}`,
      shared,
    ])
      expectProblem(await relay.register(carl, token), "ticket-invalid");
    expectProblem(await relay.register(carl, "x".repeat(8_193)), "bad-request");
  });
});

describe("a key set in a file", () => {
  const keys: { sign?: (name: string) => Promise<string> } = {};
  const relay = aRelay(async () => {
    const pair = await generateKeyPair("Ed25519");
    const folder = await aFolder();
    const file = join(folder.path, "keys.json");
    await writeFile(file, JSON.stringify({ keys: [await exportJWK(pair.publicKey)] }));
    keys.sign = (sub) =>
      new SignJWT({ sub, iss: ISSUER, aud: AUDIENCE })
        .setProtectedHeader({ alg: "Ed25519" })
        .setExpirationTime("1m")
        .sign(pair.privateKey);
    const jwt = ["--jwt-issuer", ISSUER, "--jwt-audience", AUDIENCE, "--jwt-keys", file];
    return ["--registration", "jwt", ...jwt];
  });

  it("is read at the start", async () => {
    const anna = Person.called("anna");
    expect((await relay.register(anna, await keys.sign?.(anna.name))).status).toBe(201);
  });
});

describe("the operator's door", () => {
  const relay = aRelay(() => []);

  it("opens with the token of the data folder, which only its owner can read, and with nothing else", async () => {
    expect((await stat(join(relay.folder, "admin-token"))).mode & 0o777).toBe(0o600);
    for (const path of [PATHS.adminFigures, PATHS.adminInvites, `${PATHS.adminAccounts}/anna`])
      for (const authorization of [undefined, "Bearer ", `Bearer ${randomBytes(32).toString("base64url")}`])
        expectProblem(await ask(relay.at, "GET", path, Buffer.alloc(0), authorization), "unauthorized");
  });

  it("shows figures, an account's mailboxes, and removes an account", async () => {
    const anna = await Person.called("anna").register(relay.at);
    const figures = await relay.admin("GET", PATHS.adminFigures);
    expect(figures.body).toMatchObject({ accounts: 1, connections: 0, envelopes: 0, forgetLagMs: 0 });
    expect(JSON.stringify(figures.body)).not.toContain(anna.name);
    await using device = await Wire.device(relay.at, anna);
    await device.take("drained");
    const shown = await relay.admin("GET", `${PATHS.adminAccounts}/${anna.name}`);
    expect(shown.body).toMatchObject({
      name: anna.name,
      devices: [{ device: 1, connected: true, waiting: 0 }],
    });
    expectProblem(await relay.admin("GET", `${PATHS.adminAccounts}/nobody`), "unknown-name");
    expect((await relay.admin("DELETE", `${PATHS.adminAccounts}/${anna.name}`)).status).toBe(204);
    expect((await device.ending()).code).toBe("device-removed");
    expectProblem(await relay.admin("GET", `${PATHS.adminAccounts}/${anna.name}`), "unknown-name");
  });
});
