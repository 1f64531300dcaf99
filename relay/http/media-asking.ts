// What every request for media goes through before it is looked at closer: that media are kept here, the rate of its address,
// its path, and what it shows. Always true: the ledger is asked for nothing but 16 bytes of an id and a mark.
import { Refusal } from "@lethe/protocol";
import type { CapabilityMark, MediaId, MediaRefused } from "@lethe/queue";
import type { FastifyRequest } from "fastify";
import type { z } from "zod";
import type { RelayMedia } from "../media/media.ts";
import { capabilityOf } from "./capability.ts";
import { requestCounter } from "./counting.ts";
import type { HttpOptions } from "./options.ts";

/** Requests of one address at once, and a second: each part is one, of up to 2 MiB. */
export const MEDIA_REQUESTS_AT_ONCE = 2_000;
const MEDIA_REQUESTS_A_SECOND = 50;

export interface Asked<Params> {
  readonly media: RelayMedia;
  /** The address that limits count; undefined where it has none. */
  readonly remote: string | undefined;
  readonly params: Params;
}

export type AskedWithCapability<Params> = Asked<Params> & { readonly mark: CapabilityMark };

export class MediaAsking {
  readonly #counted: (request: FastifyRequest) => string | undefined;
  readonly #media: () => RelayMedia | undefined;

  constructor(options: HttpOptions) {
    this.#counted = requestCounter(options, MEDIA_REQUESTS_A_SECOND, MEDIA_REQUESTS_AT_ONCE);
    this.#media = () => options.media;
  }

  /** @throws Refusal media-off, rate-limited, bad-request */
  of<Params>(shape: z.ZodType<Params>, request: FastifyRequest): Asked<Params> {
    const media = this.#media();
    if (media === undefined) throw new Refusal("media-off");
    const remote = this.#counted(request);
    const parsed = shape.safeParse(request.params);
    if (!parsed.success) throw new Refusal("bad-request", "no id of media, or no part of one");
    return { media, remote, params: parsed.data };
  }

  /** @throws Refusal media-off, rate-limited, bad-request, unauthorized */
  shown<Params>(shape: z.ZodType<Params>, request: FastifyRequest): AskedWithCapability<Params> {
    return { ...this.of(shape, request), mark: capabilityOf(request.headers.authorization) };
  }
}

/** What the ledger answered, where it is no refusal. @throws Refusal media-gone, media-not-permitted */
export function granted<Answer>(answer: Answer | MediaRefused): Exclude<Answer, MediaRefused> {
  if (answer === "gone") throw new Refusal("media-gone");
  if (answer === "not-permitted") throw new Refusal("media-not-permitted");
  return answer as Exclude<Answer, MediaRefused>;
}

/** What may be seen of an upload by whoever has its key. */
export interface AskedUpload {
  readonly media: RelayMedia;
  readonly params: { readonly media: MediaId };
  readonly mark: CapabilityMark;
}
