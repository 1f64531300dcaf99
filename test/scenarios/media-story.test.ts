// The story goes on with pictures: Anna with a laptop and a phone, Ben, and Carla who is away and comes back on a bad line. Played
// with real relays, once on the embedded store and its files, and once on two nodes that share a Redis and an S3 store.
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { bytesSource, Client, type ClientOptions, type ReceivedMedia, saveMedia } from "@lethe/client";
import { fromBytes, MEDIA_PART_BYTES } from "@lethe/protocol";
import type { MediaId } from "@lethe/queue";
import { expect, it } from "vitest";
import { decodeRef } from "../../client-lib/media/media-ref.ts";
import { Chance } from "../support/chance.ts";
import { FaultLine } from "../support/fault-line.ts";
import { aFolder } from "../support/folder.ts";
import { type MediaRelays, relaysWithSwift, relayWithFiles, waiting } from "../support/media-relays.ts";
import { hasSwift } from "../support/swift.ts";
import { eventually, within } from "../support/waiting.ts";

const PATIENCE_MS = 60_000;
const MIB = 1_048_576;
const FILM_BYTES = 40 * MIB;
/** Where Carla's client ends, and the last place before it from which one can go on: they are 16 MiB apart. */
const ENDS_AT = 33 * MIB;
const GOES_ON_AT = 32 * MIB;
/** Times that her line is cut meanwhile. */
const CUTS = 3;
/** In front of a file's bytes. */
const LENGTH_BYTES = 8;
const QUICK = { receiptJitterMs: 20, ownJitterMs: 20, requests: "accept" } as const;

interface Picture {
  readonly name: string;
  readonly bytes: Buffer;
  readonly thumbnail: Uint8Array;
  readonly caption: string;
}

function picture(name: string, size: number): Picture {
  const thumbnail = new Uint8Array(randomBytes(2_000));
  return { name: `${name}.jpg`, bytes: randomBytes(size), thumbnail, caption: `look: ${name}` };
}

/** Somebody's device, with the files that it was shown, by name. */
class Device {
  readonly client: Client;
  readonly shown = new Map<string, ReceivedMedia>();
  readonly texts: string[] = [];

  constructor(client: Client) {
    this.client = client;
    for (const event of ["message", "own-message", "group-message"] as const)
      client.on(event, ({ text, media }) => {
        if (media !== undefined) this.shown.set(media.name, media);
        if (text !== undefined) this.texts.push(text);
      });
  }

  async show({ name, bytes, thumbnail, caption }: Picture): Promise<ReceivedMedia> {
    const media = await eventually(PATIENCE_MS, `${name} at ${this.client.user}`, () => this.shown.get(name));
    const about = {
      name,
      type: "image/jpeg",
      size: bytes.length,
      thumbnail,
      caption,
      width: 640,
      height: 480,
    };
    expect(media).toMatchObject(about);
    return media;
  }

  /** It is shown, fetched and released here. */
  async fetches(picture: Picture): Promise<void> {
    const media = await this.show(picture);
    const fetched = await within(PATIENCE_MS, picture.name, media.bytes(picture.bytes.length));
    expect(picture.bytes.equals(fetched)).toBe(true);
  }

  send(
    to: { user: string } | { group: string },
    { name, bytes, ...about }: Picture,
  ): Promise<{ readonly id: string }> {
    const source = bytesSource(new Uint8Array(bytes), { name, type: "image/jpeg" });
    const options = { ...about, width: 640, height: 480 };
    const sending: Promise<{ readonly id: string }> =
      "user" in to
        ? this.client.sendMedia(to.user, source, options)
        : this.client.groups.sendMedia(to.group, source, options);
    return within(PATIENCE_MS, `${name} at the relay`, sending);
  }
}

class Story implements AsyncDisposable {
  readonly relays: MediaRelays;
  readonly folder: string;
  readonly #open = new Set<Client>();

  constructor(relays: MediaRelays, folder: string) {
    this.relays = relays;
    this.folder = folder;
  }

  /** The node's address; nodes are taken in turn where there are several. */
  at(node: number): string {
    return this.relays.urls[node % this.relays.urls.length] ?? "";
  }

  options(relay: string, file: string): Omit<ClientOptions, "user"> {
    return { ...QUICK, relay, store: join(this.folder, `${file}.db`) };
  }

  async person(user: string, relay: string): Promise<Device> {
    return this.#device(await Client.create({ ...this.options(relay, user), user }));
  }

