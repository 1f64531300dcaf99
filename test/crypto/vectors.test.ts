// Published vectors of other people, read from beside the project: Wycheproof, ACVP, CCTV, RFC 8032, X-Wing. Where the
// folder is absent the tests are skipped and say so. Counts are asserted, so a vector that is not run is noticed.
import { existsSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import sodium from "libsodium-wrappers";
import { beforeAll, describe, expect, it } from "vitest";
import {
  chachaOpen,
  chachaSeal,
  ed25519Public,
  ed25519Sign,
  ed25519Verify,
  hkdfSha256Expand,
  hkdfSha512,
  hmacSha256,
  hmacSha512,
  kemDecapsulate,
  kemEncapsulate,
  kemPublic,
  x25519,
  xchachaOpen,
  xchachaSeal,
} from "../../crypto/primitives.ts";
import { ready } from "../../crypto/ready.ts";
import { hex, text } from "./support.ts";

const FOLDER = new URL("../../../shared/vectors/", import.meta.url);
const present = existsSync(FOLDER);
if (!present) console.warn("published vectors are not beside the project: their tests are skipped");

beforeAll(ready);
// An instance of its own.
beforeAll(() => sodium.ready);

type Case = Readonly<Record<string, string>>;
type Group = Case & { readonly tests: readonly Case[] };

function bytesOf(name: string): Buffer {
  return readFileSync(new URL(name, FOLDER));
}
function groups(name: string): readonly Group[] {
  return (JSON.parse(bytesOf(name).toString()) as { testGroups: readonly Group[] }).testGroups;
}
function wycheproof(name: string): { readonly test: Case; readonly group: Group }[] {
  return groups(`wycheproof_${name}_test.json`).flatMap((group) =>
    group.tests.map((test) => ({ test, group })),
  );
}
const digits = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString("hex");
const of = (test: Case, field: string): Uint8Array => hex(test[field] ?? "");

/** The result of `run`, or undefined where it throws: out-of-range inputs are refused by exception. */
function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}

/** Counts cases by whether they went as published. */
function tally(cases: readonly boolean[]): { passed: number; failed: number } {
  const passed = cases.filter(Boolean).length;
  return { passed, failed: cases.length - passed };
}

describe.skipIf(!present)("attack 52: published vectors, curves and signatures", () => {
  it("X25519, Wycheproof", () => {
    let refused = 0;
    const results = wycheproof("x25519").map(({ test }) => {
      const shared = attempt(() => x25519(of(test, "private"), of(test, "public")));
      if (shared !== undefined) return digits(shared) === test["shared"];
      refused++;
      return /^0+$/.test(test["shared"] ?? "");
    });
    expect({ ...tally(results), refused }).toEqual({ passed: 518, failed: 0, refused: 31 });
  });

  it("Ed25519 verification, Wycheproof", () => {
    const results = wycheproof("ed25519").map(({ test, group }) => {
      const key = (group["publicKey"] as unknown as { pk: string }).pk;
      const good = ed25519Verify(hex(key), of(test, "sig"), of(test, "msg"));
      return good === (test["result"] === "valid");
    });
    expect(tally(results)).toEqual({ passed: 151, failed: 0 });
  });

  it("Ed25519 signatures, RFC 8032 section 7.1", () => {
    const cases = JSON.parse(gunzipSync(bytesOf("rfc8032_ed25519.json.gz")).toString()) as readonly Case[];
    const results = cases.map((test) => {
      const seed = of(test, "secretKey").subarray(0, 32);
      const signature = ed25519Sign(seed, of(test, "message"));
      const key = ed25519Public(seed);
      const verified = ed25519Verify(key, signature, of(test, "message"));
      return digits(key) === test["publicKey"] && digits(signature) === test["signature"] && verified;
    });
    expect(tally(results)).toEqual({ passed: 5, failed: 0 });
  });

  it("Ed25519 edge cases, CCTV: accepts 43, all with a key of mixed order", () => {
    const cases = JSON.parse(bytesOf("cctv_ed25519.json").toString()) as readonly (Case & {
      readonly flags: readonly string[] | null;
    })[];
    const accepted = cases.filter((test) =>
      ed25519Verify(of(test, "key"), of(test, "sig"), text(test["msg"] ?? "")),
    );
    const flags = new Set(accepted.flatMap((test) => test.flags ?? []));
    expect({ cases: cases.length, accepted: accepted.length }).toEqual({ cases: 914, accepted: 43 });
    for (const refused of ["low_order_A", "low_order_R", "non_canonical_A", "non_canonical_R"])
      expect(flags.has(refused)).toBe(false);
  });
});

