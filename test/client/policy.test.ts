// What a relay says of itself, and how it asks to wait: read, believed, obeyed.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { MAX_ENVELOPE_BYTES, PATHS, type Time } from "@lethe/protocol";
import { seededRandom } from "../crypto/support.ts";
import { ClientError, relayPolicy, systemClock } from "@lethe/client";
import { RelayHttp } from "../../client-lib/edge/relay-http.ts";
import { PolicyKeeper, type RelayPolicy, readPolicy } from "../../client-lib/policy.ts";

const POLICY: RelayPolicy = {
  lethe: "relay",
  relay: "relay.example",
  versions: { min: 1, max: 1 },
  registration: "invite",
  limits: {
    envelopeBytes: MAX_ENVELOPE_BYTES,
    mailboxEnvelopes: 1_000,
    mailboxBytes: 1_000_000,
    devices: 16,
  },
  retention: { mailMs: 86_400_000, idleAccountMs: null, forgetMs: 60_000 },
  media: {
    bytes: 268_435_456,
    accountBytes: 1_073_741_824,
    accountBlobs: 1_000,
    keepMs: 2_592_000_000,
    direct: false,
  },
  durability: { accepted: "synced", copies: 1 },
  now: 1_700_000_000_000,
};

type Json = { [name: string]: Json | string | number | null };
/** The document with one field, named by its path, as `value`; undefined takes it out. */
function withField(path: readonly string[], value: string | number | null | undefined): Json {
  const json = structuredClone(POLICY) as unknown as Json;
  let at = json;
  for (const name of path.slice(0, -1)) at = at[name] as Json;
  const last = path.at(-1) ?? "";
  if (value === undefined) delete at[last];
  else at[last] = value;
  return json;
}

function paths(of: object, before: readonly string[] = []): string[][] {
  return Object.entries(of).flatMap(([name, value]: [string, unknown]) => {
    const path = [...before, name];
    return typeof value === "object" && value !== null ? [path, ...paths(value, path)] : [path];
  });
}

function codeOf(read: () => unknown): string | undefined {
  try {
    read();
  } catch (error) {
    return error instanceof ClientError ? error.code : String(error);
  }
  return undefined;
}

describe("the policy's document", () => {
  it("is read with all that is known of it, and without what is not", () => {
    expect(readPolicy(POLICY)).toEqual(POLICY);
    const later = { ...POLICY, news: true, limits: { ...POLICY.limits, groups: 3 } };
    expect(readPolicy(later)).toEqual(POLICY);
    expect(readPolicy(withField(["retention", "idleAccountMs"], 5)).retention.idleAccountMs).toBe(5);
  });

  it("says that no media are kept where nothing is said of them", () => {
    for (const value of [null, undefined]) expect(readPolicy(withField(["media"], value)).media).toBeNull();
  });

  it("is malformed without any one of its fields, or with another kind of value in it", () => {
    const all = paths(POLICY);
    expect(all.length).toBeGreaterThan(15);
    for (const path of all) {
      // Of media a relay that keeps none need not speak.
      if (path.join() !== "media")
        expect(codeOf(() => readPolicy(withField(path, undefined)))).toBe("policy-malformed");
      const isText = path.at(-1) === "relay";
      expect(codeOf(() => readPolicy(withField(path, isText ? 7 : "anything")))).toBe("policy-malformed");
      if (!isText) expect(codeOf(() => readPolicy(withField(path, -1)))).toBe("policy-malformed");
    }
    for (const json of [undefined, null, "relay", 7, []])
      expect(codeOf(() => readPolicy(json))).toBe("policy-malformed");
  });
});

describe("a client's knowledge of the policy", () => {
  /** A relay that answers what stands first in the list, and a clock that is moved. */
  function keeping(...answers: (ClientError | { json: unknown; lifetimeMs: number })[]) {
    const state = { now: 1_000_000, asked: 0, learned: [] as RelayPolicy[], failed: [] as string[] };
    const keeper = new PolicyKeeper({
      http: {
        policy() {
          const answer = answers[Math.min(state.asked++, answers.length - 1)];
          return answer instanceof ClientError || answer === undefined
            ? Promise.reject(answer ?? new Error("no answer"))
            : Promise.resolve(answer);
        },
      },
      clock: { ...systemClock, now: () => state.now as Time },
      learned: (policy) => state.learned.push(policy),
      failed: ({ code }) => state.failed.push(code),
    });
    const look = async (after = 0): Promise<number> => {
      state.now += after;
      keeper.look();
      await new Promise(setImmediate);
      return state.asked;
    };
    return { keeper, state, look };
  }
  const answer = (lifetimeMs: number, json: unknown = POLICY) => ({ json, lifetimeMs });

  it("is asked for no more often than the document says", async () => {
    const { keeper, state, look } = keeping(answer(300_000));
    expect(keeper.current).toBeUndefined();
    expect(await look()).toBe(1);
    expect(keeper.current).toEqual(POLICY);
    expect(await look(299_999)).toBe(1);
    expect(await look(1)).toBe(2);
    expect(state.learned).toHaveLength(1);
  });

  it("is not asked for at each of many connections, however short its lifetime", async () => {
    const { look } = keeping(answer(0));
    await look();
    for (let i = 0; i < 59; i++) expect(await look(1_000)).toBe(1);
    expect(await look(1_000)).toBe(2);
  });

  it("is asked for once a day, however long its lifetime", async () => {
    const { look } = keeping(answer(Number.MAX_SAFE_INTEGER));
    await look();
    expect(await look(86_399_999)).toBe(1);
    expect(await look(1)).toBe(2);
  });

  it("is told again when it has changed, but for the clock in it", async () => {
    const changed = { ...POLICY, registration: "closed" as const };
    const { keeper, state, look } = keeping(
      answer(0),
      answer(0, { ...POLICY, now: 1_800_000_000_000 }),
      answer(0, changed),
    );
    for (let i = 0; i < 3; i++) await look(60_000);
    expect(state.learned).toEqual([POLICY, changed]);
    expect(keeper.current).toEqual(changed);
  });

  it("stays what it was when it cannot be had, and the relay is left alone for as long as it says", async () => {
    const busy = new ClientError("busy", undefined, 600_000);
    const { keeper, state, look } = keeping(answer(0), busy, new ClientError("relay-unreachable"), answer(0));
    await look();
    expect(await look(60_000)).toBe(2);
    expect(await look(599_999)).toBe(2);
    expect(await look(1)).toBe(3);
    expect(await look(59_999)).toBe(3);
    expect(await look(1)).toBe(4);
    expect(keeper.current).toEqual(POLICY);
    expect(state.failed).toEqual([]);
  });

  it("is told where it is malformed, and stops nothing", async () => {
    const { keeper, state, look } = keeping(answer(0, "<html>"));
    await look();
    expect(state.failed).toEqual(["policy-malformed"]);
    expect(keeper.current).toBeUndefined();
    keeper.stop();
    expect(await look(600_000)).toBe(1);
  });
});