  #device(client: Client): Device {
    this.#open.add(client);
    return new Device(client);
  }

  async link(to: Device, name: string, relay: string): Promise<Device> {
    const [shown, compared] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
    const linked = Client.createLinked(this.options(relay, name), {
      show: shown.resolve,
      compare: (digits) => compared.resolve(digits),
    });
    const linking = await to.client.devices.link(await shown.promise);
    expect(linking.digits).toBe(await compared.promise);
    await linking.confirm();
    return this.#device(await linked);
  }

  async close({ client }: Device): Promise<void> {
    this.#open.delete(client);
    await client.close();
  }

  async hello(from: Device, to: Device): Promise<void> {
    const text = `hello of ${from.client.user}`;
    await from.client.send(to.client.user, text);
    await eventually(PATIENCE_MS, text, () => (to.texts.includes(text) ? true : undefined));
  }

  /** Until so many files are left that somebody has not fetched. */
  async left(files: number): Promise<void> {
    await eventually(PATIENCE_MS, `${files} files that wait`, async () => {
      const names = (await this.relays.kept()).map((name) => /[0-9a-f]{32}/.exec(name)?.[0]);
      const ids = new Set(names.filter((id) => id !== undefined));
      const counted = await this.relays.running[0]?.metric("lethe_media_blobs");
      return ids.size === files && counted === files ? true : undefined;
    });
  }

  /** All of a file's ciphertext, where the relay keeps it. */
  async ciphertext(id: Uint8Array): Promise<Buffer> {
    const blobs = await this.relays.blobs();
    const media = fromBytes<MediaId>(id);
    const chunks: Uint8Array[] = [];
    const parts = [...(await blobs.parts(media))].toSorted(([a], [b]) => a - b);
    for (const [part, length] of parts)
      for await (const chunk of (await blobs.get(media, part, 0, length)) ?? []) chunks.push(chunk);
    await blobs.close();
    return Buffer.concat(chunks);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#open].map((client) => client.close()));
    this.#open.clear();
  }
}

/** Carla's files, on a line that is cut, over the lives of two clients. */
async function carlaComesBack(
  story: Story,
  line: FaultLine,
  pictures: readonly Picture[],
  film: Picture,
): Promise<Device> {
  const relay = `http://127.0.0.1:${line.port}`;
  const saved = join(story.folder, "carla");
  await mkdir(saved);
  const carla = await story.person("carla", relay);
  for (const each of pictures) {
    const media = await carla.show(each);
    const path = join(saved, each.name);
    line.cutDownAfterEach(each.bytes.length >> 2, each.bytes.length >> 2);
    await within(PATIENCE_MS, `${each.name} saved`, saveMedia(media, path));
    expect(each.bytes.equals(await readFile(path))).toBe(true);
  }
  const { ref } = await carla.show(film);
  const path = join(saved, film.name);
  const [before, cuts] = [line.carried.down, line.cuts];
  line.cutDownAfterEach(9 * MIB, 17 * MIB);
  const reached = Promise.withResolvers<void>();
  const progress = (done: number): void => void (done >= ENDS_AT && reached.resolve());
  const saving = saveMedia(carla.client.media.open(ref), path, { progress });
  const ended = saving.catch((error: unknown) => error);
  await within(PATIENCE_MS, "most of the film", reached.promise);
  await story.close(carla);
  expect(await ended).toMatchObject({ code: "closed" });

  const again = await story.person("carla", relay);
  line.cutDownAfterEach(2 * MIB);
  const told: number[] = [];
  const media = again.client.media.open(ref);
  await within(PATIENCE_MS, "the film", saveMedia(media, path, { progress: (done) => void told.push(done) }));
  expect(film.bytes.equals(await readFile(path))).toBe(true);
  // Where the first client ended: at the end of a part, and no earlier than what it has kept of every eighth.
  const goesOnAt = (told[0] ?? 0) + LENGTH_BYTES;
  expect(goesOnAt).toBeGreaterThanOrEqual(GOES_ON_AT);
  expect(goesOnAt % (32 * 65_536)).toBe(0);
  expect(line.cuts - cuts).toBe(CUTS);
  // Fetched twice is at most what was under way at a cut or the end, three parts each, and what came after the place at 32 MiB.
  const twice = (CUTS + 1) * 3 * MEDIA_PART_BYTES + ENDS_AT - GOES_ON_AT;
  expect(line.carried.down - before).toBeLessThan(FILM_BYTES + twice);
  expect((await readdir(saved)).toSorted()).toEqual([...pictures, film].map(({ name }) => name).toSorted());
  return again;
}

