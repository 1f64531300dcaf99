// Devices that do not keep up: they stop reading, read a little at a time, never acknowledge, or acknowledge what they never
// got. The push window throttles them, their mail is stored, the relay's memory stays as it was, and others go on.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { aFolder, type Folder } from "../support/folder.ts";
import { Person } from "../support/person.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { anId, type Sealed, sealed, submitTo, textOf, Wire } from "../support/wire.ts";

const MIB = 1_048_576;
const WINDOW = { envelopes: 64, bytes: 262_144 } as const;

let folder: Folder;
let relay: RelayProcess;
beforeAll(async () => {
  folder = await aFolder();
  // With a small heap, bytes that are kept would show soon.
  const node = ["--max-old-space-size=64", "--max-semi-space-size=8"];
  relay = await RelayProcess.start({ data: folder.path, log: "error", node });
});
afterAll(async () => {
  await relay.stop();
  await folder[Symbol.asyncDispose]();
});

const someone = (name: string): Promise<Person> => Person.called(name).register(relay);

async function online(person: Person): Promise<Wire> {
  const wire = await Wire.device(relay, person);
  await wire.take("drained");
  return wire;
}

/** Sends every letter and waits until all of them are accepted. */
async function accepted(sender: Wire, person: Person, letters: readonly Sealed[]): Promise<void> {
  for (
    let i = 0;
    i < letters.length;
    i += 32 // below the limit of a message
  )
    sender.send(...letters.slice(i, i + 32).map((letter) => submitTo(person, letter)));
  for (let count = 0; count < letters.length; ) count += (await sender.take("accepted")).ids.length;
}

const lettersOf = (count: number, bytes: number): Sealed[] =>
  Array.from({ length: count }, (_, i) => sealed(Buffer.alloc(bytes, `letter ${i} `)));

describe("readers that freeze", () => {
  it("get no more than their window, lose nothing, and cost the relay no memory; others go on", async () => {
    const frozen = await Promise.all(Array.from({ length: 42 }, () => someone("frozen")));
    const devices = await Promise.all(frozen.map(online));
    for (const { socket } of devices) socket.pause();
    const [ben, bens] = await (async () => {
      const person = await someone("ben");
      return [person, await online(person)] as const;
    })();
    await using sender = await Wire.anonymous(relay);
    await using friend = await Wire.anonymous(relay);
    const letters = lettersOf(200, 16_384);
    await accepted(sender, frozen[0] as Person, letters);
    const mailFor = async (person: Person): Promise<void> => {
      const live = sealed("between two who keep up");
      const again = letters.map(({ ciphertext }) => ({ id: anId(), ciphertext }));
      const stored = accepted(sender, person, again);
      friend.send(submitTo(ben, live));
      bens.send({ frame: "delivered", ids: [(await bens.take("push")).id] });
      expect((await friend.take("accepted")).ids).toEqual([live.id]);
      await stored;
    };
    const [few, many] = [frozen.slice(1, 24), frozen.slice(24)];
    for (const person of few) await mailFor(person); // 72 MiB: the store keeps the last 64 in memory, and no more
    const [memory, pushed] = [await relay.residentBytes(), await relay.metric("lethe_pushed_total")];
    for (const person of many) await mailFor(person);
    const most = many.length * (WINDOW.bytes / 16_384 + 1); // and one for ben, each time
    expect((await relay.metric("lethe_pushed_total")) - pushed).toBeLessThanOrEqual(most);
    // 56 MiB of mail have come for them, 4 of it pushed: into buffers of the system, and no further.
    expect((await relay.residentBytes()) - memory).toBeLessThan(16 * MIB);

    const thawed = devices[0] as Wire;
    thawed.socket.resume();
    const seen: string[] = [];
    while (seen.length < letters.length) {
      const { id } = await thawed.take("push");
      seen.push(id);
      thawed.send({ frame: "delivered", ids: [id] });
    }
    expect(seen).toEqual(letters.map(({ id }) => id));
    for (const { socket } of [...devices, bens]) socket.terminate();
  });

  it("that read a message at a time get everything, in order", async () => {
    const ben = await someone("ben");
    await using device = await online(ben);
    device.socket.on("message", () => {
      device.socket.pause();
      setImmediate(() => device.socket.resume());
    });
    await using sender = await Wire.anonymous(relay);
    const letters = lettersOf(150, 16_384);
    const stored = accepted(sender, ben, letters);
    for (const letter of letters) {
      const { id } = await device.take("push");
      expect(id).toBe(letter.id);
      device.send({ frame: "delivered", ids: [id] });
    }
    await stored;
  });
});

describe("a device that never acknowledges", () => {
  it.each([
    [WINDOW.envelopes, WINDOW.envelopes + 20, 10],
    [WINDOW.bytes / 32_768, 30, 32_768],
  ])(
    "gets %i of %i envelopes of %i bytes, and more when half of them are acknowledged",
    async (window, count, bytes) => {
      const ben = await someone("ben");
      await using device = await online(ben);
      await using sender = await Wire.anonymous(relay);
      const letters = lettersOf(count, bytes);
      await accepted(sender, ben, letters);
      const first = await device.pushes(window);
      expect(first.map((push) => push.id)).toEqual(letters.slice(0, window).map(({ id }) => id));
      expect(await device.rest()).toEqual([]);
      device.send({ frame: "delivered", ids: first.slice(0, window / 2).map(({ id }) => id) });
      const [next, last] = [letters[window] as Sealed, letters[Math.min(count, window * 1.5) - 1] as Sealed];
      const more = await device.pushes(Math.min(count - window, window / 2));
      expect([more[0]?.id, more.at(-1)?.id]).toEqual([next.id, last.id]);
      expect(await device.rest()).toEqual([]);
    },
  );
});

describe("a device that acknowledges what it never got", () => {
  it("is not told, and takes no mail away: neither another's nor its own that is still to come", async () => {
    const [ben, mallory] = [await someone("ben"), await someone("mallory")];
    await using sender = await Wire.anonymous(relay);
    const [bens, hers] = [sealed("for ben"), sealed("for mallory")];
    await using device = await online(mallory);
    device.send({ frame: "delivered", ids: [hers.id] }); // before it has come
    await accepted(sender, ben, [bens]);
    const guesses = Array.from({ length: 1_024 }, () => anId());
    device.send({ frame: "delivered", ids: [bens.id] }, { frame: "delivered", ids: guesses });
    expect(await device.rest()).toEqual([]);

    sender.send(submitTo(mallory, hers));
    expect(textOf(await device.take("push"))).toBe("for mallory");
    device.send({ frame: "delivered", ids: [hers.id, hers.id] }, { frame: "delivered", ids: [hers.id] });
    expect((await sender.take("accepted")).ids).toEqual([hers.id]);
    await using other = await Wire.device(relay, ben);
    expect(textOf(await other.take("push"))).toBe("for ben");
  });
});
