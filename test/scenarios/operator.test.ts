// An operator's commands, as they are typed: status, admin, doctor, against a real relay and broken configurations.
import { createServer } from "node:net";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lethe } from "../support/command.ts";
import { aFolder, type Folder } from "../support/folder.ts";
import { Person } from "../support/person.ts";
import { RELAY_NAME, RelayProcess } from "../support/relay-process.ts";
import { sealed, submitTo, Wire } from "../support/wire.ts";

let folder: Folder;
let relay: RelayProcess;
let door: string[];
beforeAll(async () => {
  folder = await aFolder();
  const data = join(folder.path, "data");
  relay = await RelayProcess.start({ data, flags: ["--registration", "invite"] });
  door = ["--relay", relay.url, "--data", data];
});
afterAll(async () => {
  await relay.stop();
  await folder[Symbol.asyncDispose]();
});

describe("lethe admin", () => {
  it("makes an invite that registers one account, shows the account, and removes it", async () => {
    const invited = await lethe("admin", "invite", ...door);
    expect([invited.code, invited.err]).toEqual([0, ""]);
    const [invite = ""] = invited.out.split("\n");
    expect(invite).toMatch(/^[\w-]{20}$/);
    expect((await lethe("admin", "invites", ...door)).out).toMatch(/^[0-9a-f]{32} +1 left {2}until 20/);
    const anna = Person.called("anna");
    const answer = await anna.request(relay, "POST", "/v1/accounts", {
      ...anna.registration,
      ticket: invite,
    });
    expect(answer.status).toBe(201);
    expect((await lethe("admin", "invites", ...door)).out).toBe("no invites are open\n");

    const chat = ["chat", "dora", "--relay", relay.url, "--store", join(folder.path, "dora.db")];
    const uninvited = await lethe(...chat);
    expect([uninvited.code, uninvited.err]).toEqual([1, expect.stringContaining("give it with --ticket")]);
    const [second = ""] = (await lethe("admin", "invite", ...door)).out.split("\n");
    const joined = await lethe(...chat, "--ticket", second);
    expect([joined.code, joined.err]).toEqual([0, ""]);

    await using sender = await Wire.anonymous(relay);
    sender.send(submitTo(anna, sealed("one")), submitTo(anna, sealed("two")));
    await sender.take("accepted");
    const shown = await lethe("admin", "show", anna.name, ...door);
    expect(shown.out.split("\n").slice(1)).toEqual(["  device 1  away  2 undelivered", ""]);
    const kept = await lethe("admin", "remove", anna.name, ...door);
    expect([kept.code, kept.err]).toEqual([2, expect.stringContaining("--yes")]);
    expect((await lethe("admin", "remove", anna.name, "--yes", ...door)).code).toBe(0);
    const gone = await lethe("admin", "show", anna.name, ...door);
    expect([gone.code, gone.err]).toEqual([1, expect.stringContaining("No account has this name.")]);
  });

  it("says what is wrong where it cannot, and what to do", async () => {
    const noToken = await lethe("admin", "invites", "--relay", relay.url, "--data", folder.path);
    expect([noToken.code, noToken.err]).toEqual([
      1,
      expect.stringContaining("Give the relay's data folder with --data"),
    ]);
    await writeFile(join(folder.path, "admin-token"), "of another relay\n");
    const otherToken = await lethe("admin", "invites", "--relay", relay.url, "--data", folder.path);
    expect(otherToken.err).toContain("another relay's");
    const nobody = await lethe("status", "--relay", "http://127.0.0.1:9", ...door.slice(2));
    expect([nobody.code, nobody.err]).toEqual([1, expect.stringContaining("Is it running?")]);
    for (const words of [
      ["admin", "frobnicate"],
      ["admin", "show"],
      ["status", "--jsno"],
    ])
      expect((await lethe(...words)).code).toBe(2);
  });
});

describe("lethe status", () => {
  it("shows figures aligned in a pipe, and all of them as JSON", async () => {
    const { code, out } = await lethe("status", ...door);
    expect(code).toBe(0);
    expect(out).not.toContain("\u001b");
    const lines = out.trimEnd().split("\n");
    expect(lines[0]).toMatch(new RegExp(`^${relay.url} {2}up \\d+ (?:s|min \\d+ s), [\\d.]+ MiB of memory$`));
    expect(lines.find((line) => line.includes("forget lag"))).toMatch(/ \d+ s$/);
    for (const line of lines.slice(1)) expect(line).toMatch(/^ {2}\S.{31}(?: {2}\S.*)?$/);
    const json = JSON.parse((await lethe("status", "--json", ...door)).out) as Record<string, number>;
    expect(json["connections"]).toBe(0);
    for (const name of ["accepted", "stored", "envelopes", "forgetLagMs", "accounts", "residentBytes"])
      expect(json[name]).toBeTypeOf("number");
  });
});

