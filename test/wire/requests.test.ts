// The HTTP half under requests that no client of ours sends: every answer is a problem of the table, framings that two
// servers would read differently are refused, and a connection that is turned away does not stay.
import {
  HTTP_STATUSES,
  MAX_ONE_TIME_PREKEYS,
  OPERATOR_PATHS,
  PATHS,
  type ProblemCode,
} from "@lethe/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BareAnswer, BareHttp, requestBytes } from "../support/bare-http.ts";
import { upgradeRequest } from "../support/bare-socket.ts";
import { aFolder, type Folder } from "../support/folder.ts";
import { SMUGGLED, smuggledBytes } from "../support/hostile-http.ts";
import { aPrekey, Person } from "../support/person.ts";
import { expectProblem } from "../support/problems.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { within } from "../support/waiting.ts";

const PATIENCE_MS = 15_000;
const MAX_BODY_BYTES = 1_572_864;

let folder: Folder;
let relay: RelayProcess;
beforeAll(async () => {
  folder = await aFolder();
  relay = await RelayProcess.start({ data: folder.path, flags: ["--origins", "https://chat.example"] });
});
afterAll(async () => {
  await relay.stop();
  await folder[Symbol.asyncDispose]();
});

/** The one answer to these bytes, and whether the connection was ended with it. */
async function one(bytes: Uint8Array): Promise<BareAnswer & { ended: boolean }> {
  const http = new BareHttp(relay.port);
  const { answers, ended } = await within(PATIENCE_MS, "an answer", http.exchange(bytes));
  http.destroy();
  const [answer] = answers;
  if (answer === undefined) throw new Error("the connection ended without an answer");
  return { ...answer, ended };
}

function expectTable({ status, body }: BareAnswer, code: ProblemCode): void {
  expect([status, JSON.parse(body)]).toEqual([
    HTTP_STATUSES[code],
    expect.objectContaining({ code, says: expect.any(String), now: expect.any(Number) }),
  ]);
}

const json = { "content-type": "application/json" };

describe("a request that two servers would read differently", () => {
  it.each(SMUGGLED)("is refused, and what is hidden in it is not answered: %s", async (_what, headers) => {
    const http = new BareHttp(relay.port);
    const { answers, ended } = await within(PATIENCE_MS, "the end", http.exchange(smuggledBytes(headers), 2));
    expect([answers.length, ended]).toEqual([1, true]);
    expectTable(answers[0] as BareAnswer, "bad-request");
  });
});

