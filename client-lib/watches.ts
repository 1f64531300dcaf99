// Wishes to watch somebody, until the deciding code has answered them. Always true: each is answered once, behind
// whatever was decided about the person before.
import type { AccountId } from "@lethe/protocol";
import type { WatchCode } from "./delivery/events.ts";
import { ClientError, type ClientErrorCode } from "./errors.ts";

export class Watches {
  readonly #wish: (ask: number, account: AccountId) => void;
  readonly #asked = new Map<number, (code: ClientErrorCode) => void>();
  #asks = 0;

  constructor(wish: (ask: number, account: AccountId) => void) {
    this.#wish = wish;
  }

  /** @throws ClientError */
  async watch(account: AccountId, user: string): Promise<void> {
    const ask = ++this.#asks;
    const code = await new Promise<ClientErrorCode>((resolve) => {
      this.#asked.set(ask, resolve);
      this.#wish(ask, account);
    });
    if (code !== "ok") throw new ClientError(code, user);
  }

  answered(ask: number, code: WatchCode | "ok"): void {
    this.#asked.get(ask)?.(code);
    this.#asked.delete(ask);
  }

  failAll(code: ClientErrorCode): void {
    for (const answer of this.#asked.values()) answer(code);
    this.#asked.clear();
  }
}
