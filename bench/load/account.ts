// Accounts for the load: registered over HTTP as any client does it, with real device signatures. Certificate and device
// list are random bytes, which are all that a relay can see in them.
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { blake2b, ready } from "@lethe/crypto";
import {
  type AccountId,
  AUTHORIZATION_SCHEME,
  addressOf,
  type DeviceAddress,
  type DeviceNumber,
  encode,
  fromBytes,
  PATHS,
  type RegisterRequest,
  requestTuple,
  signedBytes,
  type Time,
  toHex,
} from "@lethe/protocol";
import { RELAY_NAME } from "../harness/server.ts";

export interface Account {
  readonly id: AccountId;
  readonly device: DeviceNumber;
  readonly address: DeviceAddress;
  readonly accessKey: Uint8Array;
  readonly signingKey: KeyObject;
  /** Raised before every connection of the device. */
  epoch: number;
}

export const LIST_VERSION = 1;
/** Registrations under way at once. */
const AT_ONCE = 16;

/** Registers `count` accounts of one device each. */
export async function register(url: URL, count: number): Promise<Account[]> {
  await ready();
  const accounts: Account[] = [];
  const failed: unknown[] = [];
  const worker = async (): Promise<void> => {
    while (accounts.length < count && failed.length === 0) {
      const account = newAccount();
      accounts.push(account);
      await post(url, account).catch((error: unknown) => failed.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, worker));
  if (failed.length > 0) throw failed[0]; // once nothing is under way any more: who catches it ends the server
  return accounts;
}

function newAccount(): Account {
  const id = fromBytes<AccountId>(randomBytes(16));
  const device = 1 as DeviceNumber;
  return {
    id,
    device,
    address: addressOf(id, device),
    accessKey: randomBytes(16),
    signingKey: generateKeyPairSync("ed25519").privateKey,
    epoch: 0,
  };
}

async function post(url: URL, account: Account): Promise<void> {
  const body = Buffer.from(JSON.stringify(registration(account)));
  const response = await fetch(new URL(PATHS.accounts, url), {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: authorization(account, "POST", PATHS.accounts, body),
    },
    body,
  });
  if (response.status !== 201)
    throw new Error(`registration answered ${response.status}: ${await response.text()}`);
  await response.arrayBuffer();
}

function registration(account: Account): RegisterRequest {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url");
  return {
    name: `bench-${toHex(account.id).slice(0, 24)}`,
    account: toHex(account.id),
    accountKey: text(randomBytes(32)),
    device: account.device,
    signingKey: publicKey(account.signingKey),
    certificate: text(randomBytes(256)),
    deviceList: text(randomBytes(256)),
    listVersion: LIST_VERSION,
    accessKeyHash: text(blake2b(32, account.accessKey)),
  };
}

function publicKey(key: KeyObject): string {
  const { x } = key.export({ format: "jwk" });
  if (x === undefined) throw new Error("not an Ed25519 key");
  return x;
}

/** The header of a signed request, clause H-SIGN. */
export function authorization(account: Account, method: string, path: string, body: Uint8Array): string {
  const time = Date.now() as Time;
  const nonce = randomBytes(16);
  const tuple = encode(requestTuple, {
    relay: RELAY_NAME,
    method,
    path,
    account: account.id,
    device: account.device,
    time,
    nonce,
    bodyHash: createHash("sha512").update(body).digest(),
  });
  const signature = sign(null, signedBytes("request", tuple), account.signingKey);
  return `${AUTHORIZATION_SCHEME} account=${toHex(account.id)},device=${account.device},time=${time},nonce=${nonce.toString("base64url")},signature=${signature.toString("base64url")}`;
}
