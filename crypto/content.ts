// What is inside a message's padding: news of the sender that the peer has not shown to know (a new sealing key, a new
// device list), then the content, whose meaning is the client's.
import { type Codec, decodeAll, MAX_DEVICE_LIST_BYTES, MalformedError } from "@lethe/protocol";
import { encode, blob, total } from "./layout.ts";
import { pad, SMALLEST_FIRST, unpad } from "./padding.ts";
import { type SealingRecord, sealingRecord } from "./sealing-key.ts";

export interface News {
  readonly sealing: SealingRecord | undefined;
  readonly deviceList: Uint8Array | undefined;
}

interface Parts extends News {
  readonly content: Uint8Array;
}

const SEALING = 0x01;
const LIST = 0x02;
const list = blob(MAX_DEVICE_LIST_BYTES);

/** A byte of flags, what they say is there, and the rest is the content. */
const parts: Codec<Parts> = {
  read(r) {
    const flags = r.u8();
    if ((flags & ~(SEALING | LIST)) !== 0) throw new MalformedError(); // unknown parts
    const sealing = (flags & SEALING) === 0 ? undefined : sealingRecord.read(r);
    const deviceList = (flags & LIST) === 0 ? undefined : list.read(r);
    return { sealing, deviceList, content: r.bytes(r.remaining) };
  },
  write(w, { sealing, deviceList, content }) {
    w.u8((sealing === undefined ? 0 : SEALING) | (deviceList === undefined ? 0 : LIST));
    if (sealing !== undefined) sealingRecord.write(w, sealing);
    if (deviceList !== undefined) list.write(w, deviceList);
    w.bytes(content);
  },
};

/** `first`: the ratchet is not confirmed, and the message carries how it starts. */
export function packContent(news: News, content: Uint8Array, first = false): Uint8Array {
  const packed = encode(parts, { ...news, content }, content.length + 1_024);
  const padded = pad(packed, first ? SMALLEST_FIRST : undefined);
  packed.fill(0);
  return padded;
}

/** Undefined where the padding or the parts are not what `packContent` makes. */
export function unpackContent(padded: Uint8Array, first = false): Parts | undefined {
  const packed = unpad(padded, first ? SMALLEST_FIRST : undefined);
  if (packed === undefined) return undefined;
  return total(() => decodeAll(parts, packed));
}
