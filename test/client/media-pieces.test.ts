// The small parts of media: names of files, sources, and what waits its turn.
import { blobSource, bytesSource, ClientError, safeName, systemClock } from "@lethe/client";
import { afterEach, describe, expect, it } from "vitest";
import { randomBytes } from "node:crypto";
import { getEventListeners, once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mediaParts, decodeAll, type MediaUploadJson } from "@lethe/protocol";
import { ready, sealedSize, systemRandom } from "../../crypto/index.ts";
import { MAX_POSITIONS } from "../../client-lib/media/limits.ts";
import { RelayHttp } from "../../client-lib/edge/relay-http.ts";
import { MediaHttp } from "../../client-lib/media/media-http.ts";
import { Patience } from "../../client-lib/media/patience.ts";
import { Upload } from "../../client-lib/media/upload.ts";
import { progressRow } from "../../client-lib/media/rows.ts";
import type { Write } from "../../client-lib/delivery/events.ts";
import { newKeys } from "../../client-lib/media/uploads.ts";
import { Lanes } from "../../client-lib/media/lanes.ts";
import { SourceReader } from "../../client-lib/media/source-reader.ts";
import { Turns } from "../../client-lib/media/turns.ts";

const { signal } = new AbortController();

describe("safeName", () => {
  it("makes a file's name of whatever is claimed", () => {
    const names = {
      "cat.png": "cat.png",
      "../../etc/passwd": "passwd",
      "C:\\Windows\\system.ini": "system.ini",
      ".bashrc": "bashrc",
      "..": "file",
      "": "file",
      "a\u0000b\n.txt": "ab.txt",
      CON: "_CON",
      "nul.txt": "_nul.txt",
      lpt1: "_lpt1",
      "photo\u202Egnp.exe": "photognp.exe",
      'a<b>:"c|?*.txt': "abc.txt",
      "  spaced. ": "spaced",
      "\ud800x": "x",
      "u\u0308ber.txt": "über.txt",
      "cat.png.part": "cat.png.part_",
      "cat.PART.": "cat.PART_",
    };
    for (const [claimed, safe] of Object.entries(names)) expect(safeName(claimed), claimed).toBe(safe);
    expect(safeName("/", "picture")).toBe("picture");
  });

  it("shortens a long one at a character, and keeps its ending", () => {
    const short = safeName(`${"ü".repeat(300)}.png`);
    expect(short).toMatch(/^ü+\.png$/);
    expect(Buffer.byteLength(short)).toBe(200);
    expect(Buffer.byteLength(safeName("🐈".repeat(1_000)))).toBe(200);
  });
});

describe("a source", () => {
  const bytes = Uint8Array.from({ length: 3_000_000 }, (_, at) => at % 251);

  it("is read in the pieces that are asked for, from any place", async () => {
    for (const source of [bytesSource(bytes), blobSource(new Blob([bytes]))]) {
      const reader = new SourceReader(source, 999_999, signal);
      for (const [from, to] of [
        [999_999, 1_000_000],
        [1_000_000, 1_000_000],
        [1_000_000, 2_500_000],
        [2_500_000, 3_000_000],
      ] as const)
        expect(Buffer.from(await reader.take(to - from)).equals(bytes.subarray(from, to))).toBe(true);
      await reader.end();
      await reader.close();
    }
  });

  it("that gives nothing more is left when its upload ends", async () => {
    const end = new AbortController();
    const asked = Promise.withResolvers<void>();
    const source = {
      size: 1,
      async *read() {
        asked.resolve();
        yield await new Promise<Uint8Array>(() => undefined);
      },
    };
    const reader = new SourceReader(source, 0, end.signal);
    const taken = expect(reader.take(1)).rejects.toThrow("closed");
    await asked.promise;
    end.abort(new Error("closed"));
    await taken;
    await reader.close();
  });

  it("that ends early, or late, has changed", async () => {
    const changed = { code: "media-source-changed" };
    await expect(new SourceReader(bytesSource(bytes), 0, signal).take(3_000_001)).rejects.toMatchObject(
      changed,
    );
    await expect(new SourceReader(bytesSource(bytes), 2_999_999, signal).end()).rejects.toMatchObject(
      changed,
    );
  });

  it("knows what a File says of itself", () => {
    const file = new File(["x"], "cat.png", { type: "image/png", lastModified: 5 });
    expect(blobSource(file)).toMatchObject({ name: "cat.png", type: "image/png", size: 1, stamp: "5" });
  });
});

