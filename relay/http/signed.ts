// Requests that a device has signed: header, clock, replay, signature. Always true: a request that passes here was
// signed by the key given, for this relay, method, path and body, within the skew, and was not seen before.
import { createHash } from "node:crypto";
import {
  ID_BYTES,
  type AccountId,
  AUTHORIZATION_SCHEME,
  type DeviceNumber,
  encode,
  fromHex,
  MAX_REQUEST_SKEW_MS,
  Refusal,
  requestTuple,
  signedBytes,
  type Time,
} from "@lethe/protocol";
import { verifies } from "../edge/verifying.ts";

export interface Signed {
  readonly account: AccountId;
  readonly device: DeviceNumber;
  readonly time: Time;
  readonly nonce: Buffer;
  readonly signature: Buffer;
}

const HEADER =
  /^Lethe account=([0-9a-f]{32}),device=([1-9][0-9]{0,4}),time=([0-9]{1,15}),nonce=([A-Za-z0-9_-]{22}),signature=([A-Za-z0-9_-]{86})$/;

/** The header's parts. @throws Refusal unauthorized */
export function parseAuthorization(header: string | undefined): Signed {
  const found = header === undefined ? null : HEADER.exec(header);
  if (found === null)
    throw new Refusal("unauthorized", `an ${AUTHORIZATION_SCHEME} authorization header is needed`);
  const [, account = "", device = "", time = "", nonce = "", signature = ""] = found;
  const number = Number(device);
  if (number > 65_535) throw new Refusal("unauthorized", "no such device number");
  return {
    account: fromHex<AccountId>(account, ID_BYTES),
    device: number as DeviceNumber,
    time: Number(time) as Time,
    nonce: Buffer.from(nonce, "base64url"),
    signature: Buffer.from(signature, "base64url"),
  };
}

/** Nonces remembered at most; beyond it signed requests are refused until old ones have passed. */
export const MAX_NONCES = 100_000;
/** Of one account: nobody who asks all the time keeps others from asking. */
export const MAX_NONCES_OF_ACCOUNT = 1_000;

export class SignatureCheck {
  readonly #relay: string;
  readonly #now: () => number;
  /** In the order in which they end. */
  readonly #seen = new Map<string, { readonly account: AccountId; readonly until: number }>();
  readonly #each = new Map<AccountId, number>();

  constructor(relay: string, now: () => number) {
    this.#relay = relay;
    this.#now = now;
  }

  /** @throws Refusal clock-skew, unauthorized, replayed, rate-limited */
  async check(
    signed: Signed,
    key: Uint8Array | undefined,
    method: string,
    path: string,
    body: Uint8Array,
  ): Promise<void> {
    const now = this.#now();
    if (Math.abs(now - signed.time) > MAX_REQUEST_SKEW_MS) throw new Refusal("clock-skew");
    const tuple = encode(requestTuple, {
      relay: this.#relay,
      method,
      path,
      account: signed.account,
      device: signed.device,
      time: signed.time,
      nonce: signed.nonce,
      bodyHash: createHash("sha512").update(body).digest(),
    });
    const isRight = await verifies(key, signedBytes("request", tuple), signed.signature);
    if (!isRight) throw new Refusal("unauthorized");
    this.#once(signed, now);
  }

  #once({ account, nonce }: Signed, now: number): void {
    this.#forget(now);
    const key = account + nonce.toString("latin1");
    if (this.#seen.has(key)) throw new Refusal("replayed");
    const each = this.#each.get(account) ?? 0;
    if (each >= MAX_NONCES_OF_ACCOUNT || this.#seen.size >= MAX_NONCES)
      throw new Refusal("rate-limited", undefined, MAX_REQUEST_SKEW_MS);
    this.#seen.set(key, { account, until: now + 2 * MAX_REQUEST_SKEW_MS });
    this.#each.set(account, each + 1);
  }

  #forget(now: number): void {
    for (const [key, { account, until }] of this.#seen) {
      if (until > now) return;
      this.#seen.delete(key);
      const each = (this.#each.get(account) ?? 0) - 1;
      if (each > 0) this.#each.set(account, each);
      else this.#each.delete(account);
    }
  }
}
