import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectPath } from "../support/project.ts";

interface Raw {
  readonly HEAPU8: Uint8Array;
  _sodium_init(): number;
  _malloc(length: number): number;
  _crypto_hash(out: number, m: number, mLow: number, mHigh: number): number;
}
type Instantiate = (platform: { getRandomValue: () => number }) => Promise<Raw>;

const platform = { getRandomValue: () => 0 };
let folder: string;
let source: string;
let pack: (source: string, license: string) => string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lethe-libsodium-"));
  source = await readFile(projectPath("node_modules/libsodium/dist/modules-esm/libsodium.mjs"), "utf8");
  const script = pathToFileURL(projectPath("scripts/pack-libsodium.mjs")).href;
  ({ packLibsodium: pack } = (await import(script)) as { packLibsodium: typeof pack });
});
afterAll(() => rm(folder, { recursive: true }));

async function load(name: string, code: string): Promise<Instantiate> {
  const path = join(folder, name);
  await writeFile(path, code);
  return ((await import(pathToFileURL(path).href)) as { default: Instantiate }).default;
}

/** SHA-512 of "abc", in hexadecimal. */
function hashOf(raw: Raw): string {
  expect(raw._sodium_init()).toBeGreaterThanOrEqual(0);
  const at = raw._malloc(67);
  raw.HEAPU8.set(new TextEncoder().encode("abc"), at + 64);
  expect(raw._crypto_hash(at, at + 64, 3, 0)).toBe(0);
  return Buffer.from(raw.HEAPU8.slice(at, at + 64)).toString("hex");
}

describe("libsodium as it is packed for pages", () => {
  it("has all that the registry's has, and answers as it does", async () => {
    const original = await (await load("original.mjs", source))(platform);
    const packed = await (await load("packed.mjs", pack(source, "ISC")))(platform);
    expect(Object.keys(packed).sort()).toEqual(
      expect.arrayContaining(Object.keys(original).filter((name) => name.startsWith("_"))),
    );
    expect(hashOf(packed)).toBe(hashOf(original));
    expect(hashOf(packed)).toMatch(/^ddaf35a193617aba/);
  });

  it("refuses to start, at once, where its wasm is damaged or may not be compiled", async () => {
    const packed = pack(source, "ISC");
    const at = packed.indexOf('DEFLATED = "') + 12;
    const cut = packed.slice(0, at) + packed.slice(at + 4);
    await expect((await load("cut.mjs", cut))(platform)).rejects.toThrow();
    const other = packed.replace(
      /DEFLATED = "[^"]*"/,
      `DEFLATED = "${Buffer.from("0300", "hex").toString("base64")}"`,
    );
    await expect((await load("other.mjs", other))(platform)).rejects.toThrow(WebAssembly.CompileError);
  });

  it("is not made of a libsodium that is laid out otherwise", () => {
    expect(() => pack(source.replace("AGFzbQ", "AAAAAA"), "ISC")).toThrow("laid out");
    expect(() => pack(source.replaceAll(".instantiateWasm(", ".start("), "ISC")).toThrow("laid out");
  });
});
