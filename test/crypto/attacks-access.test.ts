// Blocking, and attack 45: a wrong access key, one that was changed because its holder is blocked, and an account that nobody has are
// answered by a real relay in the same bytes, and in the same time.
import { randomBytes } from "node:crypto";
import { type ClientFrame, type DeviceNumber, PATHS } from "@lethe/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Client, openMemoryStore } from "@lethe/client";
import { accessKeyHash, ready } from "../../crypto/index.ts";
import { aFolder, type Folder } from "../support/folder.ts";
import { Person } from "../support/person.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { sealed, submitTo, Wire } from "../support/wire.ts";

let folder: Folder;
let relay: RelayProcess;
beforeAll(async () => {
  await ready();
  folder = await aFolder();
  relay = await RelayProcess.start({ data: folder.path });
});
afterAll(async () => {
  await relay.stop();
  await folder[Symbol.asyncDispose]();
});

const KINDS = ["wrong key", "changed key", "unknown account"] as const;
type Kind = (typeof KINDS)[number];

interface Knocking {
  readonly person: Person;
  readonly accessKey: Uint8Array;
}

async function knocking(): Promise<Record<Kind, Knocking>> {
  const ben = await Person.called("ben").register(relay);
  const cleo = await Person.called("cleo").register(relay);
  const changed = new Uint8Array(randomBytes(16));
  const body = { accessKeyHash: Buffer.from(accessKeyHash(changed)).toString("base64url") };
  const answer = await cleo.request(relay, "PUT", PATHS.accessKey, body);
  expect(answer.status).toBeLessThan(300);
  return {
    "wrong key": { person: ben, accessKey: new Uint8Array(randomBytes(16)) },
    "changed key": { person: cleo, accessKey: cleo.accessKey },
    "unknown account": { person: Person.called("nobody"), accessKey: new Uint8Array(randomBytes(16)) },
  };
}

const id = "the same envelope".slice(0, 16);

/** Everything that a holder of an access key may do, with a key that is none. */
const DEEDS: Readonly<Record<string, (at: Knocking) => ClientFrame>> = {
  submit: ({ person, accessKey }) => ({
    ...submitTo(person, sealed("x", id as never)),
    accessKey,
    expiry: EXPIRY as never,
  }),
  "ask-devices": ({ person: { account }, accessKey }) => ({
    frame: "ask-devices",
    request: 7,
    account,
    accessKey,
  }),
  "ask-prekeys": ({ person: { account }, accessKey }) => ({
    frame: "ask-prekeys",
    request: 7,
    account,
    device: 1 as DeviceNumber,
    accessKey,
    requestId: new Uint8Array(16).fill(5),
  }),
  watch: ({ person: { account }, accessKey }) => ({ frame: "watch", account, accessKey }),
};
const EXPIRY = Date.now() + 3_600_000;

describe("attack 45: a key that opens nothing", () => {
  it("is answered in the same bytes as an account that nobody has", async () => {
    const who = await knocking();
    for (const [name, deed] of Object.entries(DEEDS)) {
      const answers: string[] = [];
      for (const kind of KINDS) {
        await using wire = await Wire.anonymous(relay);
        await wire.message();
        wire.send(deed(who[kind]));
        const bytes = await wire.message();
        // A notice names the account that was asked for.
        answers.push(
          bytes.replace(Buffer.from(who[kind].person.account, "latin1").toString("hex"), "account"),
        );
      }
      expect(new Set(answers).size, `${name}: ${answers.join(" ")}`).toBe(1);
    }
  });

  it("and in the same time: asked in turns, the middle answers are as far apart as chance puts them", async () => {
    const who = await knocking();
    await using wire = await Wire.anonymous(relay);
    await wire.message();
    const took: Record<Kind, number[]> = { "wrong key": [], "changed key": [], "unknown account": [] };
    for (let round = 0; round < 400; round++)
      for (const kind of KINDS) {
        const frame = (DEEDS["ask-devices"] as (at: Knocking) => ClientFrame)(who[kind]);
        const start = performance.now();
        wire.send(frame);
        await wire.message();
        if (round >= 50) took[kind].push(performance.now() - start);
      }
    const middle = KINDS.map(
      (kind) => took[kind].toSorted((a, b) => a - b)[Math.floor(took[kind].length / 2)] ?? 0,
    );
    const [low, high] = [Math.min(...middle), Math.max(...middle)];
    console.info(`attack 45: ${middle.map((ms) => `${Math.round(ms * 1_000)} µs`).join(", ")}`);
    expect(high - low, "ms between the middles").toBeLessThan(Math.max(0.25, low / 2));
  });
});

describe("blocking somebody at a real relay", () => {
  const person = (user: string): Promise<Client> =>
    Client.create({
      relay: relay.url,
      user,
      store: openMemoryStore(),
      requests: "accept",
      receiptJitterMs: 5,
    });

  it("ends what its access key could do, while the contacts that remain write on", async () => {
    const [anna, ben, cleo] = [await person("anna-45"), await person("ben-45"), await person("cleo-45")];
    try {
      for (const contact of [anna, cleo]) {
        const heard = ben.once("message");
        await contact.send(ben.user, "hello");
        await heard;
        const answer = contact.once("message");
        await ben.send(contact.user, "hello yourself");
        await answer;
      }
      const toldRelay = ben.once("prekeys");
      await ben.block(anna.user);
      await toldRelay;
      const waits = anna.once("waiting");
      const queued = await anna.queue(ben.user, "let me in");
      expect(await waits).toMatchObject({ code: "not-permitted", user: ben.user });
      const heard = ben.once("message");
      const sent = await cleo.send(ben.user, "still here");
      expect((await heard).text).toBe("still here");
      await sent.delivered;
      expect(queued.user).toBe(ben.user);
      expect(ben.contacts().map(({ user, decision }) => [user, decision])).toContainEqual([
        anna.user,
        "blocked",
      ]);
    } finally {
      for (const client of [anna, ben, cleo]) await client.close();
    }
  });

  it("safety numbers agree between two real clients, and a verified contact is shown as one", async () => {
    const [anna, ben] = [await person("anna-33"), await person("ben-33")];
    try {
      await expect(anna.safetyNumber(ben.user)).rejects.toMatchObject({ code: "keys-unknown" });
      const heard = ben.once("message");
      await anna.send(ben.user, "hello");
      await heard;
      const [atAnna, atBen] = [await anna.safetyNumber(ben.user), await ben.safetyNumber(anna.user)];
      expect(atAnna.digits).toBe(atBen.digits);
      await anna.verify(ben.user, atBen.code);
      expect(anna.contacts().find(({ user }) => user === ben.user)?.verified).toBe(true);
      await expect(ben.verify(anna.user, atBen.code)).rejects.toMatchObject({
        code: "safety-number-differs",
      });
      expect(ben.contacts().map(({ verified }) => verified)).toEqual([false]);
    } finally {
      for (const client of [anna, ben]) await client.close();
    }
  });
});
