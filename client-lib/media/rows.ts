// The rows of media: uploads that are not done, downloads that go on where they were, releases that are owed. Always true: what is
// written here is read back equal, and what does not decode is refused; keys stand in them, so they are in the encrypted store.
import {
  accountId,
  binary,
  bytes,
  type Codec,
  deviceAddress,
  encode,
  fixed,
  list,
  MAX_MEDIA_TOKENS,
  type Of,
  oneOf,
  optional,
  struct,
  text,
  time,
  u32,
  u64,
  u8,
} from "@lethe/protocol";
import type { GroupId } from "@lethe/crypto";
import type { Write } from "../delivery/events.ts";
import { messageId } from "../delivery/rows.ts";
import {
  MAX_CAPTION_BYTES,
  MAX_NAME_BYTES,
  MAX_POSITIONS,
  MAX_RESUME_BYTES,
  MAX_STAMP_BYTES,
  MAX_THUMBNAIL_BYTES,
  MAX_TYPE_BYTES,
} from "./limits.ts";
import type { MediaTable } from "./tables.ts";

const format = oneOf({ one: 1 });
/** `encodeMediaPosition`, 89 bytes; its own codec bounds it closer. */
const position = bytes(128);

/** What is said of a file in the message that brings it. */
const about = {
  type: text(MAX_TYPE_BYTES),
  name: text(MAX_NAME_BYTES),
  caption: text(MAX_CAPTION_BYTES),
  width: u32,
  height: u32,
} as const;

export const uploadRow = struct({
  format,
  id: fixed(16),
  key: fixed(32),
  /** For the relay alone: whoever has the file's key has not this one. */
  uploadKey: fixed(32),
  size: u64,
  stamp: text(MAX_STAMP_BYTES),
  resume: text(MAX_RESUME_BYTES),
  /**
   * `new`: nothing was sent. `begun`: parts may be at the relay. `ready`: all are, under this digest. `said`: the message is in the
   * outbox, or further. `ended`: it is to be withdrawn at the relay.
   */
  state: oneOf({ new: 0, begun: 1, ready: 2, said: 3, ended: 4 }),
  /** How often it was begun anew, for the relay had lost something. */
  repairs: u8,
  /** Of the blob, from `ready` on. */
  digest: optional(fixed(32)),
  to: optional(accountId),
  group: optional(binary<GroupId>(16, "group id")),
  /** The user's name, or the group's id, as the application has named it. */
  shown: text(64),
  ttl: optional(u64),
  ...about,
  thumbnail: bytes(MAX_THUMBNAIL_BYTES),
  replyTo: optional(struct({ author: accountId, message: messageId })),
});
export type UploadRow = Of<typeof uploadRow>;

/** Positions from the oldest part on that the relay is not known to have, in order. */
export const progressRow = struct({ format, positions: list(position, MAX_POSITIONS) });

export const tokensRow = struct({
  format,
  /** Devices whose release tokens the relay has. */
  registered: list(deviceAddress, MAX_MEDIA_TOKENS),
  /** Those of them that the message was seen to be sealed for. */
  carriers: list(deviceAddress, MAX_MEDIA_TOKENS),
});
export type TokensRow = Of<typeof tokensRow>;

/** Beside what a sink has written: from where it goes on. */
export const downloadRow = struct({ format, at: time, position });

/** A token that the relay is to be shown, until then. */
export const releaseRow = struct({ format, token: fixed(32), until: time });
export type ReleaseRow = Of<typeof releaseRow>;

export function putMedia<T>(table: MediaTable, key: string, codec: Codec<T>, value: T): Write {
  return { table, key, value: encode(codec, value) };
}

export function removeMedia(table: MediaTable, key: string): Write {
  return { table, key, value: undefined };
}
