// Every size and time of the embedded backend, with its reason. Tests shrink them; nothing else should need to.

export interface Tuning {
  /** A segment is closed to appends once it is this long: small enough that all of one is delivered soon. */
  readonly segmentBytes: number;
  /** One buffer of the tail; the largest record must fit. */
  readonly chunkBytes: number;
  /** Buffers of the tail: what was appended last is read from memory. 64 MiB as shipped. */
  readonly tailChunks: number;
  /** Encoded and not yet synced; whoever comes then waits. At most a quarter of the tail, which holds these bytes. */
  readonly waitingBytes: number;
  /** The forget bound of delivery.md: no byte of removed mail is in a file after this. */
  readonly forgetMs: number;
  /** Positions that one raise of the mark makes usable: half of one lasts seconds at full speed. */
  readonly positionBlock: number;
}

export const SHIPPED: Tuning = {
  segmentBytes: 32 * 1_048_576,
  chunkBytes: 1_048_576,
  tailChunks: 64,
  waitingBytes: 8 * 1_048_576,
  forgetMs: 60_000,
  positionBlock: 1_048_576,
};

/** The forget bound in passes: mail removed before a pass is wiped by the third pass after, half the bound old. */
export const PASSES_A_BOUND = 6;
export const PASSES_TO_WAIT = 3;

/** Survivors are copied forward only when they are less than this part of their segment. */
export const EVACUATE_BELOW = 1 / 5;
/** A sealed segment shorter than this part of a full one is small: a restart leaves one. */
export const SMALL_SEGMENT_PART = 1 / 8;
/** So many small segments are copied together. */
export const SMALL_SEGMENTS_TO_GATHER = 4;

/** One read or overwrite of neighbouring records. */
export const EXTENT_BYTES = 262_144;
/** Records this near to each other go in one extent: reading the gap is cheaper than another call. */
export const EXTENT_GAP = 4_096;
/** Bytes overwritten between two pairs of syncs. */
export const WIPE_ROUND_BYTES = 4 * 1_048_576;
/** Bytes copied forward in one group, so that mail under way does not wait behind more. */
export const COPY_ROUND_BYTES = 524_288;
/** Extents being read at the same time: the thread pool has four threads, and syncs need one. */
export const READS_AT_ONCE = 3;
