// Parsers that stand behind a cipher: bytes of the attacker's choice are sealed rightly, so that they arrive at the parser
// inside. Any of them gives an outcome, changes nothing that is kept, and is delivered only if it is the example.
import { packContent } from "../../../crypto/content.ts";
import { stepSending } from "../../../crypto/double-ratchet.ts";
import { seal, viewOf } from "../../../crypto/envelope.ts";
import { writeHeader } from "../../../crypto/header.ts";
import { HpkeContext } from "../../../crypto/hpke.ts";
import {
  type Bundle,
  encodeRatchet,
  makeMediaKey,
  MediaSealer,
  verifyBundle,
  verifyPeer,
} from "../../../crypto/index.ts";
import { LABELS } from "../../../crypto/labels.ts";
import { mediaAd, mediaStart } from "../../../crypto/media.ts";
import { systemRandom } from "../../../crypto/random.ts";
import { pullChunks } from "../../../crypto/secretstream.ts";
import { letheSuite } from "../../../crypto/suite.ts";
import { type Device, itemOf, type Mail, pair, START, talkingPair, text } from "../support.ts";
import { groupLayers } from "./group-layers.ts";

export interface Layer {
  readonly name: string;
  readonly example: Uint8Array;
  /** @throws Error for anything but an outcome that is allowed */
  check(bytes: Uint8Array): void;
}

export function layers(): Layer[] {
  return [
    insideSeal("inside the seal", talkingPair(60), 1),
    insideSeal("inside the seal, first message", pair(61), 0),
    insideMessage(talkingPair(62)),
    ...contacts(pair(63)),
    ...groupLayers(),
    aPart(),
  ];
}

const allowed = (layer: string, same: boolean, code: string): void => {
  if ((code === "ok") !== same)
    throw new Error(`${layer}: ${code} for ${same ? "the example" : "other bytes"}`);
};

/** Head, sender tag and message, sealed to the recipient's key as anybody can. */
function insideSeal(name: string, { alice, bob }: { alice: Device; bob: Device }, kept: number): Layer {
  const sealed = alice.send(bob, "hello");
  const own = bob.identity.sealing[0] as Device["identity"]["sealing"][number];
  const [prefix, aad] = [sealed.ciphertext.slice(0, 9), aadOf(sealed, bob)];
  const context = new HpkeContext(LABELS.seal);
  const opening = { secret: own.secret.reveal(), recipient: own.record.key, aad };
  const enc = sealed.ciphertext.slice(9, 41);
  const ciphertext = sealed.ciphertext.subarray(41);
  const example = context.open({ ...opening, enc, ciphertext }) ?? new Uint8Array(0);
  const before = [...bob.ratchets.values()].flat().map((ratchet) => encodeRatchet(ratchet));
  if (before.length !== kept) throw new Error("another store");
  return {
    name,
    example,
    check(bytes) {
      const sender = context.sender(own.record.key, systemRandom.bytes(32));
      if (sender === undefined) throw new Error("no key");
      const again = Buffer.concat([prefix, sender.enc, sender.seal(aad, bytes)]);
      const { code } = bob.look({ id: sealed.id, ciphertext: new Uint8Array(again) });
      // The sender tag covers enc, so that nothing sealed anew is the sender's.
      if (code === "ok") throw new Error(`${name}: another one's envelope was opened`);
      const after = [...bob.ratchets.values()].flat().map((ratchet) => encodeRatchet(ratchet));
      if (Buffer.compare(Buffer.concat(before), Buffer.concat(after)) !== 0) throw new Error(`${name}: kept`);
    },
  };
}

/** What a relay hands over as the one part of a blob. */
function aPart(): Layer {
  const key = makeMediaKey(systemRandom);
  const [data, name] = [text("hello"), "a part of a blob"];
  const example = new MediaSealer(key, data.length).seal(data);
  const state = mediaStart(key).state;
  return {
    name,
    example,
    check(bytes) {
      const pulled = pullChunks(state.slice(), mediaAd(key, data.length), bytes);
      allowed(name, Buffer.compare(bytes, example) === 0, pulled === undefined ? "refused" : "ok");
    },
  };
}

function aadOf({ id, ciphertext }: Mail, to: Device): Uint8Array {
  const address = [to.address, id].map((part) => Buffer.from(part, "latin1"));
  return new Uint8Array(Buffer.concat([ciphertext.subarray(0, 9), ...address]));
}

/** Padded content, from the peer itself. */
function insideMessage({ alice, bob }: { alice: Device; bob: Device }): Layer {
  const [ratchet, peer] = [alice.ratchet(bob), alice.peer(bob)];
  const news = { sealing: alice.identity.sealing[0]?.record, deviceList: alice.identity.list.bytes };
  const head = {
    content: "lasting",
    sender: alice.address,
    senderList: viewOf(alice.identity.list),
    recipientList: viewOf(peer.list),
    opening: undefined,
  } as const;
  const step = stepSending(letheSuite, ratchet.core, systemRandom);
  if (step === undefined) throw new Error("chain exhausted");
  const id = alice.send(bob, "an id").id;
  const message = (padded: Uint8Array) => (context: Uint8Array) => {
    const said = { counters: step.counters, first: false, fromInitiator: true };
    const header = writeHeader(ratchet, said);
    const ad = [ratchet.ad, header, context];
    return new Uint8Array(Buffer.concat([header, letheSuite.seal(step.key, ad, padded, systemRandom)]));
  };
  return {
    name: "inside the message",
    example: packContent(news, text("hello")),
    check(bytes) {
      const sealing = { identity: alice.identity, peer, envelope: id, head, random: systemRandom };
      const ciphertext = seal({ ...sealing, message: message(bytes) }) ?? new Uint8Array(0);
      const { code } = bob.look({ id, ciphertext });
      if (code !== "ok" && code !== "malformed-content") throw new Error(`inside the message: ${code}`);
    },
  };
}

/** What a relay says of a peer: certificate, device list, and each prekey of a bundle. */
function contacts({ alice, bob }: { alice: Device; bob: Device }): Layer[] {
  const { identity } = alice;
  const [certificate, deviceList] = [bob.identity.certificateBytes, bob.identity.list.bytes];
  const [peer, bundle] = [alice.peer(bob), bob.bundle()];
  const verify = (said: { certificate: Uint8Array; deviceList: Uint8Array }): string =>
    verifyPeer({ identity, ...said, pinned: undefined, address: bob.address, now: START }).code;
  const layer = (name: string, example: Uint8Array, run: (bytes: Uint8Array) => string): Layer => ({
    name,
    example,
    check: (bytes) => allowed(name, Buffer.compare(bytes, example) === 0, run(bytes)),
  });
  const kinds = ["signed", "lastResort", "oneTime", "oneTimeKem"] as const satisfies (keyof Bundle)[];
  return [
    layer("a certificate", certificate, (bytes) => verify({ certificate: bytes, deviceList })),
    layer("a device list", deviceList, (bytes) => verify({ certificate, deviceList: bytes })),
    ...kinds.map((kind) => {
      const item = itemOf(bob.prekey(kind));
      return layer(`a prekey: ${kind}`, item.bytes, (bytes) => {
        const changed = { ...bundle, [kind]: { id: item.id, bytes } };
        return verifyBundle({ peer, bundle: changed, now: START }).code;
      });
    }),
  ];
}
