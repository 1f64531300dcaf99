// Whether a registration is one that is known already: everything that was registered is the same, to the byte.
import type { AccountRecord, DeviceRecord } from "./directory.ts";

export function isSameAccount(a: AccountRecord, b: AccountRecord): boolean {
  const devices = b.devices.toSorted((x, y) => x.device - y.device);
  return (
    a.name === b.name &&
    a.listVersion === b.listVersion &&
    equal(a.accountKey, b.accountKey) &&
    equal(a.accessKeyHash, b.accessKeyHash) &&
    equal(a.deviceList, b.deviceList) &&
    a.devices.length === devices.length &&
    a.devices.every((device, i) => isSameDevice(device, devices[i]))
  );
}

function isSameDevice(a: DeviceRecord, b: DeviceRecord | undefined): boolean {
  return (
    b !== undefined &&
    a.device === b.device &&
    equal(a.signingKey, b.signingKey) &&
    equal(a.certificate, b.certificate)
  );
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
