// A relay that is operated: settings read again while it runs, its own certificate, and a new one.
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { connect, type TLSSocket } from "node:tls";
import { OPERATOR_PATHS, PATHS, type PolicyJson } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { aFolder, filesHolding } from "../support/folder.ts";
import { ask, Person } from "../support/person.ts";
import { expectProblem } from "../support/problems.ts";
import { RELAY_NAME, RelayProcess } from "../support/relay-process.ts";
import { tracesOf } from "../support/traces.ts";
import { eventually } from "../support/waiting.ts";

const NOTHING = Buffer.alloc(0);
const hasOpenssl = ((): boolean => {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

describe("settings in a file", () => {
  it("are read again at SIGHUP: what can change does, what cannot is named, what is wrong changes nothing", async () => {
    await using folder = await aFolder();
    const file = join(folder.path, "lethe.env");
    const write = (text: string): Promise<void> => writeFile(file, text);
    await write("LETHE_REGISTRATION=open\n");
    const data = join(folder.path, "data");
    const relay = await RelayProcess.start({ data, flags: ["--config", file] });
    try {
      const registration = async (): Promise<unknown> =>
        (await ask(relay, "GET", PATHS.policy, NOTHING)).body["registration"];
      const anna = await Person.called("anna").register(relay);
      expect(await registration()).toBe("open");

      await write("LETHE_REGISTRATION=closed\nLETHE_MAILBOX_BYTES=4096\n");
      relay.signal("SIGHUP");
      await relay.says("settings read again: LETHE_REGISTRATION");
      await relay.says("only a restart changes LETHE_MAILBOX_BYTES");
      const { limits } = (await ask(relay, "GET", PATHS.policy, NOTHING)).body as unknown as PolicyJson;
      expect(limits.mailboxBytes).toBe(67_108_864); // what is in force, not what is wished
      expect(await registration()).toBe("closed");
      const ben = Person.called("ben");
      expectProblem(
        await ben.request(relay, "POST", PATHS.accounts, ben.registration),
        "registration-closed",
      );

      await write("LETHE_REGISTRATION=everybody\nLETHE_PROT=1\n");
      relay.signal("SIGHUP");
      await relay.says("settings are as before:");
      await relay.says("no setting is called LETHE_PROT");
      expect(await registration()).toBe("closed");
      expect((await anna.request(relay, "GET", PATHS.prekeys)).status).toBe(200);
    } finally {
      await relay.stop();
    }
  });
});

describe("the relay's name", () => {
  it("is the data folder's: another one is refused, with the one that it began with", async () => {
    await using folder = await aFolder();
    await (await RelayProcess.start({ data: folder.path })).stop();
    const other = RelayProcess.start({ data: folder.path, flags: ["--name", "other.example"] });
    await expect(other).rejects.toThrow(`belongs to the relay ${RELAY_NAME}`);
    await (await RelayProcess.start({ data: folder.path })).stop();
  });
});

describe("an account that is not used", () => {
  it("is removed with everything of it after the period that the relay states, and no other", async () => {
    await using folder = await aFolder();
    const start = (): Promise<RelayProcess> =>
      RelayProcess.start({ data: folder.path, flags: ["--idle-days", "30"] });
    let relay = await start();
    const [idle, busy] = [
      await Person.called("idle").register(relay),
      await Person.called("busy").register(relay),
    ];
    const policy = await ask(relay, "GET", PATHS.policy, NOTHING);
    expect(policy.body["retention"]).toMatchObject({ idleAccountMs: 30 * 86_400_000 });
    const [idles, busys] = [await tracesOf(idle, relay), await tracesOf(busy, relay)];
    await relay.stop();
    // As if the relay had run for 31 days, and one of them had never come.
    const db = new DatabaseSync(join(folder.path, "directory.sqlite"));
    const days = db.prepare("UPDATE account SET used_day = used_day - 31 WHERE name = ?");
    expect(days.run(idle.name).changes).toBe(1);
    db.close();
    relay = await start();
    try {
      await eventually(15_000, "the idle account's end", async () =>
        (await idle.request(relay, "GET", PATHS.prekeys)).status === 401 ? true : undefined,
      );
      expect((await busy.request(relay, "GET", PATHS.prekeys)).status).toBe(200);
      await relay.stop(); // which forgets what is to be forgotten
      for (const [what, bytes] of Object.entries(idles))
        expect([what, await filesHolding(folder.path, bytes)]).toEqual([what, []]);
      for (const [what, bytes] of Object.entries(busys))
        expect([what, await filesHolding(folder.path, bytes)]).not.toEqual([what, []]);
    } finally {
      await relay.stop();
    }
  });
});

function aCertificate(folder: string, name: string): void {
  const key = join(folder, "key.pem");
  const cert = join(folder, "cert.pem");
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"];
  const args = ["req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-keyout", key, "-out", cert];
  execFileSync("openssl", [...args, ...subject], { stdio: "ignore" });
}

/** The common name of the certificate that is shown on the port. */
async function shown(port: number): Promise<string> {
  const socket: TLSSocket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return String(CN);
}

describe("a relay with a certificate", () => {
  it.runIf(hasOpenssl)("speaks TLS, and shows a new certificate after SIGHUP", async () => {
    await using folder = await aFolder();
    aCertificate(folder.path, "first.example");
    const flags = ["--tls-cert", join(folder.path, "cert.pem"), "--tls-key", join(folder.path, "key.pem")];
    const relay = await RelayProcess.start({ data: join(folder.path, "data"), flags });
    try {
      expect(relay.url).toMatch(/^https:/);
      expect(await shown(relay.port)).toBe("first.example");
      const answer = await new Promise<number | undefined>((resolve, reject) =>
        request(`${relay.url}${OPERATOR_PATHS.health}`, { rejectUnauthorized: false }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .on("error", reject)
          .end(),
      );
      expect(answer).toBe(200);
      aCertificate(folder.path, "second.example");
      relay.signal("SIGHUP");
      await relay.says("settings read again: LETHE_TLS_CERT");
      expect(await shown(relay.port)).toBe("second.example");
    } finally {
      await relay.stop();
    }
  });
});
