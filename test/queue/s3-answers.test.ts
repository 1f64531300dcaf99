// Blobs in S3 stores with answers of their own, which a real one gives only when something is wrong with it, and what an operator
// is told of them.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { checkBlobs, openBlobs, StoreOpenError } from "@lethe/queue";
import { describe, expect, it } from "vitest";
import type { S3Config } from "../../queue/s3/config.ts";
import { ALL_FAILED, aMedia, failing, faultOf, put } from "../contracts/blobs-world.ts";

/** A store that gives everybody the same answer. */
async function always(
  answer: RequestListener,
  work: (url: string, connections: () => number) => Promise<void>,
): Promise<void> {
  let connections = 0;
  const server = createServer((request, response) => {
    request.resume();
    answer(request, response);
  }).listen(0, "127.0.0.1");
  server.on("connection", () => connections++);
  await once(server, "listening");
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, () => connections);
  } finally {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  }
}

/** Parts that are gathered or sent at once. */
const AT_ONCE = 48;
const STRANGE: S3Config = {
  kind: "s3",
  url: "",
  bucket: "bucket",
  region: "us-east-1",
  accessKey: "key",
  secretKey: "a-secret-of-ours",
  prefix: "",
  direct: false,
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
      async (url, connections) => {
        const blobs = await openBlobs({ ...STRANGE, url });
        for (let turn = 0; turn < 4; turn++) expect(await failing(blobs)).toEqual(ALL_FAILED);
        expect(connections()).toBeLessThanOrEqual(3); // for 20 requests
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
        const most = Promise.withResolvers<void>();
        let asked = 0;
        const source = async function* (): AsyncGenerator<Uint8Array> {
          if (++asked === AT_ONCE) most.resolve();
          yield randomBytes(5);
          await rest.promise;
          yield randomBytes(5);
        };
        const media = aMedia();
        const putting = Array.from({ length: AT_ONCE + 24 }, (_, part) =>
          blobs.put(media, part, 10, source()),
        );
        await most.promise;
        await new Promise(setImmediate);
        expect(asked).toBe(AT_ONCE);
        rest.resolve();
        await Promise.all(putting);
        expect(asked).toBe(AT_ONCE + 24);
        await blobs.close();
      },
    ));

  it("ends what is under way, and those that wait, when it is closed", () => {
    const most = Promise.withResolvers<void>();
    let came = 0;
    return always(
      () => {
        if (++came === AT_ONCE) most.resolve();
      },
      async (url) => {
        const blobs = await openBlobs({ ...STRANGE, url });
        const media = aMedia();
        const puts = Array.from({ length: AT_ONCE + 4 }, (_, part) =>
          put(blobs, media, part, randomBytes(9)),
        );
        const faults = puts.map(faultOf);
        await most.promise;
        await blobs.close();
        expect(new Set(await Promise.all(faults))).toEqual(new Set(["failed"]));
        expect(came).toBe(AT_ONCE);
      },
    );
  });
});

async function doubts(config: S3Config): Promise<string[]> {
  const found = await checkBlobs(config);
  expect(JSON.stringify(found)).not.toContain(config.secretKey);
  return found.map(({ code, is }) => `${code} ${is}`);
}

/** A bucket that keeps one object at a time and says of its settings what it is given, by what is asked for. */
async function aStore(
  settings: Readonly<Record<string, string>>,
  given: { readonly date?: string; readonly refuses?: string } = {},
): Promise<S3Config & AsyncDisposable> {
  let name = "";
  let held = Buffer.alloc(0);
  const server = createServer((request, response) => {
    const { method, url = "" } = request;
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const end = (status: number, body: string | Buffer = ""): void => {
        response.writeHead(status, { "content-length": body.length }).end(body);
      };
      if (given.date !== undefined) response.setHeader("date", given.date);
      const asks = /\?.*?\b(uploads|lifecycle|object-lock|delete|list-type)\b/.exec(url)?.[1];
      const verb = asks ?? method ?? "";
      if (verb === given.refuses) return end(403, "<Error><Code>AccessDenied</Code></Error>");
      const set = settings[verb];
      if (set !== undefined) return end(200, set);
      if (verb === "PUT") {
        name = url.split("/").slice(2).join("/");
        held = Buffer.concat(chunks);
        response.setHeader("etag", "x");
      }
      if (verb === "delete") name = "";
      if (verb === "list-type")
        return end(
          200,
          `<ListBucketResult><Contents><Key>${name}</Key><Size>${held.length}</Size></Contents></ListBucketResult>`,
        );
      if (verb === "delete") return end(200, "<DeleteResult/>");
      if (verb === "GET" && name !== "") return end(200, held);
      if (verb === "GET") return end(404, "<Error><Code>NoSuchKey</Code></Error>");
      if (verb === "PUT" || verb === "HEAD") return end(200);
      return end(501, "<Error><Code>NotImplemented</Code></Error>");
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    ...STRANGE,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

describe("a bucket's settings that Swift does not know", () => {
  const told = async (...store: Parameters<typeof aStore>): Promise<string[]> => {
    await using config = await aStore(...store);
    return await doubts(config);
  };
  const rule = (what: string): string =>
    `<LifecycleConfiguration><Rule><ID>1</ID>${what}</Rule></LifecycleConfiguration>`;

  it("is fine where it is not there", async () => {
    expect(await told({})).toEqual([]);
  });

  it("is told of: object lock, lifecycle rules, a clock that is off, rights that are missing", async () => {
    const lock =
      "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
    expect(await told({ "object-lock": lock })).toEqual(["locks-objects weak"]);
    const expires = "<Status>Enabled</Status><Expiration><Days>3</Days></Expiration>";
    expect(await told({ lifecycle: rule(expires) })).toEqual(["expires-objects weak"]);
    expect(await told({ lifecycle: rule(expires.replace("Enabled", "Disabled")) })).toEqual([]);
    const aborts = "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation>";
    expect(
      await told({ lifecycle: rule(`<Status>Enabled</Status>${aborts}</AbortIncompleteMultipartUpload>`) }),
    ).toEqual([]);
    const early = new Date(Date.now() - 600_000).toUTCString();
    expect(await told({}, { date: early })).toEqual(["clock-differs weak"]);
    for (const refuses of ["object-lock", "lifecycle", "uploads"])
      expect(await told({}, { refuses })).toEqual(["not-readable weak"]);
    expect(await told({}, { refuses: "PUT" })).toEqual(["cannot-put broken"]);
    expect(await told({}, { refuses: "GET" })).toContain("cannot-get broken");
    expect(await told({}, { refuses: "list-type" })).toEqual(["cannot-list broken"]);
    expect(await told({}, { refuses: "delete" })).toEqual(["cannot-delete broken"]);
  });
});

describe("settings of an S3 store", () => {
  it("are refused where they cannot be meant", async () => {
    await using good = await aStore({});
    for (const bad of [
      { url: "ftp://store" },
      { url: "store:9000" },
      { url: "https://key:secret@store" },
      { url: "https://store/path" },
      { publicUrl: "https://store/path" },
      { bucket: "A bucket" },
      { bucket: "../x" },
      { prefix: "media" },
      { prefix: "a/../b c/" },
    ])
      await expect(openBlobs({ ...good, ...bad })).rejects.toBeInstanceOf(StoreOpenError);
    for (const right of [{ url: "http://[::1]:9000" }, { url: "https://s3.example" }, { prefix: "a/b/" }])
      await (await openBlobs({ ...good, ...right })).close();
  });
});
