// Groups by sender keys (Signal's scheme, with signatures over everything): each device has a chain of its own, told to every
// device of the group over its pairwise ratchets. Always true: nothing is encrypted while a rotation is due or a device of
// the roster lacks the chain; a signature is verified before any step; a chain is looked up by group, device and chain id.
import { accountOf, type Codec, decodeAll, type DeviceAddress, oneOf } from "@lethe/protocol";
import { makeChain, receiveOn, type ReceivingChain, type SendingChain, stepChain } from "./group-chain.ts";
import type {
  EncryptedForGroup,
  EncryptingForGroup,
  GroupCipher,
  GroupContentKind,
  OpenedInGroup,
  OpeningInGroup,
  TellingKeys,
  ToldKeys,
} from "./group-cipher.ts";
import { decodeOwnKeys, decodeSenderChains, encodeOwnKeys, encodeSenderChains } from "./group-codec.ts";
import { type OpenGroupSeal, openGroupSeal, sealGroup } from "./group-envelope.ts";
import type { GroupOutcomeCode } from "./group-outcomes.ts";
import { checkRoster, ownDevicesOf, rotationDue, untold } from "./group-roster.ts";
import { chainOf, hearChain, type SenderChains, tidyChains, withAdvanced } from "./group-senders.ts";
import { memberOf } from "./group-state.ts";
import { decodeTold, encodeTold } from "./group-told.ts";
import type { GroupView } from "./group-view.ts";
import { addressOfIdentity } from "./identity.ts";
import { LABELS } from "./labels.ts";
import { total } from "./layout.ts";
import { MAX_PLAINTEXT_BYTES } from "./limits.ts";
import { pad, unpad } from "./padding.ts";
import { ed25519Sign, ed25519Verify, equal } from "./primitives.ts";
import { letheSuite } from "./suite.ts";

/** One's own chain in a group, and the devices that were told it. */
export interface OwnSenderKeys {
  readonly chain: SendingChain;
  readonly holders: ReadonlySet<DeviceAddress>;
}

interface Content {
  readonly content: GroupContentKind;
  readonly plaintext: Uint8Array;
}

const contentKind = oneOf({ lasting: 1, passing: 2 });
/** The kind; the rest is the content. */
const inside: Codec<Content> = {
  read: (r) => ({ content: contentKind.read(r), plaintext: r.bytes(r.remaining) }),
  write(w, v) {
    contentKind.write(w, v.content);
    w.bytes(v.plaintext);
  },
};

export const senderKeys: GroupCipher<OwnSenderKeys, SenderChains> = {
  rotationDue: ({ own, ...asked }) =>
    rotationDue({ ...asked, chain: own?.chain, holders: own?.holders ?? new Set() }),
  rotate({ identity, view, now, random }) {
    const { epoch, hash } = view.state;
    const making = { madeIn: { epoch, hash }, createdAt: now, ownDevices: ownDevicesOf(identity) };
    return { chain: makeChain(random, making), holders: new Set([addressOfIdentity(identity)]) };
  },
  untold: ({ holders }, roster) => untold(roster, holders),
  tell,
  hear({ told: plaintext, theirs, ...hearing }) {
    const told = decodeTold(plaintext);
    if (told?.kind !== "chain") return { code: "malformed" };
    const heard = hearChain({ ...hearing, senders: theirs, told });
    if (!("senders" in heard)) return heard;
    return { code: heard.code, theirs: heard.senders, view: heard.view };
  },
  encrypt,
  open,
  tidy: tidyChains,
  encodeOwn: encodeOwnKeys,
  decodeOwn: decodeOwnKeys,
  encodeTheirs: encodeSenderChains,
  decodeTheirs: decodeSenderChains,
};

function tell({ identity, view, roster, own, devices }: TellingKeys<OwnSenderKeys>): ToldKeys<OwnSenderKeys> {
  checkRoster(view, roster);
  if (!hasSealKey(view)) return { code: "no-seal-key" };
  if (devices.some((device) => !roster.devices.has(device))) return { code: "not-in-roster" };
  const { chain, holders } = own;
  const { group, epoch, hash } = view.state;
  const told = encodeTold({
    kind: "chain",
    group,
    state: { epoch, hash },
    sender: addressOfIdentity(identity),
    chain: chain.id,
    signingKey: chain.signingKey,
    n: chain.next,
    key: chain.key,
    sealKey: view.sealKey,
  });
  return { code: "ok", own: { chain, holders: new Set([...holders, ...devices]) }, told };
}

function hasSealKey(
  view: GroupView,
): view is GroupView & { readonly sealKey: NonNullable<GroupView["sealKey"]> } {
  return view.sealKey !== undefined;
}

