// Frames to WebSocket messages: as many frames in one as its limit lets in, in their order.
import { type ClientFrame, encodeFrames, MAX_MESSAGE_BYTES, joined } from "@lethe/protocol";

export function toMessages(frames: readonly ClientFrame[]): Uint8Array[] {
  const out: Uint8Array[] = [];
  let parts: Uint8Array[] = [];
  let length = 0;
  const flush = (): void => {
    if (parts.length === 1 && parts[0] !== undefined) out.push(parts[0]);
    else if (parts.length > 1) out.push(joined(...parts));
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
