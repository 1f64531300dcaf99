// A device of the second implementation: identity, prekeys, peers and ratchets, as crypto/README.md describes them. What
// is refused throws; a message whose number was used reads as "!duplicate".
import { type Bytes, Fields, hex, join, lv16, u8, X } from "./bytes.ts";
import type { Chance } from "./chance.ts";
import {
  type Content,
  type News,
  openEnvelope,
  type OpenEnvelope,
  packContent,
  padIntroduction,
  sealEnvelope,
  tagKey,
  unpackContent,
  unpadIntroduction,
} from "./envelope.ts";
import { agree, readPrelude, writePrelude } from "./handshake.ts";
import {
  addr,
  type Bundle,
  idOf,
  issueListAgain,
  type Item,
  type List,
  makeIdentity,
  makePrekey,
  makeSealing,
  type Own,
  type Party,
  type Prekey,
  readCertificate,
  readList,
  readPrekey,
  readSealing,
  type Sealing,
  viewOf,
} from "./keys.ts";
import { decapsulate, dh, encapsulate, x25519Public } from "./primitives.ts";
import { readFront, TwinRatchet } from "./ratchet.ts";

interface Peer extends Party {
  list: List;
  sealing: Sealing;
  readonly certificate: Bytes;
  readonly k: Bytes;
}

interface Kept {
  readonly ratchet: TwinRatchet;
  /** How its introduction says what it replaces. */
  readonly replaces: Bytes;
  /** Until the first reply. */
  prelude: Bytes | undefined;
  /** Id of the sealing key that the message opened last was sealed to, and the version of our list that it named. */
  known: { readonly sealingId: string; readonly listVersion: number };
}

export interface TwinMail {
  readonly id: Bytes;
  readonly ciphertext: Bytes;
}

const NOTHING_KNOWN = { sealingId: "", listVersion: 0 };

export class TwinDevice {
  readonly own: Own;
  readonly #chance: Chance;
  now: number;
  readonly #prekeys: Prekey[] = [];
  readonly #handedOut = new Set<Prekey>();
  readonly #peers = new Map<string, Peer>();
  /** The one in use first, then those that only receive. */
  readonly #ratchets = new Map<string, Kept[]>();

  constructor(chance: Chance, now: number, count: { curve: number; kem: number }) {
    this.#chance = chance;
    this.now = now;
    this.own = makeIdentity(chance, now);
    this.makeSignedPrekeys();
    for (let i = 0; i < count.curve; i++) this.#prekeys.push(makePrekey("oneTime", this.own, chance, now));
    for (let i = 0; i < count.kem; i++) this.#prekeys.push(makePrekey("oneTimeKem", this.own, chance, now));
  }

  makeSignedPrekeys(): void {
    for (const kind of ["signed", "lastResort"] as const)
      this.#prekeys.push(makePrekey(kind, this.own, this.#chance, this.now));
  }

