// Who takes part: addresses, names and keys of the simulated devices, and a cipher that hides nothing.
// Always true: what is opened is exactly what was sealed for this device under this id, and anything else is poison.
import { type AccountId, addressOf, type DeviceAddress, type DeviceNumber, type EnvelopeId } from "@lethe/protocol";
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

/** The delivery access key of a person, 16 bytes. */
export function accessKeyAt(index: number): Uint8Array {
  return new Uint8Array(16).fill(index + 1);
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

/** A cipher as the core wants it, that can say at once what an envelope holds. */
export interface SimCipher extends Cipher {
  plain(ciphertext: Uint8Array): Plain | undefined;
}

/** What each person's cipher is made with. */
export interface CipherPort {
  readonly index: number;
  readonly rows: StoredRows;
  /** Everybody whose keys have to be asked for first. */
  readonly strangers: ReadonlySet<AccountId>;
}

/** The mark that opening an envelope leaves in the store, in the same commit as everything else that follows from it. */
export const OPENED_TABLE = "sim-opened";
const NOTHING = new Uint8Array(0);

export function openedMark(id: EnvelopeId): Write {
  return { table: OPENED_TABLE, key: id, value: NOTHING };
}

/** Ciphertexts of one world: the number of a plaintext, and as many bytes as it would have. */
export class GlassBox {
  readonly #plains: Plain[] = [];

  cipher(port: CipherPort): SimCipher {
    return new GlassCipher(this, port);
  }

  seal(plain: Plain): Uint8Array {
    const length = plain.content.kind === "receipt" ? 20 : Math.max(8, plain.content.body.length);
    const ciphertext = new Uint8Array(length);
    new DataView(ciphertext.buffer).setUint32(0, this.#plains.length);
    this.#plains.push(plain);
    return ciphertext;
  }

  open(ciphertext: Uint8Array): Plain | undefined {
    if (ciphertext.length < 8) return undefined;
    return this.#plains[new DataView(ciphertext.buffer, ciphertext.byteOffset).getUint32(0)];
  }
}

class GlassCipher implements SimCipher {
  readonly #box: GlassBox;
  readonly #port: CipherPort;
  readonly #learned = new Set<AccountId>();

  constructor(box: GlassBox, port: CipherPort) {
    this.#box = box;
    this.#port = port;
    for (const { key } of port.rows["sim-peer"] ?? []) this.#learned.add(key as AccountId);
  }

  plain(ciphertext: Uint8Array): Plain | undefined {
    return this.#box.open(ciphertext);
  }

  peer(account: AccountId): PeerState | undefined {
    if (this.#port.strangers.has(account) && !this.#learned.has(account)) return undefined;
    return { listVersion: 1, devices: [{ device: DEVICE, ready: true }] };
  }

  learnDevices(account: AccountId): Learned {
    this.#learned.add(account);
    return { code: "ok", writes: [{ table: "sim-peer", key: account, value: NOTHING }] };
  }

  learnPrekeys(): Learned {
    return { code: "ok", writes: [] };
  }

  seal({ id, to, message, place, content, sentAt }: SealRequest): Sealed {
    const from = addressAt(this.#port.index);
    return { code: "ok", ciphertext: this.#box.seal({ id, from, to, message, place, content, sentAt }), writes: [] };
  }

  open({ id, kind, ciphertext }: OpenRequest): CipherOutcome {
    const plain = this.#box.open(ciphertext);
    const writes = kind === "signal" ? [] : [openedMark(id)];
    if (plain === undefined || plain.id !== id || plain.to !== addressAt(this.#port.index))
      return { outcome: "poison", code: "sim-not-for-here", writes };
    const { from, message, place, sentAt, content } = plain;
    const index = from.startsWith(accountAt(this.#port.index)) ? this.#port.index : indexOf(from);
    return {
      outcome: "ok",
      from,
      message,
      place,
      sentAt,
      accessKey: accessKeyAt(index),
      name: undefined,
      content,
      writes,
    };
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
