// The same stories where two nodes share a Redis and an S3 store, and what clients are told where they go to that store itself.
import { MEDIA_PART_BYTES } from "@lethe/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openBlobs } from "@lethe/queue";
import type { S3Config } from "../../queue/s3/config.ts";
import { Chance } from "../support/chance.ts";
import { Fleet } from "../support/fleet.ts";
import { Capability, Upload } from "../support/media.ts";
import { Person } from "../support/person.ts";
import { hasSwift, s3Flags, Swift } from "../support/swift.ts";
import { mediaStories } from "./media-suite.ts";

async function keeps(config: S3Config, id: string): Promise<boolean> {
  const blobs = await openBlobs(config);
  for await (const media of blobs.list())
    if (Buffer.from(media, "latin1").toString("hex") === id) {
      await blobs.close();
      return true;
    }
  await blobs.close();
  return false;
}

describe.skipIf(!hasSwift())("nodes that share an S3 store", () => {
  const chance = Chance.forThisRun("media of a fleet");
  const shared: { swift?: Swift; config?: S3Config; fleet?: Fleet; direct?: Fleet } = {};
  beforeAll(async () => {
    shared.swift = await Swift.start();
    shared.config = await shared.swift.bucket();
    shared.fleet = await Fleet.start({ nodes: 2, chance, flags: s3Flags(shared.config) });
    const direct = await shared.swift.bucket({ direct: true });
    shared.direct = await Fleet.start({ nodes: 1, chance, flags: s3Flags(direct) });
  });
  afterAll(async () => {
    await shared.fleet?.[Symbol.asyncDispose]();
    await shared.direct?.[Symbol.asyncDispose]();
    await shared.swift?.[Symbol.asyncDispose]();
  });

  describe("and any of them", () => {
    mediaStories(() => {
      const { fleet, config } = shared as Required<typeof shared>;
      return { one: fleet.node(0), other: fleet.node(1), keeps: (id) => keeps(config, id) };
    });
  });

  it("say where parts go where clients go there themselves, and take nothing that is not whole", async () => {
    const at = (shared as Required<typeof shared>).direct.node(0);
    const by = await Person.called("anna").register(at);
    const token = new Capability();
    const upload = new Upload(by, MEDIA_PART_BYTES + 1_000);
    expect((await upload.begin(at)).status).toBe(201);
    const put = async (part: number, bytes: Buffer): Promise<number> => {
      const { body } = await upload.ask(at, "GET", `/parts/${part}/place`, upload.key);
      return (await fetch(String(body["url"]), { method: "PUT", body: new Uint8Array(bytes) })).status;
    };
    expect(await put(0, upload.part(0))).toBe(200);
    expect(await put(1, upload.part(1).subarray(1))).toBe(200);
    expect((await upload.finish(at)).code).toBe("media-unfinished"); // the last part is short
    expect(await put(1, upload.part(1))).toBe(200);
    expect((await upload.finish(at)).status).toBe(200);
    await upload.tokens(at, { add: [token.mark] });
    const answer = await fetch(`${at.url}${upload.partPath(1)}`, {
      headers: { authorization: token.header },
      redirect: "manual",
    });
    expect(answer.status).toBe(307);
    const had = await fetch(String(answer.headers.get("location")), { headers: { range: "bytes=0-9" } });
    expect(Buffer.from(await had.arrayBuffer()).equals(upload.part(1).subarray(0, 10))).toBe(true);
    expect(had.headers.get("content-disposition")).toBe("attachment");
    expect((await upload.getPart(at, 0, new Capability())).code).toBe("media-not-permitted");
    await upload.withdraw(at);
  });
});
