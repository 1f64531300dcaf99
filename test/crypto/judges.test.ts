// The primitives against other people's implementations, on random input: HPKE against @hpke/core, ML-KEM-768, X25519 and
// Ed25519 against the @noble packages, X-Wing (which the protocol does not use) as libsodium has it against theirs.
import { createCipheriv, createDecipheriv } from "node:crypto";
import { CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { ed25519, x25519 as nobleX25519 } from "@noble/curves/ed25519.js";
import { ml_kem768_x25519 as nobleXWing } from "@noble/post-quantum/hybrid.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import sodium from "libsodium-wrappers";
import { beforeAll, describe, expect, it } from "vitest";
import { HpkeContext } from "../../crypto/hpke.ts";
import {
  ed25519Public,
  ed25519Sign,
  ed25519Verify,
  kemDecapsulate,
  kemEncapsulate,
  kemPublic,
  x25519,
  x25519Base,
} from "../../crypto/primitives.ts";
import { ready } from "../../crypto/ready.ts";
import { seededRandom, seedOf } from "./support.ts";

beforeAll(ready);
// An instance of its own.
beforeAll(() => sodium.ready);

const random = seededRandom(seedOf("judges", 9_180));
const ROUNDS = 50;
const rounds = Array.from({ length: ROUNDS }, (_, i) => i);
const hex = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString("hex");
/** WebCrypto's types ask for bytes of a buffer of their own. */
const own = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;
const view = (of: ArrayBufferLike | ArrayBufferView): Uint8Array =>
  ArrayBuffer.isView(of) ? new Uint8Array(of.buffer, of.byteOffset, of.byteLength) : new Uint8Array(of);

/** ChaCha20Poly1305 (0x0003), which @hpke/core leaves to others: here node:crypto. */
const chacha = {
  id: 0x0003 as const,
  keySize: 32,
  nonceSize: 12,
  tagSize: 16,
  createEncryptionContext(key: ArrayBufferLike | ArrayBufferView) {
    const using = [Uint8Array.from(view(key)), { authTagLength: 16 }] as const;
    return {
      seal(
        iv: ArrayBufferLike | ArrayBufferView,
        plain: ArrayBufferLike | ArrayBufferView,
        aad: ArrayBufferLike | ArrayBufferView,
      ) {
        const cipher = createCipheriv("chacha20-poly1305", using[0], view(iv), using[1]);
        cipher.setAAD(view(aad), { plaintextLength: plain.byteLength });
        const sealed = [cipher.update(view(plain)), cipher.final()];
        return Promise.resolve(own(Buffer.concat([...sealed, cipher.getAuthTag()])));
      },
      open(
        iv: ArrayBufferLike | ArrayBufferView,
        sealed: ArrayBufferLike | ArrayBufferView,
        aad: ArrayBufferLike | ArrayBufferView,
      ) {
        const [body, tag] = [view(sealed).subarray(0, -16), view(sealed).subarray(-16)];
        const cipher = createDecipheriv("chacha20-poly1305", using[0], view(iv), using[1]);
        cipher.setAAD(view(aad), { plaintextLength: body.length });
        cipher.setAuthTag(tag);
        return Promise.resolve(own(Buffer.concat([cipher.update(body), cipher.final()])));
      },
    };
  },
};

describe("HPKE against @hpke/core", () => {
  const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: chacha });
  const input = () => ({
    secret: random.bytes(32),
    info: random.bytes(random.below(60)),
    aad: random.bytes(random.below(60)),
    plain: random.bytes(1 + random.below(600)),
  });

  it("psk mode: opens what we seal, seals what we open, and exports the same", async () => {
    for (const _ of rounds) {
      const { secret, info, aad, plain } = input();
      const psk = { key: random.bytes(32 + random.below(33)), id: random.bytes(1 + random.below(40)) };
      const theirs = { info: own(info), psk: { key: own(psk.key), id: own(psk.id) } };
      const context = new HpkeContext(info, psk);
      const made = context.exportingSender(x25519Base(secret), random.bytes(32));
      if (made === undefined) throw new Error("no context");
      const sealed = made.sender.seal(aad, plain);
      const recipientKey = await suite.kem.importKey("raw", own(secret), false);
      const recipient = await suite.createRecipientContext({
        ...theirs,
        recipientKey,
        enc: own(made.sender.enc),
      });
      expect(hex(new Uint8Array(await recipient.open(own(sealed), own(aad))))).toBe(hex(plain));
      const exported = hex(new Uint8Array(await recipient.export(own(aad), 48)));
      expect(hex(made.exporter.export(aad, 48))).toBe(exported);

      const recipientPublicKey = await suite.kem.importKey("raw", own(x25519Base(secret)), true);
      const sender = await suite.createSenderContext({ ...theirs, recipientPublicKey });
      const ciphertext = new Uint8Array(await sender.seal(own(plain), own(aad)));
      const keys = { enc: new Uint8Array(sender.enc), secret, recipient: x25519Base(secret), aad };
      const opened = context.openExporting({ ...keys, ciphertext });
      expect(hex(opened?.plain)).toBe(hex(plain));
      expect(hex(opened?.exporter.export(aad, 48))).toBe(
        hex(new Uint8Array(await sender.export(own(aad), 48))),
      );
      expect(new HpkeContext(info).open({ ...keys, ciphertext })).toBeUndefined();
    }
  });

  it("opens what we seal", async () => {
    for (const _ of rounds) {
      const { secret, info, aad, plain } = input();
      const sender = new HpkeContext(info).sender(x25519Base(secret), random.bytes(32));
      const sealed = sender?.seal(aad, plain) ?? new Uint8Array(0);
      const recipientKey = await suite.kem.importKey("raw", own(secret), false);
      const recipient = { recipientKey, enc: own(sender?.enc ?? plain), info: own(info) };
      expect(hex(new Uint8Array(await suite.open(recipient, own(sealed), own(aad))))).toBe(hex(plain));
    }
  });

  it("seals what we open, and what it seals and breaks we refuse", async () => {
    for (const _ of rounds) {
      const { secret, info, aad, plain } = input();
      const recipientPublicKey = await suite.kem.importKey("raw", own(x25519Base(secret)), true);
      const { ct, enc } = await suite.seal({ recipientPublicKey, info: own(info) }, own(plain), own(aad));
      const keys = { enc: new Uint8Array(enc), secret, recipient: x25519Base(secret), aad };
      const ciphertext = new Uint8Array(ct);
      const context = new HpkeContext(info);
      expect(hex(context.open({ ...keys, ciphertext }))).toBe(hex(plain));
      const at = random.below(ciphertext.length);
      ciphertext[at] = (ciphertext[at] as number) ^ 1;
      expect(context.open({ ...keys, ciphertext })).toBeUndefined();
    }
  });
});