/** Nothing of the first but its length is found in the second. */
async function sharesNothing(story: Story, one: ReceivedMedia, other: ReceivedMedia): Promise<void> {
  const [a, b] = [decodeRef(one.ref), decodeRef(other.ref)];
  for (const field of ["id", "key", "digest"] as const) expect(hex(a[field])).not.toBe(hex(b[field]));
  const [first, second] = [await story.ciphertext(a.id), await story.ciphertext(b.id)];
  expect(first.length).toBeGreaterThan(a.size);
  expect(second.length).toBe(first.length);
  const known = new Set<string>();
  for (let at = 0; at + 16 <= first.length; at += 16) known.add(first.toString("latin1", at, at + 16));
  for (let at = 0; at + 16 <= second.length; at++)
    if (known.has(second.toString("latin1", at, at + 16))) throw new Error(`a block in common, at ${at}`);
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

async function play(relays: MediaRelays): Promise<void> {
  await using folder = await aFolder();
  await using story = new Story(relays, folder.path);
  const [anna, ben] = [await story.person("anna", story.at(0)), await story.person("ben", story.at(1))];
  const carla = await story.person("carla", story.at(0));
  for (const other of [ben, carla]) {
    await story.hello(anna, other);
    await story.hello(other, anna);
  }
  const phone = await story.link(anna, "phone", story.at(1));
  await story.close(carla);

  // Everybody who is there has what Anna shows the group; it waits for Carla.
  const joined = [ben, phone].map(({ client }) => client.once("group", ({ how }) => how === "joined"));
  const { id: group } = await anna.client.groups.create("trip", ["ben", "carla"]);
  await within(PATIENCE_MS, "the group", Promise.all(joined));
  const sizes = [300_000, 300_000, 300_000, 5 * MIB, 1];
  const pictures = sizes.map((size, i) => picture(`trip-${i}`, size));
  const film = picture("film", FILM_BYTES);
  for (const each of [...pictures, film]) {
    await anna.send({ group }, each);
    await Promise.all([ben.fetches(each), phone.fetches(each)]);
  }
  await story.left(pictures.length + 1);

  // Between two, each device of both has it, and it is gone.
  const [cat, dog] = [picture("cat", 300_000), picture("dog", 300_000)];
  await ben.send({ user: "anna" }, cat);
  await Promise.all([anna.fetches(cat), phone.fetches(cat)]);
  await phone.send({ user: "ben" }, dog);
  await Promise.all([ben.fetches(dog), anna.fetches(dog)]);
  await story.left(pictures.length + 1);

  // What Ben passes on is another file to everybody but those who read it; his tablet is linked later than what came before.
  const tablet = await story.link(ben, "tablet", story.at(0));
  const passedOn = { ...(pictures[0] as Picture), name: "passed-on.jpg" };
  await ben.send({ user: "carla" }, passedOn);
  const origin = ben.shown.get(pictures[0]?.name ?? "") as ReceivedMedia;
  await sharesNothing(story, origin, await tablet.show(passedOn));
  await tablet.fetches(passedOn);
  await story.left(pictures.length + 2);

  // Later Carla comes back, on a bad line.
  await using line = await FaultLine.before(() => Number(new URL(story.at(1)).port));
  await carlaComesBack(story, line, [...pictures, passedOn], film);
  await eventually(PATIENCE_MS, "the end of all files", async () =>
    (await relays.kept()).length === 0 && (await waiting(relays)) === 0 ? true : undefined,
  );
  expect([...tablet.shown.keys()]).toEqual(["passed-on.jpg"]);
  await story[Symbol.asyncDispose]();
  for (const [i] of relays.urls.entries()) await relays.stop(i);
  expect([await relays.kept(), await relays.ledger()]).toEqual([[], []]);
}

it("on the embedded store and its files, everybody has every picture, and then the relay has none", async () => {
  await using relays = await relayWithFiles({ chance: new Chance(21) });
  await play(relays);
}, 240_000);

it.skipIf(!hasSwift())(
  "on two nodes that share a Redis and an S3 store, everybody has every picture, and then the relays have none",
  async () => {
    await using relays = await relaysWithSwift({ chance: new Chance(22) });
    await play(relays);
  },
  240_000,
);
