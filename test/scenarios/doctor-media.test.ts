// `lethe doctor` about the place of media, as it is typed: the folder beside the mail, and a bucket of a real S3 store (Swift), sound
// and with each of the faults that an operator makes. Swift has no policies, so that a key which may do only some things is not seen.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BlobsConfig } from "../../queue/index.ts";
import { type FakedClock, fakedClock } from "../chaos/world/clock.ts";
import { type Ended, letheWith } from "../support/command.ts";
import { aFolder } from "../support/folder.ts";
import { aSmallDisk } from "../support/small-disk.ts";
import { hasSwift, Swift } from "../support/swift.ts";

type S3Config = Extract<BlobsConfig, { kind: "s3" }>;
type Env = Readonly<Record<string, string>>;

interface Around {
  /** Where the data folder is made; a new folder unless given. */
  readonly in?: string;
  readonly prepare?: (data: string) => Promise<void>;
  /** Of the doctor's process alone: 20 minutes ahead. */
  readonly clock?: FakedClock;
}

/** The doctor over a new data folder, with these settings in a file. */
async function doctor(settings: Env, around: Around = {}): Promise<Ended> {
  await using place = await aFolder();
  const data = join(around.in ?? place.path, "data");
  await mkdir(data);
  await around.prepare?.(data);
  const config = join(place.path, "lethe.env");
  const lines = Object.entries({ LETHE_PORT: "0", LETHE_DATA: data, ...settings });
  await writeFile(config, lines.map(([name, value]) => `${name}=${value}\n`).join(""));
  const offset = join(place.path, "offset");
  await writeFile(offset, "+20m\n");
  return await letheWith(around.clock?.env(offset) ?? {}, "doctor", "--config", config);
}

/** Its lines about media, and what mends them. */
const aboutMedia = ({ out }: Ended): string[] => {
  const lines = out.split("\n");
  return lines.filter(
    (line, i) => / media /.test(line) || (/^ +→/.test(line) && / media /.test(lines[i - 1] ?? "")),
  );
};

describe("lethe doctor and media in files", () => {
  it("says where they lie and how much room there is", async () => {
    const ended = await doctor({});
    expect(aboutMedia(ended)).toEqual([
      expect.stringMatching(/^✓ media {8}\/.*\/data\/media will be made: \d+ MiB free$/),
    ]);
    expect(ended.code).toBe(0);
  });

  it("names a file that stands where the folder should", async () => {
    const file = await doctor({}, { prepare: (data) => writeFile(join(data, "media"), "") });
    expect(aboutMedia(file)).toEqual([
      expect.stringMatching(/^✗ media .*\/data\/media is not a folder$/),
      expect.stringMatching(/^ +→ .*--media off$/),
    ]);
    expect(file.code).toBe(1);
  });

  it("doubts a disk on which the largest files find no room", async ({ skip }) => {
    const disk = await aSmallDisk(16);
    if (typeof disk === "string") return skip(disk);
    await using small = disk;
    const ended = await doctor({ LETHE_MEDIA_BYTES: "8388608" }, { in: small.path });
    expect(aboutMedia(ended)).toEqual([
      expect.stringMatching(/^! media .*: 1[56] MiB free, and one file may take 8 MiB$/),
      expect.stringMatching(/^ +→ make room, .*--media-bytes/),
    ]);
    expect(ended.code).toBe(0);
  });

  it("says that there are none, where there are none", async () => {
    const ended = await doctor({ LETHE_MEDIA: "off" });
    expect(aboutMedia(ended)).toEqual([expect.stringMatching(/^✓ media +none: /)]);
    expect(ended.code).toBe(0);
  });
});

