// The tables of media in the client's store, named apart from their rows: whoever erases a store needs no more of them.

/** `upload`: by message. `progress`: its positions. `tokens`: whom it was made ready for. */
export const MEDIA_TABLES = [
  "media-upload",
  "media-progress",
  "media-tokens",
  "media-download",
  "media-release",
] as const;
export type MediaTable = (typeof MEDIA_TABLES)[number];
