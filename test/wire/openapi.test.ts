// Real requests against real relays, each answer held against the relay's own description: every success of every route, and
// every refusal that a client can bring about. What none of them brings about stands in a list with its reason.
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MAX_REQUEST_SKEW_MS, OPERATOR_PATHS, PATHS, type ProblemCode } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import { aRelay } from "../support/a-relay.ts";
import { Description, type RouteText } from "../support/description.ts";
import { mediaAnswers } from "./openapi-media.ts";
import { type Answer, aPrekey, aSigningKey, ask, Person } from "../support/person.ts";

const NOTHING = Buffer.alloc(0);
const TOO_LARGE = Buffer.alloc(2_000_000, " ");

const open = aRelay();
const closed = aRelay(() => ["--registration", "closed"]);
const invited = aRelay(() => [
  "--registration",
  "invite",
  "--limit-local",
  "on",
  "--address-registrations",
  "3",
]);
const keySet = { file: "" };
const trusting = aRelay(async () => {
  const set = join(open.folder, "keys.json");
  keySet.file = set;
  await writeFile(set, '{"keys":[]}');
  return ["--registration", "jwt", "--jwt-issuer", "i", "--jwt-audience", "a", "--jwt-keys", set];
});

let description: Description;
beforeAll(async () => {
  description = await Description.of(open.at);
});

/** `PUT /v1/prekeys too-many-prekeys`, `GET /health 200`: what real answers have shown. */
const shown = new Set<string>();

/** The answer is as described, and is this status or code. */
async function answers(
  route: RouteText,
  expected: number | ProblemCode,
  asked: Promise<Answer>,
): Promise<Answer> {
  const answer = await asked;
  const is = answer.code === "" ? answer.status : answer.code;
  expect([route, is, description.faults(route, answer)]).toEqual([route, expected, []]);
  shown.add(`${route} ${is}`);
  return answer;
}

/** The same path as a request has it. */
const methodAndPath = (route: RouteText, part = ""): [string, string] => {
  const [method = "", path = ""] = route.split(" ");
  return [method, path.replace(/\{\w+\}/, part)];
};

describe("public routes", () => {
  it.each([
    "/",
    PATHS.policy,
    OPERATOR_PATHS.health,
    OPERATOR_PATHS.ready,
    OPERATOR_PATHS.metrics,
    OPERATOR_PATHS.document,
  ])("GET %s answers as described", async (path) => {
    await answers(`GET ${path}`, 200, ask(open.at, "GET", path, NOTHING));
  });
});

describe("registration", () => {
  const route = "POST /v1/accounts";
  const register = (
    relay: typeof open,
    person: Person,
    body: unknown = person.registration,
  ): Promise<Answer> => person.request(relay.at, "POST", PATHS.accounts, body);

  it("answers as described where it is open", async () => {
    const anna = Person.called("anna");
    await answers(route, 201, register(open, anna));
    await answers(route, 200, register(open, anna));
    await answers(route, "name-taken", register(open, new Person(anna.name)));
    await answers(route, "name-invalid", register(open, new Person("Anna")));
    const other = new Person(Person.called("ben").name, 1, anna);
    await answers(route, "account-exists", register(open, other));
  });

  it("answers as described where it is closed, by invitation or by a login service", async () => {
    const anna = Person.called("anna");
    await answers(route, "registration-closed", register(closed, anna));
    await answers(route, "ticket-required", register(invited, anna));
    await answers(route, "ticket-invalid", register(invited, anna, { ...anna.registration, ticket: "none" }));
    await register(invited, anna);
    const limited = await answers(route, "rate-limited", register(invited, anna));
    expect(Number(limited.headers.get("retry-after"))).toBeGreaterThan(0);
    await writeFile(keySet.file, "no set");
    trusting.at.signal("SIGHUP"); // which leaves the old keys, and the file as it is
    await trusting.at.says("settings are as before");
    const head = Buffer.from('{"alg":"EdDSA"}').toString("base64url");
    const ticket = `${head}.${Buffer.from("{}").toString("base64url")}.AAAA`;
    await answers(route, "identity-unreachable", register(trusting, anna, { ...anna.registration, ticket }));
  });
});

