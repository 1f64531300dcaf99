// Who takes part: addresses, names and keys of the simulated devices, and a cipher that hides nothing.
// Always true: what is opened is exactly what was sealed for this device under this id, and anything else is poison.
import {
  type AccountId,
  addressOf,
  type DeviceAddress,
  type DeviceNumber,
  type EnvelopeId,
  type FrameOf,
} from "@lethe/protocol";
import type {
  Cipher,
  CipherOutcome,
  Content,
  Learned,
  MessageId,
  OpenRequest,
  PeerState,
  Place,
  Sealed,
  SealRequest,
  StoredRows,
  Write,
} from "../../client-lib/delivery/events.ts";

export const PEOPLE = ["anna", "ben", "cleo", "dora", "emil", "fee", "gus", "hana"] as const;
export const NODES = ["A", "B", "C", "D", "E"] as const;

export const DEVICE = 1 as DeviceNumber;

export function personAt(index: number): string {
  return PEOPLE[index] ?? `p${index}`;
}

export function accountAt(index: number): AccountId {
  return personAt(index).padEnd(16, ".") as AccountId;
}

export function addressAt(index: number): DeviceAddress {
  return addressOf(accountAt(index), DEVICE);
}

/** What is inside an envelope. */
export interface Plain {
  readonly id: EnvelopeId;
  readonly from: DeviceAddress;
  readonly to: DeviceAddress;
  readonly message: MessageId;
  readonly place: Place | undefined;
  readonly content: Content;
  readonly sentAt: SealRequest["sentAt"];
}

/** What each person's cipher is made with. */
export interface CipherPort {
  readonly index: number;
  readonly rows: StoredRows;
  /** Everybody whose keys have to be asked for first. */
  readonly strangers: ReadonlySet<AccountId>;
}

export type DevicesAnswer = Omit<FrameOf<"has-devices">, "frame" | "request">;
export type PrekeysAnswer = Omit<FrameOf<"has-prekeys">, "frame" | "request">;

/** Everybody's keys in one world, and what the relay's directory says of them. */
export interface Cast {
  /** The delivery access key of a person, 16 bytes. */
  accessKey(index: number): Uint8Array;
  /** What a person's store holds before the first start. */
  rows(index: number): readonly Write[];
  cipher(port: CipherPort): Cipher;
  devices(index: number): DevicesAnswer;
  prekeys(index: number): PrekeysAnswer;
  /** Somebody's store went back to an older state: from now on ciphers may notice it, and say that a store is a copy. */
  wentBack(): void;
  /** What a person says, about this many bytes, and what typing looks like. */
  body(bytes: number): Uint8Array;
  typing(): Uint8Array;
  /** How much larger envelopes are than what is in them, at most: byte limits are made larger by it. */
  readonly bulk: number;
  /** What an envelope holds, of those that were sealed in this world. */
  plain(id: EnvelopeId): Plain | undefined;
}

/** The mark that opening an envelope leaves in the store, in the same commit as everything else that follows from it. */
export const OPENED_TABLE = "sim-opened";
const NOTHING = new Uint8Array(0);

export function openedMark(id: EnvelopeId): Write {
  return { table: OPENED_TABLE, key: id, value: NOTHING };
}

/** A cipher that hides nothing: a ciphertext is the number of its plaintext, and as many bytes as it would have. */
export class GlassCast implements Cast {
  readonly #plains: Plain[] = [];
  readonly #byId = new Map<EnvelopeId, Plain>();

  wentBack(): void {}

  accessKey(index: number): Uint8Array {
    return new Uint8Array(16).fill(index + 1);
  }

  rows(): readonly Write[] {
    return [];
  }

  cipher(port: CipherPort): Cipher {
    return new GlassCipher(this, port);
  }

  devices(): DevicesAnswer {
    return { version: 1, deviceList: NOTHING, certificates: [] };
  }

