// A process of its own for somebody who sends files and saves those that come. It may be killed at any moment; started again over
// the same folder it goes on: uploads from their sources, downloads where they were.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client, fileSource, openSqliteStore, type ReceivedMedia } from "@lethe/client";
import { MEDIA_TABLES } from "../../../client-lib/media/tables.ts";
import { Chance } from "../chance.ts";
import {
  contentOf,
  fileName,
  GROUP,
  type MediaLine,
  readMediaHistory,
  writeMediaLine,
} from "./media-history.ts";
import { endOf, saveAndNote } from "./file-steps.ts";
import { WorkQueue } from "./work-queue.ts";
import { requestKind, type RequestKind } from "./media-requests.ts";

export interface MediaTask {
  readonly folder: string;
  readonly seed: number;
  readonly name: string;
  readonly others: readonly string[];
  /** The one that is tried first in front. */
  readonly relays: readonly string[];
  /** Bytes of the files that it sends. */
  readonly sizes: readonly number[];
  /** Whether it makes the group. */
  readonly leads: boolean;
}

export type MediaOrder =
  /** So many files in all may have been begun. */
  | { readonly allow: number }
  | { readonly relay: "up" }
  /** Tell what is left to do. */
  | { readonly report: true }
  | { readonly finish: true };

export type MediaNews =
  | { readonly news: "ready" | "in-group" | "idle" | "busy" | "saved" }
  | { readonly news: "began" | "ended"; readonly request: RequestKind }
  /** Rows of what is owed of media in its store, and files that were not taken away. */
  | { readonly news: "report"; readonly left: readonly string[] };

const AT_ONCE = 2;

const task = JSON.parse(process.argv[2] ?? "") as MediaTask;
const { folder, name, others } = task;
const [outbound, inbound] = [join(folder, name, "out"), join(folder, name, "in")];
for (const path of [outbound, inbound]) mkdirSync(path, { recursive: true });
const history = readMediaHistory(folder, name);
const write = (line: MediaLine): void => writeMediaLine(folder, name, line);
const tell = (news: MediaNews): void => void process.send?.(news);

const request = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  const kind = requestKind(init?.method ?? "GET", input instanceof Request ? input.url : input.toString());
  if (kind === undefined) return request(input, init);
  tell({ news: "began", request: kind });
  try {
    return await request(input, init);
  } finally {
    tell({ news: "ended", request: kind });
  }
};

const [uploads, downloads] = [aQueue(), aQueue()];
function aQueue(): WorkQueue {
  const changed = (): void => tell({ news: isIdle() ? "idle" : "busy" });
  const failed = (error: unknown): void => write({ is: "trouble", what: `${name}: ${String(error)}` });
  return new WorkQueue({ atOnce: AT_ONCE, changed, failed });
}
function isIdle(): boolean {
  return uploads.size + downloads.size === 0;
}

const filesThat = (is: MediaLine["is"]): Set<string> =>
  new Set(history.flatMap((line) => (line.is === is && "file" in line ? [line.file] : [])));
const chance = new Chance(task.seed);
const store = await openSqliteStore({ file: join(folder, `${name}.db`) });
const client = await Client.create({
  relay: task.relays,
  user: name,
  store,
  requests: "accept",
  receiptJitterMs: 100,
});

// --- what comes -----------------------------------------------------------------------------------------------------------

const saved = filesThat("saved");
for (const file of saved) rmSync(join(inbound, file), { force: true });
const known = new Set<string>();

function shown(id: string, media: ReceivedMedia | undefined): void {
  if (media === undefined) return;
  write({ is: "shown", file: media.name, id, ref: Buffer.from(media.ref).toString("base64url") });
  save(media);
}

function save(media: ReceivedMedia): void {
  const { name: file } = media;
  if (saved.has(file) || known.has(file)) return;
  known.add(file);
  downloads.add(async () => {
    await saveAndNote(media, join(inbound, file), {
      fetching: (from) => write({ is: "fetching", file, from }),
      saved: (hash) => write({ is: "saved", file, hash }),
    });
    tell({ news: "saved" });
  });
}

client.on("message", ({ id, media }) => shown(id, media));
client.on("group-message", ({ id, media }) => shown(id, media));
for (const event of ["refused", "expired", "gap", "ratchet-reset", "quarantined", "restored"] as const)
  client.on(event, (about) => write({ is: "trouble", what: `${name}: ${event} ${JSON.stringify(about)}` }));
const refOf = (line: MediaLine): Uint8Array[] =>
  line.is === "shown" ? [new Uint8Array(Buffer.from(line.ref, "base64url"))] : [];
for (const ref of history.flatMap(refOf)) save(client.media.open(ref));

// --- what goes ------------------------------------------------------------------------------------------------------------

function ended(line: MediaLine & { readonly file: string }): void {
  write(line);
  rmSync(join(outbound, line.file), { force: true });
}

async function orRefused(file: string, work: () => Promise<unknown>): Promise<void> {
  ended({ ...(await endOf(work)), file });
}

/** An upload that an earlier life has begun, to its end. */
async function goOn(file: string): Promise<void> {
  const upload = (await client.media.unfinished()).find((each) => each.name === file);
  if (upload === undefined) return ended({ is: "out-of-sight", file });
  const { id, resume } = upload;
  write({ is: "resumed", file });
  await orRefused(file, async () => client.media.resume(id, await fileSource(resume)));
}

let begun = filesThat("sending").size;

function send(): void {
  const file = fileName(name, begun++, chance.pick(task.sizes));
  const group = chance.oneIn(3) ? client.groups.list()[0]?.id : undefined;
  const to = group === undefined ? chance.pick(others) : GROUP;
  uploads.add(async () => {
    writeFileSync(join(outbound, file), contentOf(file));
    const source = await fileSource(join(outbound, file));
    write({ is: "sending", file, to });
    await orRefused(file, () =>
      group === undefined ? client.sendMedia(to, source) : client.groups.sendMedia(group, source),
    );
  });
}

const over = new Set(
  ["sent", "refused", "out-of-sight"].flatMap((is) => [...filesThat(is as MediaLine["is"])]),
);
const open = [...filesThat("sending")].filter((file) => !over.has(file));
for (const file of readdirSync(outbound)) if (!open.includes(file)) rmSync(join(outbound, file));
for (const file of open) uploads.add(() => goOn(file));

async function makeGroup(): Promise<void> {
  await Promise.all(others.map(async (other) => (await client.send(other, "hello")).delivered));
  await client.groups.create("files", others);
}

/** Where a file was saved is remembered for a while: its message may come again. The others' rows are owed. */
const OWED_TABLES = MEDIA_TABLES.filter((table) => table !== "media-download");

async function report(): Promise<void> {
  const rows = await Promise.all(
    OWED_TABLES.map(async (table) => (await store.list(table)).map(() => `a row of ${table}`)),
  );
  tell({
    news: "report",
    left: [...rows.flat(), ...[inbound, outbound].flatMap((path) => readdirSync(path))],
  });
}

process.on("message", (order: MediaOrder) => {
  if ("allow" in order) while (begun < order.allow) send();
  if ("relay" in order) client.reconnect();
  if ("report" in order) void report();
  if ("finish" in order) void client.close().then(() => process.exit(0));
});
process.on("disconnect", () => process.exit(1)); // whoever started it is gone
const joined = (): void => {
  if (client.groups.list().some(({ members }) => members.length === others.length + 1))
    tell({ news: "in-group" });
};
client.on("group", joined);
if (client.groups.list().length > 0) joined();
else if (task.leads) void makeGroup();
tell({ news: "ready" });
if (isIdle()) tell({ news: "idle" });
