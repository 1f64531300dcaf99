// A primary device as a process that links the code it is given and stops for good at one place: before or behind a request
// of its own. Its lines: `digits N`, then `at PLACE`. Arguments: relay, user, store, code, place.
import { Client } from "@lethe/client";

/** Which request it stops at, and whether that has reached the relay. */
const PLACES = {
  published: { path: /\/v1\/device-list$/, reaches: true },
  granting: { path: /\/grant$/, reaches: false },
  granted: { path: /\/grant$/, reaches: true },
} as const;

const [relay = "", user = "", store = "", code = "", where = ""] = process.argv.slice(2);
const { path, reaches } = PLACES[where as keyof typeof PLACES];

const client = await Client.create({ relay, user, store });
const real = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  if (init?.method !== "PUT" || typeof input !== "string" || !path.test(input)) return real(input, init);
  if (reaches) await real(input, init);
  process.stdout.write(`at ${where}\n`);
  return new Promise(() => undefined);
};
const linking = await client.devices.link(code);
process.stdout.write(`digits ${linking.digits}\n`);
await linking.confirm();
