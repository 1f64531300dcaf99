// States of groups that accounts are still to be told, each over the ratchets with its devices. Always true: what is owed is
// durable with the state itself, and gone in the commit that has sealed it; nobody is told a seal key of a state that
// leaves them out.
import type { AccountId, DeviceAddress } from "@lethe/protocol";
import {
  equal,
  type GroupState,
  memberOf,
  parseGroupState,
  RETENTION_MS,
  Secret,
  tellState,
} from "@lethe/crypto";
import type { Contacts } from "../delivery/contacts.ts";
import type { StoredRows } from "../delivery/events.ts";
import type { LibraryMail } from "../delivery/library-mail.ts";
import type { Turn } from "../delivery/turn.ts";
import { put, remove, readTable } from "../delivery/rows.ts";
import { MAX_TELLINGS } from "./limits.ts";
import type { Reach } from "./reach.ts";
import { type Change, owedKey, type OwedRow, owedRow } from "./rows.ts";
import { encodeTelling, type GroupTelling } from "./told.ts";

export interface OwedParts {
  readonly reach: Reach;
  readonly mail: LibraryMail;
  readonly contacts: Contacts;
  /** This account's own access key and name. */
  readonly introduce: () => { readonly accessKey: Uint8Array; readonly name: string };
}

interface Owed {
  readonly state: GroupState;
  readonly row: OwedRow;
}

export interface Owing {
  readonly state: GroupState;
  readonly sealKey: Secret | undefined;
  readonly change: Change | undefined;
  readonly added: readonly AccountId[];
  readonly accounts: readonly AccountId[];
}

export class OwedStates {
  readonly #parts: OwedParts;
  readonly #owed = new Map<string, Owed>();
  #stirred = true;

  constructor(parts: OwedParts, rows: StoredRows) {
    this.#parts = parts;
    for (const [key, row] of readTable(rows, "group-owed", owedRow))
      this.#owed.set(key, { state: parseGroupState(row.state), row });
  }

  get isStirred(): boolean {
    return this.#stirred;
  }

  stir(): void {
    this.#stirred = this.#owed.size > 0;
  }

  /** What is owed of the same state already stays owed. */
  add(turn: Turn, { state, sealKey, change, added, accounts }: Owing): void {
    const known = this.#owed.get(owedKey(state.group, state.epoch));
    const same = known !== undefined && equal(known.state.hash, state.hash) ? known.row : undefined;
    const row: OwedRow = {
      format: "one",
      at: turn.now,
      state: state.bytes,
      sealKey: sealKey?.reveal(),
      change: change ?? same?.change,
      added: [...new Set([...(same?.added ?? []), ...added])],
      accounts: [...new Set([...(same?.accounts ?? []), ...accounts])],
    };
    this.#put(turn, { state, row });
    this.#stirred = true;
  }

  #put(turn: Turn, owed: Owed): void {
    const key = owedKey(owed.state.group, owed.state.epoch);
    if (owed.row.accounts.length === 0) {
      this.#owed.delete(key);
      turn.stage(remove("group-owed", key));
      return;
    }
    this.#owed.set(key, owed);
    turn.stage(put("group-owed", key, owedRow, owed.row));
  }

  /** The change that led to a state which has lost, if this device has made it: it is told to nobody any more. */
  lost(turn: Turn, state: GroupState): Change | undefined {
    const owed = this.#owed.get(owedKey(state.group, state.epoch));
    if (owed === undefined || !equal(owed.state.hash, state.hash)) return undefined;
    this.#put(turn, { ...owed, row: { ...owed.row, accounts: [] } });
    return owed.row.change;
  }

  /** Seals what can be sealed, as much as one step may; what is missing for the rest is asked for. */
  pump(turn: Turn): void {
    if (!this.#stirred) return;
    this.#stirred = false;
    let left = MAX_TELLINGS;
    for (const owed of this.#owed.values()) {
      const accounts = owed.row.accounts.filter((account) => {
        const sealed = left > 0 ? this.#tell(turn, owed, account) : "later";
        if (sealed === "later") return true;
        left -= sealed;
        return false;
      });
      if (left <= 0) this.#stirred = true;
      if (accounts.length < owed.row.accounts.length)
        this.#put(turn, { ...owed, row: { ...owed.row, accounts } });
    }
  }

  /** How many envelopes it took; "later" where something is missing. */
  #tell(turn: Turn, { state, row }: Owed, account: AccountId): number | "later" {
    const { reach } = this.#parts;
    const known = reach.account(turn, account);
    if (known === "nobody") return 0;
    if (known !== "known") return "later";
    const listed = reach.devices(account, turn.now);
    const states = listed.map((device) => reach.device(turn, device));
    if (states.includes("waits")) return "later";
    const devices = listed.filter((_, i) => states[i] === "ready");
    if (devices.length === 0) return states.length === 0 ? 0 : "later";
    const sealKey = row.sealKey === undefined ? undefined : new Secret(row.sealKey);
    if (sealKey === undefined && memberOf(state, account) !== undefined) return 0;
    const { accessKey, name } = this.#parts.introduce();
    const told = tellState(state, sealKey ?? new Secret(new Uint8Array(32)), account);
    const telling = encodeTelling({ kind: "state", accessKey, name, told });
    const keys = this.#keysFor(state, row, account);
    for (const device of devices) {
      if (!this.#say(turn, device, telling)) return "later";
      if (keys !== undefined && !this.#say(turn, device, encodeTelling(keys))) return "later";
    }
    return devices.length;
  }

  #say(turn: Turn, device: DeviceAddress, told: Uint8Array): boolean {
    return this.#parts.mail.control(turn, device, { kind: "group", told });
  }

  /** Whoever is new is told the access keys of all, as far as they are known; the others those of the new ones. */
  #keysFor(
    state: GroupState,
    { added }: OwedRow,
    account: AccountId,
  ): (GroupTelling & { kind: "keys" }) | undefined {
    if (memberOf(state, account) === undefined) return undefined;
    const whose = added.includes(account) ? state.members.map((member) => member.account) : added;
    const keys = whose.flatMap((each) => {
      const { accessKey } = this.#parts.contacts.of(each);
      return accessKey === undefined || each === account ? [] : [{ account: each, accessKey }];
    });
    return keys.length === 0 ? undefined : { kind: "keys", group: state.group, keys };
  }

  /** Nothing is owed of a group that this device has left behind, or that is too old to matter. */
  sweep(turn: Turn): void {
    for (const owed of this.#owed.values())
      if (turn.now - owed.row.at > RETENTION_MS)
        this.#put(turn, { ...owed, row: { ...owed.row, accounts: [] } });
    this.stir();
  }
}
