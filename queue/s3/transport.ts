// How the S3 client speaks HTTP: over connections of its own, with time-outs, which it does not have itself. Always true: no
// request is without an end, and no answer that nobody reads keeps its connection.
import http, { type ClientRequest, type IncomingMessage } from "node:http";
import https, { type RequestOptions } from "node:https";

/** Connections that are kept for the next request. */
const IDLE_CONNECTIONS = 16;
/** The client throws on these without reading what comes with them. */
const UNREAD = new Set([408, 429, 499, 500, 502, 503, 504, 520]);

type Answered = (answer: IncomingMessage) => void;

export interface Transport {
  readonly agent: http.Agent;
  readonly request: (options: RequestOptions, answered: Answered) => ClientRequest;
}

/** @param ms until an answer begins, and of each pause in it. @param seen is shown each answer. */
export function timedTransport(secure: boolean, ms: number, seen: Answered = () => undefined): Transport {
  const { Agent, request } = secure ? https : http;
  return {
    agent: new Agent({ keepAlive: true, maxFreeSockets: IDLE_CONNECTIONS }),
    request: (options, answered) => {
      const timer = setTimeout(() => sent.destroy(timedOut()), ms);
      const sent = request(options, (answer) => {
        clearTimeout(timer);
        sent.setTimeout(ms, () => answer.destroy(timedOut()));
        answer.on("error", () => undefined); // is said to whoever reads; perhaps nobody does
        seen(answer);
        answered(answer);
        if (UNREAD.has(answer.statusCode ?? 0)) answer.resume();
      });
      return sent.once("close", () => clearTimeout(timer));
    },
  };
}

function timedOut(): Error {
  return Object.assign(new Error("the S3 store did not answer in time"), { code: "ETIMEDOUT" });
}
