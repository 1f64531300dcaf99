// A device of the project itself, as far as a conversation with one other needs it: it commits what outcomes carry.
import { type EnvelopeId, fromBytes, type Time, toBytes } from "@lethe/protocol";
import {
  type Bundle,
  type ContentKind,
  createIdentity,
  encrypt,
  type Identity,
  keepHeard,
  keepOwn,
  keepStep,
  type KeptRatchets,
  makeOneTimePrekeys,
  makeSignedPrekeys,
  maintainIdentity,
  NO_RATCHETS,
  open,
  type Outcome,
  type PeerDevice,
  type PrekeyRecord,
  publicIdentity,
  type Random,
  type Ratchet,
  ratchetsOf,
  replacement,
  startRatchet,
  unseal,
  verifyBundle,
  verifyPeer,
} from "../../../crypto/index.ts";
import { DAY, itemOf, later, type Mail, START, text } from "../support.ts";

type Kind = PrekeyRecord["kind"];

export class LetheDevice {
  readonly #random: Random;
  identity: Identity;
  #now: Time = START;
  #peer: PeerDevice | undefined;
  #kept: KeptRatchets = NO_RATCHETS;
  readonly #prekeys: PrekeyRecord[] = [];
  readonly #handedOut = new Set<PrekeyRecord>();
  readonly #replayTags = new Set<string>();

  constructor(random: Random, count: { curve: number; kem: number }) {
    this.#random = random;
    this.identity = createIdentity({ random, now: this.#now });
    this.#prekeys.push(...makeSignedPrekeys(this.#making()), ...makeOneTimePrekeys(this.#making(), count));
  }

  #making() {
    return { identity: this.identity, random: this.#random, now: this.#now };
  }

  /** Days pass: a new sealing key and signed prekeys; whether the list was issued again is returned. */
  pass(days: number): boolean {
    this.#now = later(this.#now, days * DAY);
    const before = this.identity;
    this.identity = maintainIdentity(before, { random: this.#random, now: this.#now });
    if (this.identity.sealing.length === before.sealing.length) throw new Error("no new sealing key");
    this.#prekeys.push(...makeSignedPrekeys(this.#making()));
    return this.identity.list.version > before.list.version;
  }

  inUse(): string {
    const { sending } = this.#kept;
    return sending === undefined ? "" : Buffer.from(sending.id, "latin1").toString("hex");
  }

  prekeyIds(): Uint8Array[] {
    return this.#prekeys.map(({ id }) => toBytes(id));
  }

  /** The newest signed prekeys, and one-time ones as far as asked for and there: each is handed out once. */
  bundle(asked: { oneTime: boolean; oneTimeKem: boolean }): Bundle {
    const newest = (kind: Kind) =>
      itemOf(this.#prekeys.findLast((record) => record.kind === kind) as PrekeyRecord);
    const once = (kind: Kind) => {
      const found = this.#prekeys.find((record) => record.kind === kind && !this.#handedOut.has(record));
      if (found === undefined) return undefined;
      this.#handedOut.add(found);
      return itemOf(found);
    };
    return {
      signed: newest("signed"),
      lastResort: newest("lastResort"),
      oneTime: asked.oneTime ? once("oneTime") : undefined,
      oneTimeKem: asked.oneTimeKem ? once("oneTimeKem") : undefined,
    };
  }

  start(other: LetheDevice, bundle: Bundle): Ratchet {
    const { certificate, deviceList } = publicIdentity(other.identity);
    const [identity, now, random] = [this.identity, this.#now, this.#random];
    const known = { pinned: this.#peer, address: undefined };
    const verified = verifyPeer({ identity, certificate, deviceList, ...known, now });
    if (verified.code !== "ok") throw new Error(verified.code);
    const checked = verifyBundle({ peer: verified.peer, bundle, now });
    if (checked.code !== "ok") throw new Error(checked.code);
    const replaces = replacement(this.#kept);
    const started = startRatchet({ identity, bundle: checked.bundle, replaces, random, now });
    if (started.code !== "ok") throw new Error(started.code);
    this.#peer = checked.bundle.peer;
    this.#kept = keepOwn(this.#kept, started.ratchet, now);
    return started.ratchet;
  }

  send(said: string, content: ContentKind): Mail {
    const [peer, ratchet] = [this.#peer, this.#kept.sending];
    if (peer === undefined || ratchet === undefined) throw new Error("no ratchet");
    const id = fromBytes<EnvelopeId>(this.#random.bytes(16));
    const message = { identity: this.identity, ratchet, peer, plaintext: text(said), content, envelope: id };
    const sent = encrypt({ ...message, random: this.#random, now: this.#now });
    if (sent.code !== "ok") throw new Error(sent.code);
    this.#kept = keepStep(this.#kept, sent.ratchet);
    return { id, ciphertext: sent.ciphertext };
  }

  /** What an envelope says, or the code of why it does not. */
  read({ id, ciphertext }: Mail): string {
    const [identity, now] = [this.identity, this.#now];
    const opened = unseal({ identity, ciphertext, envelope: id, now });
    if (opened.code !== "ok") return `!${opened.code}`;
    const { envelope } = opened;
    const outcome = open({
      identity,
      envelope,
      peer: this.#peer,
      pinned: this.#peer,
      ratchets: ratchetsOf(this.#kept),
      prekeys: this.#prekeys.filter((record) => envelope.first?.prekeys.includes(record.id) === true),
      replayed: envelope.first !== undefined && this.#replayTags.has(envelope.first.replayTag),
      now,
    });
    this.#commit(outcome);
    return outcome.code === "ok" ? new TextDecoder().decode(outcome.plaintext) : `!${outcome.code}`;
  }

  #commit(outcome: Outcome): void {
    if (!("ratchet" in outcome)) return;
    this.#peer = outcome.peer;
    this.#kept = keepHeard(this.#kept, outcome.ratchet, this.#now);
    for (const id of outcome.consumed) {
      const at = this.#prekeys.findIndex((record) => record.id === id);
      this.#prekeys.splice(at, 1);
    }
    if (outcome.replayTag !== undefined) this.#replayTags.add(outcome.replayTag.tag);
  }
}
