// The limits that no other test meets at their edge, over real sockets: the last that fits is taken, the next is refused
// with its code and, where waiting helps, the time to wait.
import {
  encodeFrames,
  type EnvelopeId,
  type FrameOf,
  type GroupEnvelopeId,
  MAX_DEVICES,
  MAX_GROUP_RECIPIENTS,
  MAX_IDS,
  type Time,
} from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { aFolder } from "../support/folder.ts";
import { Person } from "../support/person.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { anId, named, type Sealed, sealed, submitTo, Wire } from "../support/wire.ts";

async function aRelay(...flags: string[]): Promise<AsyncDisposable & { readonly relay: RelayProcess }> {
  const folder = await aFolder();
  const relay = await RelayProcess.start({ data: folder.path, flags });
  return {
    relay,
    async [Symbol.asyncDispose]() {
      await relay.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** What became of each letter, in the order of sending: "accepted" or the code; and the longest time to wait. */
async function fates(sender: Wire, letters: readonly Sealed[]): Promise<{ is: string[]; wait: number }> {
  const fate = new Map<EnvelopeId, string>();
  let wait = 0;
  while (fate.size < letters.length) {
    const frame = await sender.next();
    if (frame.frame !== "accepted" && frame.frame !== "refused") throw new Error(`${frame.frame} came`);
    const is = frame.frame === "accepted" ? "accepted" : named(frame.code);
    for (const id of frame.ids) fate.set(id, is);
    if (frame.frame === "refused") wait = Math.max(wait, frame.retryAfter);
  }
  return { is: letters.map(({ id }) => fate.get(id) ?? ""), wait };
}

const lettersOf = (count: number, bytes = 8): Sealed[] =>
  Array.from({ length: count }, () => sealed(new Uint8Array(bytes)));

describe("envelopes a second", () => {
  it("of one account: twice the rate at once, over all who send to it; then each waits", async () => {
    await using at = await aRelay("--account-rate", "4");
    const [ben, cleo] = [
      await Person.called("ben").register(at.relay),
      await Person.called("cleo").register(at.relay),
    ];
    await using one = await Wire.anonymous(at.relay);
    await using other = await Wire.anonymous(at.relay);
    const [first, second] = [lettersOf(5), lettersOf(4)];
    one.send(...first.map((letter) => submitTo(ben, letter)));
    expect((await fates(one, first)).is).toEqual(first.map(() => "accepted"));
    other.send(...second.map((letter) => submitTo(ben, letter)));
    const { is, wait } = await fates(other, second);
    expect(is.slice(0, 3)).toEqual(["accepted", "accepted", "accepted"]);
    expect(is).toContain("rate-limited");
    expect(wait).toBeGreaterThan(0);
    expect(wait).toBeLessThanOrEqual(250);
    const [free] = lettersOf(1) as [Sealed];
    other.send(submitTo(cleo, free)); // another account has a rate of its own
    expect((await fates(other, [free])).is).toEqual(["accepted"]);
  });

  it("of one address: twice the rate at once, over all its connections; another address has its own", async () => {
    await using at = await aRelay("--limit-local", "on", "--address-rate", "4");
    const ben = await Person.called("ben").register(at.relay);
    await using one = await Wire.anonymous(at.relay, "127.0.0.2");
    await using other = await Wire.anonymous(at.relay, "127.0.0.2");
    await using elsewhere = await Wire.anonymous(at.relay, "127.0.0.3");
    const [first, second, third] = [lettersOf(5), lettersOf(4), lettersOf(1)];
    one.send(...first.map((letter) => submitTo(ben, letter)));
    expect((await fates(one, first)).is).toEqual(first.map(() => "accepted"));
    other.send(...second.map((letter) => submitTo(ben, letter)));
    const { is, wait } = await fates(other, second);
    expect(is.slice(0, 3)).toEqual(["accepted", "accepted", "accepted"]);
    expect(is).toContain("rate-limited");
    expect(wait).toBeLessThanOrEqual(250);
    elsewhere.send(...third.map((letter) => submitTo(ben, letter)));
    expect((await fates(elsewhere, third)).is).toEqual(["accepted"]);
  });
});

describe("undelivered mail of a device", () => {
  it("is full at its bytes: what fits exactly is kept, one byte more is refused with the time to wait", async () => {
    await using at = await aRelay("--mailbox-bytes", "4096");
    const ben = await Person.called("ben").register(at.relay);
    await using sender = await Wire.anonymous(at.relay);
    const letters = [...lettersOf(1, 3_000), ...lettersOf(1, 1_097)];
    sender.send(...letters.map((letter) => submitTo(ben, letter)));
    expect(await fates(sender, letters)).toEqual({ is: ["accepted", "mailbox-full"], wait: 30_000 });
    const fits = lettersOf(1, 1_096);
    sender.send(...fits.map((letter) => submitTo(ben, letter)));
    expect((await fates(sender, fits)).is).toEqual(["accepted"]);
  });
});

describe("connections", () => {
  it("of a node: one more is told too-many-connections, and there is room when one goes", async () => {
    await using at = await aRelay("--connections", "3");
    const open = [];
    for (let i = 0; i < 3; i++) open.push(await Wire.anonymous(at.relay));
    const over = await Wire.raw(at.relay, "anonymous");
    expect(await over.ending()).toEqual({ code: "too-many-connections", status: 4429 });
    await (open.pop() as Wire).close();
    open.push(await Wire.anonymous(at.relay));
    for (const wire of open) await wire.close();
  });

  it("that have not greeted, of all addresses: one more gets 429, and whoever greets makes room", async () => {
    await using at = await aRelay("--unproven", "2");
    const [one, two] = [await Wire.raw(at.relay, "anonymous"), await Wire.raw(at.relay, "device")];
    await expect(Wire.raw(at.relay, "anonymous")).rejects.toThrow("429");
    one.send({ frame: "hello-anonymous", minVersion: 1, maxVersion: 1 });
    await one.take("welcome");
    const three = await Wire.anonymous(at.relay);
    for (const wire of [one, two, three]) await wire.close();
  });
});

describe("names asked for", () => {
  it("of one connection: a hundred at once, then each waits a second", async () => {
    await using at = await aRelay();
    const anna = await Person.called("anna").register(at.relay);
    await using device = await Wire.device(at.relay, anna);
    await device.take("drained");
    const asks = Array.from(
      { length: 101 },
      (_, request) => ({ frame: "ask-name", request, name: anna.name }) as const,
    );
    device.send(...asks);
    for (let i = 0; i < 100; i++) expect((await device.take("is-account")).request).toBe(i);
    const refused = await device.take("ask-refused");
    expect([named(refused.code), refused.request]).toEqual(["rate-limited", 100]);
    expect(refused.retryAfter).toBeGreaterThan(0);
    expect(refused.retryAfter).toBeLessThanOrEqual(1_000);
  });
});

/** The same bytes with this count in front of a list whose items are `more` longer: encoders refuse to write it. */
function over(frame: Uint8Array, countAt: number, count: number, more: Uint8Array): Buffer {
  const out = Buffer.concat([frame, more]);
  out.writeUIntBE(out.length - 4, 1, 3);
  out.writeUInt16BE(count, countAt);
  return out;
}

describe("what one frame may name", () => {
  it("is so many envelopes, recipients and ids; one more is malformed", async () => {
    await using at = await aRelay();
    const ben = await Person.called("ben").register(at.relay);
    await using wire = await Wire.device(at.relay, ben);
    await wire.take("drained");
    const nobody = Person.called("nobody");
    const envelopes = Array.from({ length: MAX_DEVICES }, (_, i) => ({
      device: (i + 1) as typeof ben.device,
      ...sealed(""),
    }));
    const submit = encodeFrames(submitTo(nobody, sealed(""), { envelopes }));
    const group: FrameOf<"submit-group"> = {
      frame: "submit-group",
      groupEnvelope: anId() as string as GroupEnvelopeId,
      expiry: (Date.now() + 60_000) as Time,
      ciphertext: new Uint8Array(0),
      recipients: Array.from({ length: MAX_GROUP_RECIPIENTS }, () => ({
        account: nobody.account,
        accessKey: undefined,
        listVersion: 1,
        devices: [nobody.device],
      })),
    };
    const groups = encodeFrames(group);
    const ids = encodeFrames({ frame: "delivered", ids: Array.from({ length: MAX_IDS }, () => anId()) });
    const recipient =
      groups.length - encodeFrames({ ...group, recipients: group.recipients.slice(1) }).length;
    const cases = [
      { full: submit, item: 22, most: MAX_DEVICES },
      { full: groups, item: recipient, most: MAX_GROUP_RECIPIENTS },
      { full: ids, item: 16, most: MAX_IDS },
    ];
    for (const { full } of cases) wire.sendBytes(full);
    let refused = 0;
    while (refused < MAX_DEVICES + MAX_GROUP_RECIPIENTS) refused += (await wire.refusal()).ids.length;
    expect(await wire.rest()).toEqual([]);
    for (const { full, item, most } of cases) {
      const countAt = full.length - item * most - 2;
      expect(Buffer.from(full).readUInt16BE(countAt)).toBe(most);
      const other = await Wire.device(at.relay, ben);
      await other.take("drained");
      other.sendBytes(over(full, countAt, most + 1, full.subarray(-item)));
      expect((await other.ending()).code).toBe("malformed-frame");
    }
  });
});
