// The directory's thread: SQLite blocks, so it blocks here. Always true: the requests of a batch are one transaction,
// each in a savepoint of its own; nothing is answered before the commit has returned; a commit that fails fails them all.
import type { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { accountVerbs } from "./accounts.ts";
import { inviteVerbs } from "./invites.ts";
import type { ForgottenUpTo, FromWorker, Reply, Request, ToWorker, Verbs } from "./calls.ts";
import { choreVerbs } from "./chore-table.ts";
import { ledgerVerbs } from "./ledger.ts";
import { mediaVerbs } from "./media.ts";
import { prekeyVerbs, TooMany } from "./prekeys.ts";
import { type OpenFault, openDatabase, sqliteCode } from "./schema.ts";
import { Scrubber } from "./scrub.ts";

const FULL = 13;

function failedReply(error: unknown): Reply {
  const message = error instanceof Error ? error.message : "unknown";
  return { is: "failed", code: sqliteCode(error) === FULL ? "storage-full" : "storage-failed", message };
}

/** Every verb is called through here; the row of the call table says that arguments and verb belong together. */
function call(verbs: Verbs, { verb, args }: Request): Reply {
  const run = verbs[verb] as (...args: Request["args"]) => Extract<Reply, { is: "ok" }>["value"];
  return { is: "ok", value: run(...args) };
}

function runOne(db: DatabaseSync, verbs: Verbs, request: Request): Reply {
  db.exec("SAVEPOINT one");
  try {
    const reply = call(verbs, request);
    db.exec("RELEASE one");
    return reply;
  } catch (error) {
    if (!db.isTransaction) throw error;
    db.exec("ROLLBACK TO one; RELEASE one");
    return error instanceof TooMany ? { is: "ok", value: "too-many" } : failedReply(error);
  }
}

function runBatch(db: DatabaseSync, verbs: Verbs, requests: readonly Request[]): Reply[] {
  try {
    db.exec("BEGIN IMMEDIATE");
    const replies = requests.map((request) => runOne(db, verbs, request));
    db.exec("COMMIT");
    return replies;
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    return requests.map(() => failedReply(error));
  }
}

/** Moves the log into the database and empties it, then scrubs a slice of the database. */
function forget(db: DatabaseSync, scrubber: Scrubber, from: number): ForgottenUpTo {
  try {
    if (db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()?.["busy"] !== 0) return "failed";
    return scrubber.slice(from) ?? "end";
  } catch {
    return "failed";
  }
}

function serve(
  path: string,
  say: (message: FromWorker) => void,
  hear: (on: (message: ToWorker) => void) => void,
): void {
  const db = openDatabase(path);
  const scrubber = new Scrubber(db, path);
  const verbs: Verbs = {
    ...accountVerbs(db),
    ...inviteVerbs(db),
    ...prekeyVerbs(db),
    ...ledgerVerbs(db),
    ...choreVerbs(db),
    ...mediaVerbs(db),
  };
  hear((message) => {
    switch (message.is) {
      case "batch":
        return say({ is: "replies", replies: runBatch(db, verbs, message.requests) });
      case "forget":
        return say({ is: "forgotten", upTo: forget(db, scrubber, message.from) });
      case "close":
        db.close();
        scrubber.close();
        return say({ is: "closed" });
    }
  });
  say({ is: "open" });
}

if (parentPort !== null) {
  const port = parentPort;
  const { path } = workerData as { path: string };
  try {
    serve(
      path,
      (message) => port.postMessage(message),
      (on) => port.on("message", on),
    );
  } catch (fault) {
    port.postMessage({ is: "fault", fault: fault as OpenFault } satisfies FromWorker);
    port.close();
  }
}
