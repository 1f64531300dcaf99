// One blob at the relay, by HTTP. Always true: whoever has a capability says it, and nothing of who they are; what has to do with an
// upload, whose account is known, shares no connection with downloads and releases (in browsers that is not ours to say); a redirect is
// followed for downloads alone, and takes no capability with it to another host (Fetch standard, HTTP-redirect fetch).
import {
  base64url,
  MEDIA_SCHEME,
  type MediaBeginRequest,
  type MediaPlaceJson,
  type MediaTokensRequest,
  type MediaUploadJson,
  PATHS,
  toHex,
  fromBytes,
} from "@lethe/protocol";
import type { RelayHttp } from "../edge/relay-http.ts";
import { ClientError } from "../errors.ts";
import { ASK_MS, PUT_MS } from "./limits.ts";

export interface MediaHttpConfig {
  readonly http: RelayHttp;
  /** A request signed by the device. */
  readonly signed: (method: "PUT", path: string, json: unknown) => Promise<unknown>;
  /** Whether parts are put to, and had from, the object store itself. */
  readonly direct: () => boolean;
}

type Body = Uint8Array<ArrayBuffer>;

export class MediaHttp {
  readonly #config: MediaHttpConfig;

  constructor(config: MediaHttpConfig) {
    this.#config = config;
  }

  /** @throws ClientError media-off, media-too-large, media-quota, media-taken, ... */
  async begin(id: Uint8Array, request: MediaBeginRequest): Promise<MediaUploadJson> {
    return upload(await this.#config.signed("PUT", pathOf(id), request));
  }

  async state(id: Uint8Array, key: Uint8Array, signal: AbortSignal): Promise<MediaUploadJson> {
    return upload(await this.#ask("GET", pathOf(id), key, signal, { named: true }));
  }

  async finish(id: Uint8Array, key: Uint8Array, signal: AbortSignal): Promise<MediaUploadJson> {
    return upload(await this.#ask("POST", `${pathOf(id)}/finish`, key, signal, { named: true }));
  }

  async tokens(
    id: Uint8Array,
    key: Uint8Array,
    tokens: MediaTokensRequest,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#ask("PUT", `${pathOf(id)}/tokens`, key, signal, { named: true, json: tokens });
  }

  async withdraw(id: Uint8Array, key: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#ask("DELETE", pathOf(id), key, signal, { named: true });
  }

  async release(id: Uint8Array, token: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#ask("POST", `${pathOf(id)}/release`, token, signal, { named: false });
  }

  async put(
    id: Uint8Array,
    key: Uint8Array,
    { part, bytes }: { readonly part: number; readonly bytes: Uint8Array },
    signal: AbortSignal,
  ): Promise<void> {
    const path = `${pathOf(id)}/parts/${part}`;
    const body = bytes as Body;
    if (this.#config.direct()) {
      const url = placeIn(await this.#ask("GET", `${path}/place`, key, signal, { named: true }));
      if (url !== undefined && (await isPut(url, body, within(PUT_MS, signal)))) return;
    }
    const headers = { authorization: bearer(key), "content-type": "application/octet-stream" };
    const { http } = this.#config;
    const put = (): RequestInit => ({
      ...{ method: "PUT", headers, body, redirect: "error", ...http.named },
      signal: within(PUT_MS, signal),
    });
    await http.read(await http.first(path, put));
  }

  /** The bytes of a part from there on: a response whose status is 200 or 206. @throws ClientError */
  async get(
    id: Uint8Array,
    token: Uint8Array,
    { part, from }: { readonly part: number; readonly from: number },
    signal: AbortSignal,
  ): Promise<Response> {
    const { http, direct } = this.#config;
    const headers = { authorization: bearer(token), ...(from === 0 ? {} : { range: `bytes=${from}-` }) };
    const redirect = direct() ? "follow" : "error";
    const response = await http.first(`${pathOf(id)}/parts/${part}`, () => ({ headers, redirect, signal }));
    if (!response.ok) await http.read(response);
    return response;
  }

  async #ask(
    method: string,
    path: string,
    capability: Uint8Array,
    signal: AbortSignal,
    { named, json }: { readonly named: boolean; readonly json?: unknown },
  ): Promise<unknown> {
    const { http } = this.#config;
    const response = await http.first(path, () => ({
      method,
      ...(named ? http.named : {}),
      headers: {
        authorization: bearer(capability),
        ...(json === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      redirect: "error",
      signal: within(ASK_MS, signal),
    }));
    return (await http.read(response)).json;
  }
}

/** An address of its own, so that no relay has a page ask its own site for something. */
function placeIn(json: unknown): string | undefined {
  const { url } = (json ?? {}) as Partial<MediaPlaceJson>;
  return /^https?:\/\/[^/]/.test(String(url)) ? url : undefined;
}

/** False: where the store cannot be reached the relay may be. */
async function isPut(url: string, body: Body, signal: AbortSignal): Promise<boolean> {
  const init = { method: "PUT", body, redirect: "error", credentials: "omit", signal } as const;
  const response = await fetch(url, init).catch(() => undefined);
  await response?.body?.cancel().catch(() => undefined);
  return response?.ok === true;
}

function within(ms: number, signal: AbortSignal): AbortSignal {
  return AbortSignal.any([AbortSignal.timeout(ms), signal]);
}

function pathOf(id: Uint8Array): string {
  return `${PATHS.media}/${toHex(fromBytes(id))}`;
}

function bearer(capability: Uint8Array): string {
  return `${MEDIA_SCHEME} ${base64url(capability)}`;
}

/** What a relay says of an upload. @throws ClientError relay-unreachable where it is not that */
function upload(json: unknown): MediaUploadJson {
  const { state, parts } = (json ?? {}) as Partial<MediaUploadJson>;
  const known = state === "open" || state === "ready";
  if (!known || !Array.isArray(parts) || !parts.every((part) => Number.isSafeInteger(part) && part >= 0))
    throw new ClientError("relay-unreachable", "something else answers at its address");
  return json as MediaUploadJson;
}
