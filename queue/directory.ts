// What the relay keeps of accounts: names, public keys, signed device lists, hashes of access keys, prekeys. All opaque
// to it but the keys that it checks logins with. Each verb is one transaction.
import type { AccountId, DeviceAddress, DeviceNumber, Time, UserName } from "@lethe/protocol";

export interface DeviceRecord {
  readonly device: DeviceNumber;
  /** Ed25519 public key, 32 bytes. */
  readonly signingKey: Uint8Array;
  readonly certificate: Uint8Array;
}

export interface AccountRecord {
  readonly account: AccountId;
  readonly name: UserName;
  /** Ed25519 public key, 32 bytes. */
  readonly accountKey: Uint8Array;
  /** BLAKE2b-256 of the delivery access key. */
  readonly accessKeyHash: Uint8Array;
  readonly listVersion: number;
  readonly deviceList: Uint8Array;
  /** In rising order of device numbers. */
  readonly devices: readonly DeviceRecord[];
  /** There where the person does not want others to see when they were last here. */
  readonly hidesLastSeen?: true;
}

export interface PublicPrekey {
  /** 8 bytes, content-addressed. */
  readonly id: Uint8Array;
  readonly bytes: Uint8Array;
}

export interface PrekeyUpload {
  readonly signed: PublicPrekey | undefined;
  readonly lastResort: PublicPrekey | undefined;
  readonly oneTime: readonly PublicPrekey[];
  readonly oneTimeKem: readonly PublicPrekey[];
  /** Delete the one-time keys that are not in this upload. */
  readonly replace: boolean;
}

export type Registration = "registered" | "same" | "name-taken" | "account-exists" | "invite-invalid";

export interface PrekeyBundle {
  readonly signed: PublicPrekey;
  readonly lastResort: PublicPrekey;
  readonly oneTime: PublicPrekey | undefined;
  readonly oneTimeKem: PublicPrekey | undefined;
}

export interface HeldPrekeys {
  readonly signed: Uint8Array | undefined;
  readonly lastResort: Uint8Array | undefined;
  readonly oneTime: readonly Uint8Array[];
  readonly oneTimeKem: readonly Uint8Array[];
}

export interface TakePrekeys {
  readonly address: DeviceAddress;
  /** 32 bytes that stand for who asks: within 10 minutes the same requester gets the same one-time keys. */
  readonly requester: Uint8Array;
  /** False: only the signed and last-resort keys, no one-time key is used up. */
  readonly oneTime: boolean;
}

/** Leave to register where a relay registers by invitation only. */
export interface Invite {
  /** First 16 bytes of BLAKE2b-256 of what the invited person was given. */
  readonly mark: Uint8Array;
  /** Registrations that are left. */
  readonly uses: number;
  readonly expires: Time;
}

/** Invites that are open at once, at most. */
export const MAX_INVITES = 10_000;

/**
 * Promises:
 * - D1 durable: what a verb has answered survives SIGKILL and power loss.
 * - D2 names: a name belongs to one account; registering the same account with the same content again is `same`.
 * - D3 lists: a device list is replaced only by one of the next version; devices that the new list lacks are returned
 *   as `removed` and their prekeys are gone.
 * - D4 prekeys once: a one-time prekey is handed to one requester only; an upload of an id that is held or was handed
 *   out changes nothing; taking with none left gives `undefined` for it.
 * - D5 repeat: the same requester asking for the same device within 10 minutes gets the same bundle.
 * - D6 deletion: after `deleteAccount` nothing of the account is in any answer, nor in the files one checkpoint later
 *   (`secure_delete`); its name may be registered again; its account id may not.
 * - D8 invites: a use is taken only by a registration that succeeds, in the same transaction, or held until it is known
 *   whether it did; none is left, or it has expired, or is unknown: `invite-invalid`, and nothing is registered.
 * - D9 idle: an account counts as used when it was registered, and when `used` was said of it, to the day. Days
 *   on which `dayPasses` was not said do not count: a relay that was away has not seen who was not there.
 * - D7 closed: as the mailbox's M13.
 *
 * A verb that could not be done (disk full or failing) rejects with a StoreFailedError.
 */
export interface Directory {
  /** With the mark of an invite, one of its uses is taken; the same registration again takes none. */
  register(account: AccountRecord, invite?: Uint8Array): Promise<Registration>;
  accountOfName(name: UserName): Promise<AccountId | undefined>;
  account(account: AccountId): Promise<AccountRecord | undefined>;
  putDeviceList(
    account: AccountId,
    list: { version: number; deviceList: Uint8Array; devices: readonly DeviceRecord[] },
  ): Promise<{ is: "put"; removed: readonly DeviceNumber[] } | { is: "conflict" } | { is: "no-account" }>;
  putAccessKeyHash(account: AccountId, hash: Uint8Array): Promise<"put" | "no-account">;
  putHidesLastSeen(account: AccountId, hides: boolean): Promise<"put" | "no-account">;
  putPrekeys(address: DeviceAddress, upload: PrekeyUpload): Promise<"put" | "too-many" | "no-device">;
  heldPrekeys(address: DeviceAddress): Promise<HeldPrekeys | undefined>;
  takePrekeys(take: TakePrekeys): Promise<PrekeyBundle | undefined>;
  /** Returns the addresses of the devices it had, undefined if there was no such account. */
  deleteAccount(account: AccountId): Promise<readonly DeviceAddress[] | undefined>;
  /** Adds an invite, or replaces the one with its mark. */
  putInvite(invite: Invite): Promise<"put" | "too-many">;
  /** Invites with uses left that have not expired, the earliest to expire first. */
  invites(): Promise<readonly Invite[]>;
  deleteInvite(mark: Uint8Array): Promise<"deleted" | "no-invite">;
  /** Notes that an account is in use today (days of UTC: no finer time is kept). */
  used(account: AccountId): Promise<void>;
  /** Said at least once on each day on which the relay runs. */
  dayPasses(): Promise<void>;
  /** Up to `count` accounts that were last used on a day before this time's. */
  idle(before: Time, count: number): Promise<readonly AccountId[]>;
  /** Number of accounts. */
  count(): Promise<number>;
}

/** How long a requester gets the same one-time keys again, ms. */
export const SAME_PREKEYS_MS = 600_000;

export type { Time };
