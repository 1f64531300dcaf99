// The JSON bodies and path parts of HTTP requests, checked: what passes here has the documented shape, lengths and counts.
import {
  type AccountId,
  type DeviceNumber,
  fromHex,
  CAPABILITY_MARK_BYTES,
  ID_BYTES,
  MAX_CERTIFICATE_BYTES,
  MAX_DEVICE_LIST_BYTES,
  MAX_DEVICES,
  MAX_LINKING_MESSAGE_BYTES,
  MAX_MEDIA_BYTES,
  MAX_ONE_TIME_PREKEYS,
  MAX_PREKEY_BYTES,
  MAX_TOKENS_AT_ONCE,
} from "@lethe/protocol";
import type { CapabilityMark, MediaId } from "@lethe/queue";
import { z } from "zod";

/** A token of a login service with many claims is 2 to 4 KB. */
const MAX_TICKET_CHARACTERS = 8_192;

const BASE64URL = /^[A-Za-z0-9_-]*$/;

/** Base64url without padding, of exactly `min` to `max` bytes, in its one canonical form. */
function binary(min: number, max: number = min): z.ZodType<Buffer, string> {
  return z
    .string()
    .min(Math.ceil((min * 4) / 3))
    .max(Math.ceil((max * 4) / 3))
    .regex(BASE64URL)
    .describe(`Base64url without padding, of ${min === max ? "" : `${min} to `}${max} bytes`)
    .transform((text, context) => {
      const bytes = Buffer.from(text, "base64url");
      if (bytes.length < min || bytes.length > max || bytes.toString("base64url") !== text)
        context.addIssue({ code: "custom", message: `base64url of ${min} to ${max} bytes` });
      return bytes;
    });
}

const account = z
  .string()
  .regex(/^[0-9a-f]{32}$/)
  .transform((hex) => fromHex<AccountId>(hex, ID_BYTES));
const device = z
  .int()
  .min(1)
  .max(65_535)
  .transform((n) => n as DeviceNumber);
const listVersion = z.int().min(1).max(0xffff_ffff);
const prekey = z.strictObject({ id: binary(8), bytes: binary(1, MAX_PREKEY_BYTES) });
const prekeys = z.array(prekey).max(MAX_ONE_TIME_PREKEYS);

export const registerBody = z.strictObject({
  name: z.string().max(64),
  account,
  accountKey: binary(32),
  device,
  signingKey: binary(32),
  certificate: binary(1, MAX_CERTIFICATE_BYTES),
  deviceList: binary(1, MAX_DEVICE_LIST_BYTES),
  listVersion,
  accessKeyHash: binary(32),
  ticket: z.string().min(1).max(MAX_TICKET_CHARACTERS).optional(),
});

export const prekeysBody = z.strictObject({
  signed: prekey.optional(),
  lastResort: prekey.optional(),
  oneTime: prekeys.optional(),
  oneTimeKem: prekeys.optional(),
  replace: z.boolean().optional(),
});

export const deviceListBody = z.strictObject({
  deviceList: binary(1, MAX_DEVICE_LIST_BYTES),
  version: listVersion,
  devices: z
    .array(z.strictObject({ device, signingKey: binary(32), certificate: binary(1, MAX_CERTIFICATE_BYTES) }))
    .min(1)
    .max(MAX_DEVICES),
});

export const presenceBody = z.strictObject({ lastSeen: z.boolean() });

export const accessKeyBody = z.strictObject({ accessKeyHash: binary(32) });

export const linkingBody = z.strictObject({ message: binary(1, MAX_LINKING_MESSAGE_BYTES) });

const mailbox = z
  .string()
  .regex(/^[0-9a-f]{32}$/)
  .describe("16 random bytes");
export const linkingParams = z.object({ mailbox });
export const linkingSlotParams = z.object({ mailbox, slot: z.enum(["offer", "join", "grant"]) });

const mark = binary(CAPABILITY_MARK_BYTES).transform((bytes) => bytes.toString("latin1") as CapabilityMark);
const marks = z.array(mark).max(MAX_TOKENS_AT_ONCE);

export const mediaBeginBody = z.strictObject({
  bytes: z.int().min(1).max(MAX_MEDIA_BYTES),
  uploadKey: mark,
});
export const mediaTokensBody = z.strictObject({ add: marks, strike: marks, close: z.boolean() });

const media = z
  .string()
  .regex(/^[0-9a-f]{32}$/)
  .describe("16 random bytes")
  .transform((hex) => fromHex<MediaId>(hex, ID_BYTES));
const part = z
  .string()
  .regex(/^(?:0|[1-9][0-9]{0,4})$/)
  .describe("Number of a part, from 0")
  .transform(Number);
export const mediaParams = z.object({ media });
export const mediaPartParams = z.object({ media, part });

export const inviteBody = z.strictObject({
  uses: z.int().min(1).max(100_000).default(1),
  days: z.number().positive().max(365).default(7),
});

export const inviteParams = z.object({ mark: z.string().regex(/^[0-9a-f]{32}$/) });

export const deviceParams = z.object({ device: z.string().regex(/^[1-9][0-9]{0,4}$/) });

export const accountParams = z.object({ name: z.string() });
