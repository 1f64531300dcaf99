// Those who put and have parts slowly, or not at all, or too many at once; what the relay writes about media; and its end.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { MEDIA_PART_BYTES, PATHS } from "@lethe/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MEDIA_REQUESTS_AT_ONCE } from "../../relay/http/media-asking.ts";
import { TRANSFER_LIMITS } from "../../relay/media/transfers.ts";
import { BareHttp, requestBytes } from "../support/bare-http.ts";
import { aFolder, contentsOf, type Folder } from "../support/folder.ts";
import { Capability, Upload } from "../support/media.ts";
import { Person } from "../support/person.ts";
import { freePort } from "../support/redis-server.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { aSmallDisk } from "../support/small-disk.ts";
import { eventually, within } from "../support/waiting.ts";

const MIB = 1_048_576;
const JSON_TYPE = { "content-type": "application/json" };
const PATIENCE_MS = 20_000;
/** Until a part that does not get on is cut: 30 s, and the looks at it. */
const CUT_MS = 45_000;

let folder: Folder;
let relay: RelayProcess;
beforeAll(async () => {
  folder = await aFolder();
  relay = await RelayProcess.start({ data: folder.path, log: "debug", flags: ["--limit-local", "on"] });
});
afterAll(async () => {
  await relay.stop();
  await folder[Symbol.asyncDispose]();
});

const anna = (at = relay): Promise<Person> => Person.called("anna").register(at);

/** The head of a put, and so much of the part. */
function beginning(upload: Upload, part: number, bytes: number): Buffer {
  const body = upload.part(part);
  const headers = {
    authorization: upload.key.header,
    "content-type": "application/octet-stream",
    "content-length": String(body.length),
  };
  return requestBytes("PUT", upload.partPath(part), headers, body.subarray(0, bytes));
}

function underWay(count: number, at = relay): Promise<true> {
  return eventually(PATIENCE_MS, `${count} parts under way`, async () =>
    (await at.metric("lethe_media_transfers")) === count ? true : undefined,
  );
}

describe("parts that do not get on", () => {
  it("take so many places of an address, and no memory; others put theirs meanwhile", async () => {
    const { each } = TRANSFER_LIMITS;
    const by = await anna();
    const upload = new Upload(by, (each + 1) * MEDIA_PART_BYTES);
    expect((await upload.begin(relay)).status).toBe(201);
    const warm = await Upload.put(relay, by, 2 * MEDIA_PART_BYTES); // what a first time costs is no growth
    const memory = await relay.residentBytes();
    const slow = Array.from({ length: each }, () => new BareHttp(relay.port, "127.0.0.2"));
    for (const [part, http] of slow.entries()) void http.exchange(beginning(upload, part, 100_000));
    await underWay(each);
    const more = new BareHttp(relay.port, "127.0.0.2");
    const { answers } = await within(
      PATIENCE_MS,
      "an answer",
      more.exchange(beginning(upload, each, MEDIA_PART_BYTES)),
    );
    expect(JSON.parse(answers[0]?.body ?? "{}")).toMatchObject({ code: "rate-limited", retryAfter: 1_000 });
    expect((await upload.putPart(relay, each)).status).toBe(204); // from another address
    expect((await relay.residentBytes()) - memory).toBeLessThan(32 * MIB);
    for (const http of [...slow, more]) http.destroy();
    await underWay(0);
    expect((await upload.state(relay)).body["parts"]).toEqual([each]);
    for (const blob of [upload, warm]) expect((await blob.withdraw(relay)).status).toBe(204);
  });

  it("are cut, at both ends; who reads nothing costs no memory", async () => {
    const token = new Capability();
    const by = await anna();
    const upload = await Upload.ready(relay, by, 4 * MEDIA_PART_BYTES, [token]);
    const slow = new Upload(by, MEDIA_PART_BYTES);
    await slow.begin(relay);
    expect((await upload.getPart(relay, 0, token)).status).toBe(200);
    const memory = await relay.residentBytes();
    const frozen = await Promise.all(
      Array.from({ length: 60 }, (_, i) => aFrozenReader(upload, token, `127.0.0.${3 + (i % 3)}`)),
    );
    const part = aDrip(beginning(slow, 0, 100));
    const json = aDrip(requestBytes("POST", PATHS.accounts, { ...JSON_TYPE, "content-length": "5000" }));
    const refused = aDrip(beginning(new Upload(by, 5_000), 0, 100)); // answered at once, and it goes on all the same
    expect((await upload.getPart(relay, 1, token)).bytes.equals(upload.part(1))).toBe(true);
    expect((await relay.residentBytes()) - memory).toBeLessThan(32 * MIB);
    const ends = Promise.all([part, json, refused]);
    const said = await within(CUT_MS, "the ends of dripping bodies", ends);
    expect(said).toEqual(["", expect.stringContaining("bad-request"), expect.stringContaining("media-gone")]);
    await underWay(0);
    for (const reader of frozen) reader.destroy();
    expect((await slow.state(relay)).body["parts"]).toEqual([]);
    for (const blob of [upload, slow]) await blob.withdraw(relay);
  });
});

