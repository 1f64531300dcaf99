// Start-up: libsodium is loaded and asked for known answers before anything else may use it; a wrong one, or a missing
// export after an upgrade, leaves the whole package refusing to work.
import { fromHex, toBytes } from "@lethe/protocol";
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

function hex(digits: string): Uint8Array {
  return toBytes(fromHex(digits, digits.length / 2));
}

/** Bytes that count up, as the standards' own inputs do. */
function counting(from: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => from + i);
}

/** RFC 5869 A.1 for the key derivation and draft-irtf-cfrg-xchacha-03 A.3.1 for the cipher. */
function checkKnownAnswers(): void {
  const prk = hmacSha256(counting(0x00, 13), new Uint8Array(22).fill(0x0b));
  const okm = hkdfSha256Expand(prk, [counting(0xf0, 10)], 42);
  const expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
  const input: AeadInput = {
    key: counting(0x80, 32),
    nonce: counting(0x40, 24),
    ad: [counting(0x50, 4), counting(0xc0, 8)],
  };
  const text =
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
  const sealed = xchachaSeal(input, new TextEncoder().encode(text));
  const tag = hex("c0875924c1c7987947deafd8780acf49");
  const okm512 = hkdfSha512({
    salt: new Uint8Array(0),
    ikm: [new Uint8Array(22).fill(0x0b)],
    info: [],
    length: 16,
  });
  const isRight =
    equal(okm, hex(expected)) &&
    equal(sealed.subarray(-AEAD_TAG_BYTES), tag) &&
    equal(okm512, hex("f5fa02b18298a72a8c23898a8703472c"));
  if (!isRight) throw new Error("libsodium gives wrong answers");
}
