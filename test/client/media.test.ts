// Files between real clients, over a real relay.
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  bytesSource,
  Client,
  type ClientOptions,
  fileSource,
  openMemoryStore,
  type ReceivedMessage,
  saveMedia,
} from "@lethe/client";
import { RelayProcess } from "./support/relay-process.ts";

let relay: RelayProcess;
let folder: string;
const open = new Set<Client>();
let people = 0;

beforeAll(async () => {
  relay = await RelayProcess.start();
  folder = await mkdtemp(join(tmpdir(), "lethe-media-"));
});
afterEach(async () => {
  for (const client of open) await client.close();
  open.clear();
});
afterAll(async () => {
  await relay[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function client(name: string, options: Partial<ClientOptions> = {}): Promise<Client> {
  const made = await Client.create({
    relay: relay.url,
    user: `${name}-${++people}`,
    store: openMemoryStore(),
    requests: "accept",
    receiptJitterMs: 20,
    ownJitterMs: 20,
    ...options,
  });
  open.add(made);
  return made;
}

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
/** Parts of blobs that the relay has. */
const kept = async (): Promise<string[]> =>
  (await readdir(join(relay.folder, "data", "media"), { recursive: true })).filter((name) =>
    /\/\w{32}\//.test(name),
  );

describe("a file", () => {
  it("goes from one to another, byte for byte, with what is said of it", async () => {
    const [anna, ben] = [await client("anna"), await client("ben")];
    for (const size of [0, 1, 70_000, 5_000_000]) {
      const bytes = random(size);
      const arrived = ben.once("message");
      const sent = await anna.sendMedia(
        ben.user,
        bytesSource(bytes, { name: "cat.png", type: "image/png" }),
        {
          caption: "a cat",
          thumbnail: random(100),
          width: 640,
          height: 480,
        },
      );
      const { media, id } = await arrived;
      expect(id).toBe(sent.id);
      expect(media).toMatchObject({ name: "cat.png", type: "image/png", caption: "a cat", size, width: 640 });
      expect(Buffer.from((await media?.bytes(size)) ?? []).equals(bytes)).toBe(true);
    }
  });
});