  /** A new sealing key, and the device list issued again where `list` says so. */
  maintain({ list }: { list: boolean }): void {
    this.own.sealing.push(makeSealing(this.own, this.#chance, this.now));
    if (list) issueListAgain(this.own, this.now);
  }

  get address(): Bytes {
    return addr(this.own.account, this.own.device);
  }

  /** Id of the ratchet that is used for sending to the one peer there is. */
  inUse(): string {
    const [kept] = [...this.#ratchets.values()][0] ?? [];
    return kept === undefined ? "" : hex(kept.ratchet.agreed.id);
  }

  prekeyIds(): Bytes[] {
    return this.#prekeys.map(({ id }) => id);
  }

  /** The newest signed prekeys, and one-time ones as far as asked for and there: each is handed out once. */
  bundle(asked: { oneTime: boolean; oneTimeKem: boolean }): Bundle {
    const newest = (kind: Prekey["kind"]): Item =>
      itemOf(this.#prekeys.findLast((prekey) => prekey.kind === kind) as Prekey);
    const once = (kind: Prekey["kind"]): Item | undefined => {
      const found = this.#prekeys.find((prekey) => prekey.kind === kind && !this.#handedOut.has(prekey));
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

  /** PQXDH as the initiator. */
  start(certificate: Bytes, list: Bytes, bundle: Bundle): TwinRatchet {
    const B = readCertificate(certificate);
    const read = (kind: Prekey["kind"], item: Item) => readPrekey(kind, item, B, this.now);
    const signed = read("signed", bundle.signed);
    const oneTime = bundle.oneTime === undefined ? undefined : read("oneTime", bundle.oneTime);
    const oneTimeKem = bundle.oneTimeKem === undefined ? undefined : read("oneTimeKem", bundle.oneTimeKem);
    const kem = oneTimeKem ?? read("lastResort", bundle.lastResort);
    const e = this.#chance.bytes(32);
    const { ct, ss } = encapsulate(kem.key, this.#chance.bytes(32));
    const [E_A, SPK_B, OPK_B] = [x25519Public(e), signed.key, oneTime?.key];
    const DH = [dh(this.own.secrets.DI, SPK_B), dh(e, B.DI), dh(e, SPK_B)];
    if (OPK_B !== undefined) DH.push(dh(e, OPK_B));
    const agreed = agree([...DH, ss], { A: this.own, B, E_A, SPK_B, OPK_B, ek: kem.key, ct });
    const prelude = writePrelude({ E_A, signed: signed.id, oneTime: oneTime?.id, kem: kem.id, ct });
    const at = hex(addr(B.account, B.device));
    const k = tagKey(this.own, B);
    const sealing = signed.sealing as Sealing;
    this.#peers.set(at, { ...B, certificate, list: readList(list, certificate), sealing, k });
    const ratchet = new TwinRatchet(agreed, { theirs: SPK_B });
    const others = this.#ratchets.get(at) ?? [];
    const replaces = others[0]?.ratchet.replaced(Math.max(...others.map(generationOf))) ?? u8(0);
    this.#ratchets.set(at, [{ ratchet, replaces, prelude, known: NOTHING_KNOWN }, ...others]);
    return ratchet;
  }

  send(to: Bytes, plain: Bytes, content: Content): TwinMail {
    const peer = this.#peers.get(hex(to));
    const kept = this.#ratchets.get(hex(to))?.[0];
    if (peer === undefined || kept === undefined) throw new Error("no ratchet");
    const id = this.#chance.bytes(16);
    const isFirst = kept.prelude !== undefined;
    const step = kept.ratchet.next(this.#chance, isFirst);
    const opening =
      kept.prelude === undefined
        ? undefined
        : { introduction: this.#introduction(kept), prelude: kept.prelude };
    const news = isFirst ? { sealing: undefined, list: undefined } : this.#newsFor(kept);
    const skE = this.#chance.bytes(32);
    const ciphertext = sealEnvelope({
      sealing: peer.sealing,
      skE,
      k: peer.k,
      recipient: to,
      envelope: id,
      head: {
        content,
        sender: this.address,
        senderList: viewOf(this.own.list),
        recipientList: viewOf(peer.list),
        opening,
      },
      message: (context) => kept.ratchet.seal(step, packContent(news, plain, isFirst), context, this.#chance),
    });
    return { id, ciphertext };
  }

  #newest(): Sealing {
    return this.own.sealing.at(-1) as Sealing;
  }

  #introduction({ replaces }: Kept): Bytes {
    const { certificate, list } = this.own;
    return padIntroduction(join(u8(1), lv16(certificate), lv16(list.bytes), this.#newest().bytes, replaces));
  }

  /** What the peer has not shown to know of us. */
  #newsFor({ known }: Kept) {
    const current = this.#newest();
    return {
      sealing: known.sealingId === hex(idOf(X(current.key))) ? undefined : current.bytes,
      list: known.listVersion >= this.own.list.version ? undefined : this.own.list.bytes,
    };
  }

  read({ id, ciphertext }: TwinMail): string {
    const opened = openEnvelope(this.own, id, ciphertext);
    const at = hex(opened.head.sender);
    const kept = this.#ratchets.get(at)?.find(({ ratchet }) => ratchet.isOurs(opened.message));
    const peer = this.#peers.get(at);
    if (kept === undefined || peer === undefined) return this.#readFirst(opened, at);
    return this.#readWith(kept, peer, opened);
  }

  #readWith(kept: Kept, peer: Peer, opened: OpenEnvelope): string {
    if (!opened.isFrom(peer.k)) throw new Error("sender tag");
    const padded = kept.ratchet.read(opened.message, opened.context);
    if (padded === undefined) return "!duplicate";
    const { content, ...news } = unpackContent(padded, readFront(opened.message).first);
    const { opening, recipientList } = opened.head;
    this.#learn(peer, opening === undefined ? news : readIntroduction(opening.introduction));
    kept.prelude = undefined;
    const listVersion = new Fields(recipientList).number(4);
    kept.known = { sealingId: hex(opened.sealingId), listVersion };
    return new TextDecoder().decode(content);
  }

  #learn(peer: Peer, { sealing, list }: News): void {
    if (sealing !== undefined) {
      const next = readSealing(sealing, peer, this.now);
      if (next.createdAt >= peer.sealing.createdAt) peer.sealing = next;
    }
    if (list !== undefined) {
      const next = readList(list, peer.certificate);
      if (next.version > peer.list.version) peer.list = next;
    }
  }

  /** PQXDH as the responder, and the message. Nothing is kept unless the message verifies. */
  #readFirst(opened: OpenEnvelope, at: string): string {
    const { opening } = opened.head;
    if (opening === undefined || !readFront(opened.message).first) throw new Error("no ratchet for it");
    const peer = this.#introduced(opening.introduction, at);
    const said = readPrelude(opening.prelude);
    const find = (id: Bytes | undefined): Prekey | undefined =>
      id === undefined ? undefined : this.#prekeys.find((prekey) => hex(prekey.id) === hex(id));
    const [signed, oneTime, kem] = [find(said.signed), find(said.oneTime), find(said.kem)];
    if (signed === undefined || kem === undefined || (oneTime === undefined) !== (said.oneTime === undefined))
      throw new Error("prekeys are gone");
    const { E_A, ct } = said;
    const DH = [dh(signed.secret, peer.DI), dh(this.own.secrets.DI, E_A), dh(signed.secret, E_A)];
    if (oneTime !== undefined) DH.push(dh(oneTime.secret, E_A));
    const transcript = { A: peer, B: this.own, E_A, SPK_B: signed.key, OPK_B: oneTime?.key, ek: kem.key, ct };
    const agreed = agree([...DH, decapsulate(kem.secret, ct)], transcript);
    const ratchet = new TwinRatchet(agreed, { own: { secret: signed.secret, key: signed.key } });
    if (!ratchet.isOurs(opened.message)) throw new Error("header MAC");
    const { replaces } = readIntroduction(opening.introduction);
    const kept: Kept = { ratchet, replaces, prelude: undefined, known: NOTHING_KNOWN };
    const read = this.#readWith(kept, peer, opened);
    this.#peers.set(at, peer);
    this.#keepTheirs(at, kept);
    for (const used of [oneTime, kem.kind === "oneTimeKem" ? kem : undefined])
      if (used !== undefined) this.#prekeys.splice(this.#prekeys.indexOf(used), 1);
    return read;
  }

  /** A new ratchet of the peer is used from now on, unless it came late or gives way to one of ours. */
  #keepTheirs(at: string, fresh: Kept): void {
    const [inUse, ...archived] = this.#ratchets.get(at) ?? [];
    if (inUse === undefined) this.#ratchets.set(at, [fresh]);
    else if (givesWay(fresh, inUse)) this.#ratchets.set(at, [inUse, fresh, ...archived]);
    else this.#ratchets.set(at, [fresh, inUse, ...archived]);
  }

  /** The sender's device: what is known of it, else what its introduction says. */
  #introduced(padded: Bytes, at: string): Peer {
    const { certificate, sealing, list } = readIntroduction(padded);
    const party = readCertificate(certificate);
    if (hex(addr(party.account, party.device)) !== at) throw new Error("another device's introduction");
    const read = { sealing: readSealing(sealing, party, this.now), list: readList(list, certificate) };
    return this.#peers.get(at) ?? { ...party, certificate, ...read, k: tagKey(this.own, party) };
  }
}

const itemOf = ({ id, upload }: Prekey): Item => ({ id, bytes: upload });

function readIntroduction(padded: Bytes) {
  const fields = new Fields(unpadIntroduction(padded));
  if (fields.number(1) !== 1) throw new Error("unknown introduction");
  const [certificate, list, sealing] = [fields.lv16(), fields.lv16(), fields.take(113)];
  return { certificate, list, sealing, replaces: fields.rest() };
}

/** Above that of what it replaces; by a thousand where the store was restored (kind 1). */
function generationOf({ replaces }: Kept): number {
  const fields = new Fields(replaces);
  const kind = fields.number(1);
  if (kind === 0) return 0;
  fields.take(16);
  return Math.min(0xffffffff, fields.number(4) + (kind === 1 ? 1_000 : 1));
}

/** "Several ratchets with one device": whether a new one of the peer is archived at once. */
function givesWay(fresh: Kept, inUse: Kept): boolean {
  const [ours, theirs] = [generationOf(inUse), generationOf(fresh)];
  return ours === theirs ? hex(inUse.ratchet.agreed.id) < hex(fresh.ratchet.agreed.id) : ours > theirs;
}
