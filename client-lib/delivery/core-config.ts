// What a core is made with.
import type { AccountId, DeviceNumber } from "@lethe/protocol";
import type { GroupKeys } from "../groups/reach.ts";
import type { Chance, Cipher, StoredRows } from "./events.ts";

export interface CoreConfig {
  readonly account: AccountId;
  readonly device: DeviceNumber;
  readonly cipher: Cipher;
  readonly chance: Chance;
  /** Undefined: this device takes part in no groups. */
  readonly groups?: GroupKeys & { readonly accessKey: () => Uint8Array };
  /** Everything that the store holds of `CORE_TABLES`. */
  readonly rows: StoredRows;
  /** Mail of strangers: kept until the person decides, or handed over. */
  readonly requests: "ask" | "accept";
  /** How many relay URLs the edge knows. An `open` effect names one by number, from 0. */
  readonly urls: number;
  /** Receipts, and mail for one's own other devices, wait up to this long, ms. */
  readonly receiptJitterMs?: number;
  readonly ownJitterMs?: number;
}
