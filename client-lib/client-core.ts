// The deciding core of a client, with what the application has chosen.
import type { AccountId, DeviceNumber } from "@lethe/protocol";
import type { ClientOptions, Opened } from "./client-options.ts";
import { type ClientCore, createClientCore } from "./delivery/core.ts";
import type { StoredRows } from "./delivery/events.ts";
import type { PairwiseCipher } from "./keys/pairwise-cipher.ts";

interface Device {
  readonly account: AccountId;
  readonly device: DeviceNumber;
  readonly cipher: PairwiseCipher;
  readonly rows: StoredRows;
}

export function coreOf(
  { requests = "ask", receiptJitterMs, ownJitterMs }: ClientOptions,
  { chance, urls }: Opened,
  of: Device,
): ClientCore {
  const jitter = {
    ...(receiptJitterMs === undefined ? {} : { receiptJitterMs }),
    ...(ownJitterMs === undefined ? {} : { ownJitterMs }),
  };
  return createClientCore({
    ...{ ...of, chance, requests, urls: urls.length },
    groups: of.cipher.groupKeys(),
    ...jitter,
  });
}