describe("an answer from below the routes is a problem of the table", () => {
  it.each<[string, string, ProblemCode]>([
    ["no HTTP", "hello\r\n\r\n", "bad-request"],
    [
      "the first bytes of TLS",
      "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003",
      "bad-request",
    ],
    ["HTTP of another version", "GET /health HTTP/3.0\r\nHost: a\r\n\r\n", "bad-request"],
    ["a method that nobody knows", "EAT /health HTTP/1.1\r\nHost: a\r\n\r\n", "bad-request"],
    ["no host", "GET /health HTTP/1.1\r\n\r\n", "bad-request"],
    ["a header with a byte 0", "GET /health HTTP/1.1\r\nHost: a\r\nX: \u0000\r\n\r\n", "bad-request"],
    ["a path that is no URL", "GET /%ff HTTP/1.1\r\nHost: a\r\n\r\n", "bad-request"],
    [
      "headers over 16 KiB",
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(17_000)}\r\n\r\n`,
      "frame-too-large",
    ],
    ["an expectation", "GET /health HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n\r\n", "bad-request"],
  ])("%s", async (_what, text, code) => {
    expectTable(await one(Buffer.from(text, "latin1")), code);
  });

  it.each<[string, string, ProblemCode]>([
    ["another path", upgradeRequest("device").replace(PATHS.deviceSocket, "/v1/other"), "not-found"],
    [
      "a path that climbs",
      upgradeRequest("device").replace(PATHS.deviceSocket, `/..${PATHS.deviceSocket}`),
      "not-found",
    ],
    ["no key", upgradeRequest("device").replace(/Sec-WebSocket-Key.*\r\n/, ""), "bad-request"],
    ["another version", upgradeRequest("device").replace("Version: 13", "Version: 7"), "bad-request"],
    ["POST", upgradeRequest("device").replace("GET", "POST"), "bad-request"],
    [
      "another origin",
      upgradeRequest("device").replace("Host:", "Origin: https://evil.example\r\nHost:"),
      "not-permitted",
    ],
  ])(
    "an upgrade with %s; and the connection is ended although our half stays open",
    async (_what, text, code) => {
      const http = new BareHttp(relay.port);
      const bytes = Buffer.from(text, "latin1");
      const { answers, ended } = await within(PATIENCE_MS, "the end", http.exchange(bytes, 2));
      expect([answers.length, ended]).toEqual([1, true]);
      expectTable(answers[0] as BareAnswer, code);
    },
  );
});

describe("a body", () => {
  const headers = (length: number): Record<string, string> => ({ ...json, "content-length": String(length) });

  it("of the most bytes that it may have is read; with one more it is refused before it has come", async () => {
    const full = Buffer.alloc(MAX_BODY_BYTES, " ");
    expectTable(await one(requestBytes("POST", PATHS.accounts, json, full)), "bad-request");
    const over = requestBytes("POST", PATHS.accounts, headers(MAX_BODY_BYTES + 1), Buffer.from("{"));
    expectTable(await one(over), "frame-too-large");
  });

  it("in chunks is counted as it comes", async () => {
    const chunk = Buffer.concat([Buffer.from("10000\r\n"), Buffer.alloc(65_536, " "), Buffer.from("\r\n")]);
    const chunks = Buffer.concat(Array.from({ length: 25 }, () => chunk));
    const bytes = requestBytes("POST", PATHS.accounts, { ...json, "transfer-encoding": "chunked" }, chunks);
    expectTable(await one(bytes), "frame-too-large");
  });

  it.each([
    "text/plain",
    "application/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
  ])("of the type %s is not looked at", async (type) => {
    expectTable(
      await one(requestBytes("POST", PATHS.accounts, { "content-type": type }, Buffer.from("{}"))),
      "bad-request",
    );
  });

  it.each([
    ["400,000 brackets", "[".repeat(400_000)],
    ["200,000 of them closed", `${"[".repeat(200_000)}${"]".repeat(200_000)}`],
    ["objects 100,000 deep", `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`],
    ["a prototype", '{"__proto__":{"lastSeen":true}}'],
    ["a field too many", '{"lastSeen":true,"more":1}'],
    ["a number that is none", '{"lastSeen":1e999}'],
  ])("that is signed, and holds %s, is a bad request", async (_what, text) => {
    const anna = await Person.called("anna").register(relay);
    const body = Buffer.from(text);
    const authorization = anna.authorization("PUT", PATHS.presence, body);
    expectTable(
      await one(requestBytes("PUT", PATHS.presence, { ...json, authorization }, body)),
      "bad-request",
    );
  });
});

describe("one-time prekeys", () => {
  it("are kept up to 200 of a kind; one more is refused, in one request and over several", async () => {
    const anna = await Person.called("anna").register(relay);
    const keys = Array.from({ length: MAX_ONE_TIME_PREKEYS + 1 }, (_, i) => aPrekey(`key ${i}`));
    const put = (oneTime: typeof keys) => anna.request(relay, "PUT", PATHS.prekeys, { oneTime });
    expectProblem(await put(keys), "bad-request");
    expect((await put(keys.slice(0, MAX_ONE_TIME_PREKEYS))).status).toBe(200);
    expectProblem(await put(keys.slice(-1)), "too-many-prekeys");
  });
});

describe("requests in one write", () => {
  it("are answered all of them, in their order", async () => {
    const paths = [OPERATOR_PATHS.health, OPERATOR_PATHS.ready, "/v1/nothing", OPERATOR_PATHS.health, "/"];
    const bytes = Buffer.concat(paths.map((path) => requestBytes("GET", path)));
    const http = new BareHttp(relay.port);
    const { answers } = await within(PATIENCE_MS, "five answers", http.exchange(bytes, 5));
    http.destroy();
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 404, 200, 200]);
    expect(answers[0]?.body).toBe('{"status":"up"}');
  });

  it("behind one that is refused for its framing are not answered", async () => {
    const bytes = Buffer.concat([
      requestBytes("GET", OPERATOR_PATHS.health, { "content-length": "x" }),
      requestBytes("GET", OPERATOR_PATHS.health),
    ]);
    const http = new BareHttp(relay.port);
    const { answers, ended } = await within(PATIENCE_MS, "the end", http.exchange(bytes, 2));
    expect([answers.map(({ status }) => status), ended]).toEqual([[400], true]);
  });
});

describe("a path that climbs, repeats or encodes", () => {
  it.each([
    `/..${OPERATOR_PATHS.health}`,
    `//relay.test${OPERATOR_PATHS.health}`,
    `${OPERATOR_PATHS.health}/`,
    `${OPERATOR_PATHS.health}//`,
    `${OPERATOR_PATHS.health}%00`,
    `${OPERATOR_PATHS.health}/%2e%2e/metrics`,
    `${OPERATOR_PATHS.health.toUpperCase()}`,
    `/v1/../health`,
  ])("is nothing: %s", async (path) => {
    expectTable(await one(requestBytes("GET", path)), "not-found");
  });
});
