// Collecting what is to be kept no longer. Always true: the ledger forgets a blob only after its bytes are gone, so that what
// ends in between is done again by the next collection; a blob that fails holds up no other.
import type { Blobs, MediaId, MediaLedger } from "./media.ts";

/** Blobs that are removed at the same time. */
const AT_ONCE = 16;
/** Blobs that the ledger is asked about at once. */
const ASKED_AT_ONCE = 256;
/** After so many failures a collection ends: then it is not the blobs that fail. */
const MAX_FAILED = 256;

export interface Collected {
  /** Blobs whose bytes are gone. */
  readonly removed: number;
  /** Blobs of which something could not be done; the next collection tries them again. */
  readonly failed: number;
}

/**
 * Removes the bytes of what has ended, then has the ledger forget it.
 * @throws StoreFailedError, StoreClosedError where the ledger does not say what has ended
 */
export async function collect(
  ledger: Pick<MediaLedger, "ended" | "forget">,
  blobs: Pick<Blobs, "remove">,
): Promise<Collected> {
  const failed = new Set<MediaId>();
  let removed = 0;
  for (;;) {
    const ended = await ledger.ended(AT_ONCE + failed.size);
    const next = ended.filter((media) => !failed.has(media)).slice(0, AT_ONCE);
    const gone = await each(next, failed, async (media) => {
      await blobs.remove(media);
      await ledger.forget([media]);
    });
    removed += gone;
    if (next.length === 0 || failed.size >= MAX_FAILED) return { removed, failed: failed.size };
  }
}

/**
 * Removes what the ledger does not know: a part that was put while its blob was being removed, or what a ledger that was set back
 * has lost. Whoever puts a part has begun its blob before.
 * @throws BlobError, StoreFailedError, StoreClosedError where there is no list, or no answer
 */
export async function collectOrphans(
  ledger: Pick<MediaLedger, "known">,
  blobs: Pick<Blobs, "list" | "remove">,
): Promise<Collected> {
  const failed = new Set<MediaId>();
  let removed = 0;
  for await (const some of inGroups(blobs.list())) {
    const known = await ledger.known(some);
    const orphans = some.filter((_, i) => known[i] === false);
    for (let at = 0; at < orphans.length && failed.size < MAX_FAILED; at += AT_ONCE)
      removed += await each(orphans.slice(at, at + AT_ONCE), failed, (media) => blobs.remove(media));
    if (failed.size >= MAX_FAILED) break;
  }
  return { removed, failed: failed.size };
}

/** Does it to each at the same time; notes those with which it failed, and counts the others. */
async function each(
  media: readonly MediaId[],
  failed: Set<MediaId>,
  doIt: (media: MediaId) => Promise<void>,
): Promise<number> {
  const results = await Promise.allSettled(media.map(doIt));
  for (const [i, { status }] of results.entries()) if (status === "rejected") failed.add(media[i] as MediaId);
  return results.filter(({ status }) => status === "fulfilled").length;
}

async function* inGroups(all: AsyncIterable<MediaId>): AsyncGenerator<MediaId[]> {
  let group: MediaId[] = [];
  for await (const media of all) {
    group.push(media);
    if (group.length < ASKED_AT_ONCE) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}
