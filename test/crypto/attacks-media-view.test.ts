// Attack 49, and what a real relay process sees of files: every request with its headers and body, and every frame, was recorded;
// its files, ledger, log and metrics are searched.
import { addressOf, AUTHORIZATION_SCHEME, type DeviceNumber, MEDIA_SCHEME, toBytes } from "@lethe/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { capabilityMark, ready, releaseToken, Secret } from "../../crypto/index.ts";
import type { Request } from "../support/recording-line.ts";
import { RUN_BYTES, Runs } from "../support/runs.ts";
import {
  ABOUT,
  ANNA,
  BEN,
  CLEO,
  FILE_BYTES,
  type FileRequest,
  hex,
  MediaView,
  nameOf,
  rawOf,
  type Seen,
} from "./media-view-world.ts";

/** Of an envelope: version and id of the recipient's sealing key, the same for all that goes to that device. */
const SEAL_PREFIX_BYTES = 9;

let view: MediaView;
beforeAll(async () => {
  await ready();
  view = await MediaView.recorded();
}, 120_000);
afterAll(() => view[Symbol.asyncDispose]());

/** The bytes as they could be written down. */
function formsOf(value: Uint8Array): Buffer[] {
  const forms = ["latin1", "hex", "base64", "base64url"] as const;
  return forms.map((form) => Buffer.from(Buffer.from(value).toString(form).replace(/=+$/, ""), "latin1"));
}

function nowhere(name: string, value: Uint8Array, among: readonly Seen[] = view.everything): void {
  for (const form of formsOf(value))
    for (const { what, bytes } of among) expect(bytes.includes(form), `${name} in ${what}`).toBe(false);
}

const placesOf = (runs: Runs, among: readonly Seen[]): string[] =>
  among.filter(({ bytes }) => runs.in(bytes) !== undefined).map(({ what }) => what);

const isBegin = ({ method, path }: Request): boolean => method === "PUT" && /\/[0-9a-f]{32}$/.test(path);
const isPart = ({ path }: Request): boolean => path.includes("/parts/");
const isPut = (request: Request): boolean => request.method === "PUT" && isPart(request);

function header({ headers }: Request, wanted: string): string {
  return headers.find(([name]) => name === wanted)?.[1] ?? "";
}

function capabilityIn(request: Request): Buffer {
  return Buffer.from(header(request, "authorization").slice(MEDIA_SCHEME.length + 1), "base64url");
}

describe("what the relay sees of a file", () => {
  it("is looked at: all that uploads, downloads and releases ask for, frames, and what waits", () => {
    const seen = view.fileRequests.map((request) => nameOf(request).replace(/[0-9a-f]{32}/, "ID"));
    const parts = [0, 1].flatMap((part) => ["PUT", "GET"].map((how) => `${how} /v1/media/ID/parts/${part}`));
    const rest = ["PUT /v1/media/ID", "POST /v1/media/ID/finish", "PUT /v1/media/ID/tokens"];
    for (const what of [...parts, ...rest, "POST /v1/media/ID/release"]) expect(seen).toContain(what);
    expect(new Set(view.fileRequests.map(({ id }) => id))).toEqual(
      new Set(view.files.map(({ id }) => hex(id))),
    );
    expect(view.frames.length).toBeGreaterThan(20);
    for (const file of view.files) {
      const put = view.about(file).filter(isPut);
      const places = placesOf(
        new Runs([put[0]?.body.subarray(1_000, 1_100) ?? Buffer.alloc(0)]),
        view.everything,
      );
      expect(places.filter((what) => what.includes(hex(file.id))).length).toBeGreaterThanOrEqual(3);
    }
  });

  it("has no key of it, and no name, type, caption or picture", () => {
    for (const { key, digest } of view.files) {
      nowhere("the key", key);
      nowhere("the digest", digest);
    }
    for (const [name, text] of Object.entries(ABOUT)) nowhere(name, Buffer.from(text));
    expect(placesOf(new Runs([view.thumbnail], RUN_BYTES), view.everything)).toEqual([]);
  });

  it("has no run of its bytes, wherever they stand", () => {
    const plain = new Runs([view.file], RUN_BYTES);
    expect(plain.in(view.file.subarray(1_001, 1_017))).toBe(7); // else the search shows nothing
    expect(placesOf(plain, view.everything)).toEqual([]);
  });

  it("has a size that many files have: what is announced and put is a bucket of Padmé's and its tags", () => {
    const announced = view.fileRequests
      .filter(isBegin)
      .map(({ body }) => JSON.parse(body.toString()) as Begin);
    expect(announced.length).toBeGreaterThanOrEqual(2);
    for (const { bytes: sealed } of announced) {
      const padded = sealed - 17 * Math.ceil(sealed / (65_536 + 17));
      // Nikitin et al. 2019, section 4: of a length but its first bits, as many as its logarithm has, all are 0.
      const exponent = Math.floor(Math.log2(padded));
      const step = 2 ** (exponent - Math.floor(Math.log2(exponent)) - 1);
      expect([padded % step, padded >= FILE_BYTES + 8, padded < 1.12 * FILE_BYTES]).toEqual([0, true, true]);
    }
    for (const file of view.files) {
      const lengths = new Map(
        view
          .about(file)
          .filter(isPut)
          .map(({ path, body }) => [path, body.length]),
      );
      expect([...lengths.values()].reduce((sum, length) => sum + length, 0)).toBe(announced[0]?.bytes);
    }
  });
});