  prekeys(): PrekeysAnswer {
    const prekey = { id: new Uint8Array(8), bytes: NOTHING };
    return { signed: prekey, lastResort: prekey, oneTime: undefined, oneTimeKem: undefined };
  }

  readonly bulk = 1;

  body(bytes: number): Uint8Array {
    return new Uint8Array(bytes);
  }

  typing(): Uint8Array {
    return new Uint8Array(8);
  }

  plain(id: EnvelopeId): Plain | undefined {
    return this.#byId.get(id);
  }

  seal(plain: Plain): Uint8Array {
    const length = plain.content.kind === "receipt" ? 20 : Math.max(8, plain.content.body.length);
    const ciphertext = new Uint8Array(length);
    new DataView(ciphertext.buffer).setUint32(0, this.#plains.length);
    this.#plains.push(plain);
    this.#byId.set(plain.id, plain);
    return ciphertext;
  }

  open(ciphertext: Uint8Array): Plain | undefined {
    if (ciphertext.length < 8) return undefined;
    return this.#plains[new DataView(ciphertext.buffer, ciphertext.byteOffset).getUint32(0)];
  }
}

class GlassCipher implements Cipher {
  readonly #cast: GlassCast;
  readonly #port: CipherPort;
  readonly #learned = new Set<AccountId>();

  constructor(cast: GlassCast, port: CipherPort) {
    this.#cast = cast;
    this.#port = port;
    for (const { key } of port.rows["sim-peer"] ?? []) this.#learned.add(key as AccountId);
  }

  peer(account: AccountId): PeerState | undefined {
    if (account === accountAt(this.#port.index)) return { listVersion: 1, devices: [] };
    if (this.#port.strangers.has(account) && !this.#learned.has(account)) return undefined;
    return { listVersion: 1, devices: [{ device: DEVICE, ready: true }] };
  }

  learnDevices(account: AccountId): Learned {
    this.#learned.add(account);
    return { code: "ok", writes: [{ table: "sim-peer", key: account, value: NOTHING }] };
  }

  forgetUnlisted(): [] {
    return [];
  }

  learnPrekeys(): Learned {
    return { code: "ok", writes: [] };
  }

  sealControl(): Sealed {
    return { code: "not-sealable" };
  }

  newAccessKey(): undefined {
    return undefined;
  }

  adoptProfileKey(): ReturnType<Cipher["adoptProfileKey"]> {
    return { is: "same", accessKey: NOTHING, writes: [] };
  }

  verified(): undefined {
    return undefined;
  }

  verify(): [] {
    return [];
  }

  renew(): [] {
    return [];
  }

  goOn(): boolean {
    return false;
  }

  seal({ id, to, message, place, content, sentAt }: SealRequest): Sealed {
    const from = addressAt(this.#port.index);
    return {
      code: "ok",
      ciphertext: this.#cast.seal({ id, from, to, message, place, content, sentAt }),
      writes: [],
    };
  }

  open({ id, kind, ciphertext }: OpenRequest): CipherOutcome {
    const plain = this.#cast.open(ciphertext);
    const writes = kind === "signal" ? [] : [openedMark(id)];
    if (plain === undefined || plain.id !== id || plain.to !== addressAt(this.#port.index))
      return { outcome: "poison", code: "sim-not-for-here", writes };
    const { from, message, place, sentAt, content } = plain;
    const accessKey = this.#cast.accessKey(indexOf(from));
    return { outcome: "ok", from, message, place, sentAt, accessKey, name: undefined, content, writes };
  }

  suspect(): readonly Write[] {
    return [];
  }

  prove(): Uint8Array {
    return new Uint8Array(64);
  }
}

const indexes = new Map<string, number>(PEOPLE.map((_, i) => [addressAt(i), i]));

export function indexOf(address: DeviceAddress): number {
  return indexes.get(address) ?? -1;
}

export function indexOfAccount(account: AccountId): number {
  return indexOf(addressOf(account, DEVICE));
}
