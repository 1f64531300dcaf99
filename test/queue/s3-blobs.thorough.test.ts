// Blobs in a real S3 store: who is let in, presigned URLs, a store that hangs, breaks off or is busy, how much is held in
// memory, and what is said of a bucket that will not do.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { MEDIA_PART_BYTES, toHex } from "@lethe/protocol";
import { type Blobs, openBlobs } from "@lethe/queue";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { S3Config } from "../../queue/s3/config.ts";
import { aMedia, all, chunked, faultOf, got, lengths, listed, put } from "../contracts/blobs-world.ts";
import { FaultLine } from "../support/fault-line.ts";
import { hasSwift, Swift } from "../support/swift.ts";

/** Long enough for a store that answers, short enough to wait for one that does not. */
const HANG_MS = 2_000;
const runs = hasSwift() ? describe : describe.skip;

let swift: Swift;
let config: S3Config;
beforeAll(async () => {
  if (!hasSwift()) return;
  swift = await Swift.start();
  config = await swift.bucket({ direct: true });
}, 120_000);
afterAll(async () => {
  await (swift as Swift | undefined)?.[Symbol.asyncDispose]();
});

/** Every verb that asks the store something, over a blob whose part 0 is there. */
function verbs(blobs: Blobs, media = aMedia()): Record<string, () => Promise<unknown>> {
  return {
    put: () => put(blobs, media, 0, randomBytes(1_000)),
    get: async () => all((await blobs.get(media, 0, 0, 10)) ?? chunked(new Uint8Array())),
    parts: () => blobs.parts(media),
    remove: () => blobs.remove(media),
    list: () => listed(blobs),
  };
}

async function failing(blobs: Blobs): Promise<Record<string, string>> {
  const faults: Record<string, string> = {};
  for (const [verb, work] of Object.entries(verbs(blobs))) faults[verb] = await faultOf(work());
  return faults;
}

const ALL_FAILED = { put: "failed", get: "failed", parts: "failed", remove: "failed", list: "failed" };

runs("an S3 store", () => {
  it("lets in nobody with a wrong secret, another's name, or a name of its own without rights", async () => {
    const media = aMedia();
    const owner = await openBlobs(config);
    await put(owner, media, 0, randomBytes(1_000));
    for (const keys of [
      { secretKey: "testinG" },
      { accessKey: "test:nobody" },
      { accessKey: "test:stranger", secretKey: "nothing" },
    ]) {
      const stranger = await openBlobs({ ...config, ...keys });
      expect(await failing(stranger)).toEqual(ALL_FAILED);
      await stranger.close();
    }
    expect(await lengths(owner, media)).toEqual([[0, 1_000]]);
    await owner.close();
  });

  it("keeps a part as one object under the prefix, and nothing else", async () => {
    const media = aMedia();
    const own = { ...config, prefix: "a/b.c/" };
    const blobs = await openBlobs(own);
    await put(blobs, media, 4, randomBytes(1_000));
    expect(await faultOf(blobs.put(media, 5, 1_000, chunked(randomBytes(999))))).toBe("cut-short");
    const { objects } = await swift.client().listObjectsV2Query(own.bucket, "a/", "", "", 10, "");
    expect(objects.map(({ name }) => name)).toEqual([`a/b.c/${toHex(media)}/4`]);
    await blobs.close();
  });

  it("says nothing of keys, objects or hosts in its errors", async () => {
    const media = aMedia();
    const blobs = await openBlobs({ ...config, secretKey: "a-secret-of-ours" });
    const error: unknown = await put(blobs, media, 0, randomBytes(10)).catch((thrown: unknown) => thrown);
    const { message, cause } = error as Error;
    expect([message, cause]).toEqual(["a part of a blob: failed", "SignatureDoesNotMatch"]);
    await blobs.close();
  });
});

