// The platform as a schedule needs it. Always true: nothing runs beside the thread while media are simulated, so that what has
// been begun is done once the event loop has come round.
import { createHash } from "node:crypto";

const subtle = globalThis.crypto.subtle;

/** SHA-256 of the same value, but in this thread, while `work` runs. */
export async function inOneThread<T>(work: () => Promise<T>): Promise<T> {
  const digest = async (_algorithm: string, bytes: Uint8Array): Promise<ArrayBuffer> => {
    const hash = createHash("sha256").update(bytes).digest();
    return hash.buffer.slice(hash.byteOffset, hash.byteOffset + hash.length) as ArrayBuffer;
  };
  Object.defineProperty(subtle, "digest", { value: digest, configurable: true });
  try {
    return await work();
  } finally {
    Reflect.deleteProperty(subtle, "digest");
  }
}

/** Resolves when everything that can go on without time has gone on. */
export function drained(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** What a crashed process waits for. */
export function never<T>(): Promise<T> {
  return new Promise(() => undefined);
}
