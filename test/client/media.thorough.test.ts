// Files between real clients, over a real relay: what is promised of them, on lines that are cut, and with a relay that lies.
import { createHash } from "node:crypto";
import { lstat, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bytesSource, type ClientStore, fileSource, type MediaSource, saveMedia } from "@lethe/client";
import { MEDIA_PART_BYTES } from "@lethe/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { linkStore } from "../support/linked-store.ts";
import { eventually } from "../support/waiting.ts";
import { type Device, MediaWorld, randomData, same, sent } from "./support/media-world.ts";

let world: MediaWorld;
beforeAll(async () => {
  world = await MediaWorld.begin();
});
afterEach(() => world.closeAll());
afterAll(() => world[Symbol.asyncDispose]());

/** Three parts. */
const LARGE = 5_000_000;
const isPart = (method: string) => (what: { method: string; path: string }) =>
  what.method === method && what.path.includes("/parts/");

describe("a file", () => {
  it("goes from one to another, byte for byte, with what is said of it, and is gone from the relay then", async () => {
    const [anna, ben] = await world.friends();
    for (const size of [0, 1, 70_000, LARGE]) {
      const bytes = randomData(size);
      const arrived = ben.file();
      const told: number[] = [];
      const about = { caption: "a cat", thumbnail: randomData(100), width: 640, height: 480 };
      const source = bytesSource(bytes, { name: "cat.png", type: "image/png" });
      const progress = (done: number, of: number): void => {
        told.push(done);
        expect(of).toBe(size);
      };
      const { id } = await anna.client.sendMedia(ben.user, source, { ...about, progress });
      const { media, ...message } = await arrived;
      expect(message).toMatchObject({ id, kind: "media", text: undefined });
      expect(media).toMatchObject({ name: "cat.png", type: "image/png", size, ...about });
      expect(same(await media?.bytes(size), bytes)).toBe(true);
      expect(told.at(-1)).toBe(size);
    }
    await world.isEmpty();
    await anna.owesNothing();
    await ben.owesNothing();
  });

  it("goes to somebody whose keys are not known yet", async () => {
    const [anna, ben] = [await world.person("anna"), await world.person("ben")];
    const bytes = randomData(100_000);
    const { media } = await sent(anna, ben, bytes);
    expect(same(await media.bytes(bytes.length), bytes)).toBe(true);
    await world.isEmpty();
  });

  it("is fetched later by what was kept of it, by this device alone", async () => {
    const [anna, ben] = await world.friends();
    const eve = await world.person("eve");
    const bytes = randomData(100_000);
    const { media } = await sent(anna, ben, bytes);
    await anna.owesNothing();
    await expect(
      eve.client.media.open(media.ref).bytes(200_000, { signal: AbortSignal.timeout(500) }),
    ).rejects.toThrow();
    expect(same(await ben.client.media.open(media.ref).bytes(200_000), bytes)).toBe(true);
    await world.isEmpty();
    await expect(ben.client.media.open(media.ref).bytes(200_000)).rejects.toMatchObject({
      code: "media-gone",
    });
    expect(() => ben.client.media.open(media.ref.subarray(1))).toThrow(
      expect.objectContaining({ code: "media-ref-malformed" }),
    );
  });

  it("is discarded, or kept for another reading, as the application likes", async () => {
    const [anna, ben] = await world.friends();
    const bytes = randomData(10_000);
    const { media } = await sent(anna, ben, bytes);
    await expect(media.bytes(9_999)).rejects.toMatchObject({ code: "media-over-cap" });
    for (let time = 0; time < 2; time++)
      expect(same(await media.bytes(10_000, { keep: true }), bytes)).toBe(true);
    await media.discard();
    await world.isEmpty();
  });

  it("is not withdrawn any more when the relay has its message for everybody", async () => {
    const [anna, ben] = await world.friends();
    await ben.client.close();
    const source = bytesSource(randomData(10_000));
    const { id } = await anna.client.sendMedia(ben.user, source);
    await anna.owesNothing();
    expect(await anna.client.media.withdraw(id)).toBe(false);
  });

  it("shares nothing with the one that it was made of (attack 49)", async () => {
    const [anna, ben] = await world.friends();
    const cleo = await world.person("cleo");
    const bytes = randomData(100_000);
    const { media } = await sent(anna, ben, bytes);
    const blobs = async () => {
      const read = (name: string) => readFile(join(world.relay.folder, "data", "media", name));
      return Promise.all((await world.parts()).map(async (name) => ({ name, bytes: await read(name) })));
    };
    const [first] = await blobs();
    const copy = await media.bytes(bytes.length, { keep: true });
    const forwarded = await sent(ben, cleo, copy);
    const second = (await blobs()).find(({ name }) => name !== first?.name);
    expect(second?.bytes.length).toBe(first?.bytes.length);
    const chunks = (blob: Buffer | undefined) =>
      Array.from({ length: (blob?.length ?? 0) / 16 }, (_, at) =>
        blob?.toString("hex", at * 16, at * 16 + 16),
      );
    const known = new Set(chunks(first?.bytes));
    expect(chunks(second?.bytes).filter((chunk) => known.has(chunk))).toEqual([]);
    expect(same(forwarded.media.ref.slice(1, 49), media.ref.slice(1, 49))).toBe(false);
    expect(same(await forwarded.media.bytes(bytes.length), bytes)).toBe(true);
  });
});

