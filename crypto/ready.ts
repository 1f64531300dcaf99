// Start-up: libsodium is loaded and asked for known answers before anything else may use it; a wrong one, or a missing
// export after an upgrade, leaves the whole package refusing to work.
import {
  AEAD_TAG_BYTES,
  type AeadInput,
  equal,
  hkdfSha256Expand,
  hkdfSha512,
  hmacSha256,
  xchachaSeal,
} from "./primitives.ts";
import { load, unload } from "./sodium.ts";

let starting: Promise<void> | undefined;

/** Loads libsodium and checks known answers. Everything else in this package needs it to have resolved. */
export function ready(): Promise<void> {
  starting ??= start();
  return starting;
}

async function start(): Promise<void> {
  await load();
  try {
    checkKnownAnswers();
  } catch (error) {
    unload();
    throw error;
  }
}

function fromHexString(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** RFC 5869 A.1 for the key derivation and draft-irtf-cfrg-xchacha-03 A.3.1 for the cipher. */
function checkKnownAnswers(): void {
  const hex = fromHexString;
  const prk = hmacSha256(hex("000102030405060708090a0b0c"), new Uint8Array(22).fill(0x0b));
  const okm = hkdfSha256Expand(prk, [hex("f0f1f2f3f4f5f6f7f8f9")], 42);
  const expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
  const input: AeadInput = {
    key: hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"),
    nonce: hex("404142434445464748494a4b4c4d4e4f5051525354555657"),
    ad: [hex("50515253c0c1c2c3c4c5c6c7")],
  };
  const text =
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
  const sealed = xchachaSeal(input, new TextEncoder().encode(text));
  const tag = hex("c0875924c1c7987947deafd8780acf49");
  if (!equal(okm, hex(expected)) || !equal(sealed.subarray(-AEAD_TAG_BYTES), tag))
    throw new Error("libsodium gives wrong answers");
  const okm512 = hkdfSha512({
    salt: new Uint8Array(0),
    ikm: [new Uint8Array(22).fill(0x0b)],
    info: [],
    length: 16,
  });
  if (!equal(okm512, hex("f5fa02b18298a72a8c23898a8703472c")))
    throw new Error("libsodium gives wrong answers");
}
