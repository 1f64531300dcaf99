// Uploads and releases over HTTP (clauses M-BEGIN to M-GONE). Always true: only beginning an upload names an account; from
// there on a request shows a capability and nothing else, and nothing here says whom a blob is for.
import { mediaParts, mediaPartLength, type MediaUploadJson, Refusal, type Time } from "@lethe/protocol";
import type { FastifyInstance } from "fastify";
import { partsThere } from "../media/parts.ts";
import type { SignedBy } from "./linking-routes.ts";
import { type AskedUpload, granted, MediaAsking } from "./media-asking.ts";
import { mediaPartRoutes, PLACE_SECONDS } from "./media-part-routes.ts";
import type { HttpOptions } from "./options.ts";
import { serve } from "./serve.ts";
import { mediaParams, mediaPartParams } from "./shapes.ts";

export function mediaRoutes(app: FastifyInstance, options: HttpOptions, signedBy: SignedBy): void {
  app.register(async (routes) => {
    routes.addHook("onRequest", async (_request, reply) => void reply.header("cache-control", "no-store"));
    const asking = new MediaAsking(options);
    uploadRoutes(routes, options, asking, signedBy);
    capabilityRoutes(routes, options, asking);
    mediaPartRoutes(routes, options, asking);
  });
}

function uploadRoutes(
  app: FastifyInstance,
  options: HttpOptions,
  asking: MediaAsking,
  signedBy: SignedBy,
): void {
  const { backend, now, terms } = options;

  serve(app, "beginMedia", async (request, reply, body) => {
    const { media, params } = asking.of(mediaParams, request);
    const account = await signedBy(request);
    const { bytes, uploadKey } = body();
    const limits = terms().media;
    if (limits === undefined) throw new Refusal("media-off");
    if (bytes > limits.bytes) throw new Refusal("media-too-large");
    const clock = await backend.clock();
    const expires = (clock + limits.keepMs) as Time;
    const outcome = await media.ledger.begin(
      {
        ...{ media: params.media, account, bytes, uploadKey, expires },
        unfinished: (clock + limits.unfinishedMs) as Time,
      },
      limits.quota,
    );
    if (outcome === "taken") throw new Refusal("media-taken");
    if (outcome === "full") throw new Refusal("media-quota");
    if (outcome === "same") return uploadOf({ media, params, mark: uploadKey }, now());
    const upload = { bytes, state: "open", parts: [], expires, now: now() } satisfies MediaUploadJson;
    return reply.status(201).send(upload);
  });

  serve(app, "media", async (request) => uploadOf(asking.shown(mediaParams, request), now()));

  serve(app, "finishMedia", async (request) => {
    const asked = asking.shown(mediaParams, request);
    const upload = await uploadOf(asked, now());
    if (upload.state === "open" && upload.parts.length < mediaParts(upload.bytes))
      throw new Refusal("media-unfinished");
    // Also where it is ready: what was only read may be forgotten by a failover, what this answers may not.
    granted(await asked.media.ledger.finish(asked.params.media, asked.mark));
    return { ...upload, state: "ready" as const };
  });

  serve(app, "placeOfMediaPart", async (request) => {
    const { media, params, mark } = asking.shown(mediaPartParams, request);
    const upload = granted(await media.ledger.upload(params.media, mark));
    if (mediaPartLength(upload.bytes, params.part) === undefined) throw new Refusal("media-part-wrong");
    if (upload.state === "ready") throw new Refusal("media-closed");
    const url = await media.blobs.place(params.media, params.part, "PUT", PLACE_SECONDS);
    if (url === undefined) throw new Refusal("not-found", "parts go through the relay");
    return { url, now: now() };
  });
}

function capabilityRoutes(app: FastifyInstance, { now }: HttpOptions, asking: MediaAsking): void {
  serve(app, "putMediaTokens", async (request, _reply, body) => {
    const { media, params, mark } = asking.shown(mediaParams, request);
    const change = body();
    const outcome = granted(await media.ledger.tokens(params.media, mark, change));
    if (outcome === "closed") throw new Refusal("media-closed");
    if (outcome === "too-many") throw new Refusal("media-closed", "as many release tokens as there may be");
    if (change.close || change.strike.length > 0) media.collecting.soon();
    return { now: now() };
  });

  serve(app, "withdrawMedia", async (request, reply) => {
    const { media, params, mark } = asking.shown(mediaParams, request);
    granted(await media.ledger.withdraw(params.media, mark));
    media.collecting.soon();
    return reply.status(204).send();
  });

  serve(app, "releaseMedia", async (request, reply) => {
    const { media, params, mark } = asking.shown(mediaParams, request);
    const outcome = granted(await media.ledger.release(params.media, mark));
    if (outcome === "last") media.collecting.soon();
    return reply.status(204).send();
  });
}

async function uploadOf({ media, params, mark }: AskedUpload, now: number): Promise<MediaUploadJson> {
  const { bytes, state, expires } = granted(await media.ledger.upload(params.media, mark));
  const parts = partsThere(bytes, await media.blobs.parts(params.media));
  return { bytes, state, parts, expires, now };
}