describe("an upload", () => {
  const PART = 2_097_152;
  const PIECES = MAX_POSITIONS + 2;
  const about = { type: "", name: "", caption: "", width: 0, height: 0, thumbnail: new Uint8Array() };
  const nobody = { to: undefined, group: undefined, shown: "", ttl: undefined, replyTo: undefined };

  it("whose first part takes long goes no further on than its positions can be kept", async () => {
    await ready();
    const row = {
      ...{ format: "one" as const, state: "begun" as const, size: PIECES * PART, repairs: 0 },
      ...{ ...newKeys(systemRandom), ...about, ...nobody, stamp: "", resume: "", digest: undefined },
    };
    const first = Promise.withResolvers<void>();
    const put = new Set<number>();
    let ahead = 0;
    const http: Pick<MediaHttp, "state" | "put" | "finish"> = {
      state: async () => ({ state: "open", parts: [] as number[] }) as unknown as MediaUploadJson,
      finish: async () => ({ state: "ready", parts: [] as number[] }) as unknown as MediaUploadJson,
      async put(_id, _key, { part }) {
        if (part === MAX_POSITIONS - 2) setImmediate(first.resolve); // what goes on without waiting has gone on then
        if (part === 0) await first.promise;
        put.add(part);
      },
    };
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let part = 0; part < PIECES; part++) {
        if (!put.has(0)) ahead = part;
        yield new Uint8Array(PART);
      }
    }
    const patience = new Patience({ clock: systemClock, chance: { bytes: randomBytes, fraction: () => 0 } });
    let kept: readonly Uint8Array[] = [];
    const commit = async ([{ table, value } = {}]: readonly Partial<Write>[]): Promise<void> => {
      if (table !== "media-progress" || value === undefined) return;
      const { positions } = decodeAll(progressRow, value);
      if (positions.length > kept.length) kept = positions;
    };
    const parts = { http: http as MediaHttp, patience, commit };
    const upload = new Upload(parts, { message: "m", row, positions: [] }, signal);
    await upload.bringUp({ size: row.size, read: pieces }, () => undefined);
    expect([put.size, upload.row.state]).toEqual([mediaParts(sealedSize(row.size)), "ready"]);
    expect(ahead).toBeLessThan(MAX_POSITIONS);
    expect(kept.length).toBe(MAX_POSITIONS);
    put.clear();
    const again = new Upload(parts, { message: "m", row, positions: kept }, signal);
    await again.bringUp({ size: row.size, read: pieces }, () => undefined);
    expect([put.size, again.row.digest]).toEqual([mediaParts(sealedSize(row.size)), upload.row.digest]);
  });
});

describe("a part that goes to where the relay says", () => {
  const fetched: { readonly url: string; readonly init: RequestInit | undefined }[] = [];
  const real = globalThis.fetch;
  afterEach(() => {
    globalThis.fetch = real;
  });

  it("goes to no address of the page itself, and never with its cookies", async () => {
    await ready();
    const places = ["/account", "//", "data:,x", 5, undefined, "PLACE"];
    const put: string[] = [];
    const server = createServer((request, response) => {
      const { method, url = "" } = request;
      if (method === "PUT") put.push(url);
      const place = places[put.length];
      request.resume().on("end", () => {
        if (!url.endsWith("/place")) return response.writeHead(204).end();
        return response.end(JSON.stringify({ url: place === "PLACE" ? `${relay}/store` : place }));
      });
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const relay = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    globalThis.fetch = (url, init) => {
      fetched.push({ url: typeof url === "string" ? url : "", init });
      return real(url, init);
    };
    const http = new RelayHttp({ urls: [relay], clock: systemClock, random: systemRandom });
    const media = new MediaHttp({ http, signed: () => Promise.reject(), direct: () => true });
    const [id, key] = [new Uint8Array(16), new Uint8Array(32)];
    for (const _ of places) await media.put(id, key, { part: 0, bytes: new Uint8Array(1) }, signal);
    const atRelay = `/v1/media/${"0".repeat(32)}/parts/0`;
    expect(put).toEqual([...Array(places.length - 1).fill(atRelay), "/store"]);
    expect(fetched.filter(({ url }) => !url.startsWith(relay))).toEqual([]);
    expect(fetched.at(-1)).toMatchObject({ url: `${relay}/store`, init: { credentials: "omit" } });
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
});

describe("work", () => {
  it("is under way in so many lanes, and the first failure ends it", async () => {
    const lanes = new Lanes(2, signal);
    let running = 0;
    let most = 0;
    for (let i = 0; i < 10; i++)
      await lanes.add(async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
      });
    await lanes.all();
    expect(most).toBe(2);
    await lanes.add(async () => {
      throw new Error("broken");
    });
    await expect(lanes.all()).rejects.toThrow("broken");
    await expect(lanes.add(async () => undefined)).rejects.toThrow("broken");
  });

  it("that is tried again leaves nothing behind at what may end it", async () => {
    const patience = new Patience({ clock: systemClock, chance: { bytes: randomBytes, fraction: () => 0 } });
    let tries = 0;
    const end = new AbortController();
    const work = async (): Promise<number> => {
      if (tries < 5) throw new ClientError("relay-unreachable", String((tries += 1)));
      return tries;
    };
    expect(await patience.retrying(work, end.signal)).toBe(5);
    expect(getEventListeners(end.signal, "abort")).toEqual([]);
  });

  it("that is not wanted any more waits for no turn, and takes none from those behind it", async () => {
    const turns = new Turns(1);
    const first = Promise.withResolvers<void>();
    const end = new AbortController();
    const running = turns.take(signal, () => first.promise);
    const waiting = turns.take(end.signal, async () => "its turn");
    const behind = turns.take(signal, async () => "its turn");
    end.abort(new Error("cancelled"));
    await expect(waiting).rejects.toThrow("cancelled");
    first.resolve();
    await running;
    expect(await behind).toBe("its turn");
  });

  it("takes its turn in the order in which it came, also behind what has failed", async () => {
    const turns = new Turns(1);
    const order: number[] = [];
    const all = [1, 2, 3, 4].map((n) =>
      turns.take(signal, async () => {
        order.push(n);
        if (n === 2) throw new Error("broken");
      }),
    );
    const ended = await Promise.allSettled(all);
    expect(ended.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
    expect(order).toEqual([1, 2, 3, 4]);
  });
});
