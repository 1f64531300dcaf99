// HPKE (RFC 9180), base and psk mode, one message a context: DHKEM(X25519, HKDF-SHA256) 0x0020, HKDF-SHA256 0x0001,
// ChaCha20Poly1305 0x0003. Names follow the RFC. Keys of small order and non-canonical ones are refused.
import { isX25519Key } from "./layout.ts";
import { chachaOpen, chachaSeal, hkdfSha256Expand, hmacSha256, x25519, x25519Base } from "./primitives.ts";
import { Secret } from "./secret.ts";

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const EMPTY = new Uint8Array(0);
const VERSION = ascii("HPKE-v1");
const KEM_SUITE = Uint8Array.of(...ascii("KEM"), 0x00, 0x20);
const HPKE_SUITE = Uint8Array.of(...ascii("HPKE"), 0x00, 0x20, 0x00, 0x01, 0x00, 0x03);
const MODE = { base: 0x00, psk: 0x01 } as const;
const MIN_PSK_BYTES = 32;

export const ENC_BYTES = 32;

const NAMES = {
  eae: ascii("eae_prk"),
  sharedSecret: ascii("shared_secret"),
  pskId: ascii("psk_id_hash"),
  info: ascii("info_hash"),
  secret: ascii("secret"),
  key: ascii("key"),
  nonce: ascii("base_nonce"),
  exporter: ascii("exp"),
  sec: ascii("sec"),
};

/** LabeledExtract of section 4. */
function labeledExtract(salt: Uint8Array, suite: Uint8Array, label: Uint8Array, ikm: Uint8Array): Uint8Array {
  return hmacSha256(salt, VERSION, suite, label, ikm);
}

/** What LabeledExpand of section 4 takes. */
interface Expansion {
  readonly prk: Uint8Array;
  readonly suite: Uint8Array;
  readonly label: Uint8Array;
  readonly info: readonly Uint8Array[];
  readonly length: number;
}

function labeledExpand({ prk, suite, label, info, length }: Expansion): Uint8Array {
  return hkdfSha256Expand(
    prk,
    [Uint8Array.of(length >> 8, length & 0xff), VERSION, suite, label, ...info],
    length,
  );
}

/** ExtractAndExpand of section 4.1, with kem_context = enc | pkRm. */
function extractAndExpand(dh: Uint8Array, enc: Uint8Array, recipient: Uint8Array): Uint8Array {
  const prk = labeledExtract(EMPTY, KEM_SUITE, NAMES.eae, dh);
  const info = [enc, recipient];
  const shared = labeledExpand({ prk, suite: KEM_SUITE, label: NAMES.sharedSecret, info, length: 32 });
  prk.fill(0);
  dh.fill(0);
  return shared;
}

/** What both sides of psk mode hold (section 5.1.2). The caller wipes the key. */
export interface Psk {
  /** 32 bytes or more, of full entropy (section 9.5). */
  readonly key: Uint8Array;
  /** Its name, which is no secret; not empty. */
  readonly id: Uint8Array;
}

/** The key schedule of section 5.1 for one constant `info`, whose hashes are computed once: base mode, or psk mode. */
export class HpkeContext {
  readonly #info: Uint8Array;
  readonly #psk: Psk | undefined;
  #schedule: Uint8Array | undefined;

  /** VerifyPSKInputs of section 5.1. @throws RangeError for a short key or an empty name. */
  constructor(info: Uint8Array, psk?: Psk) {
    if (psk !== undefined && (psk.key.length < MIN_PSK_BYTES || psk.id.length === 0)) throw new RangeError(); // a pre-shared key has 32 bytes or more, and a name
    this.#info = info;
    this.#psk = psk;
  }

  /** key_schedule_context = mode | psk_id_hash | info_hash. */
  #context(): Uint8Array {
    this.#schedule ??= Uint8Array.of(
      this.#psk === undefined ? MODE.base : MODE.psk,
      ...labeledExtract(EMPTY, HPKE_SUITE, NAMES.pskId, this.#psk?.id ?? EMPTY),
      ...labeledExtract(EMPTY, HPKE_SUITE, NAMES.info, this.#info),
    );
    return this.#schedule;
  }

