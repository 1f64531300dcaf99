// The JSON bodies of HTTP answers. Always true: a handler's result is held against these by the compiler, the document at
// /openapi.json is made of them, and what `protocol/http.ts` promises to clients is what they say.
import type { MediaPlaceJson, MediaUploadJson, PolicyJson, PrekeysHeld } from "@lethe/protocol";
import { z } from "zod";

const clock = z.int().min(0).describe("The relay's clock, ms since 1970");
const ms = z.number().min(0).describe("ms");
const bytes = z.int().min(0).describe("bytes");
const count = z.int().min(0);
const version = z.int().min(1);
const versions = z.strictObject({ min: version, max: version });
const prekeyId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{11}$/)
  .describe("Prekey id, 8 bytes, base64url");

export const about = z.strictObject({ lethe: z.literal("relay"), relay: z.string(), versions, now: clock });

export const policy: z.ZodType<PolicyJson> = z.strictObject({
  lethe: z.literal("relay"),
  relay: z.string().describe("The name that logins are bound to"),
  versions,
  registration: z.enum(["open", "invite", "jwt", "closed"]),
  limits: z.strictObject({
    envelopeBytes: bytes,
    mailboxEnvelopes: count,
    mailboxBytes: bytes,
    devices: count,
  }),
  retention: z.strictObject({
    mailMs: ms.describe("How long undelivered mail is kept at most, ms"),
    idleAccountMs: ms
      .nullable()
      .describe("After how long without a connection an account is removed, ms; null: never"),
    forgetMs: ms.describe("How long bytes of delivered mail may still be in a file, ms"),
  }),
  media: z
    .strictObject({
      bytes: bytes.describe("The largest file, sealed, bytes"),
      accountBytes: bytes.describe("What one account may have waiting for others, bytes"),
      accountBlobs: count,
      keepMs: ms.describe("How long a file is kept at most, ms"),
      direct: z.boolean().describe("Parts go to the object store itself"),
    })
    .nullable(),
  durability: z.strictObject({ accepted: z.enum(["synced", "replicated"]), copies: count }),
  now: clock,
});

export const up = z.strictObject({ status: z.literal("up") });
export const ready = z.strictObject({
  status: z.literal("ready"),
  doubts: z
    .array(z.string())
    .optional()
    .describe(
      "Codes of what the store's own configuration contradicts of what is promised; lethe doctor says more",
    ),
});

export const taken = z.strictObject({ now: clock });
export const registered = z.strictObject({ name: z.string(), now: clock });

export const heldPrekeys: z.ZodType<PrekeysHeld> = z.strictObject({
  signed: prekeyId.nullable(),
  lastResort: prekeyId.nullable(),
  oneTime: z.array(prekeyId).readonly(),
  oneTimeKem: z.array(prekeyId).readonly(),
});

export const linkingMessage = z.strictObject({
  message: z.string().describe("Base64url without padding"),
  now: clock,
});

export const mediaUpload: z.ZodType<MediaUploadJson> = z.strictObject({
  bytes: bytes.describe("Bytes of the whole blob"),
  state: z.enum(["open", "ready"]),
  parts: z.array(count).readonly().describe("Parts that are there, in rising order"),
  expires: clock.describe("When it is removed in any case, by the relay's clock"),
  now: clock,
});
export const mediaPlace: z.ZodType<MediaPlaceJson> = z.strictObject({
  url: z.string().describe("Presigned, for PUT, for at most 60 s"),
  now: clock,
});

/** Figures come and go between versions; each is a number or a word. */
export const figures = z
  .object({ accounts: count })
  .catchall(z.union([z.number(), z.string()]))
  .describe("What the process does now: counts, bytes and ms by name");

export const invite = z.strictObject({
  invite: z.string().describe("The ticket. It is shown once"),
  uses: z.int().min(1),
  expires: clock,
});
export const invites = z.strictObject({
  invites: z.array(
    z.strictObject({
      mark: z.string().regex(/^[0-9a-f]{32}$/),
      uses: z.int().min(1).describe("What is left of them"),
      expires: clock,
    }),
  ),
});

export const account = z.strictObject({
  account: z.string().regex(/^[0-9a-f]{32}$/),
  name: z.string(),
  listVersion: version,
  devices: z.array(
    z.strictObject({
      device: z.int().min(1).max(65_535),
      connected: z.boolean(),
      node: z
        .string()
        .nullable()
        .describe("Where: here, another node's link address, or gone where that node does not live any more"),
      waiting: count.describe("Undelivered envelopes"),
    }),
  ),
});
