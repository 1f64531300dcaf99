// Hostile requests for the relay's HTTP half, and what must become of each. Always true: the oracle says beforehand which
// statuses are right; whatever is not a success is a problem of the table, and nothing is ever `internal`.
import { MAX_REQUEST_SKEW_MS, OPERATOR_PATHS, PATHS } from "@lethe/protocol";
import { requestBytes } from "./bare-http.ts";
import { upgradeRequest } from "./bare-socket.ts";
import type { Chance } from "./chance.ts";
import { aPrekey, aSigningKey, Person } from "./person.ts";

export interface HttpInput {
  readonly what: HttpKind;
  readonly bytes: Buffer;
  /** Statuses of its answers, in order; for each those that are right. */
  readonly due: readonly (readonly number[])[];
  /** Whether the relay ends the connection with it; undefined: it may. */
  readonly ends: boolean | undefined;
  /** The answer has no body. */
  readonly head?: boolean;
  /** Our half is ended behind it: what is incomplete cannot be waited for. */
  readonly halfClosed?: boolean;
  /** It may get fewer answers than are due, if the connection ends. */
  readonly mayBeMute?: boolean;
  /** The same bytes once more get this. */
  readonly again?: number;
}

const KINDS = {
  valid: 22,
  public: 10,
  forged: 10,
  shaped: 12,
  unsigned: 5,
  path: 10,
  method: 6,
  headers: 5,
  type: 3,
  large: 1,
  smuggled: 4,
  mutated: 10,
  random: 3,
  pipelined: 4,
  upgrade: 4,
} as const;
export type HttpKind = keyof typeof KINDS;
export const HTTP_KINDS = Object.keys(KINDS) as HttpKind[];
const SHARES = HTTP_KINDS.flatMap((kind) => Array.from({ length: KINDS[kind] }, () => kind));

const PUBLIC = ["/", PATHS.policy, OPERATOR_PATHS.health, OPERATOR_PATHS.ready] as const;
const SIGNED = [
  ["GET", PATHS.prekeys],
  ["PUT", PATHS.prekeys],
  ["PUT", PATHS.deviceList],
  ["PUT", PATHS.accessKey],
  ["PUT", PATHS.presence],
  ["DELETE", PATHS.account],
  ["PUT", `${PATHS.linking}/${"0".repeat(32)}/offer`],
] as const;
const SUCCESS = [200, 201, 204] as const;
/** What a request that reaches a route, or none, may get whatever stands in it. */
const ANYTHING = [...SUCCESS, 400, 401, 403, 404, 409, 413] as const;
const JSON_TYPE = { "content-type": "application/json" } as const;

interface Valid {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly gets: readonly number[];
}

/** Requests that are in order, of the caller. Nothing here takes the caller's account away. */
function validOf(chance: Chance, caller: Person): Valid {
  const prekeys = (most: number) =>
    Array.from({ length: chance.below(most) }, () => aPrekey(`prekey ${chance.u32()}`));
  return chance.pick<() => Valid>([
    () => ({ method: "GET", path: PATHS.prekeys, body: undefined, gets: [200] }),
    () => ({
      method: "PUT",
      path: PATHS.prekeys,
      body: { signed: aPrekey("signed"), lastResort: aPrekey("last"), oneTime: prekeys(4), replace: true },
      gets: [200],
    }),
    () => ({ method: "PUT", path: PATHS.presence, body: { lastSeen: chance.oneIn(2) }, gets: [200] }),
    () => ({
      method: "PUT",
      path: PATHS.accessKey,
      body: { accessKeyHash: Buffer.from(chance.bytes(32)).toString("base64url") },
      gets: [200],
    }),
    () => ({ method: "PUT", path: PATHS.deviceList, body: caller.listOf(2, [caller]), gets: [200, 409] }),
  ])();
}

const bodyOf = (body: unknown): Buffer =>
  body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(body));

function signedBytesOf(caller: Person, method: string, path: string, body: Buffer): Buffer {
  const type = body.length > 0 ? JSON_TYPE : {};
  const authorization = caller.authorization(method, path, body);
  return requestBytes(method, path, { ...type, authorization }, body);
}