/** Device 2 of an account, with its keys at the relay. */
async function phoneOf(user: string, store: ClientStore): Promise<Device> {
  const phone = await world.device(user, await linkStore(world.relay.url, store));
  await phone.client.once("prekeys");
  return phone;
}

describe("devices", () => {
  it("of one's own, and of the other, each have a token; the blob waits for all of them", async () => {
    const [anna, ben] = await world.friends();
    await ben.client.close();
    await anna.client.close();
    const phones = [];
    for (const { user, store } of [anna, ben]) {
      phones.push(await phoneOf(user, store), await world.device(user, store));
    }
    const [annaPhone, annaAgain, benPhone, benAgain] = phones as [Device, Device, Device, Device];
    const bytes = randomData(50_000);
    annaPhone.client.on("message", () => undefined); // what is heard is handed over in its order
    const atPhone = annaPhone.client.once("own-message", ({ media }) => media !== undefined);
    const arrived = [benPhone.file(), benAgain.file()];
    await annaAgain.client.sendMedia(ben.user, bytesSource(bytes));
    const all = [await atPhone, ...(await Promise.all(arrived))];
    for (const { media } of all) {
      expect((await world.parts()).length).toBe(1);
      expect(same(await media?.bytes(bytes.length), bytes)).toBe(true);
    }
    await world.isEmpty();
  });

  it("that were added while the file was on its way get it too", async () => {
    const [anna, ben] = await world.friends();
    await ben.client.close();
    const phone = await phoneOf(ben.user, ben.store);
    const arrived = phone.file();
    // Anna does not know of the phone before the relay refuses her message for a stale list.
    const bytes = randomData(50_000);
    await anna.client.sendMedia(ben.user, bytesSource(bytes));
    const { media } = await arrived;
    expect(same(await media?.bytes(bytes.length), bytes)).toBe(true);
    const again = await world.device(ben.user, ben.store);
    expect(same(await (await again.file()).media?.bytes(bytes.length), bytes)).toBe(true);
    await world.isEmpty();
    await anna.owesNothing();
  });

  it("of a group all have it", async () => {
    const [anna, ben] = await world.friends();
    const group = await anna.client.groups.create("three", [ben.user]);
    const bytes = randomData(50_000);
    const arrived = ben.client.once("group-message", ({ media }) => media !== undefined);
    const handle = await anna.client.groups.sendMedia(group.id, bytesSource(bytes));
    expect(handle).toMatchObject({ group: group.id });
    expect(same(await (await arrived).media?.bytes(bytes.length), bytes)).toBe(true);
    await world.isEmpty();
    await anna.owesNothing();
  });
});

