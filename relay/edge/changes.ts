// What changes of accounts and devices means to what a node holds of them. Always true: what is changed by this node holds
// here at once, and is told to all others; what others tell is applied and told to nobody.
import type { AccountId, DeviceAddress } from "@lethe/protocol";
import type { NodeEvent } from "../delivery/types.ts";
import type { AccountChange } from "../link/frames.ts";
import type { Accounts } from "./accounts.ts";
import type { Peers } from "./peers.ts";
import type { Presence } from "./presence.ts";

export interface ChangesOptions {
  readonly accounts: Accounts;
  readonly presence: Presence;
  readonly peers: Peers;
  readonly step: (event: NodeEvent) => void;
}

export class Changes {
  readonly #o: ChangesOptions;

  constructor(options: ChangesOptions) {
    this.#o = options;
  }

  /** `access-key`: whoever came with the old one has nothing to see any more. */
  made(account: AccountId, what: AccountChange): void {
    this.heard(account, what);
    this.#o.peers.changed(account, what);
  }

  heard(account: AccountId, what: AccountChange): void {
    this.#o.accounts.changed(account);
    if (what === "access-key") this.#o.presence.revoke(account);
    if (what === "shows-last-seen" || what === "hides-last-seen")
      this.#o.presence.wishesChanged(account, what === "hides-last-seen");
  }

  /** Mailboxes that are no more: their sessions read, find that, and close. */
  retired(addresses: readonly DeviceAddress[]): void {
    this.heardRetired(addresses);
    this.#o.peers.retired(addresses);
  }

  heardRetired(addresses: readonly DeviceAddress[]): void {
    this.#o.step({ is: "wakes", addresses });
  }
}