describe.skipIf(!present)("attack 52: published vectors, derivation and ciphers", () => {
  it("HKDF-SHA-256 and HKDF-SHA-512, Wycheproof", () => {
    const run = (name: string, derive: (test: Case) => Uint8Array): unknown =>
      tally(
        wycheproof(name).map(({ test }) => {
          const okm = digits(attempt(() => derive(test)));
          return test["result"] === "valid" ? okm === test["okm"] : okm === undefined;
        }),
      );
    const sha256 = run("hkdf_sha256", (test) => {
      const prk = hmacSha256(of(test, "salt"), of(test, "ikm"));
      return hkdfSha256Expand(prk, [of(test, "info")], Number(test["size"]));
    });
    const sha512 = run("hkdf_sha512", (test) => {
      const from = { salt: of(test, "salt"), ikm: [of(test, "ikm")], info: [of(test, "info")] };
      return hkdfSha512({ ...from, length: Number(test["size"]) });
    });
    expect([sha256, sha512]).toEqual([
      { passed: 86, failed: 0 },
      { passed: 83, failed: 0 },
    ]);
  });

  it.each([
    ["hmac_sha256", hmacSha256],
    ["hmac_sha512", hmacSha512],
  ] as const)("%s, Wycheproof", (name, hmac) => {
    const results = wycheproof(name).map(({ test, group }) => {
      const tag = digits(hmac(of(test, "key"), of(test, "msg")).subarray(0, Number(group["tagSize"]) / 8));
      return (tag === test["tag"]) === (test["result"] === "valid");
    });
    expect(tally(results)).toEqual({ passed: 174, failed: 0 });
  });

  it.each([
    ["chacha20_poly1305", chachaSeal, chachaOpen, 325],
    ["xchacha20_poly1305", xchachaSeal, xchachaOpen, 315],
  ] as const)("%s, Wycheproof", (name, seal, open, count) => {
    const results = wycheproof(name).map(({ test }) => {
      const input = { key: of(test, "key"), nonce: of(test, "iv"), ad: [of(test, "aad")] };
      const published = hex(`${test["ct"] ?? ""}${test["tag"] ?? ""}`);
      const opened = digits(attempt(() => open(input, published)));
      if (test["result"] !== "valid") return opened === undefined;
      return opened === test["msg"] && digits(seal(input, of(test, "msg"))) === digits(published);
    });
    expect(tally(results)).toEqual({ passed: count, failed: 0 });
  });
});