/** Sends this, and then a byte now and then until the connection ends. Resolves with what was said. */
async function aDrip(first: Uint8Array): Promise<string> {
  const tcp = connect({ port: relay.port, host: "127.0.0.1", localAddress: "127.0.0.6" });
  let said = "";
  tcp.on("error", () => undefined);
  tcp.setEncoding("latin1").on("data", (text: string) => {
    said += text;
  });
  tcp.write(first);
  const drip = setInterval(() => tcp.write("x"), 250);
  await once(tcp, "close");
  clearInterval(drip);
  return said;
}

/** Asks for a part, and reads no more of it than its first bytes. */
async function aFrozenReader(upload: Upload, token: Capability, localAddress: string): Promise<Socket> {
  const tcp = connect({ port: relay.port, host: "127.0.0.1", localAddress });
  tcp.on("error", () => undefined);
  tcp.write(requestBytes("GET", upload.partPath(0), { authorization: token.header }));
  await within(PATIENCE_MS, "the part's beginning", once(tcp, "data"));
  tcp.pause();
  return tcp;
}

describe("requests for what is not there", () => {
  it("have a rate of each address", async () => {
    const request = requestBytes("GET", new Upload(await anna(), 1).path, {
      authorization: new Capability().header,
    });
    const statuses: number[] = [];
    const http = new BareHttp(relay.port, "127.0.0.9");
    while (statuses.length < MEDIA_REQUESTS_AT_ONCE + 1_000 && !statuses.includes(429)) {
      const some = Buffer.concat(Array.from({ length: 100 }, () => request));
      const { answers } = await within(PATIENCE_MS, "answers", http.exchange(some, 100));
      statuses.push(...answers.map(({ status }) => status));
    }
    http.destroy();
    expect(new Set(statuses)).toEqual(new Set([410, 429]));
    expect(statuses.slice(0, MEDIA_REQUESTS_AT_ONCE)).not.toContain(429);
    const other = new BareHttp(relay.port, "127.0.0.10");
    const { answers } = await within(PATIENCE_MS, "an answer", other.exchange(request));
    expect(answers[0]?.status).toBe(410);
    other.destroy();
  });
});

describe("what a relay writes about media", () => {
  it("names no blob, no capability and no account, whatever happens", async () => {
    const token = new Capability();
    const by = await anna();
    const upload = await Upload.ready(relay, by, 5_000, [token]);
    const wrong = new Capability();
    await upload.getPart(relay, 0, wrong);
    await upload.putPart(relay, 0);
    await upload.getPart(relay, 0, token);
    await upload.tokens(relay, { close: true });
    await upload.release(relay, token);
    await eventually(PATIENCE_MS, "the collection", async () =>
      (await contentsOf(join(folder.path, "media"))).length === 0 ? true : undefined,
    );
    const metrics = await (await fetch(`${relay.url}/metrics`)).text();
    const written = `${relay.output.toString("latin1")}${metrics}`;
    expect(written).toContain("lethe_media_removed_total");
    const secrets = [token, wrong, upload.key].flatMap(({ bytes, mark }) => [
      bytes,
      Buffer.from(mark, "base64url"),
    ]);
    for (const secret of [...secrets, Buffer.from(upload.id, "hex"), Buffer.from(by.account, "latin1")])
      for (const encoding of ["hex", "base64url", "base64", "latin1"] as const)
        expect(written).not.toContain(secret.toString(encoding));
  });
});

describe("a relay whose object store does not answer", () => {
  it("says that its storage fails, and nothing of how it would reach it", async () => {
    await using own = await aFolder();
    const secret = randomBytes(20).toString("hex");
    const url = `http://127.0.0.1:${await freePort()}`;
    const key = ["--s3-access-key", "anna", "--s3-secret-key", secret];
    const flags = ["--s3-url", url, "--s3-bucket", "blobs", ...key, "--media-collect", "1"];
    await using at = await RelayProcess.start({ data: own.path, log: "debug", flags });
    const upload = new Upload(await anna(at), 5_000);
    expect((await upload.begin(at)).status).toBe(201); // the ledger is another place
    expect((await upload.state(at)).code).toBe("storage-failed");
    expect((await upload.putPart(at, 0)).code).toBe("storage-failed");
    await at.says("a chore has to wait");
    for (const hidden of [secret, url]) expect(at.output.toString("latin1")).not.toContain(hidden);
  });
});