interface Begin {
  readonly bytes: number;
}

describe("the connections that a relay sees", () => {
  const isAnonymous = ({ method, path }: Request): boolean =>
    (method === "GET" && path.includes("/parts/")) || path.endsWith("/release");

  it("of downloads and releases carry nothing by which it knows an account", () => {
    const ofBen = view.fileRequests.filter(({ who }) => who === BEN);
    const on = (of: readonly Request[]): Set<number> => new Set(of.map(({ connection }) => connection));
    // He has fetched one file and passed it on, with what that takes.
    const [downloads, uploads] = [
      ofBen.filter(isAnonymous),
      ofBen.filter((request) => !isAnonymous(request)),
    ];
    expect(downloads.length).toBeGreaterThan(2);
    expect(uploads.length).toBeGreaterThan(4);
    const signed = view.signed(BEN);
    expect(signed.length).toBeGreaterThan(1);
    expect(on(downloads).intersection(on([...uploads, ...signed]))).toEqual(new Set());
  });
});

describe("who a file is from and for", () => {
  it("is in no request but the first of an upload, which names who sends it", () => {
    for (const request of view.fileRequests) {
      const [scheme] = header(request, "authorization").split(" ");
      expect(scheme).toBe(isBegin(request) ? AUTHORIZATION_SCHEME : MEDIA_SCHEME);
      const among = [{ what: nameOf(request), bytes: rawOf(request) }];
      for (const { user, account } of view.people) {
        if (isBegin(request) && user === request.who) continue;
        nowhere(user, toBytes(account), among);
        nowhere(user, Buffer.from(user), among);
      }
      if (!isBegin(request)) continue;
      expect(Object.keys(JSON.parse(request.body.toString()) as Begin)).toEqual(["bytes", "uploadKey"]);
    }
  });

  it("is in no header: all say the same for everybody, but for what is shown, the range and the length", () => {
    const own = new Set(["authorization", "range", "content-length", "host"]);
    const said = new Map<string, Set<string>>();
    for (const request of view.fileRequests.filter((each) => !isBegin(each))) {
      const operation = nameOf(request)
        .replace(/[0-9a-f]{32}/, "")
        .replace(/\d+$/, "");
      const others = request.headers.filter(([name]) => !own.has(name));
      const line = others.map((pair) => pair.join(": ")).join("\n");
      said.set(operation, (said.get(operation) ?? new Set()).add(line));
      expect(line).not.toMatch(/^(?:cookie|if-|referer|from|forwarded|x-)/m);
      expect(header(request, "authorization")).toMatch(/^LetheMedia [\w-]{43}$/);
      expect(header(request, "range")).toMatch(/^(?:bytes=\d+-)?$/);
    }
    expect(said.size).toBeGreaterThanOrEqual(5);
    expect([...said].filter(([, lines]) => lines.size > 1)).toEqual([]);
  });

  it("is not in the ledger: of recipients it has marks, of senders whose quota the file counts for", () => {
    const [, { id, key }] = view.files;
    const device = addressOf(view.account(CLEO), 1 as DeviceNumber);
    const mark = capabilityMark(releaseToken({ id, key: new Secret(key) }, device));
    const rowsOf = (wanted: string): string[][] =>
      view.rows.flatMap(({ table, values }) => (table === wanted ? [values.map(asText)] : []));
    expect(rowsOf("media_token")).toEqual([[hex(id), hex(mark), "0"]]);
    const [blob = [], ...further] = rowsOf("media");
    expect(further).toEqual([]);
    expect(blob.slice(0, 2)).toEqual([hex(id), hex(toBytes(view.account(BEN)))]);
    expect(blob.slice(2).filter((value) => value.length >= 16)).toHaveLength(1); // the upload key's mark
    const all = view.rows.flatMap(({ values }) => values.map(asText)).join(" ");
    for (const user of [ANNA, CLEO]) expect(all).not.toContain(hex(toBytes(view.account(user))));
  });

  it("cannot be shown by anybody who has the relay's disk, log and metrics: no token and no upload key is there", () => {
    const capabilities = view.fileRequests.filter((request) => !isBegin(request)).map(capabilityIn);
    expect(new Set(capabilities.map(hex)).size).toBe(4); // two uploads, two devices
    for (const capability of capabilities)
      nowhere("a capability", capability, [...view.kept, ...view.written]);
    for (const { id } of view.files) nowhere("the id", id, view.written);
  });
});

