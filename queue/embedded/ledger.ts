// The mailbox's durable facts, kept by the directory's worker: claims, retirements, the position mark, and the minutes
// that devices were last seen, which are gathered for a second and lost in a crash.
import type { DeviceAddress, Time } from "@lethe/protocol";
import type { Claim } from "../mailbox.ts";
import type { Timers } from "../timers.ts";
import type { LedgerContents } from "./directory/calls.ts";
import type { DirectoryClient } from "./directory/client.ts";

const GATHER_MS = 1_000;

export class Ledger {
  readonly #client: DirectoryClient;
  readonly #timers: Timers;
  #seen = new Map<DeviceAddress, Time>();
  #cancel: (() => void) | undefined = undefined;

  constructor(client: DirectoryClient, timers: Timers) {
    this.#client = client;
    this.#timers = timers;
  }

  contents(): Promise<LedgerContents> {
    return this.#client.call("ledger");
  }

  raisePositionMark(mark: number): Promise<undefined> {
    return this.#client.call("raisePositionMark", mark);
  }

  /** Makes the epochs durable; answers for each whether its device is not retired. */
  claim(claims: readonly Claim[]): Promise<readonly boolean[]> {
    return this.#client.call(
      "claim",
      claims.map(({ address, epoch }) => ({ address, epoch })),
    );
  }

  retire(address: DeviceAddress): Promise<undefined> {
    this.#seen.delete(address);
    return this.#client.call("retire", address);
  }

  noteSeen(address: DeviceAddress, at: Time): void {
    this.#seen.set(address, at);
    this.#cancel ??= this.#timers.after(GATHER_MS, () => void this.flush());
  }

  /** Never rejects: a minute that is lost is one that nobody was promised. */
  async flush(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#seen.size === 0) return;
    const seen = [...this.#seen].map(([address, at]) => ({ address, at }));
    this.#seen = new Map();
    await this.#client.call("noteSeen", seen).catch(() => undefined);
  }

  /** Empties the database's log if anything was deleted. */
  forget(): Promise<void> {
    return this.#client.forget();
  }
}
