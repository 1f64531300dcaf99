// A page with a file: it sends one to itself's friend and reads what comes; what it has seen stands in its title.
import { blobSource, Client } from "@lethe/client";

const at = new URLSearchParams(location.search);
const [user = "", peer = "", relay = ""] = ["user", "peer", "relay"].map((name) => at.get(name) ?? "");
/** Three parts, which say where they stand. */
const SIZE = 5_000_000;
const bytes = Uint8Array.from({ length: SIZE }, (_, place) => (place ^ (place >> 8) ^ (place >> 16)) & 255);

const client = await Client.create({ relay, user, store: user, requests: "accept", receiptJitterMs: 50 });
client.on("message", async ({ media, text }) => {
  if (media === undefined) document.title = `text: ${text}`;
  else {
    const got = await media.bytes(SIZE);
    const isSame = got.length === SIZE && got.every((byte, place) => byte === bytes[place]);
    document.title = `${media.name}, ${media.type}: ${isSame ? "the same" : "another"}`;
  }
});
if (peer === "") document.title = "listening";
else {
  await client.send(peer, "first a text");
  document.title = "said";
  await new Promise((resolve) => addEventListener("click", resolve, { once: true }));
  const file = new File([bytes], "cat.png", { type: "image/png" });
  const told: number[] = [];
  await client.sendMedia(peer, blobSource(file), { progress: (done) => void told.push(done) });
  document.title = `sent ${told.at(-1)}`;
}
