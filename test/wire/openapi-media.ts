// The routes of media for the test of the description: each success, and each refusal that a client can bring about.
import { MAX_REQUEST_SKEW_MS, MEDIA_PART_BYTES, type ProblemCode } from "@lethe/protocol";
import { it } from "vitest";
import { aRelay, type RelayUnderTest } from "../support/a-relay.ts";
import type { RouteText } from "../support/description.ts";
import { Capability, type Had, Upload } from "../support/media.ts";
import { type Answer, aSigningKey, ask, type At, Person } from "../support/person.ts";

const TOO_LARGE = Buffer.alloc(2_000_000, " ");
const MIB = 1_048_576;
/** No header that shows anything. */
const NOTHING_SHOWN = { header: "LetheMedia" } as Capability;

const BEGIN = "PUT /v1/media/{media}";
const STATE = "GET /v1/media/{media}";
const PUT = "PUT /v1/media/{media}/parts/{part}";
const GET = "GET /v1/media/{media}/parts/{part}";
const PLACE = "GET /v1/media/{media}/parts/{part}/place";
const FINISH = "POST /v1/media/{media}/finish";
const TOKENS = "PUT /v1/media/{media}/tokens";
const WITHDRAW = "DELETE /v1/media/{media}";
const RELEASE = "POST /v1/media/{media}/release";

type Call = (at: At, upload: Upload, shown: Capability) => Promise<Answer>;

/** Each route with a capability, asked for as it is meant. */
const CALLS: Readonly<Record<RouteText, Call>> = {
  [STATE]: (at, upload, shown) => upload.state(at, shown),
  [PUT]: (at, upload, shown) => answerOf(upload.putPart(at, 0, upload.part(0), shown)),
  [GET]: (at, upload, shown) => answerOf(upload.getPart(at, 0, shown)),
  [PLACE]: (at, upload, shown) => upload.ask(at, "GET", "/parts/0/place", shown),
  [FINISH]: (at, upload, shown) => upload.finish(at, shown),
  [TOKENS]: (at, upload, shown) => upload.tokens(at, {}, shown),
  [WITHDRAW]: (at, upload, shown) => upload.withdraw(at, shown),
  [RELEASE]: (at, upload, shown) => upload.release(at, shown),
};

interface World {
  readonly open: RelayUnderTest;
  readonly answers: (
    route: RouteText,
    expected: number | ProblemCode,
    asked: Promise<Answer>,
  ) => Promise<Answer>;
}