describe("signed routes", () => {
  const routes: readonly [RouteText, ((person: Person) => unknown) | undefined][] = [
    ["POST /v1/accounts", (person) => person.registration],
    ["PUT /v1/prekeys", () => ({ signed: aPrekey("s"), oneTime: [aPrekey("o")] })],
    ["GET /v1/prekeys", undefined],
    ["GET /v1/prekeys/{device}", undefined],
    ["PUT /v1/device-list", (person) => person.listOf(2, [person])],
    ["PUT /v1/access-key", () => ({ accessKeyHash: Person.called("x").registration.accessKeyHash })],
    ["PUT /v1/presence", () => ({ lastSeen: false })],
    ["DELETE /v1/account", undefined],
  ];

  it.each(routes)("%s answers as described to signatures that do not hold", async (route, bodyOf) => {
    const [method, path] = methodAndPath(route, "1");
    const anna = await Person.called("anna").register(open.at);
    const body = bodyOf?.(anna);
    const request = (saying: object): Promise<Answer> => anna.request(open.at, method, path, body, saying);
    await answers(route, "unauthorized", request({ key: aSigningKey().secret }));
    await answers(route, "clock-skew", request({ time: Date.now() - 2 * MAX_REQUEST_SKEW_MS }));
    if (route === "DELETE /v1/account") {
      await answers(route, 204, request({}));
      return;
    }
    const saying = { nonce: Buffer.alloc(16, 7) };
    await answers(route, 200, request(saying));
    await answers(route, "replayed", request(saying));
  });

  it.each(routes.filter(([route]) => !route.startsWith("GET")))(
    "%s answers as described to bodies that do not fit",
    async (route, bodyOf) => {
      const [method, path] = methodAndPath(route);
      const anna = await Person.called("anna").register(open.at);
      if (bodyOf !== undefined) {
        expect([description.takes(route, bodyOf(anna)), description.takes(route, { admin: true })]).toEqual([
          true,
          false,
        ]);
        await answers(route, "bad-request", anna.request(open.at, method, path, { admin: true }));
      } else {
        const headers = { "content-type": "text/plain" };
        const response = await fetch(`${open.at.url}${path}`, { method, headers, body: "hello" });
        expect(response.status).toBe(400);
        shown.add(`${route} ${((await response.json()) as { code: string }).code}`);
      }
      await answers(route, "frame-too-large", ask(open.at, method, path, TOO_LARGE));
    },
  );

  it.each(["offer", "grant"])(
    "PUT a linking %s answers as described to what is not signed well",
    async (slot) => {
      const route = `PUT /v1/linking/{mailbox}/${slot}`;
      const path = `${PATHS.linking}/${randomBytes(16).toString("hex")}/${slot}`;
      const anna = await Person.called("anna").register(open.at);
      const body = { message: "AAAA" };
      if (slot === "grant") await linkingWithJoin(anna, path);
      const put = (saying: object): Promise<Answer> => anna.request(open.at, "PUT", path, body, saying);
      await answers(route, "unauthorized", put({ key: aSigningKey().secret }));
      await answers(route, "clock-skew", put({ time: Date.now() - 2 * MAX_REQUEST_SKEW_MS }));
      const saying = { nonce: Buffer.alloc(16, 7) };
      await answers(route, 200, put(saying));
      await answers(route, "replayed", put(saying));
      expect([description.takes(route, body), description.takes(route, { message: "" })]).toEqual([
        true,
        false,
      ]);
      await answers(route, "bad-request", anna.request(open.at, "PUT", path, { message: "" }));
      await answers(route, "frame-too-large", ask(open.at, "PUT", path, TOO_LARGE));
      await answers(route, "linking-taken", anna.request(open.at, "PUT", path, { message: "BBBB" }));
      await ask(open.at, "DELETE", path.slice(0, path.lastIndexOf("/")), NOTHING);
      await answers(route, "linking-ended", put({}));
      const early = `${PATHS.linking}/${randomBytes(16).toString("hex")}`;
      await anna.request(open.at, "PUT", `${early}/offer`, body);
      if (slot === "grant")
        await answers(route, "linking-early", anna.request(open.at, "PUT", `${early}/grant`, body));
    },
  );

  it("answer as described to what the account's state does not take", async () => {
    const anna = await Person.called("anna").register(open.at);
    const put = (path: string, body: unknown): Promise<Answer> => anna.request(open.at, "PUT", path, body);
    await answers("PUT /v1/device-list", "list-conflict", put(PATHS.deviceList, anna.listOf(5, [anna])));
    const oneTime = (from: number): object[] => Array.from({ length: 200 }, (_, i) => aPrekey(`${from + i}`));
    const held = (device: string): Promise<Answer> =>
      anna.request(open.at, "GET", `${PATHS.prekeys}/${device}`);
    await answers("GET /v1/prekeys/{device}", "not-found", held("2"));
    await answers("GET /v1/prekeys/{device}", "bad-request", held("0"));
    await put(PATHS.prekeys, { oneTime: oneTime(0) });
    await answers("PUT /v1/prekeys", "too-many-prekeys", put(PATHS.prekeys, { oneTime: oneTime(200) }));
  });
});

/** A linking mailbox in which the first two messages stand; `path` is one of its slots. */
async function linkingWithJoin(anna: Person, path: string): Promise<void> {
  const mailbox = path.slice(0, path.lastIndexOf("/"));
  await anna.request(open.at, "PUT", `${mailbox}/offer`, { message: "AAAA" });
  await ask(open.at, "PUT", `${mailbox}/join`, Buffer.from('{"message":"AAAA"}'));
}

