// What the main thread may ask of the directory's worker: one row a verb, with its arguments and its answer.
import type { AccountId, DeviceAddress, DeviceNumber, Time, UserName } from "@lethe/protocol";
import type {
  AccountRecord,
  DeviceRecord,
  Directory,
  HeldPrekeys,
  Invite,
  PrekeyBundle,
  PrekeyUpload,
  TakePrekeys,
} from "../../directory.ts";
import type { Chore } from "../../local/chores.ts";
import type { StoreFailure } from "../../mailbox.ts";
import type {
  CapabilityMark,
  MediaId,
  MediaLedger,
  MediaQuota,
  MediaUpload,
  TokenChange,
} from "../../media.ts";
import type { OpenFault } from "./schema.ts";

type ResultOf<V extends keyof Directory> = Awaited<ReturnType<Directory[V]>>;
type MediaResultOf<V extends keyof MediaLedger> = Awaited<ReturnType<MediaLedger[V]>>;

/** The connections of all devices, packed: 18 bytes address, u64 epoch, u64 last seen for each. */
export interface LedgerContents {
  readonly positionMark: number;
  readonly retired: readonly string[];
  readonly connections: Uint8Array;
}

/** An account, or as many bytes of nobody. */
export interface AccountOrNobody {
  readonly isKnown: boolean;
  readonly record: AccountRecord;
}

export interface Calls {
  register: {
    args: [account: AccountRecord, invite: Uint8Array | undefined, now: Time];
    result: ResultOf<"register">;
  };
  accountOfName: { args: [name: UserName]; result: AccountId | undefined };
  account: { args: [account: AccountId]; result: AccountOrNobody };
  putDeviceList: {
    args: [
      account: AccountId,
      list: { version: number; deviceList: Uint8Array; devices: readonly DeviceRecord[] },
    ];
    result: ResultOf<"putDeviceList">;
  };
  putAccessKeyHash: { args: [account: AccountId, hash: Uint8Array]; result: ResultOf<"putAccessKeyHash"> };
  putHidesLastSeen: { args: [account: AccountId, hides: boolean]; result: ResultOf<"putHidesLastSeen"> };
  putPrekeys: { args: [address: DeviceAddress, upload: PrekeyUpload]; result: ResultOf<"putPrekeys"> };
  heldPrekeys: { args: [address: DeviceAddress]; result: HeldPrekeys | undefined };
  takePrekeys: { args: [take: TakePrekeys, now: Time]; result: PrekeyBundle | undefined };
  deleteAccount: { args: [account: AccountId]; result: readonly DeviceNumber[] | undefined };
  putInvite: { args: [invite: Invite, now: Time]; result: ResultOf<"putInvite"> };
  invites: { args: [now: Time]; result: readonly Invite[] };
  deleteInvite: { args: [mark: Uint8Array]; result: ResultOf<"deleteInvite"> };
  used: { args: [account: AccountId, now: Time]; result: undefined };
  dayPasses: { args: [now: Time]; result: undefined };
  idle: { args: [before: Time, count: number]; result: readonly AccountId[] };
  count: { args: []; result: number };

  beginMedia: { args: [upload: MediaUpload, quota: MediaQuota]; result: MediaResultOf<"begin"> };
  uploadedMedia: {
    args: [media: MediaId, uploadKey: CapabilityMark, now: Time];
    result: MediaResultOf<"upload">;
  };
  finishMedia: {
    args: [media: MediaId, uploadKey: CapabilityMark, now: Time];
    result: MediaResultOf<"finish">;
  };
  changeTokens: {
    args: [media: MediaId, uploadKey: CapabilityMark, change: TokenChange, now: Time];
    result: MediaResultOf<"tokens">;
  };
  withdrawMedia: {
    args: [media: MediaId, uploadKey: CapabilityMark, now: Time];
    result: MediaResultOf<"withdraw">;
  };
  downloadMedia: {
    args: [media: MediaId, token: CapabilityMark, now: Time];
    result: MediaResultOf<"download">;
  };
  releaseMedia: {
    args: [media: MediaId, token: CapabilityMark, now: Time];
    result: MediaResultOf<"release">;
  };
  endedMedia: { args: [now: Time, count: number]; result: readonly MediaId[] };
  forgetMedia: { args: [media: readonly MediaId[], now: Time]; result: undefined };
  knownMedia: { args: [media: readonly MediaId[]]; result: readonly boolean[] };
  leaveMedia: { args: [account: AccountId]; result: undefined };
  mediaTotals: { args: []; result: MediaResultOf<"totals"> };

  ledger: { args: []; result: LedgerContents };
  raisePositionMark: { args: [mark: number]; result: undefined };
  /** For each claim: whether the device is not retired. */
  claim: { args: [claims: readonly { address: DeviceAddress; epoch: number }[]]; result: readonly boolean[] };
  noteSeen: { args: [seen: readonly { address: DeviceAddress; at: Time }[]]; result: undefined };
  retire: { args: [address: DeviceAddress]; result: undefined };

  putChore: { args: [chore: { name: string; key: string; at: Time; payload: string }]; result: undefined };
  earliestChores: { args: [names: readonly string[], count: number]; result: readonly Chore[] };
  finishChore: { args: [chore: Chore]; result: undefined };
  postponeChore: { args: [chore: Chore, at: Time]; result: undefined };
}

export type Verb = keyof Calls;
export type Verbs = { readonly [V in Verb]: (...args: Calls[V]["args"]) => Calls[V]["result"] };

/** Verbs that delete for good: nothing of it is in the files within the forget bound. */
export const DELETING: ReadonlySet<Verb> = new Set<Verb>([
  "putDeviceList",
  "deleteAccount",
  "retire",
  "forgetMedia",
  "leaveMedia",
]);

export type Request = { readonly [V in Verb]: { readonly verb: V; readonly args: Calls[V]["args"] } }[Verb];
export type Reply =
  | { readonly is: "ok"; readonly value: Calls[Verb]["result"] }
  | { readonly is: "failed"; readonly code: StoreFailure["code"]; readonly message: string };

/** How far a pass over the database has come; "failed" is tried again later. */
export type ForgottenUpTo = number | "end" | "failed";

export type ToWorker =
  | { readonly is: "batch"; readonly requests: readonly Request[] }
  | { readonly is: "forget"; readonly from: number }
  | { readonly is: "close" };
export type FromWorker =
  | { readonly is: "open" }
  | { readonly is: "fault"; readonly fault: OpenFault }
  | { readonly is: "replies"; readonly replies: readonly Reply[] }
  | { readonly is: "forgotten"; readonly upTo: ForgottenUpTo }
  | { readonly is: "closed" };