describe("over HTTP", () => {
  let server: Server | undefined;
  afterEach(
    () => new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve()))),
  );

  async function answering(
    answer: (request: IncomingMessage, response: ServerResponse) => void,
  ): Promise<string> {
    const made = createServer(answer);
    server = made;
    await new Promise<void>((resolve) => made.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(made.address() as AddressInfo).port}`;
  }
  const http = (url: string): RelayHttp =>
    new RelayHttp({ urls: [url], clock: systemClock, random: seededRandom(1) });
  const problem = { code: "rate-limited", says: "Too many requests.", now: Date.now() };

  it("is had by anybody who has only the address, or not, with a code", async () => {
    const asked: (string | undefined)[] = [];
    const url = await answering((request, response) => {
      asked.push(request.url);
      response.end(JSON.stringify(POLICY));
    });
    expect(await relayPolicy(`${url}/`)).toEqual(POLICY);
    expect(asked).toEqual([PATHS.policy]);
    await expect(relayPolicy("http://127.0.0.1:9")).rejects.toMatchObject({ code: "relay-unreachable" });
    await expect(relayPolicy("ftp://relay.example")).rejects.toMatchObject({ code: "relay-unreachable" });
  });

  it("is malformed where something else answers, and unreachable where nothing good does", async () => {
    const url = await answering((_request, response) => response.end("<html>hello</html>"));
    await expect(relayPolicy(url)).rejects.toMatchObject({ code: "policy-malformed" });
    server?.removeAllListeners("request");
    server?.on("request", (_request, response: ServerResponse) => {
      response.writeHead(404).end("<html>no</html>");
    });
    await expect(relayPolicy(url)).rejects.toMatchObject({ code: "relay-unreachable" });
    server?.removeAllListeners("request");
    server?.on("request", (_request, response: ServerResponse) => {
      response.writeHead(200, { "content-length": "100" }).write("{");
      response.destroy();
    });
    await expect(relayPolicy(url)).rejects.toMatchObject({ code: "relay-unreachable" });
  });

  it("is malformed where the answer has no end, and the line is let go of", async () => {
    const gone = Promise.withResolvers<void>();
    const url = await answering((_request, response) => {
      response.on("close", gone.resolve).write(" ".repeat(1_000_000)); // and nothing more
    });
    await expect(relayPolicy(url)).rejects.toMatchObject({ code: "policy-malformed" });
    await gone.promise;
  });

  it("holds for as long as cache-control says", async () => {
    const says: [string | undefined, number][] = [
      ["public, max-age=300", 300_000],
      ["max-age=5, must-revalidate", 5_000],
      ["no-store", 0],
      ["max-age=60, no-cache", 0],
      ["public", 300_000],
      [undefined, 300_000],
    ];
    const url = await answering((_request, response) => {
      const [header] = says[0] ?? [];
      if (header !== undefined) response.setHeader("cache-control", header);
      response.end(JSON.stringify(POLICY));
    });
    while (says[0] !== undefined) {
      expect((await http(url).policy()).lifetimeMs).toBe(says[0][1]);
      says.shift();
    }
  });

  it("says how long to wait, in its own words or those of whoever stands before it", async () => {
    const says: [number, string | undefined, object | undefined, string, number | undefined][] = [
      [429, "2", { ...problem, retryAfter: 1_500 }, "rate-limited", 1_500],
      [503, "7", { ...problem, code: "busy" }, "busy", 7_000],
      [503, "7", undefined, "relay-unreachable", 7_000],
      [503, "Wed, 21 Oct 2026 07:28:00 GMT", undefined, "relay-unreachable", undefined],
      [429, undefined, problem, "rate-limited", undefined],
      [429, undefined, { ...problem, retryAfter: 1e15 }, "rate-limited", 86_400_000],
      [429, undefined, { ...problem, retryAfter: -5 }, "rate-limited", undefined],
    ];
    const url = await answering((_request, response) => {
      const [status, header, body] = says[0] ?? [500];
      if (header !== undefined) response.setHeader("retry-after", header);
      response.writeHead(status).end(body === undefined ? "busy" : JSON.stringify(body));
    });
    while (says[0] !== undefined) {
      const [, , , code, retryAfter] = says[0];
      await expect(http(url).policy()).rejects.toMatchObject({ code, retryAfter });
      says.shift();
    }
  });
});
