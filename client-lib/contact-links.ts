// Contact links: the one of this account, and what becomes of somebody else's, and of cards, by which a third person
// introduces somebody: they open no way, so that the first message is a request. Always true: the account key that a link
// names is pinned, durably, before the relay is asked anything; a link never takes the place of an access key that was
// heard from its account itself and works; what a link cannot open never becomes a request.
import { type AccountId, fromHex, isUserName, toBytes } from "@lethe/protocol";
import { type ContactLink, contactLink, equal, type Identity, readContactLink } from "@lethe/crypto";
import type { Said } from "./content/content.ts";
import type { Happening, RefusalCode } from "./delivery/events.ts";
import type { CoreView } from "./delivery/view.ts";
import { ClientError, type ClientErrorCode } from "./errors.ts";
import type { Trust } from "./keys/trust.ts";
import type { ContactCard } from "./said.ts";

export interface ContactLinksConfig {
  readonly account: AccountId;
  readonly user: string;
  /** The relay's name, pinned. */
  readonly relay: string;
  readonly identity: () => Identity;
  readonly trust: Trust;
  readonly view: Pick<CoreView, "contact">;
  readonly happen: (event: Happening) => void;
}

/** Accounts remembered as refused; over it a link's key gives way to the one known, as if none was. */
const MAX_REFUSED = 1_000;

/** What a link says, or a card. */
interface Added {
  readonly account: AccountId;
  readonly fingerprint: Uint8Array;
  readonly accessKey: Uint8Array | undefined;
  readonly name: string | undefined;
}

export class ContactLinks {
  readonly #config: ContactLinksConfig;
  readonly #refused = new Set<AccountId>();

  constructor(config: ContactLinksConfig) {
    this.#config = config;
  }

  own(): string {
    const { identity, relay, user } = this.#config;
    return contactLink(identity(), relay, user);
  }

  /** Somebody's card, for a third person. `user`: the name that the account was found under, or digits. @throws ClientError keys-unknown */
  card(account: AccountId, user: string): Said {
    const fingerprint = this.#config.trust.fingerprint(account);
    return { is: "contact", account: toBytes(account), fingerprint, name: isUserName(user) ? user : "" };
  }

  /** @throws ClientError link-malformed, link-other-version, link-other-relay, link-own, account-key-changed */
  async add(shown: string | ContactCard): Promise<Pick<Added, "account" | "name">> {
    const { account: own, trust, happen } = this.#config;
    const added = typeof shown === "string" ? this.#read(shown) : onCard(shown);
    const { account, accessKey, name } = added;
    if (account === own) throw new ClientError("link-own");
    const keeps = this.#heardKey(account);
    await trust.expect(added);
    happen({ event: "meet", account, accessKey: keeps ? undefined : accessKey, name });
    happen({ event: "decide", account, decision: "accepted" });
    this.#refused.delete(account);
    return added;
  }

  #read(shown: string): ContactLink {
    const read = readContactLink(shown, this.#config.relay);
    if (read.code !== "ok") throw new ClientError(`link-${read.code}`);
    return read.link;
  }

  /** Whether the account's key is known from itself, and the relay has not refused it. */
  #heardKey(account: AccountId): boolean {
    const { accessKey } = this.#config.view.contact(account);
    return accessKey !== undefined && !this.#isLinked(account, accessKey) && !this.#refused.has(account);
  }

  #isLinked(account: AccountId, accessKey: Uint8Array): boolean {
    const linked = this.#config.trust.linkedKey(account);
    return linked !== undefined && equal(linked, accessKey);
  }

  /** What is said of a message that was refused for good. */
  refused(to: AccountId, code: RefusalCode): ClientErrorCode {
    if (code !== "not-permitted") return code;
    if (this.#refused.size >= MAX_REFUSED) this.#refused.clear();
    this.#refused.add(to);
    const { accessKey } = this.#config.view.contact(to);
    return accessKey !== undefined && this.#isLinked(to, accessKey) ? "link-refused" : code;
  }
}

function onCard({ account, fingerprint, name }: ContactCard): Added {
  if (!/^[0-9a-f]{32}$/.test(account) || fingerprint.length !== 32) throw new ClientError("link-malformed");
  const known = name !== undefined && isUserName(name) ? name : undefined;
  return { account: fromHex(account, 16), fingerprint, accessKey: undefined, name: known };
}
