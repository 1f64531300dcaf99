/// <reference lib="webworker" />
// The library in a worker: makes a client, and passes on what it hears.
import { Client } from "../../../client-lib/browser.ts";

addEventListener("message", ({ data }: MessageEvent<{ relay: string; user: string }>) => {
  const { relay, user } = data;
  Client.create({ relay, user, store: user, requests: "accept", receiptJitterMs: 20 }).then(
    (client) => {
      client.on("message", ({ text }) => postMessage(text));
      postMessage("open");
    },
    (error: unknown) => postMessage(String(error)),
  );
});
