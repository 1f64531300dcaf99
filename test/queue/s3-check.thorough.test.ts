// What an operator is told of an S3 store, before anybody's media are in it: by a real one, and by one with answers of its own.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { checkBlobs, openBlobs, StoreOpenError } from "@lethe/queue";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { S3Config } from "../../queue/s3/config.ts";
import { hasSwift, Swift } from "../support/swift.ts";

const runs = hasSwift() ? describe : describe.skip;

let swift: Swift;
beforeAll(async () => {
  if (hasSwift()) swift = await Swift.start();
}, 120_000);
afterAll(async () => {
  await (swift as Swift | undefined)?.[Symbol.asyncDispose]();
});

async function doubts(config: S3Config): Promise<string[]> {
  const found = await checkBlobs(config);
  expect(JSON.stringify(found)).not.toContain(config.secretKey);
  return found.map(({ code, is }) => `${code} ${is}`);
}

runs("a bucket", () => {
  it("is good as it is made, and nothing is left of what it was tried with", async () => {
    const config = await swift.bucket();
    expect(await doubts(config)).toEqual([]);
    const { objects } = await swift.client().listObjectsV2Query(config.bucket, "", "", "", 10, "");
    expect(objects).toEqual([]);
  });

  it("is missing, or not for these keys, or the store is not there", async () => {
    expect(await doubts(swift.config())).toEqual(["no-bucket broken"]);
    const config = await swift.bucket();
    expect(await doubts({ ...config, secretKey: "guessed-wrong" })).toEqual(["not-permitted broken"]);
    const stranger = { accessKey: "test:stranger", secretKey: "nothing-at-all" };
    expect(await doubts({ ...config, ...stranger })).toEqual(["not-permitted broken"]);
    expect(await doubts({ ...config, url: "http://127.0.0.1:1" })).toEqual(["unreachable broken"]);
  });

  it("keeps what is removed from it, or holds what was never finished", async () => {
    const config = await swift.bucket();
    await swift.client().setBucketVersioning(config.bucket, { Status: "Enabled" });
    expect(await doubts(config)).toEqual(["keeps-versions weak"]);
    const other = await swift.bucket();
    await swift.client().initiateNewMultipartUpload(other.bucket, `${other.prefix}x`, {});
    expect(await doubts(other)).toEqual(["unfinished-uploads weak"]);
  });
});

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
    kind: "s3",
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bucket: "bucket",
    region: "us-east-1",
    accessKey: "key",
    secretKey: "a-secret-of-ours",
    prefix: "",
    direct: false,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

describe("what Swift does not know", () => {
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