const asText = (value: unknown): string => (value instanceof Uint8Array ? hex(value) : String(value));

describe("attack 49: a file that is passed on, from the relay's side", () => {
  /** What a request brings that is not the same for all: of a body in JSON its texts. */
  function broughtBy(request: FileRequest): Buffer[] {
    const signed = [...header(request, "authorization").matchAll(/(?:nonce|signature)=([\w-]+)/g)];
    const shown = isBegin(request)
      ? signed.map(([, text = ""]) => Buffer.from(text, "base64url"))
      : [capabilityIn(request)];
    const carried = isPart(request)
      ? [request.body]
      : textsIn(request).map((text) => Buffer.from(text, "base64url"));
    return [Buffer.from(request.id, "hex"), ...shown, ...carried];
  }

  function textsIn({ body }: FileRequest): string[] {
    return [...body.toString().matchAll(/"([\w-]{16,})"/g)].map(([, text = ""]) => text);
  }

  function envelopesOf(user: string): Buffer[] {
    return view.frames.flatMap(({ who, frame }) =>
      who === user && frame.frame === "submit"
        ? frame.envelopes.flatMap(({ id, ciphertext }) => [
            Buffer.from(id, "latin1"),
            Buffer.from(ciphertext.subarray(SEAL_PREFIX_BYTES)),
          ])
        : [],
    );
  }

  it("has no run of 8 bytes in common with what it was before: no id, key, token, mark, block or envelope", () => {
    const [origin, copy] = view.files;
    const first = new Runs([...view.about(origin).flatMap(broughtBy), ...envelopesOf(ANNA)]);
    expect(first.size).toBeGreaterThan(FILE_BYTES);
    const second = [...view.about(copy).flatMap(broughtBy), ...envelopesOf(BEN)];
    expect(second.reduce((sum, { length }) => sum + length, 0)).toBeGreaterThan(FILE_BYTES);
    expect(second.filter((bytes) => first.in(bytes) !== undefined)).toEqual([]);
    for (const field of ["id", "key", "digest"] as const)
      expect(new Runs([Buffer.from(origin[field])]).in(Buffer.from(copy[field]))).toBeUndefined();
  });

  it("and what is left of its requests are words that every file's have", () => {
    const words = (request: FileRequest): string => {
      const own = [request.id, header(request, "authorization"), ...textsIn(request)];
      const said = request.headers.filter(([name]) => name !== "host").map((pair) => pair.join(": "));
      const body = isPart(request) ? "" : request.body.toString();
      return own.reduce(
        (text, each) => text.replaceAll(each, "*"),
        [nameOf(request), ...said, body].join("\n"),
      );
    };
    const [origin, copy] = view.files.map((file) => new Set(view.about(file).map(words)));
    expect(copy).toEqual(origin);
  });
});