runs("presigned URLs", () => {
  it("give and take one part without the relay's keys", async () => {
    const media = aMedia();
    const blobs = await openBlobs(config);
    const bytes = randomBytes(1_000);
    const to = await blobs.place(media, 2, "PUT", 60);
    expect((await fetch(to ?? "", { method: "PUT", body: bytes })).status).toBe(200);
    expect((await got(blobs, media, 2, 0, 1_000))?.equals(bytes)).toBe(true);
    const from = await blobs.place(media, 2, "GET", 60);
    const answer = await fetch(from ?? "", { headers: { range: "bytes=10-19" } });
    expect([answer.status, answer.headers.get("content-disposition")]).toEqual([206, "attachment"]);
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytes.subarray(10, 20))).toBe(true);
    await blobs.close();
  });

  it("are good for no other part, blob, method or time", async () => {
    const [media, other] = [aMedia(), aMedia()];
    const blobs = await openBlobs(config);
    for (const each of [media, other]) await put(blobs, each, 0, randomBytes(10));
    await put(blobs, media, 1, randomBytes(10));
    const url = (await blobs.place(media, 0, "GET", 60)) ?? "";
    const status = async (of: string, method = "GET"): Promise<number> => {
      const answer = await fetch(of, { method, ...(method === "PUT" ? { body: "x" } : {}) });
      await answer.arrayBuffer();
      return answer.status;
    };
    expect(await status(url)).toBe(200);
    expect(await status(url.replace(`/${toHex(media)}/0?`, `/${toHex(media)}/1?`))).toBe(403);
    expect(await status(url.replace(toHex(media), toHex(other)))).toBe(403);
    expect(await status(url.replace("X-Amz-Expires=60", "X-Amz-Expires=3600"))).toBe(403);
    expect(await status(url, "PUT")).toBe(403);
    expect(await status(url, "DELETE")).toBe(403);
    expect(await lengths(blobs, media)).toHaveLength(2);
    await blobs.close();
  });

  it("end when they were said to", async () => {
    const media = aMedia();
    const blobs = await openBlobs(config);
    await put(blobs, media, 0, randomBytes(10));
    const url = (await blobs.place(media, 0, "GET", 1)) ?? "";
    for (let status = 200; status !== 403; ) {
      const answer = await fetch(url);
      await answer.arrayBuffer();
      status = answer.status;
      expect([200, 403]).toContain(status);
    }
    await blobs.close();
  });

  it("name the host that clients know, and are none where parts go through the relay", async () => {
    const media = aMedia();
    const direct = await openBlobs({ ...config, publicUrl: "https://media.example" });
    expect(await direct.place(media, 0, "PUT", 60)).toMatch(
      new RegExp(`^https://media\\.example/${config.bucket}/media/${toHex(media)}/0\\?`),
    );
    for (const seconds of [0, -1, 1.5, 3_601])
      await expect(direct.place(media, 0, "GET", seconds)).rejects.toBeInstanceOf(RangeError);
    const through = await openBlobs({ ...config, direct: false });
    expect(await through.place(media, 0, "GET", 60)).toBeUndefined();
    for (const blobs of [direct, through]) await blobs.close();
  });
});

runs("an S3 store that fails", () => {
  it("fails every verb in time where it hangs, and does them again when it answers", async () => {
    await using line = await FaultLine.before(() => swift.port);
    const blobs = await openBlobs({ ...config, url: `http://127.0.0.1:${line.port}`, requestMs: HANG_MS });
    line.silence("down");
    expect(await failing(blobs)).toEqual(ALL_FAILED);
    line.silence(undefined);
    for (const work of Object.values(verbs(blobs))) await work();
    await blobs.close();
  });

  it("fails a reader whose bytes stop coming, or are cut off", async () => {
    await using line = await FaultLine.before(() => swift.port);
    const blobs = await openBlobs({ ...config, url: `http://127.0.0.1:${line.port}`, requestMs: HANG_MS });
    const media = aMedia();
    await put(blobs, media, 0, randomBytes(MEDIA_PART_BYTES));
    for (const fault of [() => line.silence("down"), () => line.cut()]) {
      line.silence(undefined);
      const reader = (await blobs.get(media, 0, 0, MEDIA_PART_BYTES))?.[Symbol.asyncIterator]();
      await reader?.next();
      fault();
      const rest = async (): Promise<void> => {
        while ((await reader?.next())?.done === false);
      };
      expect(await faultOf(rest())).toBe("failed");
    }
    await blobs.close();
  });

  it("fails a part that is cut off on its way, and there is nothing of it", async () => {
    await using line = await FaultLine.before(() => swift.port);
    const blobs = await openBlobs({ ...config, url: `http://127.0.0.1:${line.port}`, requestMs: HANG_MS });
    const media = aMedia();
    line.silence("up");
    const fault = faultOf(put(blobs, media, 0, randomBytes(MEDIA_PART_BYTES)));
    expect(await fault).toBe("failed");
    expect(line.swallowed).toBeGreaterThan(0);
    line.cut();
    line.silence(undefined);
    expect(await lengths(blobs, media)).toEqual([]);
    await blobs.close();
  });

  it("asks once more where a connection that was kept is gone", async () => {
    await using line = await FaultLine.before(() => swift.port);
    const blobs = await openBlobs({ ...config, url: `http://127.0.0.1:${line.port}` });
    const media = aMedia();
    for (let part = 0; part < 4; part++) {
      await put(blobs, media, part, randomBytes(10));
      line.cut();
    }
    expect(await lengths(blobs, media)).toHaveLength(4);
    await blobs.close();
  });
});

