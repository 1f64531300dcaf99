// Nothing delivered is kept: after the forget bound no byte of delivered mail is in any file of the relay, and mail that
// was delivered live was never in one. Searched for byte by byte, in every file and in everything that the relay wrote.
import { randomBytes } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toHex } from "@lethe/protocol";
import { aFolder, contentsOf, FORGET_MS, type Folder } from "../support/folder.ts";
import { Person } from "../support/person.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { eventually } from "../support/waiting.ts";
import { type Sealed, sealed, submitTo, Wire } from "../support/wire.ts";

const MARK_BYTES = 16;

let folder: Folder;
let relay: RelayProcess;
beforeAll(async () => {
  folder = await aFolder();
  relay = await RelayProcess.start({ data: folder.path, log: "debug" });
});
afterAll(async () => {
  await relay.stop();
  await folder[Symbol.asyncDispose]();
});

const someone = (name: string): Promise<Person> => Person.called(name).register(relay);

/** An envelope that begins and ends with bytes that stand nowhere else. */
function marked(bytes: number): Sealed {
  return sealed(new Uint8Array(randomBytes(bytes)));
}

/** The envelopes of which a mark, the first or the last bytes, stands in some file: by id, which are short to compare. */
async function foundIn(path: string, letters: readonly Sealed[]): Promise<string[]> {
  const files = await contentsOf(path);
  const found = letters.filter(({ ciphertext }) => {
    const marks = [ciphertext.subarray(0, MARK_BYTES), ciphertext.subarray(-MARK_BYTES)];
    return marks.some((mark) => files.some(({ bytes }) => bytes.includes(Buffer.from(mark))));
  });
  return idsOf(found);
}

const idsOf = (letters: readonly Sealed[]): string[] => letters.map(({ id }) => toHex(id)).sort();

async function store(person: Person, letters: readonly Sealed[]): Promise<void> {
  await using sender = await Wire.anonymous(relay);
  for (const letter of letters) sender.send(submitTo(person, letter));
  let accepted = 0;
  while (accepted < letters.length) accepted += (await sender.take("accepted")).ids.length;
}

/** Connects the person's device, which acknowledges the first `count` of its mail. */
async function deliver(person: Person, count: number): Promise<void> {
  await using device = await Wire.device(relay, person);
  for (let left = count; left > 0; left--)
    device.send({ frame: "delivered", ids: [(await device.take("push")).id] });
  await device.rest();
}

/** A letter that was pushed live to a device that went away without acknowledging it. */
async function givenBack(): Promise<{ person: Person; letter: Sealed }> {
  const person = await someone("away");
  const device = await Wire.device(relay, person);
  await device.take("drained");
  await using sender = await Wire.anonymous(relay);
  const letter = marked(300);
  sender.send(submitTo(person, letter));
  await device.take("push");
  device.socket.terminate();
  await sender.take("accepted");
  return { person, letter };
}

/** Until the relay keeps `left` envelopes and says that nothing removed is in a file any more: by the bound, or it is broken. */
async function forgotten(left: number): Promise<void> {
  await eventually(FORGET_MS, "every acknowledgement done", async () =>
    (await relay.metric("lethe_mailbox_envelopes")) === left ? true : undefined,
  );
  await eventually(FORGET_MS, "a forget lag of 0", async () =>
    (await relay.metric("lethe_forget_lag_seconds")) === 0 ? true : undefined,
  );
}

const sizes = [64, 300, 5_000, 70_000];
const letters = (count: number): Sealed[] =>
  Array.from({ length: count }, (_, i) => marked(sizes[i % sizes.length] as number));

