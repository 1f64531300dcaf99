// Values printed in RFCs, checked inline: RFC 7748, RFC 5869, RFC 8439, RFC 9180.
import { beforeAll, describe, expect, it } from "vitest";
import { HpkeContext } from "../../crypto/hpke.ts";
import {
  chachaOpen,
  chachaSeal,
  hkdfSha256Expand,
  hmacSha256,
  x25519,
  x25519Base,
} from "../../crypto/primitives.ts";
import { ready } from "../../crypto/ready.ts";
import { hex, text } from "./support.ts";

beforeAll(ready);

const toHex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex");
const range = (from: number, to: number): Uint8Array =>
  Uint8Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe("RFC 7748", () => {
  it("section 5.2: multiplies as printed", () => {
    const scalar = hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    const u = hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    expect(toHex(x25519(scalar, u))).toBe("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
  });

  it("section 5.2: gives the values after 1 and 1,000 iterations", () => {
    let [k, u] = [hex(`09${"00".repeat(31)}`), hex(`09${"00".repeat(31)}`)];
    for (let i = 1; i <= 1_000; i++) {
      [k, u] = [x25519(k, u) as Uint8Array, k];
      if (i === 1) expect(toHex(k)).toBe("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
    expect(toHex(k)).toBe("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
  });

  it("section 6.1: agrees as printed", () => {
    const alice = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    const bob = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    const [alicePublic, bobPublic] = [x25519Base(alice), x25519Base(bob)];
    expect(toHex(alicePublic)).toBe("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    expect(toHex(bobPublic)).toBe("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    const shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
    expect([toHex(x25519(alice, bobPublic)), toHex(x25519(bob, alicePublic))]).toEqual([shared, shared]);
  });
});

describe("RFC 5869", () => {
  const cases = [
    {
      name: "A.1",
      ikm: hex("0b".repeat(22)),
      salt: range(0x00, 0x0c),
      info: range(0xf0, 0xf9),
      prk: "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
      okm: "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    },
    {
      name: "A.2",
      ikm: range(0x00, 0x4f),
      salt: range(0x60, 0xaf),
      info: range(0xb0, 0xff),
      prk: "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
      okm:
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09" +
        "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    },
    {
      name: "A.3",
      ikm: hex("0b".repeat(22)),
      salt: hex(""),
      info: hex(""),
      prk: "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
      okm: "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    },
  ];
  it.each(cases)("$name: extracts and expands as printed", ({ ikm, salt, info, prk, okm }) => {
    const extracted = hmacSha256(salt, ikm);
    expect(toHex(extracted)).toBe(prk);
    expect(toHex(hkdfSha256Expand(extracted, [info], okm.length / 2))).toBe(okm);
  });
});

describe("RFC 8439", () => {
  it("section 2.8.2: seals and opens as printed", () => {
    const input = {
      key: range(0x80, 0x9f),
      nonce: hex("070000004041424344454647"),
      ad: [hex("50515253c0c1c2c3c4c5c6c7")],
    };
    const plain = text(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
    );
    const sealed = chachaSeal(input, plain);
    expect(toHex(sealed)).toBe(
      "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b" +
        "1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc" +
        "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
    );
    expect(chachaOpen(input, sealed)).toEqual(plain);
  });
});

describe("RFC 9180", () => {
  const info = hex("4f6465206f6e2061204772656369616e2055726e");
  const ephemeral = (): Uint8Array => hex("f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600");
  const secret = hex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
  const recipient = hex("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a");
  const aad = hex("436f756e742d30");
  const plain = hex("4265617574792069732074727574682c20747275746820626561757479");
  const enc = "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a";
  const ciphertext =
    "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28";

  it("A.2.1: encapsulates as printed", () => {
    const found = new HpkeContext(info).encapsulated(recipient, ephemeral());
    expect(toHex(found?.enc)).toBe(enc);
    expect(toHex(found?.shared)).toBe("0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7");
  });

  it("A.2.1: seals and opens the first message as printed", () => {
    const context = new HpkeContext(info);
    const sender = context.sender(recipient, ephemeral());
    expect(toHex(sender?.enc)).toBe(enc);
    expect(toHex(sender?.seal(aad, plain))).toBe(ciphertext);
    const opened = context.open({ enc: hex(enc), secret, recipient, aad, ciphertext: hex(ciphertext) });
    expect(opened).toEqual(plain);
    expect(
      context.open({ enc: hex(enc), secret, recipient, aad: hex("00"), ciphertext: hex(ciphertext) }),
    ).toBe(undefined);
  });

  it("A.2.1: exports as printed", () => {
    const context = new HpkeContext(info);
    const exported = (exporterContext: Uint8Array): string => {
      const shared = context.encapsulated(recipient, ephemeral())?.shared as Uint8Array;
      return toHex(context.exported(shared, exporterContext, 32));
    };
    expect(exported(hex(""))).toBe("4bbd6243b8bb54cec311fac9df81841b6fd61f56538a775e7c80a9f40160606e");
    const test = "5acb09211139c43b3090489a9da433e8a30ee7188ba8b0a9a1ccf0c229283e53";
    expect(exported(text("TestContext"))).toBe(test);
  });

  it("A.2.2: seals, opens and exports in psk mode as printed", () => {
    const psk = {
      key: hex("0247fd33b913760fa1fa51e1892d9f307fbe65eb171e8132c2af18555a738b82"),
      id: hex("456e6e796e20447572696e206172616e204d6f726961"),
    };
    const own = {
      secret: hex("77d114e0212be51cb1d76fa99dd41cfd4d0166b08caa09074430a6c59ef17879"),
      recipient: hex("13640af826b722fc04feaa4de2f28fbd5ecc03623b317834e7ff4120dbe73062"),
    };
    const once = (): Uint8Array => hex("0c35fdf49df7aa01cd330049332c40411ebba36e0c718ebc3edf5845795f6321");
    const context = new HpkeContext(info, psk);
    const shared = context.encapsulated(own.recipient, once())?.shared;
    expect(toHex(shared)).toBe("4be079c5e77779d0215b3f689595d59e3e9b0455d55662d1f3666ec606e50ea7");
    const made = context.exportingSender(own.recipient, once());
    const sealedTo = made?.sender.enc ?? hex("");
    expect(toHex(sealedTo)).toBe("2261299c3f40a9afc133b969a97f05e95be2c514e54f3de26cbe5644ac735b04");
    const sealed = made?.sender.seal(aad, plain) ?? hex("");
    expect(toHex(sealed)).toBe(
      "4a177f9c0d6f15cfdf533fb65bf84aecdc6ab16b8b85b4cf65a370e07fc1d78d28fb073214525276f4a89608ff",
    );
    const opening = { ...own, enc: sealedTo, aad, ciphertext: sealed };
    const opened = context.openExporting(opening);
    expect(opened?.plain).toEqual(plain);
    for (const exporter of [made?.exporter, opened?.exporter]) {
      const exported = [hex(""), hex("00"), text("TestContext")].map((of) => toHex(exporter?.export(of, 32)));
      expect(exported).toEqual([
        "813c1bfc516c99076ae0f466671f0ba5ff244a41699f7b2417e4c59d46d39f40",
        "2745cf3d5bb65c333658732954ee7af49eb895ce77f8022873a62a13c94cb4e1",
        "ad40e3ae14f21c99bfdebc20ae14ab86f4ca2dc9a4799d200f43a25f99fa78ae",
      ]);
    }
    const others = [{ ...psk, key: psk.key.toReversed() }, { ...psk, id: text("another") }, undefined];
    for (const other of others) expect(new HpkeContext(info, other).openExporting(opening)).toBe(undefined);
  });

  it("section 5.1: takes no short pre-shared key, and none without a name", () => {
    const key = new Uint8Array(32);
    expect(() => new HpkeContext(info, { key: key.subarray(1), id: text("name") })).toThrow(RangeError);
    expect(() => new HpkeContext(info, { key, id: hex("") })).toThrow(RangeError);
    expect(() => new HpkeContext(info, { key, id: text("n") })).not.toThrow();
  });

  it("exports nothing any more once the exporter was wiped", () => {
    const exporter = new HpkeContext(info).exportingSender(recipient, ephemeral())?.exporter;
    expect(exporter?.export(text("a"), 16).length).toBe(16);
    exporter?.wipe();
    expect(() => exporter?.export(text("a"), 16)).toThrow("wiped");
  });

  it("seals one message with a context and refuses a second", () => {
    const sender = new HpkeContext(info).sender(recipient, ephemeral());
    sender?.seal(aad, plain);
    expect(() => sender?.seal(aad, plain)).toThrow("once");
  });
});
