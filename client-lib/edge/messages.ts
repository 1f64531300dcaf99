// Frames to WebSocket messages: as many frames in one as its limit lets in, in their order.
import { type ClientFrame, encodeFrames, MAX_MESSAGE_BYTES } from "@lethe/protocol";

export function toMessages(frames: readonly ClientFrame[]): Uint8Array[] {
  const out: Uint8Array[] = [];
  let parts: Uint8Array[] = [];
  let length = 0;
  const flush = (): void => {
    if (parts.length === 1 && parts[0] !== undefined) out.push(parts[0]);
    else if (parts.length > 1) out.push(join(parts, length));
    parts = [];
    length = 0;
  };
  for (const frame of frames) {
    const bytes = encodeFrames(frame);
    if (length + bytes.length > MAX_MESSAGE_BYTES) flush();
    parts.push(bytes);
    length += bytes.length;
  }
  flush();
  return out;
}

function join(parts: readonly Uint8Array[], length: number): Uint8Array {
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
