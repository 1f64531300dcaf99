// The store's data key, and what wraps it: a passphrase (scrypt, N = 2^17), or a key file that only its owner can read.
// Always true: the data key is never in the store's file in clear; a wrong passphrase is told from a damaged store.
import { randomBytes, scrypt } from "node:crypto";
import { chmod, open, readFile, stat } from "node:fs/promises";
import { xchachaOpen, xchachaSeal } from "@lethe/crypto";
import { NONCE_BYTES } from "./records.ts";
import { StoreError } from "./store.ts";

const KEY_BYTES = 32;
const SALT_BYTES = 16;
/** RFC 7914: N = 2^17, r = 8, p = 1 takes 128 MiB and about half a second. */
const SCRYPT = { N: 131_072, r: 8, p: 1, maxmem: 192 * 1024 * 1024 } as const;
const LABEL = Buffer.from("Lethe/store/v1/data-key");
const PASSPHRASE = 1;
const KEY_FILE = 2;
/** Permission bits of group and others. */
const OTHERS = 0o077;

export interface Unlocking {
  /** Undefined: a key file beside the store. */
  readonly passphrase: string | undefined;
  readonly keyFile: string;
  readonly storeId: Uint8Array;
}

/** A new data key, and its wrapping to keep. */
export async function makeDataKey(how: Unlocking): Promise<{ dataKey: Buffer; wrapped: Buffer }> {
  const dataKey = randomBytes(KEY_BYTES);
  const salt = randomBytes(SALT_BYTES);
  const kind = how.passphrase === undefined ? KEY_FILE : PASSPHRASE;
  const wrappingKey =
    how.passphrase === undefined ? await makeKeyFile(how.keyFile) : await stretch(how.passphrase, salt);
  const nonce = randomBytes(NONCE_BYTES);
  const ad = Buffer.concat([LABEL, how.storeId, Buffer.from([kind]), salt]);
  const sealed = xchachaSeal({ key: wrappingKey, nonce, ad: [ad] }, dataKey);
  wrappingKey.fill(0);
  return { dataKey, wrapped: Buffer.concat([Buffer.from([kind]), salt, nonce, sealed]) };
}

/** @throws StoreError wrong-passphrase, passphrase-needed, passphrase-unknown, key-file-missing, key-file-open, store-damaged */
export async function openDataKey(wrapped: Uint8Array, how: Unlocking): Promise<Buffer> {
  const kind = wrapped[0];
  const salt = wrapped.subarray(1, 1 + SALT_BYTES);
  const nonce = wrapped.subarray(1 + SALT_BYTES, 1 + SALT_BYTES + NONCE_BYTES);
  if (kind !== PASSPHRASE && kind !== KEY_FILE) throw new StoreError("store-version", "key wrapping");
  if (kind === PASSPHRASE && how.passphrase === undefined) throw new StoreError("passphrase-needed");
  if (kind === KEY_FILE && how.passphrase !== undefined) throw new StoreError("passphrase-unknown");
  const wrappingKey =
    kind === PASSPHRASE ? await stretch(how.passphrase ?? "", salt) : await readKeyFile(how.keyFile);
  const ad = Buffer.concat([LABEL, how.storeId, Buffer.from([kind]), salt]);
  const dataKey = xchachaOpen(
    { key: wrappingKey, nonce, ad: [ad] },
    wrapped.subarray(1 + SALT_BYTES + NONCE_BYTES),
  );
  wrappingKey.fill(0);
  if (dataKey !== undefined) return Buffer.from(dataKey);
  throw kind === PASSPHRASE
    ? new StoreError("wrong-passphrase")
    : new StoreError("store-damaged", "key file");
}

function stretch(passphrase: string, salt: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(passphrase.normalize("NFKC"), salt, KEY_BYTES, SCRYPT, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

/** Readable by its owner alone from the moment it exists, and on disk before the store depends on it. */
async function makeKeyFile(path: string): Promise<Buffer> {
  const key = randomBytes(KEY_BYTES);
  const file = await open(path, "w", 0o600);
  try {
    await file.writeFile(`${key.toString("hex")}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await chmod(path, 0o600);
  return key;
}

async function readKeyFile(path: string): Promise<Buffer> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new StoreError("key-file-missing", path);
  if (process.platform !== "win32" && (found.mode & OTHERS) !== 0)
    throw new StoreError("key-file-open", path);
  const key = Buffer.from((await readFile(path, "utf8")).trim(), "hex");
  if (key.length !== KEY_BYTES) throw new StoreError("store-damaged", "key file");
  return key;
}