function encrypt(encrypting: EncryptingForGroup<OwnSenderKeys>): EncryptedForGroup<OwnSenderKeys> {
  const { identity, view, roster, own, groupEnvelope, random } = encrypting;
  const self = memberOf(view.state, identity.certificate.account);
  if (self === undefined) return { code: "not-a-member" };
  if (view.state.writers === "admins" && self.role !== "admin") return { code: "not-allowed" };
  if (encrypting.plaintext.length > MAX_PLAINTEXT_BYTES) return { code: "too-long" };
  if (!hasSealKey(view)) return { code: "no-seal-key" };
  const reason = senderKeys.rotationDue(encrypting);
  if (reason !== undefined) return { code: "rotation-due", reason };
  const devices = untold(roster, own.holders);
  if (devices.length > 0) return { code: "not-told", devices };
  const step = stepChain(own.chain);
  if (step === undefined) return { code: "rotation-due", reason: "messages" };
  const { id, signingSeed } = own.chain;
  const padded = packed(encrypting);
  const ciphertext = sealGroup({
    view,
    groupEnvelope,
    head: { sender: addressOfIdentity(identity), chain: id, n: step.n },
    random,
    signed(context) {
      const message = letheSuite.seal(step.key, [context], padded, random);
      const signature = ed25519Sign(signingSeed.reveal(), LABELS.signGroupMessage, context, message);
      return { signature, message };
    },
  });
  for (const used of [step.key, padded]) used.fill(0);
  return { code: "ok", own: { ...own, chain: step.chain }, ciphertext };
}

/** `content | plaintext`, padded. */
function packed({ content, plaintext }: Content): Uint8Array {
  const bytes = new Uint8Array(1 + plaintext.length);
  bytes[0] = content === "lasting" ? 1 : 2;
  bytes.set(plaintext, 1);
  const padded = pad(bytes);
  bytes.fill(0);
  return padded;
}

function unpacked(padded: Uint8Array): Content | undefined {
  const bytes = unpad(padded);
  if (bytes === undefined) return undefined;
  return total(() => decodeAll(inside, bytes));
}

type Failed = Exclude<GroupOutcomeCode, "ok" | "malformed-content">;

function open(opening: OpeningInGroup<SenderChains>): OpenedInGroup<SenderChains> {
  const { identity, view, ciphertext, envelope, now } = opening;
  checkRoster(view, opening.roster);
  const recipient = addressOfIdentity(identity);
  const seal = openGroupSeal({ view, ciphertext, envelope, recipient });
  if (typeof seal === "string") return { code: seal };
  const { sender } = seal.head;
  if (sender === recipient) return { code: "own-copy" };
  const found = verified(opening, seal);
  if (found === "untrusted-device" || found === "unknown-chain") return { code: found, sender };
  if (typeof found === "string") return { code: found };
  const { theirs, chain } = found;
  const message = { n: seal.head.n, ad: [seal.context], sealed: seal.message, now };
  const received = receiveOn(chain, message);
  if (received.code !== "ok") return { code: received.code };
  const advanced = withAdvanced(theirs, received.chain, now);
  const content = unpacked(received.plaintext);
  if (content === undefined) return { code: "malformed-content", theirs: advanced, sender };
  return { code: "ok", theirs: advanced, sender, ...content, epoch: seal.sealedIn.epoch };
}

interface Signed {
  readonly theirs: SenderChains;
  readonly chain: ReceivingChain;
}

/** The sender's chains, and the one whose key has signed an envelope that it may send, before any step of it. */
function verified(
  opening: OpeningInGroup<SenderChains>,
  { head, sealedIn, context, signature, message }: OpenGroupSeal,
): Signed | Failed {
  const { view, roster } = opening;
  const by = memberOf(view.state, accountOf(head.sender));
  if (by === undefined) return "not-a-member";
  if (!roster.listed.has(head.sender)) return "untrusted-device";
  if (!equal(head.stateHash, sealedIn.hash)) return "wrong-state";
  const theirs = opening.theirs(head.sender);
  if (theirs === undefined) return "unknown-chain";
  if (theirs.group !== view.state.group || theirs.sender !== head.sender) throw new RangeError(); // chains of another device
  const chain = chainOf(theirs, head.chain);
  if (chain === undefined) return "unknown-chain";
  if (!ed25519Verify(chain.signingKey, signature, LABELS.signGroupMessage, context, message))
    return "bad-signature";
  const { removedAt } = view;
  if (chain.toldIn.epoch < removedAt && sealedIn.epoch >= removedAt) return "stale-chain";
  if (view.state.writers === "admins" && by.role !== "admin") return "not-allowed";
  return { theirs, chain };
}