export function mediaAnswers({ open, answers }: World): void {
  const off = aRelay(() => ["--media", "off"]);
  const direct = aRelay(() => {
    const place = ["--s3-url", "http://127.0.0.1:1", "--s3-bucket", "blobs", "--s3-direct", "on"];
    return [...place, "--s3-access-key", "a", "--s3-secret-key", "b"];
  });
  const anna = (relay = open): Promise<Person> => Person.called("anna").register(relay.at);

  it("answer as described to whoever begins an upload", async () => {
    const by = await anna();
    const upload = new Upload(by, 5_000);
    const body = { bytes: 5_000, uploadKey: upload.key.mark };
    const begin = (saying: object, said: unknown = body): Promise<Answer> =>
      by.request(open.at, "PUT", upload.path, said, saying);
    await answers(BEGIN, "unauthorized", begin({ key: aSigningKey().secret }));
    await answers(BEGIN, "clock-skew", begin({ time: Date.now() - 2 * MAX_REQUEST_SKEW_MS }));
    const saying = { nonce: Buffer.alloc(16, 7) };
    await answers(BEGIN, 201, begin(saying));
    await answers(BEGIN, "replayed", begin(saying));
    await answers(BEGIN, 200, begin({}));
    await answers(BEGIN, "media-taken", begin({}, { ...body, bytes: 5_001 }));
    await answers(BEGIN, "bad-request", begin({}, { ...body, bytes: "5" }));
    await answers(BEGIN, "media-too-large", begin({}, { ...body, bytes: 257 * MIB }));
    await answers(BEGIN, "frame-too-large", ask(open.at, "PUT", upload.path, TOO_LARGE));
    await answers(BEGIN, "media-off", upload.begin(off.at));
    for (let i = 0; i < 3; i++) await new Upload(by, 1).begin(open.at, 256 * MIB);
    await answers(BEGIN, "media-quota", new Upload(by, 1).begin(open.at, 256 * MIB));
  });

  it.each(Object.entries(CALLS))("%s answers as described to what does not fit", async (route, call) => {
    const by = await anna();
    const upload = await Upload.ready(open.at, by, 5_000, []);
    const never = new Upload(by, 5_000);
    await answers(route, "media-off", call(off.at, never, upload.key));
    await answers(route, "media-gone", call(open.at, never, upload.key));
    await answers(route, "media-not-permitted", call(open.at, upload, new Capability()));
    await answers(route, "unauthorized", call(open.at, upload, NOTHING_SHOWN));
    await answers(
      route,
      "bad-request",
      call(open.at, Object.assign(new Upload(by, 5_000), { id: "x" }), upload.key),
    );
    const [method = "", path = ""] = route.split(" ");
    if (method === "GET" || route === PUT) return;
    await answers(
      route,
      "frame-too-large",
      ask(open.at, method, path.replace("{media}", upload.id), TOO_LARGE),
    );
  });

  it("answer as described on a file's way", async () => {
    const [ben, carol] = [new Capability(), new Capability()];
    const upload = new Upload(await anna(), MEDIA_PART_BYTES + 1);
    const put = (part: number, bytes?: Buffer): Promise<Answer> =>
      answerOf(upload.putPart(open.at, part, bytes ?? upload.part(part)));
    const get = (part: number, range?: string): Promise<Answer> =>
      answerOf(upload.getPart(open.at, part, ben, range === undefined ? {} : { range }));
    const tokens = (change: Parameters<Upload["tokens"]>[1]): Promise<Answer> =>
      upload.tokens(open.at, change);
    const place = (part: number): Promise<Answer> =>
      upload.ask(open.at, "GET", `/parts/${part}/place`, upload.key);
    await upload.begin(open.at);
    await answers(PUT, 204, put(1));
    await answers(PUT, "media-part-wrong", put(0, upload.part(1)));
    await answers(STATE, 200, upload.state(open.at));
    await answers(FINISH, "media-unfinished", upload.finish(open.at));
    await answers(TOKENS, 200, tokens({ add: [ben.mark, carol.mark] }));
    await answers(GET, "media-unfinished", get(0));
    await answers(PLACE, "not-found", place(0));
    await answers(PLACE, "media-part-wrong", place(2));
    await put(0);
    await answers(FINISH, 200, upload.finish(open.at));
    await answers(PUT, "media-closed", put(1));
    await answers(PLACE, "media-closed", place(0));
    await answers(GET, 200, get(0));
    await answers(GET, 206, get(0, "bytes=0-9"));
    await answers(GET, "media-range", get(1, "bytes=1-"));
    await answers(GET, "media-part-wrong", get(2));
    await answers(RELEASE, 204, upload.release(open.at, ben));
    await tokens({ close: true });
    await answers(TOKENS, "media-closed", tokens({ add: [new Capability().mark] }));
    await answers(WITHDRAW, 204, upload.withdraw(open.at));
  });

  it("answer as described where parts go elsewhere", async () => {
    const upload = new Upload(await anna(direct), 5_000);
    await answers(BEGIN, 201, upload.begin(direct.at));
    await answers(PLACE, 200, upload.ask(direct.at, "GET", "/parts/0/place", upload.key));
  });
}

async function answerOf(asked: Promise<Had>): Promise<Answer> {
  const { status, headers, bytes, code } = await asked;
  const body = code === "" ? {} : (JSON.parse(bytes.toString()) as Record<string, unknown>);
  return { status, headers, body, code };
}