describe.skipIf(!present)("attack 52: published vectors, ML-KEM-768", () => {
  it("key generation, Wycheproof and ACVP", () => {
    const published = wycheproof("mlkem_768_keygen_seed").map(({ test }) => ({
      seed: of(test, "seed"),
      ek: test["ek"],
    }));
    const acvp = groups("acvp_ML-KEM-keyGen-FIPS203_768.json").flatMap((group) =>
      group.tests.map((test) => ({
        seed: hex(`${test["d"] ?? ""}${test["z"] ?? ""}`),
        ek: test["ek"]?.toLowerCase(),
      })),
    );
    const results = [...published, ...acvp].map(({ seed, ek }) => digits(kemPublic(seed)) === ek);
    expect([published.length, acvp.length, tally(results)]).toEqual([100, 25, { passed: 125, failed: 0 }]);
  });

  it("encapsulation, Wycheproof", () => {
    const results = wycheproof("mlkem_768_encaps").map(({ test }) => {
      const made = kemEncapsulate(of(test, "ek"), of(test, "m"));
      if (test["result"] !== "valid") return made === undefined;
      return digits(made?.ciphertext) === test["c"] && digits(made?.shared) === test["K"];
    });
    expect(tally(results)).toEqual({ passed: 265, failed: 0 });
  });

  it("decapsulation from seeds, Wycheproof", () => {
    const results = wycheproof("mlkem_768").map(({ test }) => {
      const shared = attempt(() => kemDecapsulate(of(test, "seed"), of(test, "c")));
      if (test["result"] !== "valid") return shared === undefined;
      return digits(shared) === test["K"] && digits(kemPublic(of(test, "seed"))) === test["ek"];
    });
    expect(tally(results)).toEqual({ passed: 193, failed: 0 });
  });

  it("encapsulation keys over the modulus, CCTV: all refused", () => {
    const keys = gunzipSync(bytesOf("cctv_mlkem768_modulus.txt.gz")).toString().trim().split("\n").map(hex);
    expect([
      keys.length,
      keys.filter((key) => kemEncapsulate(key, new Uint8Array(32)) !== undefined),
    ]).toEqual([780, []]);
  });

  // Expanded decapsulation keys are never taken by this package: libsodium does not check their hash. The vectors are
  // run against libsodium itself, so that the day it checks them is noticed.
  const expanded = (dk: Uint8Array, c: Uint8Array): Uint8Array | undefined =>
    attempt(() => sodium.crypto_kem_mlkem768_dec(c, dk));

  it("expanded keys, Wycheproof: 7 of 9, the 2 refusals that libsodium lacks", () => {
    const results = wycheproof("mlkem_768_semi_expanded_decaps").map(({ test }) => {
      const shared = digits(expanded(of(test, "dk"), of(test, "c")));
      return test["result"] === "valid" ? shared === test["K"] : shared === undefined;
    });
    expect(tally(results)).toEqual({ passed: 7, failed: 2 });
  });

  it("ACVP: 35 encapsulations and decapsulations, 10 key checks, and 5 of 10 expanded keys", () => {
    const counts = { shared: [] as boolean[], ek: [] as boolean[], dk: [] as boolean[] };
    for (const group of groups("acvp_ML-KEM-encapDecap-FIPS203_768.json"))
      for (const test of group.tests) {
        const passes = test["testPassed"] as unknown as boolean;
        if (group["function"] === "encapsulation") {
          const made = kemEncapsulate(of(test, "ek"), of(test, "m"));
          const right = digits(made?.ciphertext) === test["c"]?.toLowerCase();
          counts.shared.push(right && digits(made?.shared) === test["k"]?.toLowerCase());
        } else if (group["function"] === "decapsulation") {
          counts.shared.push(digits(expanded(of(test, "dk"), of(test, "c"))) === test["k"]?.toLowerCase());
        } else if (group["function"] === "encapsulationKeyCheck") {
          const made = kemEncapsulate(of(test, "ek"), new Uint8Array(32));
          counts.ek.push((made !== undefined) === passes);
        } else {
          const shared = expanded(of(test, "dk"), new Uint8Array(1_088));
          counts.dk.push((shared !== undefined) === passes);
        }
      }
    expect({ shared: tally(counts.shared), ek: tally(counts.ek), dk: tally(counts.dk) }).toEqual({
      shared: { passed: 35, failed: 0 },
      ek: { passed: 10, failed: 0 },
      dk: { passed: 5, failed: 5 },
    });
  });

  it("rejected ciphertexts and unlucky samplings, CCTV", () => {
    const fields = (name: string): Case =>
      Object.fromEntries(
        bytesOf(name)
          .toString()
          .trim()
          .split("\n")
          .map((line) => line.split(" = ") as [string, string]),
      );
    const strcmp = fields("cctv_mlkem768_strcmp.txt");
    const unlucky = fields("cctv_mlkem768_unlucky.txt");
    expect(digits(expanded(of(strcmp, "dk"), of(strcmp, "c")))).toBe(strcmp["K"]);
    expect(digits(expanded(of(unlucky, "dk"), of(unlucky, "c")))).toBe(unlucky["K"]);
    const made = kemEncapsulate(of(unlucky, "ek"), of(unlucky, "m"));
    expect([digits(made?.ciphertext), digits(made?.shared)]).toEqual([unlucky["c"], unlucky["K"]]);
  });

  it("X-Wing, draft-connolly: the KEM of libsodium beside ours", () => {
    const cases = JSON.parse(bytesOf("xwing_draft.json").toString()) as readonly Case[];
    const results = cases.map((test) => {
      const pair = sodium.crypto_kem_xwing_seed_keypair(of(test, "seed"));
      const shared = sodium.crypto_kem_xwing_dec(of(test, "ct"), pair.privateKey);
      return digits(pair.publicKey) === test["pk"] && digits(shared) === test["ss"];
    });
    expect(tally(results)).toEqual({ passed: 3, failed: 0 });
  });
});