describe("a relay whose disk is full", () => {
  it("refuses a part, keeps nothing of it, and takes it when there is room again", async (context) => {
    const disk = await aSmallDisk(20);
    if (typeof disk === "string") return context.skip(disk);
    await using own = disk;
    const at = await RelayProcess.start({ data: own.path });
    const by = await anna(at);
    const upload = new Upload(by, 12 * MEDIA_PART_BYTES);
    await upload.begin(at);
    const codes: string[] = [];
    for (let part = 0; part < upload.parts; part++) codes.push((await upload.putPart(at, part)).code);
    expect(codes.filter((code) => code !== "").every((code) => code === "storage-full")).toBe(true);
    const taken = codes.flatMap((code, part) => (code === "" ? [part] : []));
    expect([taken.length > 3, taken.length < upload.parts]).toEqual([true, true]);
    expect((await upload.state(at)).body["parts"]).toEqual(taken);
    const files = await contentsOf(join(own.path, "media"));
    expect(files.map(({ bytes }) => bytes.length)).toEqual(taken.map(() => MEDIA_PART_BYTES));
    expect((await upload.withdraw(at)).status).toBe(204);
    const again = new Upload(by, MEDIA_PART_BYTES);
    await again.begin(at);
    await eventually(PATIENCE_MS, "room", async () =>
      (await again.putPart(at, 0)).status === 204 ? true : undefined,
    );
    await at.stop();
  });
});

describe("a relay that is killed", () => {
  it("has what it answered, and at its next start removes what is nobody's", async () => {
    await using own = await aFolder();
    const first = await RelayProcess.start({ data: own.path });
    const token = new Capability();
    const by = await anna(first);
    const ready = await Upload.ready(first, by, 5_000, [token]);
    const open = new Upload(by, 2 * MEDIA_PART_BYTES);
    await open.begin(first);
    expect((await open.putPart(first, 1)).status).toBe(204);
    const half = new BareHttp(first.port);
    void half.exchange(beginning(open, 0, MIB));
    await underWay(1, first);
    await first.kill();
    const orphan = join(own.path, "media", "ab", "ab".repeat(16));
    await mkdir(orphan, { recursive: true });
    await writeFile(join(orphan, "0"), "nobody's");
    await using second = await RelayProcess.start({ data: own.path });
    expect((await ready.getPart(second, 0, token)).bytes.equals(ready.bytes)).toBe(true);
    expect((await open.state(second)).body).toMatchObject({ state: "open", parts: [1] });
    expect((await open.putPart(second, 0)).status).toBe(204);
    expect((await open.finish(second)).status).toBe(200);
    await eventually(PATIENCE_MS, "the orphan's end", async () =>
      (await second.metric('lethe_media_removed_total{why="orphan"}')) === 1 ? true : undefined,
    );
    for (const blob of [ready, open]) await blob.withdraw(second);
    await eventually(PATIENCE_MS, "the end of every byte", async () =>
      (await contentsOf(join(own.path, "media"))).length === 0 ? true : undefined,
    );
  });
});

describe("a relay that closes", () => {
  it("lets a part come to its end, cuts one that does not, and leaves nothing half-written", async () => {
    await using own = await aFolder();
    const at = await RelayProcess.start({ data: own.path });
    const upload = new Upload(await anna(at), 2 * MEDIA_PART_BYTES);
    await upload.begin(at);
    const [ends, stands] = [new BareHttp(at.port), new BareHttp(at.port)];
    const answered = ends.exchange(beginning(upload, 0, MIB));
    void stands.exchange(beginning(upload, 1, MIB));
    await underWay(2, at);
    at.signal("SIGTERM");
    await eventually(PATIENCE_MS, "the end of taking parts", async () =>
      (await upload.putPart(at, 1)).code === "shutting-down" ? true : undefined,
    );
    void ends.exchange(upload.part(0).subarray(MIB)).catch(() => undefined);
    void answered;
    expect(await within(PATIENCE_MS, "the relay's end", at.exited)).toEqual({ code: 0, signal: null });
    const files = await contentsOf(join(own.path, "media"));
    expect(files.map(({ bytes }) => bytes.equals(upload.part(0)))).toEqual([true]);
  });
});
