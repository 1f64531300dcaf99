// Who this account knows: what was decided about them, their delivery access key, their name.
// Always true: a decision, a key or a found name is durable in the commit of whatever taught it.
import type { AccountId, DeviceNumber, Time } from "@lethe/protocol";
import type { Decision, StoredRows } from "./events.ts";
import type { Made } from "./own-notes.ts";
import { type ContactRow, contactRow, put, readTable } from "./rows.ts";
import type { Turn } from "./turn.ts";

const STRANGER: ContactRow = {
  decision: "none",
  accessKey: undefined,
  name: undefined,
  nameFrom: "claimed",
  at: 0 as Time,
  by: 0,
};

export class Contacts {
  readonly #rows = new Map<AccountId, ContactRow>();
  readonly #self: AccountId;
  readonly #device: DeviceNumber;
  /** Changed by the person, on this device: to be told to the others. */
  readonly #changed = new Set<AccountId>();

  constructor({ self, device }: { self: AccountId; device: DeviceNumber }, rows: StoredRows) {
    this.#self = self;
    this.#device = device;
    for (const [key, row] of readTable(rows, "contact", contactRow)) this.#rows.set(key as AccountId, row);
  }

  of(account: AccountId): Readonly<ContactRow> {
    return this.#rows.get(account) ?? STRANGER;
  }

  /** Whose libraries ours talks to: contacts', and those of one's own other devices. */
  trusts(account: AccountId): boolean {
    return account === this.#self || this.of(account).decision === "accepted";
  }

  /** Whether mail can go to an account without being a request: with its access key, or to one's own. */
  reaches(account: AccountId): boolean {
    return account === this.#self || this.of(account).accessKey !== undefined;
  }

  all(): ReadonlyMap<AccountId, Readonly<ContactRow>> {
    return this.#rows;
  }

  /** `made`: elsewhere, or of itself, which any decision of the person overrides; otherwise here and now. */
  decide(turn: Turn, account: AccountId, decision: Decision, made?: Made): void {
    const { at, by } = made ?? { at: Math.max(turn.now, this.of(account).at + 1), by: this.#device };
    this.#change(turn, account, { decision, at: at as Time, by });
    if (made === undefined) this.changed(account);
  }

  changed(account: AccountId): void {
    this.#changed.add(account);
  }

  takeChanged(): AccountId[] {
    const changed = [...this.#changed];
    this.#changed.clear();
    return changed;
  }

  /** True: the key is another than the one known. */
  learnKey(turn: Turn, account: AccountId, accessKey: Uint8Array): boolean {
    const known = this.of(account).accessKey;
    if (known !== undefined && known.every((byte, i) => byte === accessKey[i])) return false;
    this.#change(turn, account, { accessKey: accessKey.slice() });
    return true;
  }

  /** A name that the account gives itself counts only until one was found. */
  claim(turn: Turn, account: AccountId, name: string): void {
    const known = this.of(account);
    if (known.nameFrom === "found" || known.name === name) return;
    this.#change(turn, account, { name, nameFrom: "claimed" });
  }

  /** A name is one account's: whoever had it before only claims it now. */
  named(turn: Turn, account: AccountId, name: string, where: "here" | "elsewhere"): void {
    for (const [other, row] of this.#rows)
      if (other !== account && row.name === name && row.nameFrom === "found")
        this.#change(turn, other, { nameFrom: "claimed" });
    this.#change(turn, account, { name, nameFrom: "found" });
    if (where === "here") this.changed(account);
  }

  #change(turn: Turn, account: AccountId, change: Partial<ContactRow>): void {
    const row = { ...this.of(account), ...change };
    this.#rows.set(account, row);
    turn.stage(put("contact", account, contactRow, row));
  }
}