const one = (what: HttpKind, bytes: Buffer, ...gets: readonly number[]): HttpInput => ({
  what,
  bytes,
  due: [gets],
  ends: false,
});

type Draw = (chance: Chance, caller: Person) => HttpInput;

const DRAW: { readonly [K in HttpKind]: Draw } = {
  valid: (chance, caller) => {
    if (chance.oneIn(100)) {
      const somebody = Person.called("new");
      const bytes = signedBytesOf(somebody, "POST", PATHS.accounts, bodyOf(somebody.registration));
      return one("valid", bytes, 201);
    }
    const { method, path, body, gets } = validOf(chance, caller);
    const input = one("valid", signedBytesOf(caller, method, path, bodyOf(body)), ...gets);
    return chance.oneIn(6) ? { ...input, again: 401 } : input;
  },
  public: (chance) => {
    const head = chance.oneIn(5);
    return { ...one("public", requestBytes(head ? "HEAD" : "GET", chance.pick(PUBLIC)), 200), head };
  },
  forged,
  shaped,
  unsigned: (chance) => {
    const [method, path] = chance.pick([
      ...SIGNED,
      ["POST", PATHS.accounts],
      ["GET", OPERATOR_PATHS.adminFigures],
    ]);
    const body = method === "GET" || method === "DELETE" ? Buffer.alloc(0) : Buffer.from("{}");
    const headers: Record<string, string> = { ...(body.length > 0 ? JSON_TYPE : {}) };
    if (chance.oneIn(2))
      headers["authorization"] = chance.pick([
        "Bearer x",
        "Lethe",
        "Lethe account=0",
        `Basic ${"A".repeat(900)}`,
      ]);
    return one("unsigned", requestBytes(method, path, headers, body), 400, 401, 403, 404);
  },
  path: (chance) => one("path", requestBytes("GET", trick(chance)), ...ANYTHING),
  method: (chance, caller) => {
    const method = chance.pick([
      "HEAD",
      "OPTIONS",
      "PATCH",
      "TRACE",
      "PROPFIND",
      "PURGE",
      "M-SEARCH",
      "LINK",
    ]);
    const path = chance.pick([...PUBLIC, PATHS.prekeys, PATHS.account, PATHS.deviceSocket]);
    const headers = chance.oneIn(2)
      ? { authorization: caller.authorization(method, path, Buffer.alloc(0)) }
      : { origin: "https://chat.example", "access-control-request-method": "PUT" };
    return { ...one("method", requestBytes(method, path, headers), ...ANYTHING), head: method === "HEAD" };
  },
  headers: hostileHeaders,
  type: (chance, caller) => {
    const body = bodyOf({ lastSeen: true });
    const authorization = caller.authorization("PUT", PATHS.presence, body);
    const type = chance.pick([
      "text/plain",
      "application/xml",
      "multipart/form-data; boundary=x",
      "a",
      "json/",
    ]);
    return one(
      "type",
      requestBytes("PUT", PATHS.presence, { "content-type": type, authorization }, body),
      400,
    );
  },
  large: (chance) => {
    const headers = { ...JSON_TYPE, "content-length": String(chance.pick([1_572_865, 2 ** 31, 2 ** 52])) };
    return {
      ...one("large", requestBytes("POST", PATHS.accounts, headers, chance.bytes(64)), 413),
      ends: undefined,
      halfClosed: true,
    };
  },
  smuggled: (chance) => ({ what: "smuggled", bytes: smuggled(chance), due: [[400]], ends: true }),
  mutated: (chance, caller) => {
    const { method, path, body } = validOf(chance, caller);
    return unclear("mutated", mutate(signedBytesOf(caller, method, path, bodyOf(body)), chance));
  },
  random: (chance) => {
    const start = chance.oneIn(2) ? Buffer.from("GET ") : Buffer.alloc(0);
    return unclear("random", Buffer.concat([start, chance.bytes(chance.between(1, 300))]));
  },
  pipelined: (chance) => {
    const paths = Array.from({ length: chance.between(2, 12) }, () => chance.pick(PUBLIC));
    return {
      what: "pipelined",
      bytes: Buffer.concat(paths.map((path) => requestBytes("GET", path))),
      due: paths.map(() => [200]),
      ends: false,
    };
  },
  upgrade: (chance) => {
    const whole = Buffer.from(upgradeRequest(chance.oneIn(2) ? "device" : "anonymous"), "latin1");
    return unclear(
      "upgrade",
      chance.oneIn(8) ? whole.subarray(0, chance.below(whole.length)) : mutate(whole, chance),
    );
  },
};

