// A conversation between libolm and this project's ratchet core with Olm's functions. Olm's header has no count of the
// previous chain, which the core asks for: it is noted beside each message when libolm makes it.
import type { Account } from "@matrix-org/olm";
import Olm from "@matrix-org/olm";
import { type Received, receive, stepSending } from "../../../crypto/double-ratchet.ts";
import type { Random } from "../../../crypto/index.ts";
import type { DoubleRatchet, KeyPair } from "../../../crypto/state.ts";
import { START } from "../support.ts";
import {
  base64,
  fromBase64,
  messageFront,
  readMessage,
  readPrekeyMessage,
  writePrekeyMessage,
} from "./framing.ts";
import { olmStart, olmSuite } from "./suite.ts";

/** A message under way. */
export interface OlmMail {
  readonly type: 0 | 1;
  readonly body: Uint8Array;
  /** Length of the sender's chain before this one. */
  readonly previousCount: number;
  /** The ratchet key that it was sent under. */
  readonly chain: string;
  readonly text: string;
}

interface Chain {
  readonly key: string;
  count: number;
  previousCount: number;
}

const utf8 = new TextEncoder();

/** DH of the triple agreement: a secret of ours and a public key of theirs. */
function dh(own: KeyPair, theirs: Uint8Array): Uint8Array {
  const shared = olmSuite.dh(own.secret.reveal(), theirs);
  if (shared === undefined) throw new Error("no key");
  return shared;
}

function keysOf(account: Account): { identity: Uint8Array; oneTime: Uint8Array } {
  const { curve25519 } = JSON.parse(account.identity_keys()) as { curve25519: string };
  account.generate_one_time_keys(1);
  const { curve25519: keys } = JSON.parse(account.one_time_keys()) as { curve25519: Record<string, string> };
  const [oneTime] = Object.values(keys);
  return { identity: fromBase64(curve25519), oneTime: fromBase64(oneTime ?? "") };
}

export class Conversation {
  readonly #random: Random;
  readonly #account = new Olm.Account();
  readonly #session = new Olm.Session();
  readonly #identity: KeyPair;
  readonly #oneTime: KeyPair;
  #core: DoubleRatchet | undefined;
  /** How our messages say who started, until libolm has answered. */
  #opening: { oneTime: Uint8Array; base: Uint8Array; identity: Uint8Array } | undefined;
  #theirs: Chain = { key: "", count: 0, previousCount: 0 };

  constructor(random: Random) {
    this.#random = random;
    this.#account.create();
    this.#identity = olmSuite.generate(random);
    this.#oneTime = olmSuite.generate(random);
  }

  /** libolm starts; its first message must arrive before ours are sent. */
  startedByOlm(): OlmMail {
    const [identity, oneTime] = [this.#identity.publicKey, this.#oneTime.publicKey];
    this.#session.create_outbound(this.#account, base64(identity), base64(oneTime));
    return this.sendOlm("first");
  }

  /** We start; the first message must arrive before libolm's are sent. */
  startedByUs(): OlmMail {
    const theirs = keysOf(this.#account);
    const base = olmSuite.generate(this.#random);
    const { root, chain } = olmStart([
      dh(this.#identity, theirs.oneTime),
      dh(base, theirs.identity),
      dh(base, theirs.oneTime),
    ]);
    const own = olmSuite.generate(this.#random);
    this.#core = {
      root,
      sending: { at: "chain", own, key: chain, next: 0, previousCount: 0 },
      receiving: { at: "none", peer: new Uint8Array(32) },
      skipped: [],
      past: [],
      older: new Uint8Array(),
    };
    const [identity, oneTime] = [this.#identity.publicKey, theirs.oneTime];
    this.#opening = { oneTime, base: base.publicKey, identity };
    return this.sendOurs("first");
  }

  sendOlm(text: string): OlmMail {
    const { type, body } = this.#session.encrypt(text);
    const bytes = fromBase64(body);
    const inner = type === 0 ? readPrekeyMessage(bytes).message : bytes;
    const key = base64(readMessage(inner).publicKey);
    if (key !== this.#theirs.key) this.#theirs = { key, count: 0, previousCount: this.#theirs.count };
    this.#theirs.count++;
    return { type, body: bytes, previousCount: this.#theirs.previousCount, chain: key, text };
  }

  sendOurs(text: string): OlmMail {
    const step = this.#core === undefined ? undefined : stepSending(olmSuite, this.#core, this.#random);
    if (step === undefined) throw new Error("cannot send");
    this.#core = step.core;
    const { publicKey, n, previousCount } = step.counters;
    const plain = utf8.encode(text);
    const front = messageFront(publicKey, n, (Math.floor(plain.length / 16) + 1) * 16);
    const message = Buffer.concat([front, olmSuite.seal(step.key, [front], plain, this.#random)]);
    const around = { previousCount, chain: base64(publicKey), text };
    if (this.#opening === undefined) return { type: 1, body: message, ...around };
    return { type: 0, body: writePrekeyMessage({ ...this.#opening, message }), ...around };
  }

  /** What libolm makes of a message of ours: the text, or its error. */
  olmReads({ type, body }: OlmMail): string {
    try {
      if (!this.#session.has_received_message() && type === 0 && this.#theirs.count === 0)
        this.#session.create_inbound(this.#account, base64(body));
      return this.#session.decrypt(type, base64(body));
    } catch (error) {
      return `!${(error as Error).message}`;
    }
  }

  /** What the core makes of a message of libolm's: the text, or its code. */
  weRead({ type, body, previousCount }: OlmMail): string {
    const inner = type === 0 ? this.#accept(body) : body;
    const { publicKey, n, front, sealed } = readMessage(inner);
    const counters = { publicKey, previousCount, n };
    if (this.#core === undefined) throw new Error("not started");
    const received: Received = receive(olmSuite, this.#core, { counters, ad: [front], sealed, now: START });
    if (received.code !== "ok") return `!${received.code}`;
    this.#core = received.core;
    this.#opening = undefined;
    return new TextDecoder().decode(received.plaintext);
  }

  /** The message in a first message; the first of them makes the core. */
  #accept(body: Uint8Array): Uint8Array {
    const { oneTime, base, identity, message } = readPrekeyMessage(body);
    if (this.#core !== undefined) return message;
    if (base64(oneTime) !== base64(this.#oneTime.publicKey)) throw new Error("another one-time key");
    const { root, chain } = olmStart([
      dh(this.#oneTime, identity),
      dh(this.#identity, base),
      dh(this.#oneTime, base),
    ]);
    const peer = readMessage(message).publicKey;
    this.#core = {
      root,
      sending: { at: "due", previousCount: 0 },
      receiving: { at: "chain", peer, key: chain, next: 0, lostBelow: 0, tags: [] },
      skipped: [],
      past: [],
      older: new Uint8Array(),
    };
    return message;
  }

  [Symbol.dispose](): void {
    this.#session.free();
    this.#account.free();
  }
}
