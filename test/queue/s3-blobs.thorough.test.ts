// Blobs in a real S3 store: who is let in, presigned URLs, a store that hangs or breaks off, and what is said of a bucket that
// will not do.
import { randomBytes } from "node:crypto";
import { MEDIA_PART_BYTES, toHex } from "@lethe/protocol";
import { checkBlobs, openBlobs } from "@lethe/queue";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { S3Config } from "../../queue/s3/config.ts";
import {
  ALL_FAILED,
  aMedia,
  chunked,
  failing,
  faultOf,
  got,
  lengths,
  put,
  verbs,
} from "../contracts/blobs-world.ts";
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
    line.cutAfter(MEDIA_PART_BYTES / 2);
    expect(await faultOf(put(blobs, media, 0, randomBytes(MEDIA_PART_BYTES)))).toBe("failed");
    line.cutAfter(Number.POSITIVE_INFINITY);
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