describe("ML-KEM-768 against @noble/post-quantum", () => {
  it("makes the same keys, ciphertexts and secrets", () => {
    for (const _ of rounds) {
      const [seed, chance] = [random.bytes(64), random.bytes(32)];
      const { publicKey, secretKey } = ml_kem768.keygen(seed);
      expect(hex(kemPublic(seed))).toBe(hex(publicKey));
      const made = kemEncapsulate(publicKey, chance);
      const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, chance);
      expect([hex(made?.ciphertext), hex(made?.shared)]).toEqual([hex(cipherText), hex(sharedSecret)]);
      expect(hex(kemDecapsulate(seed, cipherText))).toBe(hex(sharedSecret));
      expect(hex(ml_kem768.decapsulate(made?.ciphertext ?? cipherText, secretKey))).toBe(hex(made?.shared));
    }
  });

  it("rejects a changed ciphertext implicitly with the same secret (FIPS 203 section 6.3)", () => {
    for (const _ of rounds) {
      const seed = random.bytes(64);
      const { publicKey, secretKey } = ml_kem768.keygen(seed);
      const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, random.bytes(32));
      const at = random.below(cipherText.length);
      cipherText[at] = (cipherText[at] as number) ^ (1 << random.below(8));
      const ours = hex(kemDecapsulate(seed, cipherText));
      expect(ours).toBe(hex(ml_kem768.decapsulate(cipherText, secretKey)));
      expect(ours).not.toBe(hex(sharedSecret));
    }
  });
});

describe("X-Wing of libsodium against @noble/post-quantum", () => {
  it("makes the same keys and reads the other's secrets", () => {
    for (const _ of rounds) {
      const seed = random.bytes(32);
      const pair = sodium.crypto_kem_xwing_seed_keypair(seed);
      const theirs = nobleXWing.keygen(seed);
      expect(hex(pair.publicKey)).toBe(hex(theirs.publicKey));
      const ours = sodium.crypto_kem_xwing_enc(pair.publicKey);
      expect(hex(nobleXWing.decapsulate(ours.ciphertext, theirs.secretKey))).toBe(hex(ours.sharedSecret));
      const made = nobleXWing.encapsulate(pair.publicKey);
      const read = sodium.crypto_kem_xwing_dec(made.cipherText, pair.privateKey);
      expect(hex(read)).toBe(hex(made.sharedSecret));
    }
  });
});

describe("the curves against @noble/curves", () => {
  it("X25519: the same public keys and secrets", () => {
    for (const _ of rounds) {
      const [a, b] = [random.bytes(32), random.bytes(32)];
      expect(hex(x25519Base(a))).toBe(hex(nobleX25519.getPublicKey(a)));
      const theirs = nobleX25519.getPublicKey(b);
      expect(hex(x25519(a, theirs))).toBe(hex(nobleX25519.getSharedSecret(a, theirs)));
    }
  });

  it("Ed25519: the same keys and signatures, and both verify them", () => {
    for (const _ of rounds) {
      const [seed, said] = [random.bytes(32), random.bytes(random.below(300))];
      const key = ed25519Public(seed);
      expect(hex(key)).toBe(hex(ed25519.getPublicKey(seed)));
      const signature = ed25519Sign(seed, said);
      expect(hex(signature)).toBe(hex(ed25519.sign(said, seed)));
      expect([ed25519Verify(key, signature, said), ed25519.verify(signature, said, key)]).toEqual([
        true,
        true,
      ]);
      const [other] = [Uint8Array.of(...said, 0)];
      expect([ed25519Verify(key, signature, other), ed25519.verify(signature, other, key)]).toEqual([
        false,
        false,
      ]);
    }
  });
});