describe("a line that is cut", () => {
  it("anywhere in a part, up or down: what was there is not sent again", async () => {
    const [anna, ben] = await world.friends();
    let cuts = 4;
    const cut = (method: string) => (what: { method: string; path: string }) =>
      isPart(method)(what) && cuts-- > 0 ? Math.floor(Math.random() * MEDIA_PART_BYTES) : undefined;
    anna.line.holding = { cutUp: cut("PUT") };
    ben.line.holding = { cutDown: cut("GET") };
    const bytes = randomData(LARGE);
    const { media } = await sent(anna, ben, bytes);
    cuts = 4;
    expect(same(await media.bytes(LARGE), bytes)).toBe(true);
    expect(cuts).toBeLessThanOrEqual(0);
    await world.isEmpty();
  });

  it("while the file is saved, also by the end of the client: it goes on, and nothing else is written", async () => {
    const [anna, ben] = await world.friends();
    const size = 40_000_000;
    const bytes = randomData(size);
    const { media } = await sent(anna, ben, bytes);
    const path = join(world.folder, "kept.bin");
    const stopped = Promise.withResolvers<void>();
    const progress = (done: number) => void (done > 34_000_000 && stopped.resolve());
    ben.line.holding = { arrived: (what) => (what.path.endsWith("/parts/18") ? "cut" : "carry") };
    const saving = saveMedia(media, path, { progress });
    const refused = expect(saving).rejects.toMatchObject({ code: "closed" });
    await stopped.promise;
    await ben.client.close();
    await refused;
    const again = await world.device(ben.user, ben.store);
    const from: number[] = [];
    await saveMedia(again.client.media.open(media.ref), path, { progress: (done) => void from.push(done) });
    expect(from[0]).toBeGreaterThan(30_000_000);
    expect(same(await readFile(path), bytes)).toBe(true);
    expect((await readdir(world.folder)).filter((name) => name.startsWith("kept"))).toEqual(["kept.bin"]);
    await world.isEmpty();
    await again.owesNothing();
  });

  it("by the end of the relay: the upload goes on when it is back", async () => {
    const [anna, ben] = await world.friends();
    const bytes = randomData(LARGE);
    let stopping: Promise<void> | undefined;
    anna.line.holding = {
      answered: (what) => {
        if (isPart("PUT")(what)) stopping ??= world.relay.stop("SIGKILL").then(() => world.relay.start());
        return "carry";
      },
    };
    const { media } = await sent(anna, ben, bytes);
    expect(stopping).toBeDefined();
    expect(same(await media.bytes(LARGE), bytes)).toBe(true);
    await world.isEmpty();
  });
});

const knownPolicy = ({ client }: Device) =>
  eventually(10_000, "the relay's policy", async () => client.policy);

