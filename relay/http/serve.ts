// A route of the table at work: its body checked by its own shape, its result held against its own answers. Bodies are
// kept as bytes until a handler asks for them, since a signature covers exactly what was sent.
import { Refusal } from "@lethe/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import { ROUTES, type Route, type RouteName } from "./routes.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** Its row of the table. */
    route?: RouteName;
  }
}

type Rows = typeof ROUTES;
type Shape<T> = T extends z.ZodType ? z.output<T> : undefined;
type BodyOf<N extends RouteName> = Rows[N] extends { readonly body: infer B } ? Shape<B> : undefined;
type AnswerShape<N extends RouteName> = Rows[N]["answers"][keyof Rows[N]["answers"]];
type AnswerOf<N extends RouteName> =
  AnswerShape<N> extends infer A ? (A extends z.ZodType ? z.input<A> : string) : never;
type Handled<N extends RouteName> = AnswerOf<N> | FastifyReply;

/** @param body gives the checked body. @throws Refusal bad-request, naming the first field that does not fit. */
export type Handler<N extends RouteName> = (
  request: FastifyRequest,
  reply: FastifyReply,
  body: () => BodyOf<N>,
) => Handled<N> | Promise<Handled<N>>;

export function serve<N extends RouteName>(app: FastifyInstance, name: N, handler: Handler<N>): void {
  const row: Route = ROUTES[name];
  const { body } = row;
  app.route({
    method: row.method,
    url: row.path,
    config: { route: name },
    exposeHeadRoute: !Object.values(row.answers).includes("bytes"),
    handler: (request, reply) =>
      handler(
        request,
        reply,
        () => (body === undefined || body === "bytes" ? undefined : parse(body, request)) as BodyOf<N>,
      ),
  });
}

function parse(shape: z.ZodType, request: FastifyRequest): unknown {
  let json: unknown;
  try {
    json = JSON.parse(bytesOf(request).toString("utf8"));
  } catch {
    throw new Refusal("bad-request", "not JSON");
  }
  const parsed = shape.safeParse(json);
  if (!parsed.success)
    throw new Refusal("bad-request", `field ${parsed.error.issues[0]?.path.join(".") ?? ""}`);
  return parsed.data;
}

export function bytesOf(request: FastifyRequest): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
}
