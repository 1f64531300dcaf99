// The HTTP half of the relay, from the client's side: requests signed by the device (clause H-SIGN), one URL after the
// other. Always true: a request is signed for the relay's pinned name and carries its time in the relay's clock.
import {
  type AccountId,
  AUTHORIZATION_SCHEME,
  type DeviceNumber,
  encode,
  requestTuple,
  type Time,
  toHex,
} from "@lethe/protocol";
import { type Random, sha512 } from "@lethe/crypto";
import { ClientError, isProblem } from "../errors.ts";
import { base64url } from "./base64url.ts";
import type { Clock } from "./clock.ts";

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
/** The longest answer that is read, bytes: the ids of 400 prekeys, and room. */
const MAX_ANSWER_CHARACTERS = 65_536;

export class RelayHttp {
  readonly #config: RelayHttpConfig;
  /** The relay's clock minus ours, ms. */
  offset = 0;

  constructor(config: RelayHttpConfig) {
    this.#config = config;
  }

  /** The name that the relay goes by. @throws ClientError relay-unreachable */
  async name(): Promise<string> {
    const says: unknown = await this.#ask({ method: "GET", path: "/", body: undefined }, undefined);
    if (!isRelay(says)) throw new ClientError("relay-unreachable", "something else answers at its address");
    return says.relay;
  }

  /** A request signed by the device. @throws ClientError with the relay's code, or relay-unreachable */
  async signed(method: Method, path: string, json: unknown, by: Signer, relay: string): Promise<unknown> {
    const body = json === undefined ? undefined : JSON.stringify(json);
    const asking = { method, path, body };
    try {
      return await this.#ask(asking, this.#authorization(asking, by, relay));
    } catch (error) {
      // The answer has set the clock right: once more.
      if (!(error instanceof ClientError) || error.code !== "clock-skew") throw error;
      return this.#ask(asking, this.#authorization(asking, by, relay));
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

  async #ask({ method, path, body }: Asking, authorization: string | undefined): Promise<unknown> {
    for (const url of this.#config.urls) {
      const response = await this.#fetch(url + path, {
        method,
        headers: {
          ...(authorization === undefined ? {} : { authorization }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body }),
        redirect: "error",
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      if (response !== undefined) return this.#read(response);
    }
    throw new ClientError("relay-unreachable", this.#config.urls.join(", "));
  }

  async #fetch(url: string, init: RequestInit): Promise<Response | undefined> {
    try {
      return await fetch(url, init);
    } catch {
      return undefined;
    }
  }

  async #read(response: Response): Promise<unknown> {
    const text = await response.text();
    let json: unknown;
    try {
      json = text.length === 0 || text.length > MAX_ANSWER_CHARACTERS ? undefined : JSON.parse(text);
    } catch {
      json = undefined;
    }
    if (response.ok) return json;
    if (!isProblem(json)) throw new ClientError("relay-unreachable", `HTTP status ${response.status}`);
    this.offset = json.now - this.#config.clock.now();
    throw new ClientError(json.code);
  }
}

function isRelay(says: unknown): says is RelaySays {
  return typeof says === "object" && says !== null && "relay" in says && typeof says.relay === "string";
}