describe("an upload", () => {
  /** Anna's client ends while the second part is on its way. */
  async function broken(anna: Device, ben: Device, source: MediaSource): Promise<Device> {
    const second = Promise.withResolvers<void>();
    anna.line.holding = {
      arrived: (what) => {
        if (!(isPart("PUT")(what) && what.path.endsWith("/1"))) return "carry";
        second.resolve();
        return "cut";
      },
    };
    const sending = anna.client.sendMedia(ben.user, source);
    const refused = expect(sending).rejects.toMatchObject({ code: "closed" });
    await second.promise;
    await anna.client.close();
    await refused;
    return world.device(anna.user, anna.store);
  }

  it("of an earlier run goes on from its source, where it was", async () => {
    const [anna, ben] = await world.friends();
    const path = join(world.folder, "large.bin");
    const bytes = randomData(LARGE);
    await writeFile(path, bytes);
    const again = await broken(anna, ben, await fileSource(path));
    const [unfinished] = await again.client.media.unfinished();
    expect(unfinished).toMatchObject({
      to: ben.user,
      name: "large.bin",
      size: LARGE,
      state: "waits",
      resume: path,
    });
    const arrived = ben.file();
    const { id } = await again.client.media.resume(unfinished?.id ?? "", await fileSource(path));
    const { media, id: heard } = await arrived;
    expect(heard).toBe(id);
    expect(same(await media?.bytes(LARGE), bytes)).toBe(true);
    expect(await again.client.media.unfinished()).toEqual([]);
    await world.isEmpty();
    await again.owesNothing();
  });

  it("whose source has changed is refused, and no part is ever sent in two versions", async () => {
    const [anna, ben] = await world.friends();
    const bytes = randomData(LARGE);
    const again = await broken(anna, ben, bytesSource(bytes));
    const [unfinished] = await again.client.media.unfinished();
    const changed = bytes.slice();
    changed[3_000_000] = (changed[3_000_000] ?? 0) ^ 1;
    const before = again.line.carried.length;
    const resuming = again.client.media.resume(unfinished?.id ?? "", bytesSource(changed));
    await expect(resuming).rejects.toMatchObject({ code: "media-source-changed" });
    expect(again.line.carried.slice(before).filter(isPart("PUT"))).toEqual([]);
    await world.isEmpty();
    await again.owesNothing();
  });

  it("whose source is of another size, or changes while it is read, is refused", async () => {
    const [anna, ben] = await world.friends();
    for (const size of [LARGE - 1, LARGE + 1]) {
      const source = { ...bytesSource(randomData(size)), size: LARGE };
      await expect(anna.client.sendMedia(ben.user, source)).rejects.toMatchObject({
        code: "media-source-changed",
      });
    }
    await world.isEmpty();
    await anna.owesNothing();
  });

  it("is cancelled, and nothing of it is left", async () => {
    const [anna, ben] = await world.friends();
    const again = await broken(anna, ben, bytesSource(randomData(LARGE)));
    const [unfinished] = await again.client.media.unfinished();
    await again.client.media.cancel(unfinished?.id ?? "");
    await world.isEmpty();
    await again.owesNothing();
    await expect(again.client.media.cancel(unfinished?.id ?? "")).rejects.toMatchObject({
      code: "media-unknown-upload",
    });
  });

  it("whose parts the relay has lost is begun anew under another key", async () => {
    const [anna, ben] = await world.friends();
    const bytes = randomData(LARGE);
    const again = await broken(anna, ben, bytesSource(bytes));
    const [unfinished] = await again.client.media.unfinished();
    const ids = () =>
      new Set(again.line.carried.map(({ path }) => /media\/(\w{32})/.exec(path)?.[1]).filter(Boolean));
    again.line.holding = {
      instead: ({ method, path }, body) =>
        method === "GET" && /media\/\w{32}$/.test(path) && ids().size === 1
          ? Buffer.from(JSON.stringify({ ...(JSON.parse(body.toString()) as object), parts: [1, 2] }))
          : body,
    };
    const arrived = ben.file();
    await again.client.media.resume(unfinished?.id ?? "", bytesSource(bytes));
    expect(same(await (await arrived).media?.bytes(LARGE), bytes)).toBe(true);
  });

  it("waits for its turn where many are on their way", async () => {
    const [anna, ben] = await world.friends();
    const files = Array.from({ length: 7 }, () => randomData(30_000));
    const digests = (all: readonly Uint8Array[]) =>
      all.map((bytes) => createHash("sha256").update(bytes).digest("hex")).sort();
    const got: Uint8Array[] = [];
    const done = Promise.withResolvers<void>();
    ben.client.on("message", async ({ media }) => {
      got.push((await media?.bytes(30_000)) ?? new Uint8Array());
      if (got.length === files.length) done.resolve();
    });
    await Promise.all(files.map((bytes) => anna.client.sendMedia(ben.user, bytesSource(bytes))));
    await done.promise;
    expect(digests(got)).toEqual(digests(files));
    await world.isEmpty();
  });

  it("has no source where no file is", async () => {
    const none = fileSource(join(world.folder, "none"));
    await expect(none).rejects.toMatchObject({
      code: "media-source-invalid",
      message: expect.stringContaining("(ENOENT)"),
    });
    const folder = fileSource(world.folder);
    await expect(folder).rejects.toMatchObject({
      code: "media-source-invalid",
      message: expect.stringContaining("(EISDIR)"),
    });
  });

  it("that the relay takes none of says why, and leaves nothing", async () => {
    const [anna, ben] = await world.friends();
    const huge = { size: 300 * 1024 * 1024, read: async function* () {} };
    const limit = (await knownPolicy(anna)).media?.bytes;
    const before = anna.line.carried.length;
    await expect(anna.client.sendMedia(ben.user, huge)).rejects.toMatchObject({
      code: "media-too-large",
      message: expect.stringMatching(
        new RegExp(`\\(314572800 bytes, \\d+ sealed; the limit is ${limit}\\)$`),
      ),
    });
    expect(anna.line.carried.slice(before).filter(({ path }) => path.includes("/media/"))).toEqual([]);
    const invalid = [
      [{ ...huge, size: -1 }, {}, "media-source-invalid"],
      [{ ...huge, size: 1, resume: "x".repeat(4_097) }, {}, "media-source-invalid"],
      [{ ...huge, size: 2 ** 40 }, {}, "media-too-large"],
      [bytesSource(randomData(1)), { thumbnail: randomData(16_385) }, "content-invalid"],
      [bytesSource(randomData(1)), { name: "x".repeat(256) }, "content-invalid"],
    ] as const;
    for (const [source, options, code] of invalid)
      await expect(anna.client.sendMedia(ben.user, source, options)).rejects.toMatchObject({ code });
    await anna.owesNothing();
  });
});

