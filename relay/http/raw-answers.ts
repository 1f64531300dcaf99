// Answers to what never becomes a request of ours: bytes that are no HTTP, paths that are none, upgrades that are turned
// away. Always true: they are problems of the table like every other, and the connection ends with them, whether or not
// the other side ends its own half.
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { HTTP_STATUSES, type ProblemCode, type ProblemJson, SENTENCES } from "@lethe/protocol";

export function problemJson(
  code: ProblemCode,
  now: number,
  says: string = SENTENCES[code],
  retryAfter?: number,
): ProblemJson {
  return { code, says, now, ...(retryAfter === undefined ? {} : { retryAfter }) };
}

/** Says the problem in bytes of its own and ends the connection. @param retryAfter ms. */
export function turnAway(stream: Duplex, code: ProblemCode, now: number, retryAfter?: number): void {
  stream.on("error", () => stream.destroy());
  if (!stream.writable) {
    stream.destroy();
    return;
  }
  const http = HTTP_STATUSES[code];
  const body = JSON.stringify(problemJson(code, now, undefined, retryAfter));
  const wait = retryAfter === undefined ? "" : `Retry-After: ${Math.ceil(retryAfter / 1_000)}\r\n`;
  // A client that keeps its half open would keep the whole connection: nothing times out what has left the HTTP server.
  stream.once("finish", () => stream.destroy());
  stream.end(
    `HTTP/1.1 ${http} ${STATUS_CODES[http] ?? ""}\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n${wait}Connection: close\r\n\r\n${body}`,
  );
}

/** The code for what Node's parser refuses, undefined where the connection is gone and nobody listens. */
export function codeOfClientError(error: { readonly code?: string }): ProblemCode | undefined {
  switch (error.code) {
    case "ECONNRESET":
    case "EPIPE":
      return undefined;
    case "HPE_HEADER_OVERFLOW":
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return "frame-too-large";
    default:
      return "bad-request";
  }
}
