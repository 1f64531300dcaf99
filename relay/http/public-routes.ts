// What anybody may ask: which relay this is, its policy, whether it is up and ready, its figures for Prometheus. Always true:
// nothing here is about an account.
import { MAX_VERSION, MIN_VERSION, Refusal } from "@lethe/protocol";
import type { FastifyInstance } from "fastify";
import type { HttpOptions } from "./options.ts";
import { serve } from "./serve.ts";

export function publicRoutes(app: FastifyInstance, options: HttpOptions): void {
  const { relay, metrics, now, ready, doubts, terms } = options;

  serve(app, "about", () => ({
    lethe: "relay" as const,
    relay,
    versions: { min: MIN_VERSION, max: MAX_VERSION },
    now: now(),
  }));
  serve(app, "policy", (_request, reply) => {
    reply.header("cache-control", "public, max-age=300");
    return { ...terms().policy, now: now() };
  });
  serve(app, "health", () => ({ status: "up" as const }));
  serve(app, "ready", () => {
    if (!ready()) throw new Refusal("not-ready");
    return { status: "ready" as const, ...(doubts().length === 0 ? {} : { doubts: [...doubts()] }) };
  });
  serve(app, "metrics", async (_request, reply) => {
    reply.type(metrics.registry.contentType);
    return metrics.text();
  });
}
