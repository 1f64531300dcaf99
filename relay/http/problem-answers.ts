// Failures as answers. Always true: whatever fails, a handler, a body, a path that is no path, is a problem of the table as
// JSON, with the relay's clock; only a fault of ours is logged.
import { HTTP_STATUSES, Refusal } from "@lethe/protocol";
import { BlobError, StoreFailedError } from "@lethe/queue";
import type { FastifyReply } from "fastify";
import { retryAfter } from "../edge/client-socket.ts";
import type { HttpOptions } from "./options.ts";
import { problemJson } from "./raw-answers.ts";

type Failure = Error & { statusCode?: number };

export function problemAnswers({ now, log, metrics }: HttpOptions) {
  return (error: Failure, _request: unknown, reply: FastifyReply): void => {
    const { code, message, retryAfter: wait } = refusalOf(error);
    if (code === "internal") log.error({ code, reason: String(error) }, "a request failed");
    metrics.refused(code);
    if (wait !== undefined) reply.header("retry-after", Math.ceil(wait / 1_000));
    void reply.status(HTTP_STATUSES[code]).send(problemJson(code, now(), message, wait));
  };
}

/** What an error is to the one who asked: a refusal, a disk that is full or fails, or a fault of ours. */
function refusalOf(error: Failure): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof StoreFailedError) return new Refusal(error.code, undefined, retryAfter(error.code));
  if (error instanceof BlobError) return refusalOfBlob(error);
  if (error.statusCode === 413) return new Refusal("frame-too-large");
  if (error.statusCode !== undefined && error.statusCode < 500) return new Refusal("bad-request");
  return new Refusal("internal");
}

function refusalOfBlob({ fault }: BlobError): Refusal {
  if (fault === "cut-short" || fault === "too-long") return new Refusal("media-part-wrong", fault);
  const code = fault === "full" ? "storage-full" : "storage-failed";
  return new Refusal(code, undefined, retryAfter(code));
}
