// Who is who, as the person has found: compared safety numbers, and names that came to belong to another account.
// Always true: an account's key never changes under its id; a name that moves to another account keeps standing for the
// old one until the person decides, and if that one was verified nothing is sent under the name before. What a contact
// link says of an account's key is durable before anything is asked or sent.
import type { AccountId } from "@lethe/protocol";
import { accountFingerprint, compareSafetyCode, equal, type SafetyNumber, safetyNumber } from "@lethe/crypto";
import type { Write } from "../delivery/events.ts";
import { ClientError } from "../errors.ts";
import {
  type KeyState,
  type LinkedAccount,
  putLinked,
  putTrust,
  removeKey,
  type TrustedAccount,
} from "./key-rows.ts";
import type { PairwiseCipher } from "./pairwise-cipher.ts";

export interface TrustConfig {
  readonly keys: KeyState;
  readonly cipher: Pick<PairwiseCipher, "accountKey">;
  /** Durable when it resolves. */
  readonly commit: (writes: readonly Write[]) => Promise<void>;
}

const NOTHING: TrustedAccount = { verified: undefined, successor: undefined };

export class Trust {
  readonly #config: TrustConfig;

  constructor(config: TrustConfig) {
    this.#config = config;
  }

  #of(account: AccountId): TrustedAccount {
    return this.#config.keys.trust.get(account) ?? NOTHING;
  }

  async #set(account: AccountId, trust: TrustedAccount): Promise<void> {
    this.#config.keys.trust.set(account, trust);
    await this.#config.commit([putTrust(account, trust)]);
  }

  /** @throws ClientError keys-unknown */
  #key(account: AccountId): Uint8Array {
    const key = this.#config.cipher.accountKey(account);
    if (key === undefined) throw new ClientError("keys-unknown");
    return key;
  }

  /** @throws ClientError keys-unknown */
  number(account: AccountId): SafetyNumber {
    const { account: own, accountKey } = this.#config.keys.identity.certificate;
    return safetyNumber({ account: own, accountKey }, { account, accountKey: this.#key(account) });
  }

  /** The person has compared the number, or scanned the peer's code. @throws ClientError keys-unknown, safety-number-differs */
  async verify(account: AccountId, scanned: Uint8Array | undefined): Promise<void> {
    const { code } = this.number(account);
    if (scanned !== undefined && compareSafetyCode(code, scanned) !== "same")
      throw new ClientError("safety-number-differs");
    await this.#set(account, { ...this.#of(account), verified: this.#key(account) });
  }

  /** The fingerprint of the account's key, as far as anything is known of it. */
  #fingerprint(account: AccountId): Uint8Array | undefined {
    const pinned = this.#config.cipher.accountKey(account);
    return pinned === undefined
      ? this.#config.keys.linked.get(account)?.fingerprint
      : accountFingerprint(pinned);
  }

  /** What a card of the account says of its key. @throws ClientError keys-unknown */
  fingerprint(account: AccountId): Uint8Array {
    const fingerprint = this.#fingerprint(account);
    if (fingerprint === undefined) throw new ClientError("keys-unknown");
    return fingerprint;
  }

  /**
   * From now on no other key than the link's is believed for its account. What a third person's card has said, which has no
   * access key, gives way to the account's own link while its key was not seen. @throws ClientError account-key-changed
   */
  async expect({
    account,
    fingerprint,
    accessKey,
  }: LinkedAccount & { readonly account: AccountId }): Promise<void> {
    const { keys, cipher, commit } = this.#config;
    const before = keys.linked.get(account)?.accessKey;
    const known = this.#fingerprint(account);
    const givesWay =
      cipher.accountKey(account) === undefined && before === undefined && accessKey !== undefined;
    if (known !== undefined && !givesWay && !equal(known, fingerprint))
      throw new ClientError("account-key-changed");
    const linked = { fingerprint, accessKey: accessKey ?? before };
    keys.linked.set(account, linked);
    await commit([putLinked(account, linked)]);
  }

  /** The access key that the last contact link of an account has given. */
  linkedKey(account: AccountId): Uint8Array | undefined {
    return this.#config.keys.linked.get(account)?.accessKey;
  }

  isVerified(account: AccountId): boolean {
    const { verified } = this.#of(account);
    const key = this.#config.cipher.accountKey(account);
    return verified !== undefined && key !== undefined && equal(verified, key);
  }

  /** Nothing is sent: the account was verified, and its name is another's now. */
  blocks(account: AccountId): boolean {
    const { verified, successor } = this.#of(account);
    return verified !== undefined && successor !== undefined;
  }

  successor(account: AccountId): AccountId | undefined {
    return this.#of(account).successor;
  }

  /** The directory gives the account's name to another one. */
  moved(account: AccountId, successor: AccountId): Promise<void> {
    return this.#set(account, { ...this.#of(account), successor });
  }

  /** The person takes the successor for what it is: somebody new. */
  async forget(account: AccountId): Promise<void> {
    this.#config.keys.trust.delete(account);
    await this.#config.commit([removeKey("trust", account)]);
  }
}