/** Bytes that may be anything: the end must come, and before it whatever answers they have earned. */
function unclear(what: HttpKind, bytes: Buffer): HttpInput {
  return { what, bytes, due: [[...ANYTHING, 101]], ends: undefined, halfClosed: true, mayBeMute: true };
}

/** A signature that does not fit what it stands on. */
function forged(chance: Chance, caller: Person): HttpInput {
  const [method, path] = chance.pick(SIGNED);
  const body = method === "PUT" ? Buffer.from('{"lastSeen":true}') : Buffer.alloc(0);
  const type = body.length > 0 ? JSON_TYPE : {};
  const wrong = chance.pick<() => Buffer>([
    () =>
      requestBytes(method, path, { ...type, authorization: caller.authorization("POST", path, body) }, body),
    () =>
      requestBytes(method, path, { ...type, authorization: caller.authorization(method, "/", body) }, body),
    () => {
      const authorization = caller.authorization(method, path, Buffer.from("another body"));
      return requestBytes(method, path, { ...type, authorization }, body);
    },
    () => {
      const time = Date.now() + (chance.oneIn(2) ? 1 : -1) * (MAX_REQUEST_SKEW_MS + 5_000);
      const authorization = caller.authorization(method, path, body, { time });
      return requestBytes(method, path, { ...type, authorization }, body);
    },
    () => {
      const authorization = caller.authorization(method, path, body, { key: strangersKey.secret });
      return requestBytes(method, path, { ...type, authorization }, body);
    },
    () => {
      const authorization = caller.authorization(method, path, body, { device: chance.between(2, 65_535) });
      return requestBytes(method, path, { ...type, authorization }, body);
    },
    () => {
      const authorization = caller.authorization(method, path, body);
      return requestBytes(method, `${path}?x=${chance.below(9)}`, { ...type, authorization }, body);
    },
  ])();
  return one("forged", wrong, 401);
}

const strangersKey = aSigningKey();

/** A body that does not have the documented shape, under a signature that fits it. */
function shaped(chance: Chance, caller: Person): HttpInput {
  const path = chance.pick([PATHS.prekeys, PATHS.deviceList, PATHS.accessKey, PATHS.presence]);
  const bytes = (body: Buffer): Buffer => signedBytesOf(caller, "PUT", path, body);
  const depth = chance.pick([10, 1_000, 200_000]);
  const body = chance.pick<() => Buffer>([
    () => Buffer.from("[".repeat(depth)),
    () => Buffer.from(`${"[".repeat(depth)}${"]".repeat(depth)}`),
    () => Buffer.from(`${'{"a":'.repeat(1_000)}1${"}".repeat(1_000)}`),
    () => Buffer.from('{"__proto__":{"lastSeen":true},"constructor":{"prototype":{}}}'),
    () => Buffer.from(chance.pick(["null", "0", '""', "[]", "true", "1e999", "\u0000", "{}x"])),
    () => Buffer.from(JSON.stringify({ oneTime: Array.from({ length: 201 }, () => aPrekey("x")) })),
    () => Buffer.from(JSON.stringify({ accessKeyHash: "A".repeat(chance.below(90)), lastSeen: "yes" })),
    () => Buffer.from(chance.bytes(chance.between(1, 200))),
  ])();
  return one("shaped", bytes(body), 400);
}

/** Targets that climb, repeat, encode, or are no paths. */
function trick(chance: Chance): string {
  const path = chance.pick([
    ...PUBLIC,
    PATHS.prekeys,
    PATHS.accounts,
    OPERATOR_PATHS.adminFigures,
    OPERATOR_PATHS.metrics,
  ]);
  return chance.pick<() => string>([
    () => `/..${path}`,
    () => `//relay.test${path}`,
    () => `${path}/`,
    () => `${path}//`,
    () => `${path}/%2e%2e/%2e%2e/etc/passwd`,
    () => `${path}%00`,
    () => `${path}%ff`,
    () => `${path}%`,
    () => `${path};x=1`,
    () => `${path}?${"a=b&".repeat(chance.below(400))}`,
    () => `${path}?a[__proto__]=1&a[]=2`,
    () => `http://other.test${path}`,
    () => path.toUpperCase(),
    () => "*",
    () => `/admin/accounts/${"a".repeat(chance.below(400))}`,
    () => `/${Buffer.from(chance.bytes(20)).toString("base64url")}`,
    () => `/${"a/".repeat(chance.below(2_000))}`,
  ])();
}

