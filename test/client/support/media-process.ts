// Sends, or fetches, one large file and says what that took: `media-process.ts RELAY send|fetch SIZE`. Memory is the process's
// resident set, asked for often; idle is after a small file, when the code is there and warm.
import { createHash } from "node:crypto";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, type MediaSource, type ReceivedMedia } from "@lethe/client";

const [relay = "", role = "", length = "0"] = process.argv.slice(2);
const PIECE = 1_000_000;

/** Bytes that follow from their place. */
function generated(size: number): MediaSource {
  return {
    size,
    async *read(from) {
      const piece = new Uint8Array(PIECE);
      for (let at = from; at < size; at += PIECE - (at % PIECE)) {
        piece.fill(Math.floor(at / PIECE) % 251);
        yield piece.slice(0, Math.min(PIECE - (at % PIECE), size - at));
      }
    },
  };
}

/** Reads all of it, and throws where a byte is another. */
async function check(media: ReceivedMedia): Promise<void> {
  const [heard, said] = [createHash("sha256"), createHash("sha256")];
  for await (const piece of media.read()) heard.update(piece);
  for await (const piece of generated(media.size).read(0)) said.update(piece);
  if (heard.digest("hex") !== said.digest("hex")) throw new Error("another file");
}

const folder = await mkdtemp(join(tmpdir(), "lethe-memory-"));
const open = (user: string): Promise<Client> =>
  Client.create({ relay, user, store: join(folder, user), requests: "accept", receiptJitterMs: 20 });

let peak = 0;
const look = (): number => {
  const { rss } = process.memoryUsage();
  peak = Math.max(peak, rss);
  return rss;
};

async function measured(work: () => Promise<void>): Promise<void> {
  globalThis.gc?.();
  const idle = look();
  peak = 0;
  const timer = setInterval(look, 20);
  const began = performance.now();
  await work();
  clearInterval(timer);
  console.log(JSON.stringify({ idle, peak, ms: performance.now() - began }));
}

const size = Number(length);
const [me, other] = [await open(`${role}-a`), await open(`${role}-b`)];
const file = (of: Client): Promise<ReceivedMedia> =>
  of.once("message", ({ media }) => media !== undefined).then(({ media }) => media as ReceivedMedia);
const small = file(other);
await me.sendMedia(other.user, generated(5_000_000));
await check(await small);
const large = file(other);
if (role === "send") {
  await measured(async () => void (await me.sendMedia(other.user, generated(size))));
  await (await large).discard();
} else {
  await me.sendMedia(other.user, generated(size));
  const media = await large;
  await measured(() => check(media));
}
await Promise.all([me.close(), other.close()]);
