// Signatures of devices, checked by WebCrypto: on the thread pool, so that many logins at once hold up nobody's mail.
// Always true: an unknown key costs what a known one costs, and opens nothing.

/** RFC 8032 section 7.1, test 1: somebody's public key, for those who have none on record. */
const DECOY = Uint8Array.from(
  Buffer.from("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "hex"),
);

/** RFC 8032 verification. False for anything that is not a valid signature by a key that is there. */
export async function verifies(
  key: Uint8Array | undefined,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const { subtle } = globalThis.crypto;
  try {
    const imported = await subtle.importKey("raw", bytesOf(key ?? DECOY), "Ed25519", false, ["verify"]);
    const isValid = await subtle.verify("Ed25519", imported, bytesOf(signature), bytesOf(message));
    return isValid && key !== undefined;
  } catch {
    return false; // 32 bytes that are no point of the curve
  }
}

/** WebCrypto takes no view of shared memory; none of ours is one. */
function bytesOf(view: Uint8Array): Uint8Array<ArrayBuffer> {
  return view as Uint8Array<ArrayBuffer>;
}
