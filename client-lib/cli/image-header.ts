// What kind of picture some bytes are, and how large it is, from their first few hundred. Pure. Always true: any bytes are answered, in
// bounded time; nothing is decoded, and a size is one that a message can carry.

export interface ImageHeader {
  readonly type: "image/png" | "image/jpeg" | "image/gif" | "image/webp";
  /** Pixels, 1 to 65,535. */
  readonly width: number;
  readonly height: number;
}

/** What has to be there of a file for its header to be found: room for what cameras write before it, bytes. */
export const HEADER_BYTES = 262_144;
const MAX_PIXELS = 65_535;
const MAX_SEGMENTS = 1_000;

/** Undefined: no picture that is known here, or not enough of it. */
export function imageHeader(bytes: Uint8Array): ImageHeader | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const found = png(view) ?? gif(view) ?? webp(view) ?? jpeg(view);
    const fits = (pixels: number): boolean => pixels >= 1 && pixels <= MAX_PIXELS;
    return found !== undefined && fits(found.width) && fits(found.height) ? found : undefined;
  } catch (error) {
    // It ends before its header does.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function says(view: DataView, at: number, text: string): boolean {
  return Array.from(text).every((character, i) => view.getUint8(at + i) === character.charCodeAt(0));
}

/** PNG (third edition), 5.2 and 11.2.1: the signature, then IHDR. */
function png(view: DataView): ImageHeader | undefined {
  if (!says(view, 0, "\u0089PNG\r\n\u001a\n") || !says(view, 12, "IHDR")) return undefined;
  return { type: "image/png", width: view.getUint32(16), height: view.getUint32(20) };
}

/** GIF89a, 17 and 18: the signature, then the logical screen. */
function gif(view: DataView): ImageHeader | undefined {
  if (!says(view, 0, "GIF87a") && !says(view, 0, "GIF89a")) return undefined;
  return { type: "image/gif", width: view.getUint16(6, true), height: view.getUint16(8, true) };
}

/** RFC 9649, 2.5 to 2.7: the first chunk is VP8, VP8L or VP8X. */
function webp(view: DataView): ImageHeader | undefined {
  if (!says(view, 0, "RIFF") || !says(view, 8, "WEBP")) return undefined;
  const type = "image/webp";
  if (says(view, 12, "VP8 ") && says(view, 23, "\u009d\u0001*"))
    return { type, width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  if (says(view, 12, "VP8L") && view.getUint8(20) === 0x2f) {
    const bits = view.getUint32(21, true);
    return { type, width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
  }
  if (!says(view, 12, "VP8X")) return undefined;
  const uint24 = (at: number): number => view.getUint16(at, true) + view.getUint8(at + 2) * 65_536;
  return { type, width: uint24(24) + 1, height: uint24(27) + 1 };
}

/** ITU-T T.81, B.1 and B.2.2: segments until the one that begins a frame. */
function jpeg(view: DataView): ImageHeader | undefined {
  if (view.getUint16(0) !== 0xffd8) return undefined;
  let at = 2;
  for (let segment = 0; segment < MAX_SEGMENTS; segment++) {
    if (view.getUint8(at) !== 0xff) return undefined;
    const marker = view.getUint8(at + 1);
    // A fill byte before a marker.
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    if (isFrame(marker))
      return { type: "image/jpeg", width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
    // The picture begins, or ends, without a frame.
    if (marker === 0xda || marker === 0xd9) return undefined;
    const length = view.getUint16(at + 2);
    if (length < 2) return undefined;
    at += 2 + length;
  }
  return undefined;
}

/** SOF0 to SOF15, without the three of the same range that are something else: DHT, JPG, DAC. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}
