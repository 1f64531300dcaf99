// The rows of one's own devices: certificates of the others, the highest number ever given out, what of a linking or a
// removal is under way. Always true: what is here is in the store, or in the commit that was called last.
import {
  decodeAll,
  type DeviceNumber,
  deviceNumber,
  encode,
  oneOf,
  struct,
  type Time,
  time,
  u16,
} from "@lethe/protocol";
import { certificateHash, equal, type Identity, parseCertificate } from "@lethe/crypto";
import type { Row, Write } from "../delivery/events.ts";

/** Certificates stand in a table of their own, by device number. */
export const CERTIFICATES = "own-certificate";

/** Under these keys of the table `identity`. */
const HIGHEST = "highest-device";
const LINKING = "linking-pending";
const LOCK_OUT = "lock-out-pending";

const highestRow = struct({ device: u16 });
const linkingRow = struct({ device: deviceNumber, until: time, granted: oneOf({ no: 0, yes: 1 }) });

/** A device that is in the list and has not been at the relay yet. */
export interface LinkingPending {
  readonly device: DeviceNumber;
  /** If it has not come by then, it cannot any more. */
  readonly until: Time;
  /** Whether what makes it one of the account may have left this device. */
  readonly granted: boolean;
}

export interface OwnDevices {
  readonly certificates: Map<DeviceNumber, Uint8Array>;
  /** Given out, whether or not it came into a list; 0 where none was. */
  highest: number;
  linking: LinkingPending | undefined;
  /** A device was removed, and contacts are not told of a new access key yet. */
  lockOut: boolean;
}

export function noOwnDevices(): OwnDevices {
  return { certificates: new Map(), highest: 0, linking: undefined, lockOut: false };
}

export function loadOwnDevices(identity: readonly Row[], certificates: readonly Row[]): OwnDevices {
  const row = (key: string): Uint8Array | undefined => identity.find((each) => each.key === key)?.value;
  const [highest, linking] = [row(HIGHEST), row(LINKING)];
  const pending = linking === undefined ? undefined : decodeAll(linkingRow, linking);
  return {
    certificates: new Map(certificates.map(({ key, value }) => [Number(key) as DeviceNumber, value])),
    highest: highest === undefined ? 0 : decodeAll(highestRow, highest).device,
    linking: pending === undefined ? undefined : { ...pending, granted: pending.granted === "yes" },
    lockOut: row(LOCK_OUT) !== undefined,
  };
}

export function putCertificate(own: OwnDevices, device: DeviceNumber, bytes: Uint8Array): Write {
  own.certificates.set(device, bytes);
  return { table: CERTIFICATES, key: String(device), value: bytes };
}

export function removeCertificate(own: OwnDevices, device: DeviceNumber): Write {
  own.certificates.delete(device);
  return { table: CERTIFICATES, key: String(device), value: undefined };
}

export function putHighest(own: OwnDevices, device: DeviceNumber): Write {
  own.highest = device;
  return { table: "identity", key: HIGHEST, value: encode(highestRow, { device }) };
}

export function putLinking(own: OwnDevices, linking: LinkingPending | undefined): Write {
  own.linking = linking;
  const value =
    linking === undefined
      ? undefined
      : encode(linkingRow, { ...linking, granted: linking.granted ? "yes" : "no" });
  return { table: "identity", key: LINKING, value };
}

export function putLockOut(own: OwnDevices, pending: boolean): Write {
  own.lockOut = pending;
  return { table: "identity", key: LOCK_OUT, value: pending ? new Uint8Array() : undefined };
}

/** The certificates of one's own devices as the relay has them: those that the list names, and that are not known. */
export function learnCertificates(
  own: OwnDevices,
  { list, certificate }: Pick<Identity, "list" | "certificate">,
  certificates: readonly Uint8Array[],
): Write[] {
  return certificates.flatMap((bytes) => {
    const hash = certificateHash(bytes);
    const device = list.devices.find((listed) => equal(listed.certificateHash, hash))?.device;
    if (device === undefined || device === certificate.device || own.certificates.has(device)) return [];
    return [putCertificate(own, device, bytes)];
  });
}

/** What the relay is told of each device of the list. @throws Error where a certificate is not known */
export function publishedDevices({ list, certificate, certificateBytes }: Identity, own: OwnDevices) {
  return list.devices.map(({ device }) => {
    const bytes = device === certificate.device ? certificateBytes : own.certificates.get(device);
    if (bytes === undefined) throw new Error(); // the certificate of a listed device is not known
    return { device, signingKey: parseCertificate(bytes).signingKey, certificate: bytes };
  });
}
