// The text by which somebody is added without the relay's word: who they are, by account and the fingerprint of its key,
// and the access key that opens the way to them. Always true: one link has one text; what is malformed, of another
// version or for another relay is refused by a code of its own, and no linking code is a link.
import {
  accountId,
  type AccountId,
  decodeAll,
  isUserName,
  MAX_RELAY_NAME_BYTES,
  MAX_USER_NAME_BYTES,
  struct,
  text,
} from "@lethe/protocol";
import { checkedText, readCheckedText } from "./checked-text.ts";
import { accountFingerprint } from "./group-state.ts";
import { ACCESS_KEY_BYTES, accessKey, type Identity } from "./identity.ts";
import { LABELS } from "./labels.ts";
import { encode, formatByte, octets, total } from "./layout.ts";
import { MAX_CONTACT_LINK } from "./limits.ts";

export interface ContactLink {
  readonly account: AccountId;
  /** `accountFingerprint` of the account's key: another key under this id is refused. */
  readonly fingerprint: Uint8Array;
  /** The right to write, 16 bytes, until the account changes it. */
  readonly accessKey: Uint8Array;
  /** Name of the relay, as pinned. */
  readonly relay: string;
  /** The name that the account goes by: a claim, until the relay's directory says the same. */
  readonly name: string;
}

const SCHEME = "lethe:contact?";
const VERSION = 1;
const body = struct({
  format: formatByte(VERSION),
  account: accountId,
  fingerprint: octets(32),
  accessKey: octets(ACCESS_KEY_BYTES),
  relay: text(MAX_RELAY_NAME_BYTES),
  name: text(MAX_USER_NAME_BYTES),
});

/** The link of an identity at its relay, under its name. */
export function contactLink(identity: Identity, relay: string, name: string): string {
  const { account, accountKey } = identity.certificate;
  const fingerprint = accountFingerprint(accountKey);
  const said = { format: undefined, account, fingerprint, accessKey: accessKey(identity), relay, name };
  return SCHEME + checkedText(encode(body, said, 512), LABELS.contactLinkCheck);
}

export type ReadContactLink =
  | { readonly code: "ok"; readonly link: ContactLink }
  | { readonly code: "malformed" | "other-version" | "other-relay" };

/** What a link says, without anything around it. `relay`: the name of our own. */
export function readContactLink(shown: string, relay: string): ReadContactLink {
  if (!shown.startsWith(SCHEME)) return { code: "malformed" };
  const bytes = readCheckedText(shown.slice(SCHEME.length), LABELS.contactLinkCheck, MAX_CONTACT_LINK);
  if (bytes === undefined) return { code: "malformed" };
  if (bytes[0] !== VERSION) return { code: "other-version" };
  const read = total(() => decodeAll(body, bytes));
  if (read === undefined || !isUserName(read.name)) return { code: "malformed" };
  const { format: _, ...link } = read;
  return link.relay === relay ? { code: "ok", link } : { code: "other-relay" };
}
