// No file that was delivered is kept: within the forget bound no byte of it, nor its id or any mark of a capability, is in any file of
// the relays, of their Redis or of the object store, nor in what the relays wrote. Searched for byte by byte.
import { PATHS } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { Chance } from "../support/chance.ts";
import { contentsOf } from "../support/folder.ts";
import { Capability, Upload } from "../support/media.ts";
import { type MediaRelays, relaysWithSwift, relayWithFiles, waiting } from "../support/media-relays.ts";
import { type At, Person } from "../support/person.ts";
import { hasSwift } from "../support/swift.ts";
import { eventually } from "../support/waiting.ts";

const MARK_BYTES = 16;
const FILES = 8;
const SIZES = [1, 5_000, 70_000, 2_200_000] as const;
const REWRITE_S = 5;

/** A file at the relay, for two devices. */
interface Kept {
  readonly upload: Upload;
  readonly tokens: readonly [Capability, Capability];
}

async function keep(at: At, by: Person, i: number): Promise<Kept> {
  const tokens = [new Capability(), new Capability()] as const;
  const size = (SIZES[i % SIZES.length] ?? 1) + 2 * MARK_BYTES;
  return { upload: await Upload.ready(at, by, size, tokens), tokens };
}

/** By what it could be known again in a file. */
function tracesOf({ upload, tokens }: Kept): Record<string, Buffer> {
  const marks = [upload.key, ...tokens].map(({ mark }) => Buffer.from(mark, "base64url"));
  const { id, bytes } = upload;
  const shown = Object.fromEntries(marks.map((mark, i) => [`mark ${i}`, mark]));
  return {
    "its first bytes": bytes.subarray(0, MARK_BYTES),
    "its last bytes": bytes.subarray(-MARK_BYTES),
    "its id": Buffer.from(id, "hex"),
    "its id as a name": Buffer.from(id),
    ...shown,
  };
}

/** Swift notes the names of removed objects in its listing of a bucket for a week (its reclaim_age): ids, which are random. */
const isListed = (place: string): boolean => /^its id as a name of .*\/containers\/.*\.db$/.test(place);

/** What is in any file, or the name of one, by file and trace. */
async function found(folders: readonly string[], all: readonly Kept[]): Promise<string[]> {
  const files = (await Promise.all(folders.map(contentsOf))).flat();
  return all.flatMap((each, i) =>
    Object.entries(tracesOf(each)).flatMap(([what, trace]) =>
      files
        .filter(({ path, bytes }) => bytes.includes(trace) || path.includes(trace.toString("latin1")))
        .map(({ path }) => `${what} of ${i} in ${path}`),
    ),
  );
}

/** Both devices have it. */
async function deliver(at: At, { upload, tokens }: Kept): Promise<void> {
  await upload.tokens(at, { close: true });
  for (const token of tokens) {
    expect((await upload.getPart(at, 0, token)).bytes.equals(upload.part(0))).toBe(true);
    expect((await upload.release(at, token)).status).toBe(204);
  }
}

async function forgets(relays: MediaRelays, folders: readonly string[]): Promise<void> {
  const [one, other] = [relays.running[0], relays.running.at(-1)];
  if (one === undefined || other === undefined) throw new Error("no relay runs");
  const anna = await Person.called("anna").register(one);
  const all: Kept[] = [];
  while (all.length < FILES) all.push(await keep(one, anna, all.length));
  const before = await found(folders, all);
  for (const [i, each] of all.entries())
    for (const what of Object.keys(tracesOf(each)))
      expect(before.join("\n"), "else the search shows nothing").toContain(`${what} of ${i} in `);

  for (const each of all.slice(0, FILES / 2)) await deliver(other, each);
  for (const each of all.slice(FILES / 2)) expect((await each.upload.withdraw(other)).status).toBe(204);
  const began = performance.now();
  const policy = (await (await fetch(`${one.url}${PATHS.policy}`)).json()) as Policy;
  let left: readonly string[] = [];
  await eventually(
    policy.retention.forgetMs,
    "the end of it",
    async () => {
      left = (await found(folders, all)).filter((place) => !isListed(place));
      return left.length === 0 ? true : undefined;
    },
    500,
  ).catch((error: unknown) => {
    throw new Error(left.slice(0, 10).join("\n"), { cause: error });
  });
  process.stdout.write(
    `forgotten ${((performance.now() - began) / 1_000).toFixed(1)} s after the last release\n`,
  );
  expect([await relays.kept(), await waiting(relays)]).toEqual([[], 0]);
  const written = Buffer.concat(relays.running.map(({ output }) => output)).toString("latin1");
  for (const each of all)
    for (const [what, trace] of Object.entries(tracesOf(each)))
      for (const form of ["latin1", "hex", "base64url"] as const)
        expect(written.includes(trace.toString(form)), `${what} in what they wrote`).toBe(false);
}

interface Policy {
  readonly retention: { readonly forgetMs: number };
}

describe("files that were delivered or withdrawn", () => {
  it("are in the data folder until then, and within the bound after that in none of its files", async () => {
    await using relays = await relayWithFiles({ chance: Chance.forThisRun("forgets files") });
    await forgets(relays, relays.folders);
  }, 180_000);

  it.skipIf(!hasSwift())(
    "are in the object store and Redis until then, and within the bound after that in no file of either, but for names in a listing",
    async () => {
      const flags = ["--store-rewrite", String(REWRITE_S)];
      await using relays = await relaysWithSwift({ chance: Chance.forThisRun("forgets files of S3"), flags });
      await forgets(relays, relays.folders);
    },
    180_000,
  );
});
