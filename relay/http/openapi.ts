// The description of the HTTP half, OpenAPI 3.1, served at /openapi.json. Always true: it is made of the table of routes
// and the table of problems, for the routes that run; nothing in it is written twice.
import fastifySwagger from "@fastify/swagger";
import {
  AUTHORIZATION_SCHEME,
  CAPABILITY_BYTES,
  MAX_REQUEST_SKEW_MS,
  MAX_VERSION,
  MEDIA_SCHEME,
  PATHS,
  HTTP_STATUSES,
  PROBLEMS,
  type ProblemCode,
  SENTENCES,
} from "@lethe/protocol";
import type { FastifyInstance, FastifySchema } from "fastify";
import { z } from "zod";
import { type Asker, problemsOf, ROUTES, type Route, type RouteName } from "./routes.ts";
import { serve } from "./serve.ts";

const SIGNATURE = `\`${AUTHORIZATION_SCHEME} account=HEX,device=N,time=MS,nonce=B64U,signature=B64U\`: signed by a device over
method, path with query, time, nonce and SHA-512 of the body (clause H-SIGN of the specification). The time may differ from the
relay's by ${MAX_REQUEST_SKEW_MS / 1_000} s, a nonce is taken once.`;

const CAPABILITY = `\`${MEDIA_SCHEME} B64U\`: an upload key or a release token, ${CAPABILITY_BYTES} bytes, base64url without padding
(clause M-CAPABILITY).`;

const ABOUT = `Registration and keys of a relay for end-to-end encrypted messages. Mail itself travels as binary frames over
the WebSockets ${PATHS.deviceSocket} and ${PATHS.anonymousSocket}, which the specification (protocol/README.md) describes.
Every answer that is not a success is a problem with a stable code.`;

const TAGS: Readonly<Record<Asker, string>> = {
  anybody: "Public",
  device: "Signed by a device",
  capability: "With an upload key or a release token",
  operator: "Local operator only: from the relay's own machine, with the token of its data folder",
};

/** To be called before the first route. */
export async function describeRoutes(app: FastifyInstance): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Lethe relay",
        version: String(MAX_VERSION),
        description: ABOUT,
        license: { name: "Apache-2.0" },
      },
      tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: {
          device: { type: "http", scheme: AUTHORIZATION_SCHEME, description: SIGNATURE },
          capability: { type: "http", scheme: MEDIA_SCHEME, description: CAPABILITY },
          operator: { type: "http", scheme: "bearer", description: TAGS.operator },
        },
      },
    },
    // What fastify itself knows as a schema it would also validate and serialise with; these are for reading only.
    transform: ({ route, url }) => {
      const name = (route.config as { route?: RouteName } | undefined)?.route;
      return { url, schema: name === undefined ? { hide: true } : schemaOf(name, ROUTES[name]) };
    },
  });
}

/** The document, made once, when somebody asks for it first. */
export function documentRoute(app: FastifyInstance): void {
  let text: string | undefined;
  serve(app, "document", (_request, reply) => {
    text ??= JSON.stringify(app.swagger());
    return reply.type("application/json; charset=utf-8").send(text);
  });
}

function schemaOf(name: RouteName, route: Route): FastifySchema {
  const { asker, says, body, params } = route;
  return {
    operationId: name,
    summary: says,
    tags: [asker],
    ...(asker === "anybody" ? {} : { security: [{ [asker]: [] }] }),
    ...bodyOf(body),
    ...(params === undefined ? {} : { params: jsonSchema(params, "input") }),
    response: { ...successes(route), ...refusals(problemsOf(route)) },
  };
}

function bodyOf(body: Route["body"]): Pick<FastifySchema, "body" | "consumes"> {
  if (body === undefined) return {};
  if (body === "bytes") return { body: BYTES, consumes: ["application/octet-stream"] };
  return { body: jsonSchema(body, "input"), consumes: ["application/json"] };
}

const BYTES = { type: "string", format: "binary" };

const SUCCESSES: Readonly<Record<string, string>> = {
  200: "Done",
  201: "Made",
  204: "Done; there is no body",
  206: "The range that was asked for",
  307: "It is to be had there",
};

function successes({ answers }: Route): Record<string, object> {
  const content = (status: string, shape: Route["answers"][number]): object => {
    const description = SUCCESSES[status];
    if (shape === "nothing") return { description, type: "null" };
    if (shape === "bytes") return { description, content: { "application/octet-stream": { schema: BYTES } } };
    if (shape === "text") return { description, content: { "text/plain": { schema: { type: "string" } } } };
    const schema = shape === "json" ? { type: "object" } : jsonSchema(shape, "output");
    return { description, content: { "application/json": { schema } } };
  };
  return Object.fromEntries(
    Object.entries(answers).map(([status, shape]) => [status, content(status, shape)]),
  );
}

const RETRY_AFTER = { type: "integer", description: "Seconds, where waiting helps" };

/** Codes that share a status are one answer, with the codes listed. */
function refusals(codes: readonly ProblemCode[]): Record<string, object> {
  const answer = (some: readonly ProblemCode[]): object => ({
    description: some.map((code) => `\`${code}\`: ${SENTENCES[code]}`).join("\n\n"),
    ...(some.some((code) => PROBLEMS[code].retry === "later")
      ? { headers: { "retry-after": RETRY_AFTER } }
      : {}),
    content: { "application/json": { schema: jsonSchema(problem(some), "output") } },
  });
  const byStatus = Map.groupBy(codes, (code) => HTTP_STATUSES[code]);
  return Object.fromEntries([...byStatus].map(([status, some]) => [status, answer(some)]));
}

function problem(codes: readonly ProblemCode[]): z.ZodType {
  return z.strictObject({
    code: z.enum(codes),
    says: z.string(),
    now: z.int().min(0).describe("The relay's clock, ms since 1970"),
    retryAfter: z.int().min(0).describe("ms, where waiting helps").optional(),
  });
}

function jsonSchema(shape: z.ZodType, io: "input" | "output"): object {
  const { $schema: _draft, ...schema } = z.toJSONSchema(shape, { io, target: "draft-2020-12" });
  return schema;
}
