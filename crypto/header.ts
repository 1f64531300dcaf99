// The header of a ratchet message, 58 bytes, with a MAC of its own: a receiver finds the right ratchet among those it
// keeps, and refuses a forged header, for one HMAC instead of a DH and up to 25,000 chain steps.
import { joined, MalformedError, Reader, toBytes, Writer } from "@lethe/protocol";
import type { Counters } from "./double-ratchet.ts";
import { LABELS } from "./labels.ts";
import { bareX25519Key } from "./layout.ts";
import { MAX_CHAIN } from "./limits.ts";
import type { Ratchet } from "./state.ts";
import { equal, hmacSha512 } from "./primitives.ts";

const VERSION = 1;
const SIGNED_BYTES = 42;
const MAC_BYTES = 16;
export const HEADER_BYTES = SIGNED_BYTES + MAC_BYTES;

// Flags. All others are 0.
const FIRST = 0x01;
const FROM_INITIATOR = 0x02;

export interface Header {
  readonly counters: Counters;
  /** Whether the envelope carries how the ratchet starts. */
  readonly first: boolean;
  readonly fromInitiator: boolean;
  /** All 58 bytes. */
  readonly bytes: Uint8Array;
}

type Keys = Pick<Ratchet, "id" | "headerKey">;

function mac({ id, headerKey }: Keys, said: Uint8Array): Uint8Array {
  return hmacSha512(headerKey.reveal(), LABELS.ratchetHeader, toBytes(id), said).subarray(0, MAC_BYTES);
}

/** The header's 58 bytes. */
export function writeHeader(keys: Keys, said: Omit<Header, "bytes">): Uint8Array {
  const writer = new Writer(HEADER_BYTES);
  writer.u8(VERSION);
  writer.u8((said.first ? FIRST : 0) | (said.fromInitiator ? FROM_INITIATOR : 0));
  writer.bytes(said.counters.publicKey);
  writer.u32(said.counters.previousCount);
  writer.u32(said.counters.n);
  const front = writer.take();
  return joined(front, mac(keys, front));
}

/** The header in front of a message. Its MAC is not checked. @throws MalformedError */
export function readHeader(message: Uint8Array): Header {
  const reader = new Reader(message);
  if (reader.u8() !== VERSION) throw new MalformedError(); // unknown header version
  const flags = reader.u8();
  if ((flags & ~(FIRST | FROM_INITIATOR)) !== 0) throw new MalformedError(); // unknown header flags
  const publicKey = bareX25519Key.read(reader);
  const [previousCount, n] = [reader.u32(), reader.u32()];
  if (n > MAX_CHAIN || previousCount > MAX_CHAIN + 1) throw new MalformedError(); // message number over its limit
  reader.bytes(MAC_BYTES);
  const counters = { publicKey, previousCount, n };
  const first = (flags & FIRST) !== 0;
  return {
    counters,
    first,
    fromInitiator: (flags & FROM_INITIATOR) !== 0,
    bytes: message.subarray(0, HEADER_BYTES),
  };
}

/** Whether a header was made with this ratchet's key, by the other side of it. */
export function isHeaderOf(ratchet: Keys & Pick<Ratchet, "role">, header: Header): boolean {
  if (header.fromInitiator !== (ratchet.role === "responder")) return false;
  return equal(mac(ratchet, header.bytes.subarray(0, SIGNED_BYTES)), header.bytes.subarray(SIGNED_BYTES));
}