/** A store that gives everybody the same answer. */
async function always(answer: RequestListener, work: (url: string) => Promise<void>): Promise<void> {
  const server = createServer((request, response) => {
    request.resume();
    answer(request, response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  }
}

const STRANGE: S3Config = {
  kind: "s3",
  url: "",
  bucket: "bucket",
  region: "us-east-1",
  accessKey: "key",
  secretKey: "secret",
  prefix: "",
  direct: false,
  requestMs: HANG_MS,
};

describe("an S3 store with answers of its own", () => {
  it.each([
    ["is busy", 503, "busy"],
    ["is broken", 500, ""],
    ["is behind a gateway that knows nothing of it", 502, "<html>bad gateway</html>"],
    ["answers with what is no XML", 400, "{}"],
    ["asks for more money", 402, "<Error><Code>PaymentRequired</Code></Error>"],
    ["sends elsewhere", 307, "<Error><Code>TemporaryRedirect</Code></Error>"],
  ])("fails every verb where it %s, and lets go of the connection", (_, status, body) =>
    always(
      (_request, response) => void response.writeHead(status).end(body),
      async (url) => {
        const blobs = await openBlobs({ ...STRANGE, url });
        expect(await failing(blobs)).toEqual(ALL_FAILED);
        await blobs.close();
      },
    ),
  );

  it.each(["XMinioStorageFull", "QuotaExceeded"])("says that it is full where it is (%s)", (code) =>
    always(
      (_request, response) => void response.writeHead(507).end(`<Error><Code>${code}</Code></Error>`),
      async (url) => {
        const blobs = await openBlobs({ ...STRANGE, url });
        expect(await faultOf(put(blobs, aMedia(), 0, randomBytes(10)))).toBe("full");
        await blobs.close();
      },
    ),
  );

  it("Q5: gathers so many parts at once at most, and the others wait without being asked for a byte", () =>
    always(
      (_request, response) => void response.writeHead(200, { etag: "x" }).end(),
      async (url) => {
        const blobs = await openBlobs({ ...STRANGE, url });
        const rest = Promise.withResolvers<void>();
        const sixteen = Promise.withResolvers<void>();
        let asked = 0;
        const source = async function* (): AsyncGenerator<Uint8Array> {
          if (++asked === 16) sixteen.resolve();
          yield randomBytes(5);
          await rest.promise;
          yield randomBytes(5);
        };
        const media = aMedia();
        const putting = Array.from({ length: 40 }, (_, part) => blobs.put(media, part, 10, source()));
        await sixteen.promise;
        await new Promise(setImmediate);
        expect(asked).toBe(16);
        rest.resolve();
        await Promise.all(putting);
        expect(asked).toBe(40);
        await blobs.close();
      },
    ));

  it("ends those that wait when it is closed", () =>
    always(
      () => undefined,
      async (url) => {
        const blobs = await openBlobs({ ...STRANGE, url });
        const media = aMedia();
        const faults = Array.from({ length: 20 }, (_, part) =>
          faultOf(put(blobs, media, part, randomBytes(9))),
        );
        await blobs.close();
        expect(new Set(await Promise.all(faults))).toEqual(new Set(["failed"]));
      },
    ));
});
