// One's own device list on its way to the relay. Always true: it goes with the certificate of each device that it names,
// until the relay has said that it has it; the same list again is fine.
import { base64url, type DeviceListRequest, PATHS } from "@lethe/protocol";
import { publicIdentity } from "@lethe/crypto";
import { LIST_PENDING, removeKey } from "./key-rows.ts";
import { publishedDevices } from "./own-devices.ts";
import type { KeeperConfig } from "./prekey-keeper.ts";

/** @throws ClientError */
export async function publishList({
  keys,
  ask,
  commit,
}: Pick<KeeperConfig, "keys" | "ask" | "commit">): Promise<void> {
  const { identity, own } = keys;
  const { deviceList, listVersion } = publicIdentity(identity);
  const request: DeviceListRequest = {
    deviceList: base64url(deviceList),
    version: listVersion,
    devices: publishedDevices(identity, own).map(({ device, signingKey, certificate }) => ({
      device,
      signingKey: base64url(signingKey),
      certificate: base64url(certificate),
    })),
  };
  await ask("PUT", PATHS.deviceList, request);
  // Issued again meanwhile: that one is still to be told.
  if (keys.identity.list !== identity.list) return;
  keys.listPending = false;
  await commit([removeKey("identity", LIST_PENDING)]);
}