function hostileHeaders(chance: Chance): HttpInput {
  const path = chance.pick(PUBLIC);
  const many = (count: number, value: string): Record<string, string> =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, value]));
  const tooLarge: HttpInput = {
    what: "headers",
    bytes: requestBytes("GET", path, many(chance.between(40, 400), "v".repeat(600))),
    due: [[413]],
    ends: true,
    mayBeMute: true, // what comes behind the refusal may reset the connection before it is read
  };
  return chance.pick<() => HttpInput>([
    () => one("headers", requestBytes("GET", path, many(chance.between(1, 500), "v")), 200),
    () => tooLarge,
    () =>
      one("headers", requestBytes("GET", path, { "accept-encoding": "gzip, br", range: "bytes=0-1" }), 200),
    () => one("headers", requestBytes("GET", path, { origin: "null", cookie: "a=b; ".repeat(100) }), 200),
    () =>
      one(
        "headers",
        requestBytes("GET", path, { "x-forwarded-for": "1.2.3.4, ::1", "x-http-method-override": "DELETE" }),
        200,
      ),
    () => ({ ...one("headers", requestBytes("GET", path, { "x-bad": "a\u0000b" }), 400), ends: true }),
    () => ({ ...one("headers", requestBytes("GET", path, { "x bad": "a" }), 400), ends: true }),
  ])();
}

/** Framings that two servers would read differently (RFC 9112 section 6.3), each with a second request hidden in it. */
export const SMUGGLED: readonly (readonly [string, string])[] = [
  ["length and chunks", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["chunks and length", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"],
  ["two lengths", "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"],
  ["a list of lengths", "Content-Length: 4, 5\r\n\r\nabcde"],
  ["a signed length", "Content-Length: +4\r\n\r\nabcd"],
  ["a negative length", "Content-Length: -4\r\n\r\nabcd"],
  ["a length that is no number", "Content-Length: 0x4\r\n\r\nabcd"],
  ["a space before the colon", "Content-Length : 4\r\n\r\nabcd"],
  ["another coding", "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"],
  ["chunks twice, not at the end", "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"],
  ["a chunk size that is no number", "Transfer-Encoding: chunked\r\n\r\nzz\r\nabcd\r\n0\r\n\r\n"],
  [
    "a chunk size over every number",
    "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabcd\r\n0\r\n\r\n",
  ],
  ["a bare line feed in the chunks", "Transfer-Encoding: chunked\r\n\r\n4\nabcd\n0\n\n"],
  ["a folded header", "X-A: b\r\n c\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n"],
];

export function smuggledBytes(headers: string): Buffer {
  const hidden = "GET /health HTTP/1.1\r\nHost: relay.test\r\n\r\n";
  return Buffer.from(
    `POST ${PATHS.accounts} HTTP/1.1\r\nHost: relay.test\r\nContent-Type: application/json\r\n${headers}${hidden}`,
    "latin1",
  );
}

function smuggled(chance: Chance): Buffer {
  return smuggledBytes(chance.pick(SMUGGLED)[1]);
}

function mutate(bytes: Buffer, chance: Chance): Buffer {
  const out = Buffer.from(bytes);
  for (let i = chance.between(1, 3); i > 0; i--) {
    const at = chance.oneIn(3) ? chance.below(Math.min(out.length, 24)) : chance.below(out.length);
    out[at] = chance.oneIn(2)
      ? (out[at] as number) ^ (1 << chance.below(8))
      : chance.pick([0, 10, 13, 32, 58, 0xff]);
  }
  return out;
}

/** A new request of this caller. */
export function drawRequest(chance: Chance, caller: Person): HttpInput {
  return DRAW[chance.pick(SHARES)](chance, caller);
}