describe("mail that was stored", () => {
  it("or given back by a device that went away is in the files until it is delivered, and in none within the bound after that", async () => {
    const people = await Promise.all(["all", "half", "none", "later"].map(someone));
    const [all, half, none, later] = people as [Person, Person, Person, Person];
    const mail = new Map(people.map((person) => [person, letters(40)]));
    const of = (person: Person): Sealed[] => mail.get(person) ?? [];
    await Promise.all(people.map((person) => store(person, of(person))));
    const returned = await givenBack();
    mail.set(returned.person, [returned.letter]);
    const everything = [...mail.values()].flat();
    expect(await foundIn(folder.path, everything)).toHaveLength(everything.length); // else the search shows nothing

    await deliver(all, 40);
    await deliver(half, 20);
    await deliver(later, 0);
    await deliver(returned.person, 1);
    const kept = [...of(half).slice(20), ...of(none), ...of(later)];
    await forgotten(kept.length);
    expect(await foundIn(folder.path, everything)).toEqual(idsOf(kept));

    await relay.kill(); // what is left survives, and what is gone stays gone
    relay = await RelayProcess.start({ data: folder.path, log: "debug" });
    expect(await foundIn(folder.path, everything)).toEqual(idsOf(kept));
    await Promise.all([deliver(half, 20), deliver(none, 40), deliver(later, 40)]);
    await forgotten(0);
    expect(await foundIn(folder.path, everything)).toEqual([]);
    expect(await relay.metric("lethe_mailbox_envelopes")).toBe(0);
  }, 180_000);
});

describe("mail that was delivered live", () => {
  it("was never in a file: nothing of the mail log is written to, and no search at any time finds it", async () => {
    const [anna, ben] = [await someone("anna"), await someone("ben")];
    await using annas = await Wire.device(relay, anna);
    await using bens = await Wire.device(relay, ben);
    await annas.take("drained");
    await bens.take("drained");
    const before = await relay.metrics();
    const untouched = await mailFiles();
    await using sender = await Wire.anonymous(relay);
    const mail = letters(200);
    for (const [i, letter] of mail.entries()) {
      const [person, device] = i % 2 === 0 ? [anna, annas] : [ben, bens];
      sender.send(submitTo(person, letter));
      await device.take("push");
      if (i % 10 === 0) expect(await foundIn(folder.path, mail.slice(0, i + 1))).toEqual([]); // while it is under way
      device.send({ frame: "delivered", ids: [letter.id] });
      await sender.take("accepted");
      if (i % 10 === 5) expect(await foundIn(folder.path, mail.slice(0, i + 1))).toEqual([]);
    }
    const after = await relay.metricsOnceAccepted((before.get("lethe_accepted_total") ?? 0) + mail.length);
    const grown = (name: string): number => (after.get(name) ?? 0) - (before.get(name) ?? 0);
    expect([
      grown("lethe_delivered_live_total"),
      grown("lethe_spilled_total"),
      grown("lethe_stored_total"),
    ]).toEqual([200, 0, 0]);
    expect(await mailFiles()).toEqual(untouched);
    await relay.kill(); // not on the way down either
    expect(await foundIn(folder.path, mail)).toEqual([]);
    relay = await RelayProcess.start({ data: folder.path, log: "debug" });
    expect(await foundIn(folder.path, mail)).toEqual([]);
  });

  it("leaves nothing in what the relay writes about itself, and neither do people", async () => {
    const ben = await someone("benedict");
    const letter = marked(300);
    await store(ben, [letter]);
    await deliver(ben, 1);
    await using stranger = await Wire.anonymous(relay);
    stranger.send(submitTo(ben, sealed("x"), { accessKey: new Uint8Array(16) }));
    await stranger.refusal();
    await relay.stop();
    const { output } = relay;
    expect(output.toString()).toMatch(/listening/);
    const account = Buffer.from(ben.account, "latin1");
    const secrets = [
      letter.ciphertext.subarray(0, MARK_BYTES),
      Buffer.from(ben.name),
      account,
      ben.accessKey,
    ];
    for (const secret of secrets)
      for (const written of [
        Buffer.from(secret),
        ...["hex", "base64", "base64url"].map((as) => encoded(secret, as)),
      ])
        expect(output.includes(written)).toBe(false);
    relay = await RelayProcess.start({ data: folder.path, log: "debug" });
  });
});

const encoded = (bytes: Uint8Array, as: string): Buffer =>
  Buffer.from(
    Buffer.from(bytes)
      .toString(as as BufferEncoding)
      .replace(/=+$/, ""),
  );

/** The files of the mail log: how long they are and when they were last written to. */
async function mailFiles(): Promise<Record<string, string>> {
  const entries = (await contentsOf(join(folder.path, "mail"))).map(async ({ path }) => {
    const { size, mtimeMs } = await stat(path);
    return [path, `${size} bytes, ${mtimeMs}`] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}
