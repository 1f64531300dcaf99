// Media over HTTP, one relay with its blobs in files: the stories that hold everywhere, and all that may not be asked.
import { access, readdir } from "node:fs/promises";
import { join } from "node:path";
import { MAX_TOKENS_AT_ONCE, MEDIA_PART_BYTES, PATHS } from "@lethe/protocol";
import { afterEach, describe, expect, it } from "vitest";
import { aRelay } from "../support/a-relay.ts";
import { BareHttp, requestBytes } from "../support/bare-http.ts";
import { contentsOf } from "../support/folder.ts";
import { Capability, type Had, Upload } from "../support/media.ts";
import { ask, Person } from "../support/person.ts";
import { expectProblem } from "../support/problems.ts";
import { eventually, within } from "../support/waiting.ts";
import { mediaStories } from "./media-suite.ts";

const PATIENCE_MS = 20_000;
const NOTHING = Buffer.alloc(0);

/** Whether the folder of a blob is there. */
function keeps(data: string, id: string): Promise<boolean> {
  return access(join(data, "media", id.slice(0, 2), id)).then(
    () => true,
    () => false,
  );
}

describe("a file that waits in the data folder", () => {
  const relay = aRelay();
  mediaStories(() => ({ one: relay.at, other: relay.at, keeps: (id) => keeps(relay.folder, id) }));
});

