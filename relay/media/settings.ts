// The settings of media: where blobs are kept, how much of them and for how long. Always true: a relay without any keeps them
// beside its mail, or not at all where several relays share a store.
import { MAX_MEDIA_BYTES } from "@lethe/protocol";
import { anything, fraction, integer, oneOf, onOff, row, string } from "../setting.ts";

const MIB = 1_048_576;
/** The smallest file, sealed: a part of 4,096 bytes and its tag. */
const LEAST_BYTES = 4_113;
const MAX_DAYS = 365;

export type MediaChoice = "auto" | "off" | "files" | "s3";

const address = string(/^(?:https?:\/\/[^\s/?#@]{1,255}\/?)?$/, "an address like https://s3.example:9000");

export const MEDIA_SETTINGS = {
  media: row<MediaChoice>(
    "media",
    "auto",
    "where",
    "Where files wait for their recipients: off, files (in the data folder), s3; auto: s3 where --s3-url is given, else files with the embedded store, else off",
    oneOf(["auto", "off", "files", "s3"]),
  ),
  mediaBytes: row(
    "media-bytes",
    256 * MIB,
    "bytes",
    "Largest file, sealed: up to an eighth more than its own bytes",
    integer(LEAST_BYTES, MAX_MEDIA_BYTES),
  ),
  mediaAccountBytes: row(
    "media-account-bytes",
    1_024 * MIB,
    "bytes",
    "Bytes of files that one account may have waiting for others",
    integer(LEAST_BYTES, 2 ** 50),
  ),
  mediaAccountBlobs: row(
    "media-account-blobs",
    1_000,
    "files",
    "Files that one account may have waiting for others",
    integer(1, 1_000_000),
  ),
  mediaUnfinished: row(
    "media-unfinished",
    24,
    "hours",
    "After so long an upload that is not finished is removed; may be a fraction",
    fraction(0.0001, 24 * MAX_DAYS),
  ),
  mediaDays: row(
    "media-days",
    30,
    "days",
    "Longest time that a file is kept; may be a fraction",
    fraction(0.00001, MAX_DAYS),
  ),
  mediaCollect: row(
    "media-collect",
    60,
    "seconds",
    "Pause between two collections of files that have ended; what was released by all goes at once",
    integer(1, 86_400),
  ),
  s3Url: row("s3-url", "", "url", "With s3: where the object store answers", address),
  s3Bucket: row(
    "s3-bucket",
    "",
    "bucket",
    "With s3: the bucket, which is there already",
    string(/^(?:[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$/, "the name of a bucket"),
  ),
  s3Region: row(
    "s3-region",
    "us-east-1",
    "region",
    "With s3: the region that requests are signed for",
    string(/^[A-Za-z0-9-]{1,64}$/, "a region"),
  ),
  s3AccessKey: row("s3-access-key", "", "key", "With s3: the access key's id", anything),
  s3SecretKey: row(
    "s3-secret-key",
    "",
    "secret",
    "With s3: the secret access key; better in the file or environment than in a flag",
    anything,
  ),
  s3Prefix: row(
    "s3-prefix",
    "lethe/",
    "prefix",
    "With s3: what every object's name begins with, ending in a slash; nothing else may lie under it",
    string(/^(?=.{0,256}$)(?:[A-Za-z0-9._-]+\/){0,8}$/, "empty, or folders like lethe/"),
  ),
  s3Direct: row(
    "s3-direct",
    false,
    "on|off",
    "With s3: clients put and get parts at the object store itself, by presigned addresses",
    onOff,
  ),
  s3PublicUrl: row(
    "s3-public-url",
    "",
    "url",
    "With s3-direct: where clients reach the object store, if it is not --s3-url",
    address,
  ),
} as const;

export interface MediaPlace {
  readonly media: MediaChoice;
  readonly store: string;
  readonly s3Url: string;
}

/** Where blobs are kept, once `auto` is decided. */
export function mediaPlaceOf({ media, store, s3Url }: MediaPlace): Exclude<MediaChoice, "auto"> {
  if (media !== "auto") return media;
  if (s3Url !== "") return "s3";
  return store === "embedded" ? "files" : "off";
}

const NEEDED = ["s3Url", "s3Bucket", "s3AccessKey", "s3SecretKey"] as const;

/** Faults of these settings that are each right by itself. */
export function mediaFaults(
  settings: MediaPlace & Readonly<Record<(typeof NEEDED)[number], string>> & { readonly s3Direct: boolean },
): string[] {
  const place = mediaPlaceOf(settings);
  if (place === "s3")
    return NEEDED.filter((name) => settings[name] === "").map(
      (name) => `--${MEDIA_SETTINGS[name].flag} (${MEDIA_SETTINGS[name].env}) is needed with --media s3`,
    );
  return settings.s3Direct ? ["--s3-direct (LETHE_S3_DIRECT) is for --media s3"] : [];
}
