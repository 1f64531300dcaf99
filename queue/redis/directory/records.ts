// An account as fields of a Redis hash, and back. A device's value is its signing key with its certificate behind it.
import type { AccountId, DeviceNumber, UserName } from "@lethe/protocol";
import type { AccountRecord, DeviceRecord } from "../../directory.ts";
import { deviceField } from "./keys.ts";

const KEY_BYTES = 32;
/** Bytes of what an account with one device has: a name, a signed list, a certificate. */
const TYPICAL = { name: 12, deviceList: 256, certificate: 192 } as const;

export interface KnownAccount {
  readonly record: AccountRecord;
  /** The attempt that registered it. */
  readonly attempt: Buffer;
}

export function fieldsOf(record: AccountRecord): (string | Buffer)[] {
  const { name, accountKey, accessKeyHash, listVersion, deviceList, devices } = record;
  const own = ["n", name, "k", bytes(accountKey), "h", bytes(accessKeyHash), "v", String(listVersion)];
  return [...own, "l", bytes(deviceList), ...devices.flatMap(deviceFields)];
}

export function deviceFields({ device, signingKey, certificate }: DeviceRecord): Buffer[] {
  return [deviceField(device), Buffer.concat([signingKey, certificate])];
}

/** Fields of the shape of an account's that nobody has. */
export function nobodysFields(): (string | Buffer)[] {
  const device = { device: 0 as DeviceNumber, signingKey: Buffer.alloc(KEY_BYTES) };
  return [
    "r",
    Buffer.alloc(8),
    ...fieldsOf({
      account: "" as AccountId,
      name: "-".repeat(TYPICAL.name) as UserName,
      accountKey: Buffer.alloc(KEY_BYTES),
      accessKeyHash: Buffer.alloc(KEY_BYTES),
      listVersion: 0,
      deviceList: Buffer.alloc(TYPICAL.deviceList),
      devices: [{ ...device, certificate: Buffer.alloc(TYPICAL.certificate) }],
    }),
  ];
}

export function knownAccountOf(account: AccountId, fields: readonly Buffer[]): KnownAccount {
  const values = new Map<string, Buffer>();
  for (let i = 0; i + 1 < fields.length; i += 2)
    values.set((fields[i] as Buffer).toString("latin1"), fields[i + 1] as Buffer);
  const value = (field: string): Buffer => values.get(field) ?? Buffer.alloc(0);
  const record: AccountRecord = {
    account,
    name: value("n").toString("latin1") as UserName,
    accountKey: value("k"),
    accessKeyHash: value("h"),
    listVersion: Number(value("v").toString("latin1")),
    deviceList: value("l"),
    devices: devicesOf(values),
    ...(values.has("p") ? { hidesLastSeen: true as const } : {}),
  };
  return { record, attempt: value("r") };
}

function devicesOf(values: ReadonlyMap<string, Buffer>): DeviceRecord[] {
  const devices: DeviceRecord[] = [];
  for (const [field, value] of values) {
    if (!field.startsWith("d")) continue;
    const device = (field.charCodeAt(1) * 256 + field.charCodeAt(2)) as DeviceNumber;
    devices.push({
      device,
      signingKey: value.subarray(0, KEY_BYTES),
      certificate: value.subarray(KEY_BYTES),
    });
  }
  return devices.sort((a, b) => a.device - b.device);
}

function bytes(view: Uint8Array): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}
