// Base64url without padding (RFC 4648, section 5), on what every platform has.
import { fromBytes } from "./ids.ts";

export function base64url(bytes: Uint8Array): string {
  return btoa(fromBytes(bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The bytes as a binary string, one character a byte; undefined where it is no base64url. */
export function fromBase64url(text: string): string | undefined {
  try {
    return atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return undefined;
  }
}
