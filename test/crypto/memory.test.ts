// What is left in libsodium's memory: after a call, none of the secrets that went in, and none that came out.
import sodium from "libsodium-wrappers";
import { beforeAll, expect, it } from "vitest";
import {
  ed25519Public,
  ed25519Sign,
  hkdfSha512,
  hmacSha512,
  kemDecapsulate,
  kemEncapsulate,
  kemPublic,
  x25519,
  x25519Base,
  xchachaOpen,
  xchachaSeal,
} from "../../crypto/primitives.ts";
import { ready } from "../../crypto/ready.ts";
import { seededRandom, text } from "./support.ts";

beforeAll(ready);

const heap = (): Buffer =>
  Buffer.from((sodium as unknown as { libsodium: { HEAPU8: Uint8Array } }).libsodium.HEAPU8);
const random = seededRandom(50);
const fresh = (): Uint8Array => random.bytes(32);

it("attack 50: no secret, key or plaintext stays in the wasm memory after a call", () => {
  const left: string[] = [];
  const check = (name: string, ...secrets: (Uint8Array | undefined)[]): void => {
    const memory = heap();
    for (const secret of secrets)
      if (secret !== undefined && memory.includes(Buffer.from(secret))) left.push(name);
  };
  const own = fresh();
  const shared = x25519(own, x25519Base(fresh()));
  check("x25519", own, shared);
  const seed = fresh();
  ed25519Sign(seed, text("said"));
  ed25519Public(seed);
  check("ed25519", seed);
  const kemSeed = random.bytes(64);
  const made = kemEncapsulate(kemPublic(kemSeed), fresh());
  kemDecapsulate(kemSeed, made?.ciphertext ?? new Uint8Array(0));
  check("kem", kemSeed, made?.shared);
  const key = fresh();
  const input = { key, nonce: random.bytes(24), ad: [] };
  // Whole blocks of 64 bytes, as padded messages are: the rest of a shorter one passes through libsodium's stack.
  const plain = random.bytes(256);
  const sealed = xchachaSeal(input, plain);
  xchachaOpen(input, sealed);
  check("aead", key, plain.slice(0, 64), plain.slice(128, 192), plain.slice(192));
  const chain = fresh();
  const out = hmacSha512(chain, text("label"));
  check("hmac", chain, out.slice(0, 32), out.slice(32));
  const okm = hkdfSha512({ salt: chain, ikm: [own], info: [], length: 64 });
  check("hkdf", chain, own, okm.slice(0, 32), okm.slice(32));
  expect(left).toEqual([]);
});

it("the search finds what libsodium's own wrapper leaves there: it works", () => {
  const own = fresh();
  sodium.crypto_scalarmult_base(own);
  // The first bytes of what is freed are the allocator's.
  expect(heap().includes(Buffer.from(own.subarray(8)))).toBe(true);
});
