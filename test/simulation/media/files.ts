// Files that people send. Always true: a file's bytes follow from its number and version alone.
import type { MediaSource } from "../../../client-lib/media/source.ts";
import { Dice, mix } from "../chance.ts";

export interface FileFact {
  readonly index: number;
  readonly size: number;
  /** Raised when somebody writes to the file while it is on its way; nothing else tells. */
  version: number;
}

const BLOCK_BYTES = 1_024;
const blocks = new Map<number, Uint8Array>();

/** Bytes `from` to the end. */
function bytesOf({ index, size, version }: FileFact, from: number): Uint8Array {
  const seed = mix(index, version);
  const block = blocks.get(seed) ?? new Dice(seed).bytes(BLOCK_BYTES);
  blocks.set(seed, block);
  const turned = Buffer.concat([block.subarray(from % BLOCK_BYTES), block.subarray(0, from % BLOCK_BYTES)]);
  return Buffer.alloc(size - from, turned);
}

export function sourceOf(file: FileFact): MediaSource {
  return {
    size: file.size,
    name: String(file.index),
    resume: String(file.index),
    async *read(from) {
      yield bytesOf(file, from);
    },
  };
}

/** Whether these are its bytes; where it has changed meanwhile, whether there are as many. */
export function isWhole(file: FileFact, bytes: Uint8Array): boolean {
  if (bytes.length !== file.size) return false;
  return file.version > 0 || Buffer.compare(bytes, bytesOf(file, 0)) === 0;
}