describe("what a new device asks of a linking mailbox", () => {
  it("answers as described", async () => {
    const [join, get, end] = [
      "PUT /v1/linking/{mailbox}/join",
      "GET /v1/linking/{mailbox}/{slot}",
      "DELETE /v1/linking/{mailbox}",
    ];
    const anna = await Person.called("anna").register(open.at);
    const mailbox = `${PATHS.linking}/${randomBytes(16).toString("hex")}`;
    const message = (text: string): Buffer => Buffer.from(JSON.stringify({ message: text }));
    const put = (text: string): Promise<Answer> => ask(open.at, "PUT", `${mailbox}/join`, message(text));
    const read = (slot: string): Promise<Answer> => ask(open.at, "GET", `${mailbox}/${slot}`, NOTHING);
    await answers(get, 204, read("offer"));
    await answers(join, "linking-ended", put("AAAA"));
    await anna.request(open.at, "PUT", `${mailbox}/offer`, { message: "AAAA" });
    await answers(get, 200, read("offer"));
    await answers(join, 200, put("AAAA"));
    await answers(join, "linking-taken", put("BBBB"));
    await answers(join, "bad-request", put(""));
    await answers(join, "frame-too-large", ask(open.at, "PUT", `${mailbox}/join`, TOO_LARGE));
    await answers(get, "bad-request", read("other"));
    await answers(end, 204, ask(open.at, "DELETE", mailbox, NOTHING));
    await answers(get, "linking-ended", read("join"));
    await answers(end, "bad-request", ask(open.at, "DELETE", `${PATHS.linking}/x`, NOTHING));
    await answers(end, "frame-too-large", ask(open.at, "DELETE", mailbox, TOO_LARGE));
  });
});

describe("media routes", () => mediaAnswers({ open, answers }));

describe("the operator's routes", () => {
  it("answer as described", async () => {
    const anna = await Person.called("anna").register(open.at);
    await answers("GET /admin/figures", 200, open.admin("GET", OPERATOR_PATHS.adminFigures));
    await answers("POST /admin/invites", 201, open.admin("POST", OPERATOR_PATHS.adminInvites, {}));
    const { body } = await answers("GET /admin/invites", 200, open.admin("GET", OPERATOR_PATHS.adminInvites));
    const mark = (body["invites"] as { mark: string }[])[0]?.mark ?? "";
    const invite = (of: string): Promise<Answer> =>
      open.admin("DELETE", `${OPERATOR_PATHS.adminInvites}/${of}`);
    await answers("DELETE /admin/invites/{mark}", 204, invite(mark));
    await answers("DELETE /admin/invites/{mark}", "not-found", invite(mark));
    const account = (method: string, name = anna.name): Promise<Answer> =>
      open.admin(method, `${OPERATOR_PATHS.adminAccounts}/${name}`);
    await answers("GET /admin/accounts/{name}", 200, account("GET"));
    await answers("DELETE /admin/accounts/{name}", 204, account("DELETE"));
    for (const method of ["GET", "DELETE"])
      await answers(`${method} /admin/accounts/{name}`, "unknown-name", account(method));
  });

  it("answer as described to no token, and to paths and bodies that do not fit", async () => {
    for (const [route, { tags }] of description.operations) {
      if (!tags.includes("operator")) continue;
      const [method, path] = methodAndPath(route, "x");
      await answers(route, "unauthorized", ask(open.at, method, path, NOTHING));
      if (!path.endsWith("/x")) continue;
      const broken = path.replace(/x$/, "%ff");
      await answers(route, "bad-request", ask(open.at, method, broken, NOTHING));
    }
    await answers(
      "DELETE /admin/invites/{mark}",
      "bad-request",
      open.admin("DELETE", `${OPERATOR_PATHS.adminInvites}/x`),
    );
    await answers(
      "POST /admin/invites",
      "bad-request",
      open.admin("POST", OPERATOR_PATHS.adminInvites, { uses: 0 }),
    );
    for (const route of [
      "POST /admin/invites",
      "DELETE /admin/invites/{mark}",
      "DELETE /admin/accounts/{name}",
    ]) {
      const [method, path] = methodAndPath(route, "x");
      await answers(route, "frame-too-large", open.admin(method, path, "x".repeat(2_000_000)));
    }
  });
});

/** What no request brings about. */
const NOT_SHOWN: Readonly<Partial<Record<ProblemCode, string>>> = {
  internal: "a fault of the relay",
  "storage-full": "a disk that is full: test/scenarios/full-disk.test.ts",
  "storage-failed": "a disk that fails: test/queue/faults.test.ts",
  "not-ready": "a relay that is closing",
  "shutting-down": "a relay that is closing: test/wire/media-hostile.test.ts",
};

/** A hundred thousand nonces in two minutes; a thousand open invites; what is sent twice, or begun again, at the moment of its end. */
const RARE =
  /^(?!POST \/v1\/accounts).* rate-limited$|^DELETE \/v1\/account replayed$|^PUT \/v1\/media\/\{media\} media-gone$/;

describe("the description", () => {
  it("promises nothing that was not seen, but what stands in a list", () => {
    const promised = [...description.operations].flatMap(([route, { responses }]) =>
      [
        ...Object.keys(responses).filter((status) => status.startsWith("2")),
        ...description.codes(route).filter((code) => NOT_SHOWN[code as ProblemCode] === undefined),
      ].map((what) => `${route} ${what}`),
    );
    expect(promised.filter((what) => !shown.has(what))).toEqual(promised.filter((what) => RARE.test(what)));
  });
});
