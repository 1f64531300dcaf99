// The description of the HTTP half against the routes that run, the table of problems and the specification, both ways.
import { readFileSync } from "node:fs";
import { OPERATOR_PATHS, PATHS, HTTP_STATUSES, type ProblemCode, SENTENCES } from "@lethe/protocol";
import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, it } from "vitest";
import type { HttpOptions } from "../../relay/http/options.ts";
import { openHttp } from "../../relay/http/server.ts";
import { Description, type Document } from "../support/description.ts";

// No route that asks for any of the rest is called here.
const options = {
  backend: {},
  now: () => 0,
  metrics: { refused: () => undefined },
  terms: () => ({ tls: undefined }),
} as unknown as HttpOptions;
const app = await openHttp(options);
await app.ready();
const served = await app.inject(OPERATOR_PATHS.document);
const document = JSON.parse(served.body) as Document;
const description = new Description(document);
const described = [...description.operations.keys()].toSorted();
const specification = readFileSync(new URL("../../protocol/README.md", import.meta.url), "utf8");

/** `PUT /v1/prekeys` for each route of fastify's own tree, in which a branch holds what comes after its parent's path. */
function routesThatRun(tree: string): string[] {
  const above: string[] = [];
  return tree.split("\n").flatMap((line) => {
    const found = /^([│ ├└─]*)(\S+) \(([A-Z, ]+)\)$/.exec(line);
    if (found === null) return [];
    const [, indent = "", part = "", methods = ""] = found;
    const depth = indent.length / 4;
    above.length = depth - 1;
    const path = above.join("") + part;
    above.push(part);
    const named = path.replaceAll(/:(\w+)/g, "{$1}");
    return methods.split(", ").map((method) => `${method} ${named}`);
  });
}

/** What is asked for with an upload key or a release token. */
const WITH_CAPABILITY = /^(?!PUT \/v1\/media\/\{media\}$)\w+ \/v1\/media\//;
/** What is no account's: and of a linking mailbox what a new device asks, which has nothing to sign with. */
const OF_NOBODY = /^(?!\w+ \/v1\/)|^(?:GET|DELETE) \/v1\/linking\/|\/join$/;

describe("the description", () => {
  it("is a valid OpenAPI 3.1 document, and the validator finds what is none", async () => {
    expect(served.headers["content-type"]).toBe("application/json; charset=utf-8");
    expect(document.openapi).toBe("3.1.0");
    expect(await new Validator().validate(structuredClone(document) as never)).toEqual({ valid: true });
    const broken = { ...structuredClone(document), paths: { "/": { get: { responses: "none" } } } };
    expect((await new Validator().validate(broken as never)).valid).toBe(false);
  });

  it("has every route that runs, and no other", () => {
    const run = routesThatRun(app.printRoutes({ commonPrefix: false }));
    // Answered by fastify beside each GET, and by the headers for pages of other origins.
    const own = run.filter((route) => !/^(?:HEAD|OPTIONS) /.test(route));
    expect(own.toSorted()).toEqual(described);
    expect(own).toContain("DELETE /admin/invites/{mark}");
  });

  it("has every path of the contract but the two WebSockets, which are no routes", () => {
    const paths = new Set(Object.keys(document.paths).map((path) => path.replace(/\/\{\w+\}.*$/, "")));
    const { deviceSocket, anonymousSocket, ...rest } = PATHS;
    for (const path of Object.values(rest)) expect(paths).toContain(path);
    for (const path of [deviceSocket, anonymousSocket]) expect(paths).not.toContain(path);
  });

  it("gives each code under its status of the table, with its sentence", () => {
    for (const [route, { responses }] of description.operations) {
      const codes = description.codes(route) as ProblemCode[];
      expect([route, codes.length]).not.toEqual([route, 0]);
      for (const code of codes)
        expect(responses[HTTP_STATUSES[code]]?.description).toContain(`\`${code}\`: ${SENTENCES[code]}`);
    }
  });

  it("names signature, capability and token as schemes, and every path of an account, a blob or an operator asks for one", () => {
    expect(Object.keys(document.components.securitySchemes)).toEqual(["device", "capability", "operator"]);
    for (const [route, { security }] of description.operations) {
      const path = route.split(" ")[1] ?? "";
      const unsigned = OF_NOBODY.test(route) ? [] : WITH_CAPABILITY.test(route) ? ["capability"] : ["device"];
      const asks = path.startsWith("/admin/") ? ["operator"] : unsigned;
      expect([route, (security ?? []).flatMap((one) => Object.keys(one))]).toEqual([route, asks]);
    }
  });
});

describe("the specification's table of requests", () => {
  const rows = [
    ...specification.matchAll(/^\| (`(?:GET|PUT|POST|DELETE) [^|]+?) +\| ([^|]+?) +\| ([^|]+?) +\|$/gm),
  ];
  const table = rows.flatMap(([, requests = "", signed = "", answer = ""]) =>
    [...requests.matchAll(/`([A-Z]+ [^`]+)`/g)].map((m) => ({ route: m[1] ?? "", signed, answer })),
  );

  it("has every public and every signed route, and no other", () => {
    const expected = described.filter((route) => !route.includes(" /admin/"));
    expect(table.map(({ route }) => route).toSorted()).toEqual(expected);
  });

  it("says which are signed, and with which status they succeed", () => {
    for (const { route, signed, answer } of table) {
      const { security, responses } = description.operation(route);
      expect([route, signed !== "no"]).toEqual([route, security !== undefined]);
      for (const status of answer.match(/\b2\d\d\b/g) ?? []) expect(Object.keys(responses)).toContain(status);
    }
  });
});