describe.skipIf(!hasSwift())("lethe doctor and media in an S3 store", () => {
  let swift: Swift;
  beforeAll(async () => {
    swift = await Swift.start();
  });
  afterAll(() => swift[Symbol.asyncDispose]());

  const settings = ({ url, bucket, accessKey, secretKey, prefix }: S3Config): Env => ({
    LETHE_S3_URL: url,
    LETHE_S3_BUCKET: bucket,
    LETHE_S3_ACCESS_KEY: accessKey,
    LETHE_S3_SECRET_KEY: secretKey,
    LETHE_S3_PREFIX: prefix,
  });

  it("finds a bucket as it should be, leaves nothing in it, and writes no colours into a pipe", async () => {
    const config = await swift.bucket();
    const ended = await doctor(settings(config));
    expect(aboutMedia(ended)).toEqual([
      `✓ media        ${config.url}, bucket ${config.bucket}: reached, and set as it should be`,
    ]);
    expect(ended.code).toBe(0);
    expect(ended.out).not.toContain("\u001b");
    expect(await swift.client().listObjectsV2(config.bucket, "", true).toArray()).toEqual([]);
  });

  interface Fault {
    readonly name: string;
    readonly config: () => Promise<S3Config>;
    readonly finds: RegExp;
    readonly mends: RegExp;
    readonly code: number;
  }
  const FAULTS: readonly Fault[] = [
    {
      name: "a bucket that is not there",
      config: async () => swift.config(),
      finds: /^✗ media +there is no bucket bucket-\d+$/m,
      mends: /^ +→ make it, .*--s3-bucket$/m,
      code: 1,
    },
    {
      name: "a wrong secret",
      config: () => swift.bucket({ secretKey: "mistyped" }),
      finds: /^✗ media +the store refuses \(/m,
      mends: /^ +→ .*--s3-secret-key/m,
      code: 1,
    },
    {
      name: "a key that the store does not know",
      config: () => swift.bucket({ accessKey: "test:nobody" }),
      finds: /^✗ media +the store refuses \(/m,
      mends: /^ +→ .*--s3-access-key/m,
      code: 1,
    },
    {
      name: "somebody else's bucket",
      config: () => swift.bucket({ accessKey: "test:stranger", secretKey: "nothing" }),
      finds: /^✗ media +the store refuses \(/m,
      mends: /^ +→ .*--s3-access-key/m,
      code: 1,
    },
    {
      name: "an address where nobody answers",
      config: () => swift.bucket({ url: "http://127.0.0.1:1" }),
      finds: /^✗ media +http:\/\/127\.0\.0\.1:1 does not answer \(ECONNREFUSED\)$/m,
      mends: /^ +→ .*--s3-url$/m,
      code: 1,
    },
    {
      name: "a bucket that keeps versions",
      config: async () => {
        const config = await swift.bucket();
        await swift.client().setBucketVersioning(config.bucket, { Status: "Enabled" });
        return config;
      },
      finds: /^! media +the bucket keeps versions/m,
      mends: /^ +→ use a bucket that never had versions/m,
      code: 0,
    },
    {
      name: "what a multipart upload has left",
      config: async () => {
        const config = await swift.bucket();
        await swift.client().initiateNewMultipartUpload(config.bucket, `${config.prefix}left`, {});
        return config;
      },
      finds: /^! media +multipart uploads that were never finished/m,
      mends: /^ +→ abort them/m,
      code: 0,
    },
  ];

  it.each(FAULTS)("names $name, with its mend, and no secret", async ({ config, finds, mends, code }) => {
    const given = await config();
    const ended = await doctor(settings(given));
    expect(ended.out).toMatch(finds);
    expect(ended.out).toMatch(mends);
    expect(ended.code).toBe(code);
    expect(ended.out + ended.err).not.toContain(given.secretKey);
  });

  it("names a clock that is too far off for any request", async ({ skip }) => {
    const clock = fakedClock();
    if (typeof clock === "string") return skip(clock);
    const ended = await doctor(settings(await swift.bucket()), { clock });
    expect(ended.out).toMatch(/^✗ media +the store refuses \(/m);
    expect(ended.out).toMatch(/^! media +the store's clock is 1[12]\d\d s behind this machine's$/m);
    expect(ended.out).toMatch(/^ +→ have both set by NTP$/m);
    expect(ended.code).toBe(1);
  });
});
