// A relay whose disk is full, on a real file system of 20 MB: senders are told, nothing accepted is lost, live mail goes
// on, and mail is taken again as soon as there is room.
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { OPERATOR_PATHS, PATHS, HTTP_STATUSES } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { aPrekey, Person } from "../support/person.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { aSmallDisk, type Disk } from "../support/small-disk.ts";
import { eventually } from "../support/waiting.ts";
import { named, type Sealed, sealed, submitTo, Wire } from "../support/wire.ts";

const DISK_MB = 20;
const LETTER_BYTES = 60_000;
/** So many refusals one after the other are a full disk. */
const REFUSALS = 5;

class FullRelay implements AsyncDisposable {
  readonly disk: Disk;
  relay: RelayProcess;
  readonly readers: readonly Person[];
  readonly accepted = new Map<Person, Sealed[]>();

  private constructor(disk: Disk, relay: RelayProcess, readers: readonly Person[]) {
    this.disk = disk;
    this.relay = relay;
    this.readers = readers;
    for (const reader of readers) this.accepted.set(reader, []);
  }

  static async start(disk: Disk): Promise<FullRelay> {
    const relay = await RelayProcess.start({ data: disk.path });
    const readers = await Promise.all(
      ["ben", "cleo", "dora"].map((name) => Person.called(name).register(relay)),
    );
    return new FullRelay(disk, relay, readers);
  }

  /** Sends until the relay keeps refusing; gives the code that it refused with. */
  async fill(bytes = LETTER_BYTES): Promise<string> {
    await using sender = await Wire.anonymous(this.relay);
    let refusals = 0;
    let code = "";
    for (let i = 0; refusals < REFUSALS; i++) {
      const reader = this.readers[i % this.readers.length] as Person;
      const letter = sealed(new Uint8Array(randomBytes(bytes)));
      sender.send(submitTo(reader, letter));
      const answer = await sender.next();
      if (answer.frame === "accepted") this.accepted.get(reader)?.push(letter);
      if (answer.frame === "accepted") refusals = 0;
      if (answer.frame !== "refused") continue;
      refusals++;
      code = named(answer.code);
      expect(answer).toMatchObject({ ids: [letter.id], retryAfter: expect.any(Number) });
      expect(answer.retryAfter).toBeGreaterThan(0);
    }
    return code;
  }

  /** The reader connects, gets exactly what was accepted for them in that order, and acknowledges it. */
  async collect(reader: Person): Promise<void> {
    await using device = await Wire.device(this.relay, reader);
    for (const letter of this.accepted.get(reader) ?? []) {
      const push = await device.take("push");
      expect(push.id).toBe(letter.id);
      expect(Buffer.compare(push.ciphertext, letter.ciphertext)).toBe(0);
      device.send({ frame: "delivered", ids: [push.id] });
    }
    await device.take("drained");
    this.accepted.set(reader, []);
  }

  get held(): number {
    return [...this.accepted.values()].reduce((sum, letters) => sum + letters.length, 0);
  }

  async restart(): Promise<void> {
    await this.relay.kill();
    this.relay = await RelayProcess.start({ data: this.disk.path });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.relay.kill();
  }
}

const disk = await aSmallDisk(DISK_MB);
if (typeof disk === "string") process.stdout.write(`full-disk: skipped, ${disk}\n`);
else await disk[Symbol.asyncDispose]();

/** A test with a small disk and a relay on it. */
function withSmallDisk(says: string, story: (full: FullRelay) => Promise<void>): void {
  it.skipIf(typeof disk === "string")(says, async () => {
    const made = await aSmallDisk(DISK_MB);
    if (typeof made === "string") throw new Error(made);
    await using place = made;
    await using full = await FullRelay.start(place);
    await story(full);
  });
}

describe("a relay whose disk is full", () => {
  withSmallDisk(
    "tells senders storage-full, delivers all that it accepted, and then takes mail again",
    async (full) => {
      expect(await full.fill()).toBe("storage-full");
      expect(full.held).toBeGreaterThan(100);
      for (const reader of full.readers) await full.collect(reader);
      expect(full.held).toBe(0);
      expect(await full.relay.metric("lethe_mailbox_envelopes")).toBe(0);

      await using sender = await Wire.anonymous(full.relay);
      const [ben] = full.readers as [Person];
      await eventually(70_000, "room", async () => {
        const letter = sealed(new Uint8Array(randomBytes(LETTER_BYTES)));
        sender.send(submitTo(ben, letter));
        if ((await sender.next()).frame !== "accepted") return undefined;
        full.accepted.get(ben)?.push(letter);
        return true;
      });
      await full.fill(); // and all of the room is there again
      expect(full.held).toBeGreaterThan(100);
      for (const reader of full.readers) await full.collect(reader);
    },
  );

  withSmallDisk("goes on delivering live mail, without writing it down", async (full) => {
    const [anna, ben] = [await Person.called("anna").register(full.relay), full.readers[0] as Person];
    await using annas = await Wire.device(full.relay, anna);
    await annas.take("drained");
    await full.fill();
    await full.fill(200);
    await using bens = await Wire.device(full.relay, ben); // who comes only now
    await bens.take("push");
    await using sender = await Wire.anonymous(full.relay);
    for (let i = 0; i < 100; i++) {
      const letter = sealed(`live ${i}`);
      sender.send(submitTo(anna, letter));
      expect((await annas.take("push")).id).toBe(letter.id);
      annas.send({ frame: "delivered", ids: [letter.id] });
      expect((await sender.take("accepted")).ids).toEqual([letter.id]);
    }
    expect(await full.relay.metric("lethe_spilled_total")).toBe(0);
  });

  withSmallDisk(
    "refuses what it cannot keep of HTTP requests with storage-full, and answers the others",
    async (full) => {
      const [ben] = full.readers as [Person];
      await ben.request(full.relay, "PUT", PATHS.prekeys, { signed: aPrekey("s"), lastResort: aPrekey("l") });
      await full.fill();
      await full.fill(200);
      await writeFile(join(full.disk.path, "filler"), randomBytes(4_096)).catch(() => undefined);
      let refused = "";
      for (let i = 0; i < 400 && refused === ""; i++) {
        const person = Person.called("late");
        const answer = await person.request(full.relay, "POST", PATHS.accounts, person.registration);
        if (answer.status !== 201) refused = answer.code;
        if (refused !== "") expect(answer.status).toBe(HTTP_STATUSES["storage-full"]);
      }
      expect(["storage-full", ""]).toContain(refused);
      expect((await fetch(`${full.relay.url}${OPERATOR_PATHS.health}`)).status).toBe(200);
      expect((await ben.request(full.relay, "GET", PATHS.prekeys)).status).toBe(200);
    },
  );

  withSmallDisk("killed and started again has everything that it had accepted", async (full) => {
    await full.fill();
    await full.fill(200);
    const held = full.held;
    await full.restart();
    expect(await full.relay.metric("lethe_mailbox_envelopes")).toBe(held);
    for (const reader of full.readers) await full.collect(reader);
    expect(full.held).toBe(0);
  });
});
