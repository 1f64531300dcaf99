// A second device of an account, as linking leaves it: its store, the primary's with the new list, and the list at the relay.
import {
  type AccountId,
  base64url,
  type DeviceListRequest,
  type DeviceNumber,
  PATHS,
  type Time,
} from "@lethe/protocol";
import { openMemoryStore, systemClock } from "@lethe/client";
import { RelayHttp } from "../../client-lib/edge/relay-http.ts";
import { OWN, putKey } from "../../client-lib/keys/key-rows.ts";
import { firstPrekeys, putPrekeys } from "../../client-lib/keys/prekey-keeper.ts";
import type { ClientStore } from "../../client-lib/store/store.ts";
import { decodeIdentity, encodeIdentity, type Identity, signAsDevice } from "../../crypto/index.ts";
import { systemRandom } from "../../crypto/random.ts";
import { linkDevice } from "../crypto/linking-support.ts";

/** A store in memory that a client may close and another open again. */
export function lastingStore(): ClientStore {
  const store = openMemoryStore();
  return {
    get: (table, key) => store.get(table, key),
    list: (table) => store.list(table),
    commit: (writes) => store.commit(writes),
    close: () => Promise.resolve(),
  };
}

async function identityIn(store: ClientStore): Promise<Identity> {
  return decodeIdentity((await store.get("identity", OWN)) ?? new Uint8Array());
}

/** The relay has the account's list as it is in the primary device's store. */
async function publish(relay: string, primary: Identity, others: readonly Identity[]): Promise<void> {
  const listed = [primary, ...others].map((identity) => ({
    device: identity.certificate.device,
    signingKey: base64url(identity.certificate.signingKey),
    certificate: base64url(identity.certificateBytes),
  }));
  const { bytes, version } = primary.list;
  const request: DeviceListRequest = { deviceList: base64url(bytes), version, devices: listed };
  const http = new RelayHttp({ urls: [relay], clock: systemClock, random: systemRandom });
  const { account, device } = primary.certificate;
  const signer = {
    account: account as AccountId,
    device: device as DeviceNumber,
    sign: (tuple: Uint8Array) => signAsDevice(primary, "request", tuple),
  };
  await http.signed("PUT", PATHS.deviceList, request, signer, await http.name());
}

/** Links device 2. The primary device's client is closed meanwhile. */
export async function linkStore(relay: string, primary: ClientStore): Promise<ClientStore> {
  const before = await identityIn(primary);
  const now = Date.now() as Time;
  const random = { ...systemRandom, bytes: (n: number) => systemRandom.bytes(n), below: () => 0 };
  const { after, linked } = linkDevice(before, 2 as DeviceNumber, random, now);
  const store = lastingStore();
  const owner = await primary.get("owner", "owner");
  await store.commit([
    { table: "owner", key: "owner", value: owner },
    putKey("identity", OWN, encodeIdentity(linked)),
    ...putPrekeys(firstPrekeys(linked, systemRandom, now)),
  ]);
  await primary.commit([putKey("identity", OWN, encodeIdentity(after))]);
  await publish(relay, after, [linked]);
  return store;
}

/** The list without device 2, at the relay and in the primary device's store, whose client is closed. */
export async function unlinkStore(
  relay: string,
  primary: ClientStore,
  without: (identity: Identity) => Identity,
): Promise<void> {
  const after = without(await identityIn(primary));
  await primary.commit([putKey("identity", OWN, encodeIdentity(after))]);
  await publish(relay, after, []);
}
