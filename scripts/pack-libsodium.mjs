// libsodium as a page loads it: the registry's own code and the very bytes of its wasm, but these deflated before they are
// base64 in a script, which gzip cannot make good afterwards (30 KB of each page). Always true: what comes of it inflates to
// the wasm that it was made from; another release that is not laid out as expected fails the build.
import { deflateRawSync, inflateRawSync } from "node:zlib";

/** Base64 of what begins as every wasm module does, in a string of its own. */
const WASM = /"(AGFzbQ[A-Za-z0-9+/]+={0,2})"/g;

/** Emscripten's hook takes the place of the decoding; it cannot reject by itself, so that this promise does. */
const loader = (deflated) => `
const DEFLATED = "${deflated}";
async function inflate() {
  const bytes = Uint8Array.from(atob(DEFLATED), (char) => char.charCodeAt(0));
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(inflated).arrayBuffer();
}
export default async function instantiate(platform) {
  const wasm = await inflate();
  return new Promise((resolve, reject) => {
    const instantiateWasm = (imports, done) => {
      WebAssembly.instantiate(wasm, imports).then(({ instance }) => done(instance)).catch(reject);
    };
    original({ ...platform, instantiateWasm }).then(resolve, reject);
  });
}
`;

/** @param source libsodium's module, as the registry has it. @param license of it, which goes with it */
export function packLibsodium(source, license) {
  const found = [...source.matchAll(WASM)];
  const main = [...source.matchAll(/export default (\w+);/g)];
  if (found.length !== 1 || main.length !== 1 || !source.includes(".instantiateWasm("))
    throw new Error("libsodium's module is not laid out as it was: pack it otherwise, or not at all");
  const wasm = Buffer.from(found[0][1], "base64");
  const deflated = deflateRawSync(wasm, { level: 9 });
  if (!inflateRawSync(deflated).equals(wasm)) throw new Error("the packed wasm is not what it was made from");
  const code = source.replace(found[0][0], '""').replace(main[0][0], `const original = ${main[0][1]};`);
  return `/*! libsodium.js, its wasm deflated.\n${license.trim()}\n*/\n${code}\n${loader(deflated.toString("base64"))}`;
}
