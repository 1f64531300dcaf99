// Names and accounts. Always true: a name stands for the account that the relay's directory gave for it the first time;
// an account is shown under a name only when the directory gives that account for it.
import { type AccountId, isUserName, type Time, toHex } from "@lethe/protocol";
import type { CoreView } from "./delivery/core.ts";
import type { RefusalCode } from "./delivery/events.ts";
import { ClientError } from "./errors.ts";

export interface PeopleConfig {
  readonly view: CoreView;
  /** Whose devices these are: known without asking, and no contact. */
  readonly self: { readonly account: AccountId; readonly name: string };
  readonly ask: (ask: number, name: string, until: Time) => void;
  readonly named: (account: AccountId, name: string) => void;
  /** The name now belongs to another account, by the directory. */
  readonly keyChanged: (name: string, before: AccountId, now: AccountId) => void;
  readonly now: () => Time;
}

/** How long the sender's name may be asked for before a message is shown without, ms. */
const NAME_MS = 10_000;

/** How long an answer that confirms nothing is believed, ms: whoever lies about a name cannot make us ask without end. */
const UNCONFIRMED_MS = 600_000;
/** The same where no answer came. */
const UNANSWERED_MS = 30_000;
/** Accounts remembered as unconfirmed. */
const MAX_UNCONFIRMED = 1_000;

type Answer = (found: AccountId | RefusalCode) => void;

export class People {
  readonly #config: PeopleConfig;
  readonly #byName = new Map<string, AccountId>();
  readonly #asking = new Map<number, Answer>();
  readonly #verifying = new Map<AccountId, Promise<string>>();
  /** Accounts whose name was not confirmed, and until when that is believed. */
  readonly #unconfirmed = new Map<AccountId, number>();
  #asks = 0;

  constructor(config: PeopleConfig) {
    this.#config = config;
    for (const [account, { name, nameFrom }] of config.view.contacts())
      if (name !== undefined && nameFrom === "found") this.#byName.set(name, account);
  }

  /** The account of a name, "~" and hexadecimal digits included. @throws ClientError name-invalid, unknown-user, ... */
  async find(user: string, until: Time): Promise<AccountId> {
    const known = this.known(user);
    if (known !== undefined) return known;
    if (!isUserName(user)) throw new ClientError("name-invalid", user);
    const found = await this.#lookUp(user, until);
    if (typeof found !== "string" || !isAccount(found)) {
      const code =
        found === "unknown-name" ? "unknown-user" : found === "answer-lost" ? "relay-unreachable" : found;
      throw new ClientError(code, user);
    }
    this.#pin(user, found);
    return found;
  }

  /** The account of a name that was looked up before, without asking. */
  known(user: string): AccountId | undefined {
    if (user === this.#config.self.name) return this.#config.self.account;
    return this.#byName.get(user) ?? this.#shownAs(user);
  }

  #shownAs(user: string): AccountId | undefined {
    if (!user.startsWith("~")) return undefined;
    const all = [...this.#config.view.contacts().keys(), ...this.#config.view.requests()];
    return all.find((account) => unconfirmed(account) === user);
  }

  #lookUp(name: string, until: Time): Promise<AccountId | RefusalCode> {
    const ask = ++this.#asks;
    return new Promise((resolve) => {
      this.#asking.set(ask, resolve);
      this.#config.ask(ask, name, until);
    });
  }

  answered(ask: number, found: AccountId | RefusalCode): void {
    this.#asking.get(ask)?.(found);
    this.#asking.delete(ask);
  }

  #pin(name: string, account: AccountId): void {
    this.#unconfirmed.delete(account);
    this.#byName.set(name, account);
    this.#config.named(account, name);
  }

  /** The name to show now, without asking. */
  shown(account: AccountId): string {
    if (account === this.#config.self.account) return this.#config.self.name;
    const { name, nameFrom } = this.#config.view.contact(account);
    return name !== undefined && nameFrom === "found" ? name : unconfirmed(account);
  }

  /** The name to show: what the account says of itself, once the directory has confirmed it. `claimed`: heard just now. */
  confirmed(account: AccountId, claimed?: string): Promise<string> {
    if (account === this.#config.self.account) return Promise.resolve(this.#config.self.name);
    const { name = claimed, nameFrom } = this.#config.view.contact(account);
    if (name === undefined) return Promise.resolve(unconfirmed(account));
    if (nameFrom === "found") return Promise.resolve(name);
    if ((this.#unconfirmed.get(account) ?? 0) > this.#config.now())
      return Promise.resolve(unconfirmed(account));
    const running = this.#verifying.get(account) ?? this.#confirm(account, name);
    this.#verifying.set(account, running);
    return running;
  }

  async #confirm(account: AccountId, name: string): Promise<string> {
    const known = this.#byName.get(name);
    const found = known ?? (await this.#lookUp(name, (this.#config.now() + NAME_MS) as Time));
    this.#verifying.delete(account);
    if (found === account) {
      this.#pin(name, account);
      return name;
    }
    if (known !== undefined) await this.#hasMoved(name, { before: known, now: account });
    this.#remember(account, found === "answer-lost" ? UNANSWERED_MS : UNCONFIRMED_MS);
    return unconfirmed(account);
  }

  #remember(account: AccountId, ms: number): void {
    if (this.#unconfirmed.size >= MAX_UNCONFIRMED) this.#unconfirmed.clear();
    this.#unconfirmed.set(account, this.#config.now() + ms);
  }

  /** Somebody goes by a name that is another's: said only if the directory says so too. */
  async #hasMoved(name: string, { before, now }: Record<"before" | "now", AccountId>): Promise<void> {
    const found = await this.#lookUp(name, (this.#config.now() + NAME_MS) as Time);
    if (found === now) this.#config.keyChanged(name, before, now);
  }

  /** The person says that a name stands for this account from now on. */
  rename(name: string, account: AccountId): void {
    this.#pin(name, account);
  }
}

function isAccount(found: string): found is AccountId {
  return found.length === 16;
}

function unconfirmed(account: AccountId): string {
  return `~${toHex(account).slice(0, 12)}`;
}