describe("lethe doctor", () => {
  it("finds nothing wrong with the settings of a relay that runs", async () => {
    const { code, out } = await lethe(
      "doctor",
      "--name",
      RELAY_NAME,
      "--data",
      door[3] as string,
      "--port",
      String(relay.port),
    );
    expect(out).toContain(`the relay answers at ${relay.url}`);
    expect([code, out.includes("✗")]).toEqual([0, false]);
  });

  interface Broken {
    readonly name: string;
    readonly lines: (place: string, taken: number) => readonly string[];
    readonly finds: RegExp;
    readonly mends: RegExp;
    readonly code: number;
  }
  const BROKEN: readonly Broken[] = [
    {
      name: "a name that is misspelled",
      lines: () => ["LETHE_PORTT=8787"],
      finds: /✗ settings .*no setting is called LETHE_PORTT/,
      mends: /→ lethe relay --help/,
      code: 2,
    },
    {
      name: "a port that something else has",
      lines: (_place, taken) => [`LETHE_PORT=${taken}`],
      finds: /✗ port .*is taken by something that is no relay/,
      mends: /→ .*--port/,
      code: 1,
    },
    {
      name: "a data folder that is a file",
      lines: (place) => [`LETHE_DATA=${place}/file`],
      finds: /✗ data folder .*is not a folder/,
      mends: /→ .*--data/,
      code: 1,
    },
    {
      name: "a certificate that is not there",
      lines: (place) => [`LETHE_TLS_CERT=${place}/cert.pem`, `LETHE_TLS_KEY=${place}/key.pem`],
      finds: /✗ TLS .*no such file/,
      mends: /→ give PEM files/,
      code: 1,
    },
    {
      name: "login keys that are no key set",
      lines: (place) => [
        "LETHE_REGISTRATION=jwt",
        "LETHE_JWT_ISSUER=i",
        "LETHE_JWT_AUDIENCE=a",
        `LETHE_JWT_KEYS=${place}/file`,
      ],
      finds: /✗ login keys /,
      mends: /→ give a JSON Web Key Set/,
      code: 1,
    },
    {
      name: "an address that the machine does not have",
      lines: () => ["LETHE_HOST=192.0.2.1"],
      finds: /✗ port .*has no address 192\.0\.2\.1/,
      mends: /→ .*--host/,
      code: 1,
    },
    {
      name: "a name that is not the folder's",
      lines: (place) => {
        writeFileSync(`${place}/data/relay-name`, "relay.example\n");
        return ["LETHE_NAME=other.example"];
      },
      finds: /✗ name .*belongs to the relay relay\.example/,
      mends: /→ .*--name relay\.example/,
      code: 1,
    },
    {
      name: "plain HTTP for the world",
      lines: () => ["LETHE_HOST=0.0.0.0"],
      finds: /! TLS .*plain HTTP on 0\.0\.0\.0/,
      mends: /→ .*--tls-cert/,
      code: 0,
    },
  ];

  it.each(BROKEN)("names $name, with its mend", async ({ lines, finds, mends, code }) => {
    await using place = await aFolder();
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    try {
      await mkdir(join(place.path, "data"));
      await writeFile(join(place.path, "file"), "not what it should be");
      const config = join(place.path, "lethe.env");
      const base = ["LETHE_PORT=0", `LETHE_DATA=${join(place.path, "data")}`];
      const named = new Set(lines(place.path, 0).map((line) => line.split("=")[0]));
      const text = [
        ...base.filter((line) => !named.has(line.split("=")[0])),
        ...lines(place.path, (taken.address() as AddressInfo).port),
      ];
      await writeFile(config, `${text.join("\n")}\n`);
      const ended = await lethe("doctor", "--config", config);
      expect(ended.out).toMatch(finds);
      expect(ended.out).toMatch(mends);
      expect(ended.code).toBe(code);
    } finally {
      taken.close();
    }
  });
});
