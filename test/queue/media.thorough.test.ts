// The media ledger of the embedded store: against its twin in memory, and over a database of before there were media.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DirectoryClient } from "../../queue/embedded/directory/client.ts";
import { embeddedMedia } from "../../queue/embedded/directory/directory.ts";
import { openEmbedded } from "../../queue/embedded/open.ts";
import { anAccount } from "../contracts/accounts.ts";
import { Clock, ROOMY } from "../contracts/world.ts";
import { agreesWithTwin } from "./media-model.ts";

/** Stories; more by the environment. */
const RUNS = Number(process.env["LETHE_RUNS"] ?? 25);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lethe-media-"));
});
afterEach(() => rm(folder, { recursive: true }));

describe("the embedded media ledger", () => {
  it("says what its twin says, whatever is done and whenever it is opened again", async () => {
    let client: DirectoryClient | undefined;
    let stories = 0;
    const open = async (clock: Clock) => {
      await client?.close();
      const path = join(folder, `${stories++}.sqlite`);
      const start = async (): Promise<DirectoryClient> => (client = await DirectoryClient.open(path));
      let ledger = embeddedMedia(await start(), clock.now);
      return {
        get ledger() {
          return ledger;
        },
        async restart() {
          await client?.close();
          ledger = embeddedMedia(await start(), clock.now);
        },
      };
    };
    await agreesWithTwin(open, () => new Clock(), RUNS);
    await client?.close();
  });
});

describe("a folder of before there were media", () => {
  it("is opened with what it holds, and keeps media from then on; older code refuses it", async () => {
    const clock = new Clock();
    const config = {
      kind: "embedded",
      folder,
      now: clock.now,
      limits: ROOMY,
      report: () => undefined,
    } as const;
    const account = anAccount();
    const before = await openEmbedded(config, { timers: clock });
    await before.directory.register(account);
    await before.close();
    const path = join(folder, "directory.sqlite");
    const db = new DatabaseSync(path);
    db.exec("DROP TABLE media; DROP TABLE media_token; PRAGMA user_version = 2;");
    db.close();
    await writeFile(join(folder, "format"), "lethe-queue 2\n");
    const after = await openEmbedded(config, { timers: clock });
    expect(await after.directory.accountOfName(account.name)).toBe(account.account);
    expect(await after.media.totals()).toEqual({ blobs: 0, bytes: 0 });
    await after.close();
    expect(await readFile(join(folder, "format"), "utf8")).toBe("lethe-queue 3\n");
    const now = new DatabaseSync(path);
    expect(now.prepare("PRAGMA user_version").get()).toEqual({ user_version: 3 });
    now.exec("PRAGMA user_version = 4");
    now.close();
    await expect(openEmbedded(config, { timers: clock })).rejects.toMatchObject({ code: "format-unknown" });
  });
});
