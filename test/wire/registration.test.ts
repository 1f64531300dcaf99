// Who may register where registration is closed or by invitation, over HTTP; and the operator's door.
import { randomBytes } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { OPERATOR_PATHS, PATHS } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { aRelay } from "../support/a-relay.ts";
import { ask, Person } from "../support/person.ts";
import { expectProblem } from "../support/problems.ts";
import { Wire } from "../support/wire.ts";

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
    const made = await relay.admin("POST", OPERATOR_PATHS.adminInvites, { uses: 2, days: 1 });
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
    const invite = String((await relay.admin("POST", OPERATOR_PATHS.adminInvites, {})).body["invite"]);
    const listed = (await relay.admin("GET", OPERATOR_PATHS.adminInvites)).body["invites"] as {
      mark: string;
      uses: number;
    }[];
    expect(listed.length).toBe(1);
    expect(JSON.stringify(listed)).not.toContain(invite);
    const mark = listed[0]?.mark ?? "";
    expect((await relay.admin("DELETE", `${OPERATOR_PATHS.adminInvites}/${mark}`)).status).toBe(204);
    expectProblem(await relay.admin("DELETE", `${OPERATOR_PATHS.adminInvites}/${mark}`), "not-found");
    expectProblem(await relay.register(Person.called("dora"), invite), "ticket-invalid");
  });
});

describe("the operator's door", () => {
  const relay = aRelay(() => []);

  it("opens with the token of the data folder, which only its owner can read, and with nothing else", async () => {
    expect((await stat(join(relay.folder, "admin-token"))).mode & 0o777).toBe(0o600);
    for (const path of [
      OPERATOR_PATHS.adminFigures,
      OPERATOR_PATHS.adminInvites,
      `${OPERATOR_PATHS.adminAccounts}/anna`,
    ])
      for (const authorization of [undefined, "Bearer ", `Bearer ${randomBytes(32).toString("base64url")}`])
        expectProblem(await ask(relay.at, "GET", path, Buffer.alloc(0), authorization), "unauthorized");
  });

  it("shows figures, an account's mailboxes, and removes an account", async () => {
    const anna = await Person.called("anna").register(relay.at);
    const figures = await relay.admin("GET", OPERATOR_PATHS.adminFigures);
    expect(figures.body).toMatchObject({ accounts: 1, connections: 0, envelopes: 0, forgetLagMs: 0 });
    expect(JSON.stringify(figures.body)).not.toContain(anna.name);
    await using device = await Wire.device(relay.at, anna);
    await device.take("drained");
    const shown = await relay.admin("GET", `${OPERATOR_PATHS.adminAccounts}/${anna.name}`);
    expect(shown.body).toMatchObject({
      name: anna.name,
      devices: [{ device: 1, connected: true, node: "here", waiting: 0 }],
    });
    expectProblem(await relay.admin("GET", `${OPERATOR_PATHS.adminAccounts}/nobody`), "unknown-name");
    expect((await relay.admin("DELETE", `${OPERATOR_PATHS.adminAccounts}/${anna.name}`)).status).toBe(204);
    expect((await device.ending()).code).toBe("device-removed");
    expectProblem(await relay.admin("GET", `${OPERATOR_PATHS.adminAccounts}/${anna.name}`), "unknown-name");
  });
});
