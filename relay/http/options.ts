// What the HTTP half is given: stores, gateway, clocks, and what of a relay only the whole relay can do.
import type { AccountId } from "@lethe/protocol";
import type { AccountRecord, Backend, Owner } from "@lethe/queue";
import type { Gateway } from "../edge/gateway.ts";
import type { Log } from "../log.ts";
import type { RelayMedia } from "../media/media.ts";
import type { Metrics } from "../metrics.ts";
import type { Terms } from "../terms.ts";

export interface HttpOptions {
  readonly relay: string;
  readonly backend: Backend;
  readonly gateway: Gateway;
  /** Undefined where no media are kept. */
  readonly media: RelayMedia | undefined;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly now: () => number;
  readonly ready: () => boolean;
  /** Codes of what the store's configuration contradicts. */
  readonly doubts: () => readonly string[];
  /** What may change while the relay runs. */
  readonly terms: () => Terms;
  readonly token: string;
  /** What the operator sees of the process, as it is now. */
  readonly figures: () => Record<string, number | string>;
  /** Removes an account with everything of it. */
  readonly remove: (record: AccountRecord) => Promise<void>;
  /** The node that a session is at, in words. */
  readonly nodeOf: (owner: Owner) => Promise<string>;
  /** Retires a device's mailbox and closes its session. */
  readonly retire: (account: AccountId, devices: readonly number[]) => Promise<void>;
}