describe("a relay that lies (attack 48)", () => {
  const LIES = {
    "media-corrupt": (part: Buffer) =>
      Buffer.concat([part.subarray(0, 70_000), Buffer.alloc(1), part.subarray(70_001)]),
    "media-truncated": (part: Buffer) => part.subarray(0, -1),
    "media-too-long": (part: Buffer) => Buffer.concat([part, Buffer.alloc(1)]),
  } as const;

  for (const [code, lie] of Object.entries(LIES))
    it(`is refused with ${code}, and no file is made`, async () => {
      const [anna, ben] = await world.friends();
      const { media } = await sent(anna, ben, randomData(LARGE));
      ben.line.holding = { instead: (what, body) => (what.path.endsWith("/parts/1") ? lie(body) : body) };
      await expect(media.bytes(LARGE)).rejects.toMatchObject({ code });
      const path = join(world.folder, `${code}.bin`);
      await expect(saveMedia(media, path)).rejects.toMatchObject({ code });
      expect((await readdir(world.folder)).filter((name) => name.startsWith(code))).toEqual([]);
      ben.line.holding = {};
      await media.discard();
      await world.isEmpty();
    });

  it("with parts in another order, or another file's, is refused with media-corrupt", async () => {
    const [anna, ben] = await world.friends();
    const { media } = await sent(anna, ben, randomData(LARGE));
    const seen = new Map<string, Buffer>();
    ben.line.holding = { instead: ({ path }, body) => (seen.set(path.slice(-1), body), body) };
    await media.bytes(LARGE, { keep: true });
    ben.line.holding = {
      instead: ({ path }, body) => seen.get({ "0": "1", "1": "0" }[path.slice(-1)] ?? "2") ?? body,
    };
    await expect(media.bytes(LARGE)).rejects.toMatchObject({ code: "media-corrupt" });
    ben.line.holding = {};
    const other = await sent(anna, ben, randomData(LARGE));
    ben.line.holding = { instead: ({ path }, body) => seen.get(path.slice(-1)) ?? body };
    await expect(other.media.bytes(LARGE)).rejects.toMatchObject({ code: "media-corrupt" });
    ben.line.holding = {};
    await Promise.all([media.discard(), other.media.discard()]);
    await world.isEmpty();
  });
});

describe("saveMedia", () => {
  it("takes nothing for a file but what was verified as that file, whatever another message says of its blob", async () => {
    const [anna, ben] = await world.friends();
    const bytes = randomData(10_000);
    const { media } = await sent(anna, ben, bytes);
    const path = join(world.folder, "described.bin");
    await saveMedia(media, path);
    const lying = media.ref.slice();
    const digestAt = 1 + 16 + 32;
    lying[digestAt] = (lying[digestAt] ?? 0) ^ 1;
    await expect(saveMedia(ben.client.media.open(lying), path)).rejects.toMatchObject({ code: "media-gone" });
    await saveMedia(media, path);
    expect(same(await readFile(path), bytes)).toBe(true);
  });

  it("replaces links, never follows one, and says what it could not write", async () => {
    const [anna, ben] = await world.friends();
    const bytes = randomData(10_000);
    const { media } = await sent(anna, ben, bytes);
    const [victim, path] = [join(world.folder, "victim"), join(world.folder, "link.bin")];
    await writeFile(victim, "untouched");
    await symlink(victim, path);
    await symlink(victim, `${path}.part`);
    await expect(saveMedia(media, join(world.folder, "none", "x"))).rejects.toMatchObject({
      code: "media-not-saved",
    });
    await saveMedia(media, path);
    expect(await readFile(victim, "utf8")).toBe("untouched");
    expect((await lstat(path)).isFile()).toBe(true);
    expect(same(await readFile(path), bytes)).toBe(true);
    await eventually(10_000, "the release", async () =>
      (await world.parts()).length === 0 ? true : undefined,
    );
  });
});