  /** Wipes `shared`. */
  #derive(shared: Uint8Array): HpkeKeys {
    const prk = labeledExtract(shared, HPKE_SUITE, NAMES.secret, this.#psk?.key ?? EMPTY);
    const from = { prk, suite: HPKE_SUITE, info: [this.#context()] };
    const key = labeledExpand({ ...from, label: NAMES.key, length: 32 });
    const nonce = labeledExpand({ ...from, label: NAMES.nonce, length: 12 });
    shared.fill(0);
    return { key, nonce, secret: prk };
  }

  /** The key schedule's secret, for `exporter`; the sender's side with a given ephemeral key. For published vectors. */
  encapsulated(
    recipient: Uint8Array,
    ephemeral: Uint8Array,
  ): { readonly enc: Uint8Array; readonly shared: Uint8Array } | undefined {
    if (!isX25519Key(recipient)) return undefined;
    const dh = x25519(ephemeral, recipient);
    if (dh === undefined) return undefined;
    const enc = x25519Base(ephemeral);
    return { enc, shared: extractAndExpand(dh, enc, recipient) };
  }

  /**
   * A sender's context with an ephemeral key of 32 random bytes, which is wiped; undefined where `recipient` is no
   * acceptable key.
   */
  sender(recipient: Uint8Array, ephemeral: Uint8Array): HpkeSender | undefined {
    const found = this.encapsulated(recipient, ephemeral);
    ephemeral.fill(0);
    return found === undefined ? undefined : new HpkeSender(found.enc, this.#derive(found.shared));
  }

  /** `sender`, and what both sides can export. */
  exportingSender(recipient: Uint8Array, ephemeral: Uint8Array): ExportingSender | undefined {
    const found = this.encapsulated(recipient, ephemeral);
    ephemeral.fill(0);
    if (found === undefined) return undefined;
    const keys = this.#derive(found.shared);
    return { exporter: this.#exporter(keys.secret), sender: new HpkeSender(found.enc, keys) };
  }

  /** Open of section 6.1; undefined where it does not. */
  open(opening: HpkeOpening): Uint8Array | undefined {
    const keys = this.#decapsulated(opening);
    if (keys === undefined) return undefined;
    const plain = opened(keys, opening);
    wipe(keys);
    return plain;
  }

  /** `open`, and what both sides can export. */
  openExporting(opening: HpkeOpening): OpenedExporting | undefined {
    const keys = this.#decapsulated(opening);
    if (keys === undefined) return undefined;
    const plain = opened(keys, opening);
    const exporter = plain === undefined ? undefined : this.#exporter(keys.secret);
    wipe(keys);
    return plain === undefined || exporter === undefined ? undefined : { plain, exporter };
  }

  /** Decap of section 4.1 and the key schedule. */
  #decapsulated({ enc, secret, recipient }: HpkeOpening): HpkeKeys | undefined {
    if (!isX25519Key(enc)) return undefined;
    const dh = x25519(secret, enc);
    return dh === undefined ? undefined : this.#derive(extractAndExpand(dh, enc, recipient));
  }

  #exporter(prk: Uint8Array): HpkeExporter {
    const from = { prk, suite: HPKE_SUITE, info: [this.#context()] };
    return new HpkeExporter(labeledExpand({ ...from, label: NAMES.exporter, length: 32 }));
  }

  /** Export of section 5.3 for a shared secret, which is wiped. For published vectors. */
  exported(shared: Uint8Array, context: Uint8Array, length: number): Uint8Array {
    const keys = this.#derive(shared);
    const exporter = this.#exporter(keys.secret);
    wipe(keys);
    const out = exporter.export(context, length);
    exporter.wipe();
    return out;
  }
}

/** What both sides of a context can derive and nobody else (section 5.3). Wiped by its owner, and then of no use. */
export class HpkeExporter {
  readonly #secret: Secret;

  /** Takes the exporter_secret over. */
  constructor(secret: Uint8Array) {
    this.#secret = new Secret(secret);
  }

  get wiped(): boolean {
    return this.#secret.wiped;
  }

  /** Export of section 5.3. @throws Error once it was wiped. */
  export(context: Uint8Array, length: number): Uint8Array {
    if (this.wiped) throw new Error("an exporter that was wiped");
    const prk = this.#secret.reveal();
    return labeledExpand({ prk, suite: HPKE_SUITE, label: NAMES.sec, info: [context], length });
  }

  wipe(): void {
    this.#secret.wipe();
  }
}

export interface ExportingSender {
  readonly sender: HpkeSender;
  readonly exporter: HpkeExporter;
}

export interface OpenedExporting {
  readonly plain: Uint8Array;
  readonly exporter: HpkeExporter;
}

interface HpkeKeys {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  readonly secret: Uint8Array;
}

function wipe(keys: HpkeKeys): void {
  keys.key.fill(0);
  keys.nonce.fill(0);
  keys.secret.fill(0);
}

function opened({ key, nonce }: HpkeKeys, { aad, ciphertext }: HpkeOpening): Uint8Array | undefined {
  return chachaOpen({ key, nonce, ad: [aad] }, ciphertext);
}

export interface HpkeOpening {
  readonly enc: Uint8Array;
  /** skR and pkRm. */
  readonly secret: Uint8Array;
  readonly recipient: Uint8Array;
  readonly aad: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/** Seals one message: sequence number 0 only, so a nonce is never used twice. */
export class HpkeSender {
  readonly enc: Uint8Array;
  #keys: HpkeKeys | undefined;

  constructor(enc: Uint8Array, keys: HpkeKeys) {
    this.enc = enc;
    this.#keys = keys;
  }

  /** Seal of section 6.1. @throws Error at a second call. */
  seal(aad: Uint8Array, ...plain: Uint8Array[]): Uint8Array {
    const keys = this.#keys;
    if (keys === undefined) throw new Error("a sealing context is used once");
    this.#keys = undefined;
    const sealed = chachaSeal({ key: keys.key, nonce: keys.nonce, ad: [aad] }, ...plain);
    wipe(keys);
    return sealed;
  }
}
