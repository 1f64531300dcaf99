// Parts of blobs, in and out, as streams (clauses M-PART and M-RANGE). Always true: nothing of a body is read before its
// length and its capability have been checked; a part is never held as a whole; whichever end goes away, the other one ends.
import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { MEDIA_PART_BYTES, mediaPartLength, Refusal } from "@lethe/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import { rangeOf } from "../media/range.ts";
import { send } from "../media/sending.ts";
import { counted } from "../media/transfers.ts";
import { type AskedWithCapability, granted, type MediaAsking } from "./media-asking.ts";
import type { HttpOptions } from "./options.ts";
import { dropRest, takeTime } from "./patience.ts";
import { serve } from "./serve.ts";
import { mediaPartParams } from "./shapes.ts";

/** How long a presigned address is good for, s. */
export const PLACE_SECONDS = 60;

type Asked = AskedWithCapability<z.output<typeof mediaPartParams>>;

/** What of a part is asked for. */
interface Stretch {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
  /** Of the part. */
  readonly length: number;
  readonly isRange: boolean;
}

export function mediaPartRoutes(app: FastifyInstance, options: HttpOptions, asking: MediaAsking): void {
  app.register(async (parts) => {
    parts.removeAllContentTypeParsers();
    parts.addContentTypeParser("application/octet-stream", (_request, _body, done) => done(null));
    // A refused body is read to its end, so that the answer is, too; but not one that has no end, or a far one.
    parts.addHook("onRequest", async ({ method, raw }, reply) => {
      if (method === "PUT" && !(lengthOf(raw) <= MEDIA_PART_BYTES)) reply.header("connection", "close");
    });
    putRoute(parts, options, asking);
    getRoute(parts, options, asking);
  });
}

function putRoute(app: FastifyInstance, { metrics }: HttpOptions, asking: MediaAsking): void {
  serve(app, "putMediaPart", async (request, reply) => {
    const asked = asking.shown(mediaPartParams, request);
    const { media, params, mark } = asked;
    const length = lengthOf(request.raw);
    if (Number.isNaN(length)) throw new Refusal("bad-request", "Content-Length is needed");
    if (request.headers["content-encoding"] !== undefined)
      throw new Refusal("bad-request", "a part comes as it is, in no encoding");
    const upload = granted(await media.ledger.upload(params.media, mark));
    if (mediaPartLength(upload.bytes, params.part) !== length) throw new Refusal("media-part-wrong");
    if (upload.state === "ready") throw new Refusal("media-closed");
    await take(request.raw, reply, asked, length);
    metrics.mediaPart("in", length);
    await stillWanted(asked);
    return reply.status(204).send();
  });
}

/** Bytes of the body as they are announced; NaN where they are not. */
function lengthOf({ headers }: IncomingMessage): number {
  const announced = headers["transfer-encoding"] === undefined ? headers["content-length"] : undefined;
  return /^\d{1,15}$/.test(announced ?? "") ? Number(announced) : Number.NaN;
}

async function take(
  body: IncomingMessage,
  reply: FastifyReply,
  { media, params, remote }: Asked,
  length: number,
): Promise<void> {
  const transfer = media.coming.begin(remote, () => void reply.raw.destroy());
  onceAnswered(reply, transfer.end);
  takeTime(body);
  try {
    const chunks = body.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
    await media.blobs.put(params.media, params.part, length, counted(chunks, transfer));
  } catch (error) {
    if (body.destroyed && !body.complete) throw new Refusal("media-part-wrong", "it ended early");
    dropRest(body);
    throw error;
  }
}

/** An upload may have ended while a part came, and all that was there may have been removed before it. */
async function stillWanted({ media, params, mark }: Asked): Promise<void> {
  const upload = await media.ledger.upload(params.media, mark);
  if (upload === "gone") await media.blobs.remove(params.media);
  granted(upload);
}

function getRoute(app: FastifyInstance, { metrics }: HttpOptions, asking: MediaAsking): void {
  serve(app, "getMediaPart", async (request, reply) => {
    const asked = asking.shown(mediaPartParams, request);
    const { media, params } = asked;
    const length = mediaPartLength(await sizeFor(asked), params.part);
    if (length === undefined) throw new Refusal("media-part-wrong");
    const stretch = stretchOf(request, reply, length);
    const url = await media.blobs.place(params.media, params.part, "GET", PLACE_SECONDS);
    if (url !== undefined) return reply.redirect(url, 307);
    const transfer = media.going.begin(asked.remote, () => void reply.raw.destroy());
    onceAnswered(reply, transfer.end);
    const bytes = await bytesOf(asked, stretch);
    reply.hijack(); // from here on an error can only be the connection's end
    reply.raw.writeHead(stretch.isRange ? 206 : 200, {
      ...(reply.getHeaders() as OutgoingHttpHeaders),
      ...headersOf(stretch),
    });
    await send(counted(bytes, transfer), reply.raw).then(
      () => metrics.mediaPart("out", stretch.to - stretch.from),
      () => reply.raw.destroy(),
    );
    return reply;
  });
}

/** Bytes of the blob, for whoever may have it now. @throws Refusal media-gone, media-not-permitted, media-unfinished */
async function sizeFor({ media, params, mark }: Asked): Promise<number> {
  const record = granted(await media.ledger.download(params.media, mark));
  if (record === "unfinished") throw new Refusal("media-unfinished");
  return record.bytes;
}

/** @throws Refusal media-range */
function stretchOf({ headers }: FastifyRequest, reply: FastifyReply, length: number): Stretch {
  // RFC 9110 section 13.1.5: parts have no validators, so none that is named fits, and the whole is answered.
  const range = rangeOf(headers["if-range"] === undefined ? headers.range : undefined, length);
  if (range === "whole") return { from: 0, to: length, length, isRange: false };
  if (range !== "unsatisfiable") return { ...range, length, isRange: true };
  reply.header("content-range", `bytes */${length}`);
  throw new Refusal("media-range");
}

function headersOf({ from, to, length, isRange }: Stretch): OutgoingHttpHeaders {
  return {
    "content-type": "application/octet-stream",
    "content-disposition": "attachment",
    "content-length": to - from,
    "accept-ranges": "bytes",
    ...(isRange ? { "content-range": `bytes ${from}-${to - 1}/${length}` } : {}),
  };
}

async function bytesOf(asked: Asked, { from, to }: Stretch): Promise<AsyncIterable<Uint8Array>> {
  const { media, params } = asked;
  const bytes = await media.blobs.get(params.media, params.part, from, to);
  if (bytes !== undefined) return bytes;
  await sizeFor(asked); // it may have ended meanwhile
  throw new Refusal("storage-failed", "a part is missing");
}

/** When the answer is with the system, or nobody is there any more to have it. */
function onceAnswered({ raw }: FastifyReply, then: () => void): void {
  if (raw.closed) then();
  else raw.once("close", then);
}
