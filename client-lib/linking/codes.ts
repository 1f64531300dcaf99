// From a step of the cryptography that says no to what an application is told.
import type { NewDeviceRefusal, PrimaryRefusal } from "@lethe/crypto";
import { ClientError, type ClientErrorCode } from "../errors.ts";

/** What is not here says that somebody or something in between has changed what was said. */
const TOLD: Readonly<Partial<Record<NewDeviceRefusal | PrimaryRefusal, ClientErrorCode>>> = {
  expired: "linking-expired",
  used: "linking-expired",
  "other-version": "linking-version",
  "other-relay": "linking-other-relay",
  "too-many-devices": "too-many-devices",
  "device-number-used": "too-many-devices",
};

export function refusedBy(code: NewDeviceRefusal | PrimaryRefusal): ClientError {
  return new ClientError(TOLD[code] ?? "linking-refused", code);
}
