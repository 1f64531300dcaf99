// What is promised of media over HTTP, wherever blobs and ledger are: one story each, told to any two nodes of a relay.
import { MEDIA_PART_BYTES } from "@lethe/protocol";
import { expect, it } from "vitest";
import { Capability, Upload } from "../support/media.ts";
import { PATHS } from "@lethe/protocol";
import { BareHttp, requestBytes } from "../support/bare-http.ts";
import { type Answer, ask, type At, Person } from "../support/person.ts";
import { expectProblem } from "../support/problems.ts";
import { eventually, within } from "../support/waiting.ts";

const PATIENCE_MS = 20_000;
/** Two parts and a short one. */
const BYTES = 2 * MEDIA_PART_BYTES + 70_001;

export interface MediaWorld {
  /** Any two nodes that share everything, or one and the same. */
  readonly one: At & { readonly port: number };
  readonly other: At;
  /** Whether any byte of the blob is kept. */
  keeps(id: string): Promise<boolean>;
}

export function mediaStories(world: () => MediaWorld): void {
  const anna = (): Promise<Person> => Person.called("anna").register(world().one);
  const gone = (id: string): Promise<true> =>
    eventually(PATIENCE_MS, "the end of the blob", async () =>
      (await world().keeps(id)) ? undefined : true,
    );

  it("goes up in parts in any order and comes down from any node, whole and in ranges", async () => {
    const { one, other } = world();
    const token = new Capability();
    const upload = new Upload(await anna(), BYTES);
    expect((await upload.begin(one)).status).toBe(201);
    expect((await upload.begin(other)).status).toBe(200); // the answer was lost
    await Promise.all(
      [2, 0, 1].map(async (part) => expect((await upload.putPart(other, part)).status).toBe(204)),
    );
    expect((await upload.putPart(one, 1)).status).toBe(204);
    expect((await upload.finish(one)).body).toMatchObject({ state: "ready", parts: [0, 1, 2], bytes: BYTES });
    expect((await upload.finish(other)).status).toBe(200);
    expect((await upload.tokens(one, { add: [token.mark] })).status).toBe(200);

    const parts = await Promise.all([0, 1, 2].map((part) => upload.getPart(other, part, token)));
    expect(parts.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(Buffer.concat(parts.map(({ bytes }) => bytes)).equals(upload.bytes)).toBe(true);
    const rest = await upload.getPart(one, 2, token, { range: "bytes=70000-" });
    expect([rest.status, rest.headers.get("content-range")]).toEqual([206, "bytes 70000-70000/70001"]);
    expect(rest.bytes.equals(upload.part(2).subarray(70_000))).toBe(true);
    expect((await upload.withdraw(one)).status).toBe(204);
    await gone(upload.id);
  });

  it("goes on where it was broken off, and is not ready before all of it is there", async () => {
    const { one, other } = world();
    const token = new Capability();
    const upload = new Upload(await anna(), BYTES);
    await upload.begin(one);
    await upload.tokens(one, { add: [token.mark] });
    await upload.putPart(one, 1);
    expect((await upload.state(other)).body).toMatchObject({ state: "open", parts: [1] });
    expectProblem(await upload.finish(one), "media-unfinished");
    expect((await upload.getPart(one, 1, token)).code).toBe("media-unfinished");
    await upload.putPart(other, 0);
    await upload.putPart(one, 2);
    expect((await upload.finish(other)).status).toBe(200);
    expect((await upload.getPart(one, 1, token)).bytes.equals(upload.part(1))).toBe(true);
    expect((await upload.putPart(one, 1)).code).toBe("media-closed");
    await upload.withdraw(one);
  });

  it("is had with a token of its own alone", async () => {
    const { one, other } = world();
    const [token, another, unregistered] = [new Capability(), new Capability(), new Capability()];
    const by = await anna();
    const upload = await Upload.ready(one, by, 5_000, [token]);
    const second = await Upload.ready(one, by, 5_000, [another]);
    const refused = [another, unregistered, upload.key].map((shown) => upload.getPart(other, 0, shown));
    for (const { code } of await Promise.all(refused)) expect(code).toBe("media-not-permitted");
    expect((await upload.getPart(other, 0, token)).status).toBe(200);
    expectProblem(await upload.release(one, another), "media-not-permitted");
    for (const key of [second.key, token, unregistered]) {
      expectProblem(await upload.state(one, key), "media-not-permitted");
      expectProblem(await upload.finish(one, key), "media-not-permitted");
      expectProblem(await upload.tokens(one, { add: [another.mark] }, key), "media-not-permitted");
      expectProblem(await upload.withdraw(one, key), "media-not-permitted");
      expect((await upload.putPart(one, 0, upload.part(0), key)).code).toBe("media-not-permitted");
    }
    await upload.tokens(one, { add: [unregistered.mark], strike: [token.mark] });
    expect((await upload.getPart(other, 0, unregistered)).status).toBe(200);
    expect((await upload.getPart(other, 0, token)).code).toBe("media-gone");
    for (const blob of [upload, second]) await blob.withdraw(one);
  });

  it("stays until the last has released it, each once or often, and is gone for everybody then", async () => {
    const { one, other } = world();
    const [ben, carol] = [new Capability(), new Capability()];
    const upload = await Upload.ready(one, await anna(), 5_000, [ben, carol]);
    expect((await upload.release(one, ben)).status).toBe(204);
    expect((await upload.release(other, ben)).status).toBe(204);
    expect((await upload.getPart(one, 0, ben)).code).toBe("media-gone");
    expect((await upload.tokens(one, { close: true })).status).toBe(200);
    expectProblem(await upload.tokens(one, { add: [new Capability().mark] }), "media-closed");
    expect((await upload.getPart(one, 0, carol)).bytes.equals(upload.bytes)).toBe(true);
    expect((await upload.release(other, carol)).status).toBe(204);
    expect((await upload.getPart(one, 0, carol)).code).toBe("media-gone");
    expectProblem(await upload.state(other), "media-gone");
    await gone(upload.id);
  });

  it("that has ended is answered as one that never was, byte for byte", async () => {
    const { one } = world();
    const by = await anna();
    const token = new Capability();
    const withdrawn = await Upload.ready(one, by, 5_000, [token]);
    await withdrawn.withdraw(one);
    const released = await Upload.ready(one, by, 5_000, [token]);
    await released.tokens(one, { close: true });
    await released.release(one, token);
    await gone(released.id);
    const asked = async (upload: Upload, shown: Capability): Promise<(readonly [number, object])[]> => {
      const answers: Answer[] = [
        await ask(one, "GET", upload.partPath(0), Buffer.alloc(0), shown.header),
        await upload.state(one, shown),
        await upload.finish(one, shown),
        await upload.tokens(one, { add: [token.mark] }, shown),
        await upload.release(one, shown),
        await upload.withdraw(one, shown),
      ];
      return answers.map(({ status, body }) => [status, { ...body, now: 0 }]);
    };
    const never = await asked(new Upload(by, 5_000), token);
    expect(never.map(([status]) => status)).toEqual([410, 410, 410, 410, 410, 410]);
    for (const upload of [withdrawn, released])
      for (const shown of [upload.key, token, new Capability()])
        expect(await asked(upload, shown)).toEqual(never);
  });

  it("leaves nothing of a part that was still coming when the upload ended", async () => {
    const { one } = world();
    const upload = new Upload(await anna(), MEDIA_PART_BYTES);
    await upload.begin(one);
    const http = new BareHttp(one.port);
    const headers = {
      authorization: upload.key.header,
      "content-type": "application/octet-stream",
      "content-length": String(MEDIA_PART_BYTES),
    };
    const half = requestBytes("PUT", upload.partPath(0), headers, upload.part(0).subarray(0, 1_000_000));
    const answered = http.exchange(half, 2); // as many as never come: it goes on waiting
    void answered;
    await eventually(PATIENCE_MS, "the part's beginning", async () => {
      const text = await (await fetch(`${one.url}/metrics`)).text();
      return /^lethe_media_transfers [1-9]/m.test(text) ? true : undefined;
    });
    expect((await upload.withdraw(one)).status).toBe(204);
    const { answers } = await within(
      PATIENCE_MS,
      "its answer",
      http.exchange(upload.part(0).subarray(1_000_000)),
    );
    expect(JSON.parse(answers[0]?.body ?? "{}")).toMatchObject({ code: "media-gone" });
    http.destroy();
    await gone(upload.id);
  });

  it("goes with its account where it is not finished, and stays for its recipients where it is", async () => {
    const { one, other } = world();
    const by = await anna();
    const token = new Capability();
    const ready = await Upload.ready(one, by, 5_000, [token]);
    const open = await Upload.put(one, by, 5_000);
    expect((await by.request(one, "DELETE", PATHS.account)).status).toBe(204);
    expectProblem(await open.state(one), "media-gone");
    await gone(open.id);
    expect((await ready.getPart(other, 0, token)).bytes.equals(ready.bytes)).toBe(true);
    await ready.tokens(one, { close: true });
    expect((await ready.release(one, token)).status).toBe(204);
    await gone(ready.id);
  });
}
