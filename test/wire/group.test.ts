// One upload for many accounts, against a real relay: each account is judged alone, the answers come gathered, and the store
// holds the ciphertext once until the last member has it, whatever ends the relay meanwhile.
import { randomBytes } from "node:crypto";
import { envelopeIdFor, ready } from "@lethe/crypto";
import {
  type EnvelopeId,
  type FrameOf,
  type GroupEnvelopeId,
  MAX_ENVELOPE_BYTES,
  type Time,
} from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import { aRelay } from "../support/a-relay.ts";
import { aFolder, copiesIn } from "../support/folder.ts";
import { Person } from "../support/person.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { anId, named, Wire } from "../support/wire.ts";

type Upload = FrameOf<"submit-group">;
type Recipient = Upload["recipients"][number];

const relay = aRelay();
beforeAll(ready);

function to({ account, accessKey, listVersion, device }: Person, change: Partial<Recipient> = {}): Recipient {
  return { account, accessKey, listVersion, devices: [device], ...change };
}

function uploadTo(recipients: Recipient[], change: Partial<Omit<Upload, "frame">> = {}): Upload {
  return {
    frame: "submit-group",
    groupEnvelope: anId() as string as GroupEnvelopeId,
    expiry: (Date.now() + 3_600_000) as Time,
    ciphertext: randomBytes(300),
    recipients,
    ...change,
  };
}

function idFor({ groupEnvelope }: Upload, { address }: Pick<Person, "address">): EnvelopeId {
  return envelopeIdFor(groupEnvelope, address);
}

async function people(at: RelayProcess, count: number): Promise<Person[]> {
  const found: Person[] = [];
  for (let i = 0; i < count; i++) found.push(await Person.called(`member-${i}`).register(at));
  return found;
}

interface Answers {
  /** What became of each id: `accepted`, or why not. */
  readonly of: ReadonlyMap<EnvelopeId, string>;
  readonly stale: readonly FrameOf<"stale-list">[];
  readonly frames: number;
}

/** Reads answers until there is one for so many ids. */
async function answers(sender: Wire, count: number): Promise<Answers> {
  const of = new Map<EnvelopeId, string>();
  const stale: FrameOf<"stale-list">[] = [];
  let frames = 0;
  for (let seen = 0; seen < count; frames++) {
    const frame = await sender.next();
    if (frame.frame !== "accepted" && frame.frame !== "refused" && frame.frame !== "stale-list")
      throw new Error(`told ${frame.frame}`);
    const what = frame.frame === "refused" ? named(frame.code) : frame.frame;
    if (frame.frame === "stale-list") stale.push(frame);
    for (const id of frame.ids) of.set(id, what);
    seen += frame.ids.length;
  }
  return { of, stale, frames };
}

describe("an upload for a group", () => {
  it("is judged account by account: what is refused for one touches no other", async () => {
    const [fine, wrong, stale, twice, doubled, last] = (await people(relay.at, 6)) as [
      Person,
      Person,
      Person,
      Person,
      Person,
      Person,
    ];
    const nobody = Person.called("nobody");
    await using sender = await Wire.anonymous(relay.at);
    const upload = uploadTo([
      to(fine),
      to(wrong, { accessKey: randomBytes(16) }),
      to(nobody),
      to(stale, { listVersion: stale.listVersion + 1 }),
      to(twice),
      to(doubled, { devices: [doubled.device, doubled.device] }),
      to(twice),
      to(last),
    ]);
    sender.send(upload);
    const { of, stale: told } = await answers(sender, 9);
    const whatOf = (person: Person): string | undefined => of.get(idFor(upload, person));
    expect([fine, last].map(whatOf)).toEqual(["accepted", "accepted"]);
    expect([wrong, nobody].map(whatOf)).toEqual(["not-permitted", "not-permitted"]);
    expect([twice, doubled].map(whatOf)).toEqual(["repeated-id", "repeated-id"]);
    expect(told).toMatchObject([
      { account: stale.account, version: stale.listVersion, missing: [], extra: [] },
    ]);
    for (const person of [fine, last]) {
      await using device = await Wire.device(relay.at, person);
      expect(await device.take("push")).toEqual({
        frame: "push",
        id: idFor(upload, person),
        kind: "group",
        ciphertext: new Uint8Array(upload.ciphertext),
      });
    }
    for (const person of [wrong, stale, twice, doubled]) {
      await using device = await Wire.device(relay.at, person);
      expect((await device.next()).frame).toBe("drained");
    }
  });

  it("that is too old or too large is refused for every account", async () => {
    await using place = await aFolder();
    const flags = ["--envelope-bytes", "2000"];
    await using own = await RelayProcess.start({ data: place.path, flags });
    const members = await people(own, 3);
    await using sender = await Wire.anonymous(own);
    const recipients = members.map((person) => to(person));
    for (const [upload, code] of [
      [uploadTo(recipients, { expiry: (Date.now() - 1) as Time }), "expired"],
      [uploadTo(recipients, { ciphertext: randomBytes(2_001) }), "envelope-too-large"],
    ] as const) {
      sender.send(upload);
      const { of } = await answers(sender, 3);
      expect(members.map((person) => of.get(idFor(upload, person)))).toEqual([code, code, code]);
    }
    const upload = uploadTo(recipients, { ciphertext: randomBytes(2_000) });
    sender.send(upload);
    expect(new Set((await answers(sender, 3)).of.values())).toEqual(new Set(["accepted"]));
  });
});

describe("a group's ciphertext in the store", () => {
  it("is there once for all who are away, comes to each after a kill -9, and is gone when the last one has it", async () => {
    await using place = await aFolder();
    const members: Person[] = [];
    const large = randomBytes(MAX_ENVELOPE_BYTES);
    let uploads: Upload[] = [];
    {
      await using own = await RelayProcess.start({ data: place.path });
      members.push(...(await people(own, 12)));
      await using sender = await Wire.anonymous(own);
      const recipients = members.map((person) => to(person));
      uploads = [uploadTo(recipients), uploadTo(recipients, { ciphertext: large })];
      sender.send(...uploads);
      const { of, frames } = await answers(sender, 24);
      expect(new Set(of.values())).toEqual(new Set(["accepted"]));
      expect(frames).toBeLessThan(12);
      for (const { ciphertext } of uploads) expect(await copiesIn(place.path, ciphertext)).toBe(1);
      await own.kill();
    }
    await using own = await RelayProcess.start({ data: place.path });
    const drain = async (person: Person): Promise<void> => {
      await using device = await Wire.device(own, person);
      for (const upload of uploads) {
        const push = await device.take("push");
        expect(push.id).toBe(idFor(upload, person));
        expect(Buffer.compare(push.ciphertext, upload.ciphertext)).toBe(0);
        device.send({ frame: "delivered", ids: [push.id] });
      }
      await device.take("drained");
    };
    for (const person of members.slice(1)) await drain(person);
    for (const { ciphertext } of uploads) expect(await copiesIn(place.path, ciphertext)).toBe(1);
    await drain(members[0] as Person);
    await own.stop();
    for (const { ciphertext } of uploads) {
      expect(await copiesIn(place.path, ciphertext)).toBe(0);
      expect(await copiesIn(place.path, ciphertext.subarray(100, 132))).toBe(0);
    }
  });
});
