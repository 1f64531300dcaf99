// Linking mailboxes over HTTP (clauses L-SLOT to L-FEW). Always true: nothing here reads what the messages say, or keeps whose they
// are; only a registered device offers and grants; what is read or answered unsigned is known by the mailbox's name alone.
import { type AccountId, fromHex, ID_BYTES, Refusal } from "@lethe/protocol";
import type { LinkingGet, LinkingMailboxId, LinkingSlot } from "@lethe/queue";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { z } from "zod";
import { Rates } from "../edge/rates.ts";
import { allowed, requestCounter } from "./counting.ts";
import { LinkingWaits } from "./linking-waits.ts";
import type { HttpOptions } from "./options.ts";
import { serve } from "./serve.ts";
import { linkingParams, linkingSlotParams } from "./shapes.ts";

/** Offers of one account at once, and each minute after that. */
export const LINKINGS_AT_ONCE = 10;
const LINKINGS_A_SECOND = 1 / 60;
/** Unsigned requests of one address at once, and a second: a linking takes about ten. */
export const LINKING_REQUESTS_AT_ONCE = 240;
const LINKING_REQUESTS_A_SECOND = 4;
/** How long whoever finds every mailbox taken should wait, ms: until some have ended. */
const FULL_MS = 30_000;

/** Verifies the request's signature and says whose it is. @throws Refusal */
export type SignedBy = (request: FastifyRequest) => Promise<AccountId>;

export function linkingRoutes(app: FastifyInstance, options: HttpOptions, signedBy: SignedBy): void {
  const { backend, now } = options;
  const { linking } = backend;
  const instant = (): number => performance.now();
  const offers = new Rates(LINKINGS_A_SECOND, LINKINGS_AT_ONCE, instant);
  const counted = requestCounter(options, LINKING_REQUESTS_A_SECOND, LINKING_REQUESTS_AT_ONCE);
  const waits = new LinkingWaits(instant);

  const put = async (slot: LinkingSlot, request: FastifyRequest, message: Buffer) => {
    const outcome = await linking.put(idOf(paramsOf(linkingParams, request)), slot, message);
    if (outcome === "taken") throw new Refusal("linking-taken");
    if (outcome === "early") throw new Refusal("linking-early");
    if (outcome === "ended") throw new Refusal("linking-ended");
    if (outcome === "full") throw new Refusal("rate-limited", "too many are linking", FULL_MS);
    return { now: now() };
  };

  serve(app, "putLinkingOffer", async (request, _reply, body) => {
    counted(request);
    const account = await signedBy(request);
    const { message } = body();
    allowed(offers.take(account));
    return put("offer", request, message);
  });

  serve(app, "putLinkingJoin", async (request, _reply, body) => {
    counted(request);
    return put("join", request, body().message);
  });

  serve(app, "putLinkingGrant", async (request, _reply, body) => {
    counted(request);
    await signedBy(request);
    return put("grant", request, body().message);
  });

  serve(app, "getLinking", async (request, reply) => {
    const remote = counted(request);
    const params = paramsOf(linkingSlotParams, request);
    const { slot } = params;
    const mailbox = idOf(params);
    const gone = new AbortController();
    reply.raw.once("close", () => gone.abort());
    const found = await waits.wait({
      remote,
      look: () => linking.get(mailbox, slot),
      goesOn: (seen) => goesOn(seen, slot),
      gone: gone.signal,
    });
    if (found.is === "message")
      return { message: Buffer.from(found.message).toString("base64url"), now: now() };
    if (!goesOn(found, slot)) throw new Refusal("linking-ended");
    return reply.status(204).send();
  });

  serve(app, "endLinking", async (request, reply) => {
    counted(request);
    await linking.end(idOf(paramsOf(linkingParams, request)));
    return reply.status(204).send();
  });
}

/** An offer may still come where there is no mailbox yet; everything else belongs to one. */
function goesOn({ is }: LinkingGet, slot: LinkingSlot): boolean {
  return is === "empty" || (is === "none" && slot === "offer");
}

/** @throws Refusal bad-request */
function paramsOf<Params>(shape: z.ZodType<Params>, { params }: FastifyRequest): Params {
  const parsed = shape.safeParse(params);
  if (!parsed.success) throw new Refusal("bad-request", "no linking mailbox");
  return parsed.data;
}

function idOf({ mailbox }: { readonly mailbox: string }): LinkingMailboxId {
  return fromHex<LinkingMailboxId>(mailbox, ID_BYTES);
}
