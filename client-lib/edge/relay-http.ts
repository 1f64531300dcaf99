// The HTTP half of the relay, from the client's side: requests signed by the device (clause H-SIGN), and such that nobody
// signs, one URL after the other. Always true: a request is signed for the relay's pinned name and carries its time in the
// relay's clock; what is not signed says nothing of who asks.
import {
  type AccountId,
  AUTHORIZATION_SCHEME,
  base64url,
  type DeviceNumber,
  encode,
  PATHS,
  requestTuple,
  type Time,
  toHex,
} from "@lethe/protocol";
import { type Random, sha512 } from "@lethe/crypto";
import { ClientError, isProblem } from "../errors.ts";
import type { Clock } from "./clock.ts";
import { ownConnections } from "./platform.ts";

export interface Signer {
  readonly account: AccountId;
  readonly device: DeviceNumber;
  /** 64 bytes: the device's signature over label and tuple. */
  sign(tuple: Uint8Array): Uint8Array;
}

export interface RelayHttpConfig {
  readonly urls: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
}

interface RelaySays {
  readonly relay: string;
}

type Method = "GET" | "POST" | "PUT" | "DELETE";
interface Asking {
  readonly method: Method;
  readonly path: string;
  readonly body: string | undefined;
}

/** How long an answer may take, ms. */
const ANSWER_MS = 15_000;
/** The longest answer that is read, bytes: the parts of the largest blob that are there, and room. */
const MAX_ANSWER_BYTES = 262_144;
/** How long an answer holds where it does not say so, ms. */
const LIFETIME_MS = 300_000;
/** The longest wait that a relay is believed, ms. */
const MAX_WAIT_MS = 86_400_000;

interface Answer {
  readonly json: unknown;
  /** How long it may be kept, ms. */
  readonly lifetimeMs: number;
}

export class RelayHttp {
  readonly #config: RelayHttpConfig;
  /** For requests by which the relay knows the account: they share no connection with those by which it should not. */
  readonly named = ownConnections();
  /** The relay's clock minus ours, ms. */
  offset = 0;

  constructor(config: RelayHttpConfig) {
    this.#config = config;
  }

  /** The name that the relay goes by. @throws ClientError relay-unreachable */
  async name(): Promise<string> {
    const { json: says } = await this.#ask({ method: "GET", path: "/", body: undefined }, undefined);
    if (!isRelay(says)) throw new ClientError("relay-unreachable", "something else answers at its address");
    return says.relay;
  }

  /** What the relay says of itself, unread. @throws ClientError */
  policy(signal?: AbortSignal): Promise<Answer> {
    return this.#ask({ method: "GET", path: PATHS.policy, body: undefined }, undefined, signal);
  }

  /** A request that nobody signs: undefined where there is no content. @throws ClientError with the relay's code, or relay-unreachable */
  async unsigned(method: Method, path: string, json: unknown, signal?: AbortSignal): Promise<unknown> {
    const body = json === undefined ? undefined : JSON.stringify(json);
    return (await this.#ask({ method, path, body }, undefined, signal)).json;
  }

  /** A request signed by the device. @throws ClientError with the relay's code, or relay-unreachable */
  async signed(method: Method, path: string, json: unknown, by: Signer, relay: string): Promise<unknown> {
    const body = json === undefined ? undefined : JSON.stringify(json);
    const asking = { method, path, body };
    try {
      return (await this.#ask(asking, this.#authorization(asking, by, relay))).json;
    } catch (error) {
      // The answer has set the clock right: once more.
      if (!(error instanceof ClientError) || error.code !== "clock-skew") throw error;
      return (await this.#ask(asking, this.#authorization(asking, by, relay))).json;
    }
  }

  #authorization({ method, path, body }: Asking, by: Signer, relay: string): string {
    const { account, device } = by;
    const time = (this.#config.clock.now() + this.offset) as Time;
    const nonce = this.#config.random.bytes(16);
    const bodyHash = sha512(new TextEncoder().encode(body ?? ""));
    const tuple = encode(requestTuple, { relay, method, path, account, device, time, nonce, bodyHash });
    const fields = [
      `account=${toHex(account)}`,
      `device=${device}`,
      `time=${time}`,
      `nonce=${base64url(nonce)}`,
      `signature=${base64url(by.sign(tuple))}`,
    ];
    return `${AUTHORIZATION_SCHEME} ${fields.join(",")}`;
  }

  async #ask(
    { method, path, body }: Asking,
    authorization: string | undefined,
    end?: AbortSignal,
  ): Promise<Answer> {
    const response = await this.first(path, () => {
      const late = AbortSignal.timeout(ANSWER_MS);
      return {
        method,
        headers: {
          ...(authorization === undefined ? {} : { authorization }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body }),
        ...(authorization === undefined ? {} : this.named),
        redirect: "error",
        signal: end === undefined ? late : AbortSignal.any([late, end]),
      };
    });
    return this.read(response);
  }

  /** What the first of the relay's addresses answers that does. @throws ClientError relay-unreachable */
  async first(path: string, request: () => RequestInit): Promise<Response> {
    for (const url of this.#config.urls) {
      const response = await fetch(url + path, request()).catch(() => undefined);
      if (response !== undefined) return response;
    }
    throw new ClientError("relay-unreachable", this.#config.urls.join(", "));
  }

  /** An answer in JSON. @throws ClientError with the relay's code, or relay-unreachable */
  async read(response: Response): Promise<Answer> {
    const text = await textOf(response).catch(() => undefined);
    if (text === undefined) throw new ClientError("relay-unreachable", "its answer broke off");
    let json: unknown;
    try {
      json = text.length === 0 ? undefined : JSON.parse(text);
    } catch {
      json = undefined;
    }
    if (response.ok) return { json, lifetimeMs: lifetimeOf(response) };
    if (!isProblem(json))
      throw new ClientError(
        "relay-unreachable",
        `HTTP status ${response.status}`,
        waitOf(response, undefined),
      );
    this.offset = json.now - this.#config.clock.now();
    throw new ClientError(json.code, undefined, waitOf(response, json.retryAfter));
  }
}

/** The text of an answer, "" where it is longer than any may be: then no more of it is read, for it may have no end. */
async function textOf({ body }: Response): Promise<string> {
  const reader = body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let bytes = 0; ; ) {
    const { value } = (await reader?.read()) ?? {};
    if (value === undefined) return text + decoder.decode();
    bytes += value.length;
    if (bytes > MAX_ANSWER_BYTES) {
      await reader?.cancel();
      return "";
    }
    text += decoder.decode(value, { stream: true });
  }
}

/** RFC 9111, 5.2.2: for how long, if at all. */
function lifetimeOf({ headers }: Response): number {
  const says = headers.get("cache-control") ?? "";
  if (/\bno-(?:store|cache)\b/i.test(says)) return 0;
  const seconds = /\bmax-age=(\d{1,9})\b/i.exec(says)?.[1];
  return seconds === undefined ? LIFETIME_MS : Number(seconds) * 1_000;
}

/** What the relay says in ms; or whoever stands before it, in seconds (RFC 9110, 10.2.3). */
function waitOf({ headers }: Response, ms: number | undefined): number | undefined {
  const seconds = headers.get("retry-after") ?? "";
  const wait = ms ?? (/^\d{1,9}$/.test(seconds) ? Number(seconds) * 1_000 : 0);
  return wait > 0 ? Math.min(wait, MAX_WAIT_MS) : undefined;
}

function isRelay(says: unknown): says is RelaySays {
  return typeof says === "object" && says !== null && "relay" in says && typeof says.relay === "string";
}
