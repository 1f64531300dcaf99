// Which accounts are in use, to the day: what idle accounts are told apart by. Always true: an account is noted at most
// once a day here; one with a device connected is in use.
import type { AccountId } from "@lethe/protocol";

const DAY_MS = 86_400_000;
/** Accounts remembered as noted today; those beyond are noted again at each login. */
const MAX_NOTED = 200_000;

export class Usage {
  readonly #note: (account: AccountId) => void;
  readonly #now: () => number;
  #noted = new Set<AccountId>();
  #day = -1;

  /** @param note writes it down. @param now wall clock, ms. */
  constructor(note: (account: AccountId) => void, now: () => number) {
    this.#note = note;
    this.#now = now;
  }

  inUse(account: AccountId): void {
    const day = Math.floor(this.#now() / DAY_MS);
    if (day !== this.#day) {
      this.#day = day;
      this.#noted = new Set();
    }
    if (this.#noted.has(account)) return;
    if (this.#noted.size < MAX_NOTED) this.#noted.add(account);
    this.#note(account);
  }
}
