// Requests that wait for a message of a linking mailbox. Always true: each is answered within its time; they are capped in
// all and for each address, and whoever comes above the cap is answered at once with what there is, and is not kept out.
import type { LinkingGet } from "@lethe/queue";

/** How long a request waits, ms: less than the 15 s that clients give an answer. */
export const LINKING_WAIT_MS = 10_000;
/** How often the store is asked meanwhile, ms: with all that may wait, a thousand small questions a second. */
const LOOK_EVERY_MS = 250;
/** Requests that wait at once, of all and of one address. */
export const MAX_LINKING_WAITS = 256;
export const MAX_LINKING_WAITS_OF_ADDRESS = 32;

export interface LinkingWait {
  /** Whose address, as limits count it; undefined where it has no limits. */
  readonly remote: string | undefined;
  readonly look: () => Promise<LinkingGet>;
  /** Whether this may still become a message. */
  readonly goesOn: (found: LinkingGet) => boolean;
  /** Aborted when nobody is there any more to be answered. */
  readonly gone: AbortSignal;
}

export class LinkingWaits {
  readonly #instant: () => number;
  readonly #each = new Map<string, number>();
  #all = 0;

  /** @param instant a monotonic clock, ms. */
  constructor(instant: () => number) {
    this.#instant = instant;
  }

  async wait({ remote, look, goesOn, gone }: LinkingWait): Promise<LinkingGet> {
    const found = await look();
    const each = remote === undefined ? 0 : (this.#each.get(remote) ?? 0);
    if (!goesOn(found) || this.#all >= MAX_LINKING_WAITS || each >= MAX_LINKING_WAITS_OF_ADDRESS)
      return found;
    this.#all++;
    if (remote !== undefined) this.#each.set(remote, each + 1);
    try {
      return await this.#until(this.#instant() + LINKING_WAIT_MS, { look, goesOn, gone }, found);
    } finally {
      this.#all--;
      if (remote !== undefined) this.#left(remote);
    }
  }

  async #until(
    end: number,
    { look, goesOn, gone }: Omit<LinkingWait, "remote">,
    found: LinkingGet,
  ): Promise<LinkingGet> {
    let last = found;
    while (goesOn(last) && !gone.aborted && this.#instant() < end) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      last = await look();
    }
    return last;
  }

  #left(remote: string): void {
    const left = (this.#each.get(remote) ?? 0) - 1;
    if (left > 0) this.#each.set(remote, left);
    else this.#each.delete(remote);
  }
}
