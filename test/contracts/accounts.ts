// Accounts, prekeys and small words for the directory's tests.
import { randomBytes } from "node:crypto";
import {
  type AccountId,
  addressOf,
  type DeviceAddress,
  type DeviceNumber,
  type UserName,
} from "@lethe/protocol";
import type {
  AccountRecord,
  DeviceRecord,
  Directory,
  PrekeyBundle,
  PrekeyUpload,
  PublicPrekey,
} from "@lethe/queue";
import { expect } from "vitest";

export const FIRST = 1 as DeviceNumber;
let counter = 0;

export function aDevice(device = 1): DeviceRecord {
  return { device: device as DeviceNumber, signingKey: randomBytes(32), certificate: randomBytes(200) };
}

export function anAccount(devices: readonly DeviceRecord[] = [aDevice()]): AccountRecord {
  return {
    account: randomBytes(16).toString("latin1") as AccountId,
    name: `user-${++counter}-${randomBytes(8).toString("hex")}` as UserName,
    accountKey: randomBytes(32),
    accessKeyHash: randomBytes(32),
    listVersion: 1,
    deviceList: randomBytes(150),
    devices,
  };
}

export function aPrekey(): PublicPrekey {
  return { id: randomBytes(8), bytes: randomBytes(100) };
}

export function anUpload(oneTime = 3, replace = false): PrekeyUpload {
  const some = () => Array.from({ length: oneTime }, aPrekey);
  return { signed: aPrekey(), lastResort: aPrekey(), oneTime: some(), oneTimeKem: some(), replace };
}

export const NOTHING: PrekeyUpload = {
  signed: undefined,
  lastResort: undefined,
  oneTime: [],
  oneTimeKem: [],
  replace: false,
};

export async function registered(directory: Directory, account = anAccount()): Promise<DeviceAddress> {
  expect(await directory.register(account)).toBe("registered");
  return addressOf(account.account, account.devices[0]?.device ?? FIRST);
}

export async function take(
  directory: Directory,
  address: DeviceAddress,
  requester = randomBytes(32),
): Promise<PrekeyBundle> {
  const bundle = await directory.takePrekeys({ address, requester, oneTime: true });
  if (bundle === undefined) throw new Error("no bundle");
  return plain(bundle);
}

/** The same value with plain buffers, so that it can be compared whoever made the bytes. */
export function plain<Value>(value: Value): Value {
  if (value instanceof Uint8Array) return Buffer.from(value) as Value;
  if (Array.isArray(value)) return value.map(plain) as Value;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)])) as Value;
}
