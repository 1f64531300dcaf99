// What a request for media shows in place of a signature (clause M-CAPABILITY). Always true: 32 bytes have one spelling, and
// only their mark is used and compared.
import { CAPABILITY_BYTES, MEDIA_SCHEME, Refusal } from "@lethe/protocol";
import type { CapabilityMark } from "@lethe/queue";
import { capabilityMarkOf } from "../blake2b.ts";

const HEADER = /^LetheMedia ([A-Za-z0-9_-]{43})$/;

/** @throws Refusal unauthorized */
export function capabilityOf(header: string | undefined): CapabilityMark {
  const text = HEADER.exec(header ?? "")?.[1] ?? "";
  const capability = Buffer.from(text, "base64url");
  if (capability.length !== CAPABILITY_BYTES || capability.toString("base64url") !== text)
    throw new Refusal("unauthorized", `a ${MEDIA_SCHEME} authorization header is needed`);
  return capabilityMarkOf(capability);
}