describe("what a request for media says", () => {
  const relay = aRelay();
  const bare = { http: undefined as BareHttp | undefined };
  afterEach(() => bare.http?.destroy());
  const exchange = async (bytes: Uint8Array, endAfter = false) => {
    bare.http?.destroy();
    bare.http = new BareHttp(relay.at.port);
    const { answers } = await within(PATIENCE_MS, "an answer", bare.http.exchange(bytes, 1, { endAfter }));
    const [answer] = answers;
    const { code = "" } =
      answer === undefined || answer.body === "" ? {} : (JSON.parse(answer.body) as { code?: string });
    return { answer, code, goesOn: answer?.headers.get("connection") !== "close" };
  };
  const anna = (): Promise<Person> => Person.called("anna").register(relay.at);

  it("is an id of 32 hexadecimal digits and a part's number: no other path leads anywhere", async () => {
    const shown = new Capability().header;
    const names = [
      "..%2f..%2f..%2fetc%2fpasswd",
      "%2e%2e",
      "..",
      "A".repeat(32),
      `${"a".repeat(31)}%00`,
      `${"a".repeat(32)}%2f..`,
      "a".repeat(33),
    ];
    for (const name of names)
      for (const path of [`${PATHS.media}/${name}`, `${PATHS.media}/${name}/parts/0`]) {
        const { answer, code } = await exchange(requestBytes("GET", path, { authorization: shown }));
        expect([path, code]).toEqual([path, expect.stringMatching(/^(?:bad-request|not-found)$/)]);
        expect(answer?.body).not.toContain("root:");
      }
    const upload = await Upload.ready(relay.at, await anna(), 5_000, []);
    for (const part of ["..%2f0", "0.new", "-1", "00", "1e0", "100000", "%30x", "0%00"]) {
      const { code } = await exchange(requestBytes("GET", upload.partPath(part), { authorization: shown }));
      expect([part, code]).toEqual([part, "bad-request"]);
    }
  });

  it("shows a capability in its one spelling", async () => {
    const upload = await Upload.put(relay.at, await anna(), 5_000);
    const good = upload.key.bytes.toString("base64url");
    const spellings = [
      "",
      "LetheMedia",
      `LetheMedia ${good}=`,
      `Bearer ${good}`,
      `LetheMedia ${good.slice(1)}`,
    ];
    // The last digit of 32 bytes holds two bits that are none of theirs.
    const last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const twin = last[last.indexOf(good.at(-1) ?? "") ^ 1] ?? "";
    spellings.push(`LetheMedia ${good.slice(0, -1)}${twin}`);
    for (const header of spellings)
      expectProblem(await ask(relay.at, "GET", upload.path, NOTHING, header), "unauthorized");
    expect((await upload.state(relay.at)).status).toBe(200);
  });

  it("begins an upload as one device, once for each id, within size and shape", async () => {
    const [by, ben] = [await anna(), await Person.called("ben").register(relay.at)];
    const upload = new Upload(by, 5_000);
    expectProblem(
      await ask(relay.at, "PUT", upload.path, Buffer.from("{}"), upload.key.header),
      "unauthorized",
    );
    const bodies = [{}, { bytes: 0, uploadKey: upload.key.mark }, { bytes: 1.5, uploadKey: upload.key.mark }];
    for (const body of [
      ...bodies,
      { bytes: 5_000, uploadKey: "x" },
      { bytes: 5_000, uploadKey: upload.key.mark, more: 1 },
    ])
      expectProblem(await by.request(relay.at, "PUT", upload.path, body), "bad-request");
    expectProblem(await upload.begin(relay.at, 300 * 1_048_576), "media-too-large");
    expect((await upload.begin(relay.at)).status).toBe(201);
    expectProblem(await upload.begin(relay.at, 5_001), "media-taken");
    expectProblem(await upload.begin(relay.at, 5_000, new Capability()), "media-taken");
    const body = { bytes: 5_000, uploadKey: upload.key.mark };
    expectProblem(await ben.request(relay.at, "PUT", upload.path, body), "media-taken");
  });

  it("has a part's own length, neither more nor less, and is no encoding and no other type", async () => {
    const upload = new Upload(await anna(), MEDIA_PART_BYTES + 100);
    await upload.begin(relay.at);
    const put = (headers: Record<string, string>, body: Uint8Array, part = 1) =>
      exchange(
        requestBytes("PUT", upload.partPath(part), { authorization: upload.key.header, ...headers }, body),
      );
    const bytes = { "content-type": "application/octet-stream" };
    const part = upload.part(1);
    expect((await put(bytes, part.subarray(1))).code).toBe("media-part-wrong");
    expect((await put(bytes, Buffer.concat([part, part]))).code).toBe("media-part-wrong");
    expect((await put(bytes, part, 0)).code).toBe("media-part-wrong");
    expect((await put(bytes, part, 2)).code).toBe("media-part-wrong");
    expect((await put({ ...bytes, "content-encoding": "gzip" }, part)).code).toBe("bad-request");
    expect((await put({ "content-type": "application/json" }, part)).code).toBe("bad-request");
    const chunked = await put({ ...bytes, "transfer-encoding": "chunked" }, Buffer.from("64\r\n"));
    expect([chunked.code, chunked.goesOn]).toEqual(["bad-request", false]);
    const endless = await put({ ...bytes, "content-length": "99999999999" }, part);
    expect([endless.code, endless.goesOn]).toEqual(["media-part-wrong", false]);
    expect((await upload.state(relay.at)).body["parts"]).toEqual([]);
    expect((await put(bytes, part)).answer?.status).toBe(204);
    expect((await upload.state(relay.at)).body["parts"]).toEqual([1]);
  });

  it("that breaks off in a part leaves nothing of it, and the part can be put again", async () => {
    const upload = new Upload(await anna(), 100_000);
    await upload.begin(relay.at);
    const refused = await relay.at.metric('lethe_refused_total{code="media-part-wrong"}');
    const headers = {
      authorization: upload.key.header,
      "content-type": "application/octet-stream",
      "content-length": "100000",
    };
    await exchange(requestBytes("PUT", upload.partPath(0), headers, upload.bytes.subarray(0, 60_000)), true);
    await eventually(PATIENCE_MS, "the broken part's refusal", async () =>
      (await relay.at.metric('lethe_refused_total{code="media-part-wrong"}')) > refused ? true : undefined,
    );
    expect(await keeps(relay.folder, upload.id)).toBe(false);
    expect((await upload.putPart(relay.at, 0)).status).toBe(204);
    expect((await upload.finish(relay.at)).status).toBe(200);
  });

  it("asks for one range of a part, and never gets more than the part", async () => {
    const token = new Capability();
    const upload = await Upload.ready(relay.at, await anna(), 1_000, [token]);
    const get = (range: string, more: Record<string, string> = {}): Promise<Had> =>
      upload.getPart(relay.at, 0, token, { range, ...more });
    for (const [range, from, to] of [
      ["bytes=0-0", 0, 1],
      ["bytes=10-19", 10, 20],
      ["bytes=990-", 990, 1_000],
      ["bytes=990-99999999999999999999", 990, 1_000],
      ["bytes=-10", 990, 1_000],
      ["bytes=-5000", 0, 1_000],
    ] as const) {
      const { status, headers, bytes } = await get(range);
      expect([range, status]).toEqual([range, 206]);
      expect(headers.get("content-range")).toBe(`bytes ${from}-${to - 1}/1000`);
      expect(bytes.equals(upload.bytes.subarray(from, to))).toBe(true);
    }
    for (const range of ["bytes=1000-", "bytes=1000-2000", "bytes=-0"]) {
      const { code, headers } = await get(range);
      expect([range, code, headers.get("content-range")]).toEqual([range, "media-range", "bytes */1000"]);
    }
    const many = `bytes=${Array.from({ length: 500 }, () => "0-999").join(",")}`;
    for (const range of [
      many,
      "bytes=0-1,5-6",
      "bytes=5-1",
      "bytes=x-",
      "lines=1-2",
      "bytes=-",
      "bytes 0-1",
    ]) {
      const { status, bytes } = await get(range);
      expect([range, status, bytes.equals(upload.bytes)]).toEqual([range, 200, true]);
    }
    expect((await get("bytes=0-1", { "if-range": '"x"' })).status).toBe(200);
    expect((await upload.getPart(relay.at, 1, token)).code).toBe("media-part-wrong");
  });

  it("is answered as a file to keep nowhere, and lets pages of other origins read what they need", async () => {
    const token = new Capability();
    const upload = await Upload.ready(relay.at, await anna(), 1_000, [token]);
    const { headers } = await upload.getPart(relay.at, 0, token, { origin: "https://chat.example" });
    expect(headers.get("content-type")).toBe("application/octet-stream");
    expect(headers.get("content-disposition")).toBe("attachment");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("accept-ranges")).toBe("bytes");
    expect(headers.get("content-length")).toBe("1000");
    expect(headers.get("access-control-allow-origin")).toBe("https://chat.example");
    for (const name of ["Accept-Ranges", "Content-Length", "Content-Range"])
      expect(headers.get("access-control-expose-headers")).toContain(name);
    const { answer } = await exchange(
      requestBytes("OPTIONS", upload.partPath(0), {
        origin: "https://chat.example",
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization,range",
      }),
    );
    expect([answer?.status, answer?.headers.get("access-control-allow-headers")]).toEqual([
      204,
      "authorization,range",
    ]);
  });

  it("changes tokens within its caps", async () => {
    const upload = await Upload.ready(relay.at, await anna(), 1_000, []);
    const marks = (count: number): string[] => Array.from({ length: count }, () => new Capability().mark);
    expectProblem(await upload.tokens(relay.at, { add: marks(MAX_TOKENS_AT_ONCE + 1) }), "bad-request");
    for (let i = 0; i < 4; i++)
      expect((await upload.tokens(relay.at, { add: marks(MAX_TOKENS_AT_ONCE) })).status).toBe(200);
    expectProblem(await upload.tokens(relay.at, { add: marks(1) }), "media-closed");
    expect((await upload.tokens(relay.at, { strike: marks(1) })).status).toBe(200);
  });

  it("is not asked for a place where parts go through the relay", async () => {
    const upload = await Upload.put(relay.at, await anna(), 1_000);
    expectProblem(await upload.ask(relay.at, "GET", "/parts/0/place", upload.key), "not-found");
  });
});

