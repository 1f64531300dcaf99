// Layouts that this package adds to the protocol's codec: keys with a type byte, secrets, and bytes that are copied out
// of the input, since states outlive the buffers they were decoded from. Total and canonical as the codec is.
import { type Codec, fromHex, MalformedError, type Reader, toBytes, Writer } from "@lethe/protocol";
import { Secret } from "./secret.ts";
import { ED25519_PUBLIC_BYTES, equal, KEM_PUBLIC_BYTES, X25519_BYTES } from "./primitives.ts";

/** Exactly `length` bytes, copied. */
export function octets(length: number): Codec<Uint8Array> {
  return {
    read: (r) => r.bytes(length).slice(),
    write(w, v) {
      if (v.length !== length) throw new RangeError(`${length} bytes expected`);
      w.bytes(v);
    },
  };
}

/** A u16 length, then that many bytes, at most `max`, copied. */
export function blob(max: number): Codec<Uint8Array> {
  return {
    read(r) {
      const length = r.u16();
      if (length > max) throw new MalformedError(); // over the length limit
      return r.bytes(length).slice();
    },
    write(w, v) {
      if (v.length > max) throw new RangeError(); // over the length limit
      w.u16(v.length);
      w.bytes(v);
    },
  };
}

/** Exactly `length` secret bytes. */
export function secret(length: number): Codec<Secret> {
  const inner = octets(length);
  return {
    read: (r) => new Secret(inner.read(r)),
    write: (w, v) => inner.write(w, v.reveal()),
  };
}

/** One byte that says which format follows. */
export function formatByte(value: number): Codec<undefined> {
  return {
    read(r) {
      if (r.u8() !== value) throw new MalformedError(); // unknown format
    },
    write: (w) => w.u8(value),
  };
}

/** Type bytes of encoded public keys: their ranges are disjoint (PQXDH section 3.1, EncodeEC and EncodeKEM). */
export const KEY_TYPE = { x25519: 0x01, kem: 0x02, ed25519: 0x03 } as const;

function typed(type: number, length: number, check: (key: Uint8Array) => boolean): Codec<Uint8Array> {
  return {
    read(r) {
      if (r.u8() !== type) throw new MalformedError(); // wrong key type
      return checked(r, length, check);
    },
    write(w, v) {
      if (v.length !== length) throw new RangeError(); // wrong key length
      w.u8(type);
      w.bytes(v);
    },
  };
}

function checked(r: Reader, length: number, check: (key: Uint8Array) => boolean): Uint8Array {
  const key = r.bytes(length).slice();
  if (!check(key)) throw new MalformedError("not an acceptable key");
  return key;
}

/** The u-coordinates below p of points of small order on Curve25519 and its twist, little endian. */
const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
].map((hex) => toBytes(fromHex(hex, X25519_BYTES)));

/**
 * Whether 32 bytes are a canonical u-coordinate (below 2^255 - 19, top bit clear; RFC 7748 section 5) of a point that
 * is not of small order. Public keys only: the time depends on them.
 */
export function isX25519Key(key: Uint8Array): boolean {
  const top = key[31] as number;
  if (top > 0x7f) return false;
  if (top === 0x7f && (key[0] as number) >= 0xed && key.subarray(1, 31).every((byte) => byte === 0xff))
    return false;
  return !SMALL_ORDER.some((point) => equal(point, key));
}

const any = (): boolean => true;

/** 0x01 and an X25519 key, 33 bytes. */
export const x25519Key = typed(KEY_TYPE.x25519, X25519_BYTES, isX25519Key);
/** 0x02 and an ML-KEM-768 encapsulation key, 1,185 bytes. Its modulus check is made when it is used. */
export const kemKey = typed(KEY_TYPE.kem, KEM_PUBLIC_BYTES, any);
/** 0x03 and an Ed25519 key, 33 bytes. Its checks are made when a signature is verified. */
export const ed25519Key = typed(KEY_TYPE.ed25519, ED25519_PUBLIC_BYTES, any);

/** An X25519 key without a type byte, 32 bytes, as it stands in ratchet headers. */
export const bareX25519Key: Codec<Uint8Array> = {
  read: (r) => checked(r, X25519_BYTES, isX25519Key),
  write: (w, v) => octets(X25519_BYTES).write(w, v),
};

/** What `read` gives, or undefined where the bytes are malformed. */
export function total<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

/** Encodes one value into a buffer that starts with `room` bytes: enough, so that it never grows and leaves copies. */
export function encode<T>(codec: Codec<T>, value: T, room = 1_024): Uint8Array {
  const writer = new Writer(room);
  codec.write(writer, value);
  return writer.take();
}