describe("a relay's limits of media", () => {
  const relay = aRelay(() => [
    "--media-account-bytes",
    "20000",
    "--media-account-blobs",
    "3",
    "--media-bytes",
    "15000",
  ]);

  it("are told in its policy, and hold for each account until its files have gone", async () => {
    const by = await Person.called("anna").register(relay.at);
    const { body } = await ask(relay.at, "GET", PATHS.policy, NOTHING);
    expect(body["media"]).toEqual({
      ...{ bytes: 15_000, accountBytes: 20_000, accountBlobs: 3, keepMs: 2_592_000_000, direct: false },
    });
    expectProblem(await new Upload(by, 15_001).begin(relay.at), "media-too-large");
    const first = await Upload.put(relay.at, by, 15_000);
    expectProblem(await new Upload(by, 5_001).begin(relay.at), "media-quota");
    expect((await new Upload(by, 4_000).begin(relay.at)).status).toBe(201);
    expect((await new Upload(by, 500).begin(relay.at)).status).toBe(201);
    expectProblem(await new Upload(by, 500).begin(relay.at), "media-quota");
    const ben = await Person.called("ben").register(relay.at);
    expect((await new Upload(ben, 15_000).begin(relay.at)).status).toBe(201);
    await first.withdraw(relay.at);
    const next = new Upload(by, 5_001);
    await eventually(PATIENCE_MS, "room again", async () =>
      (await next.begin(relay.at)).status === 201 ? true : undefined,
    );
  });
});

describe("a relay that keeps no media", () => {
  const relay = aRelay(() => ["--media", "off"]);

  it("says so, to whoever asks", async () => {
    const by = await Person.called("anna").register(relay.at);
    const upload = new Upload(by, 1_000);
    expect((await ask(relay.at, "GET", PATHS.policy, NOTHING)).body["media"]).toBeNull();
    for (const answer of [
      upload.begin(relay.at),
      upload.state(relay.at),
      upload.release(relay.at, new Capability()),
    ])
      expectProblem(await answer, "media-off");
    expect((await upload.putPart(relay.at, 0)).code).toBe("media-off");
    expect(await readdir(relay.folder)).not.toContain("media");
  });
});

describe("time", () => {
  // A second and a half to be finished, three to be fetched.
  const relay = aRelay(() => [
    "--media-unfinished",
    "0.0004",
    "--media-days",
    "0.00004",
    "--media-collect",
    "1",
  ]);

  it("ends what is not finished, and what is, each in its own, and nobody's bytes stay", async () => {
    const by = await Person.called("anna").register(relay.at);
    const token = new Capability();
    const ready = await Upload.ready(relay.at, by, 5_000, [token]);
    const open = await Upload.put(relay.at, by, 5_000);
    const removal = (upload: Upload): Promise<true> =>
      eventually(PATIENCE_MS, "the blob's end", async () =>
        (await keeps(relay.folder, upload.id)) ? undefined : true,
      );
    await removal(open);
    expectProblem(await open.state(relay.at), "media-gone");
    await removal(ready);
    expect((await ready.getPart(relay.at, 0, token)).code).toBe("media-gone");
    expect((await contentsOf(join(relay.folder, "media"))).length).toBe(0);
    expect(await relay.at.metric('lethe_media_removed_total{why="collected"}')).toBe(2);
  });
});
