// The media ledger over the database. Always true: `due` is when a blob ends by itself, and 0 once it has ended; `waiting` of
// its `tokens` are not struck; the two totals in `mark` are those of the rows.
import type { DatabaseSync } from "node:sqlite";
import { type AccountId, MAX_MEDIA_TOKENS, type Time } from "@lethe/protocol";
import type { CapabilityMark, MediaId, MediaRecord, MediaRefused } from "../../media.ts";
import type { Verbs } from "./calls.ts";
import { blob, bytesOf, idOf, numberOf, type Row, textOf } from "./rows.ts";

type MediaVerbs = Pick<
  Verbs,
  | "beginMedia"
  | "uploadedMedia"
  | "finishMedia"
  | "changeTokens"
  | "withdrawMedia"
  | "downloadMedia"
  | "releaseMedia"
  | "endedMedia"
  | "forgetMedia"
  | "knownMedia"
  | "leaveMedia"
  | "mediaTotals"
>;

export function mediaVerbs(db: DatabaseSync): MediaVerbs {
  return { ...uploading(db), ...fetching(db), ...ending(db) };
}

type Statement = ReturnType<DatabaseSync["prepare"]>;

/** Looks for what has not ended. */
const HERE = "SELECT * FROM media WHERE media = ? AND due > ?";
const END = "UPDATE media SET due = 0 WHERE media = ?";

function uploading(
  db: DatabaseSync,
): Pick<MediaVerbs, "beginMedia" | "uploadedMedia" | "finishMedia" | "changeTokens" | "withdrawMedia"> {
  const any = db.prepare("SELECT account, bytes, upload_key FROM media WHERE media = ?");
  const here = db.prepare(HERE);
  const usage = db.prepare(
    "SELECT count(*) AS blobs, coalesce(sum(bytes), 0) AS bytes FROM media WHERE account = ?",
  );
  const insert = db.prepare("INSERT INTO media VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, 0)");
  const finish = db.prepare("UPDATE media SET is_ready = 1, due = expires WHERE media = ?");
  const end = db.prepare(END);
  const count = counting(db);
  const change = changing(db, end);

  function uploaded(media: MediaId, uploadKey: CapabilityMark, now: Time): Row | MediaRefused {
    const row = here.get(blob(media), now);
    if (row === undefined) return "gone";
    return isBytes(row, "upload_key", uploadKey) ? row : "not-permitted";
  }

  return {
    beginMedia({ media, account, bytes, uploadKey, expires, unfinished }, quota) {
      const known = any.get(blob(media));
      const isOwn = known !== undefined && isBytes(known, "account", account);
      const used = usage.get(blob(account)) ?? {};
      const fits = numberOf(used, "blobs") < quota.blobs && numberOf(used, "bytes") + bytes <= quota.bytes;
      if (!isOwn && !fits) return "full";
      if (known !== undefined) {
        const isSame = numberOf(known, "bytes") === bytes && isBytes(known, "upload_key", uploadKey);
        return isOwn && isSame ? "same" : "taken";
      }
      const due = Math.min(expires, unfinished);
      insert.run(blob(media), blob(account), bytes, blob(uploadKey), expires, due);
      count(1, bytes);
      return "begun";
    },

    uploadedMedia(media, uploadKey, now) {
      const row = uploaded(media, uploadKey, now);
      return typeof row === "string" ? row : recordOf(row);
    },

    finishMedia(media, uploadKey, now) {
      const row = uploaded(media, uploadKey, now);
      if (typeof row === "string") return row;
      finish.run(blob(media));
      return "ready";
    },

    changeTokens(media, uploadKey, wanted, now) {
      const row = uploaded(media, uploadKey, now);
      return typeof row === "string" ? row : change(media, row, wanted);
    },

    withdrawMedia(media, uploadKey, now) {
      const row = uploaded(media, uploadKey, now);
      if (typeof row === "string") return row;
      end.run(blob(media));
      return "ended";
    },
  };
}

function changing(
  db: DatabaseSync,
  end: Statement,
): (
  media: MediaId,
  row: Row,
  change: { add: readonly CapabilityMark[]; strike: readonly CapabilityMark[]; close: boolean },
) => "done" | "closed" | "too-many" {
  const token = db.prepare("SELECT 1 FROM media_token WHERE media = ? AND mark = ?");
  const insert = db.prepare("INSERT INTO media_token VALUES (?, ?, 0)");
  const strikeOne = db.prepare(STRIKE);
  const update = db.prepare("UPDATE media SET is_closed = ?, tokens = ?, waiting = ? WHERE media = ?");
  return (media, row, { add, strike, close }) => {
    const id = blob(media);
    const added = new Set(add.filter((mark) => token.get(id, blob(mark)) === undefined));
    const isClosed = numberOf(row, "is_closed") === 1;
    const tokens = numberOf(row, "tokens") + added.size;
    if (isClosed && added.size > 0) return "closed";
    if (tokens > MAX_MEDIA_TOKENS) return "too-many";
    for (const mark of added) insert.run(id, blob(mark));
    let waiting = numberOf(row, "waiting") + added.size;
    for (const mark of strike) waiting -= Number(strikeOne.run(id, blob(mark)).changes);
    update.run(isClosed || close ? 1 : 0, tokens, waiting, id);
    if ((isClosed || close) && waiting === 0) end.run(id);
    return "done";
  };
}

const STRIKE = "UPDATE media_token SET is_struck = 1 WHERE media = ? AND mark = ? AND is_struck = 0";

function fetching(db: DatabaseSync): Pick<MediaVerbs, "downloadMedia" | "releaseMedia"> {
  const here = db.prepare(HERE);
  const token = db.prepare("SELECT is_struck FROM media_token WHERE media = ? AND mark = ?");
  const strike = db.prepare(STRIKE);
  const fewer = db.prepare("UPDATE media SET waiting = waiting - 1 WHERE media = ?");
  const end = db.prepare(END);
  return {
    downloadMedia(media, mark, now) {
      const row = here.get(blob(media), now);
      if (row === undefined) return "gone";
      const known = token.get(blob(media), blob(mark));
      if (known === undefined) return "not-permitted";
      if (numberOf(known, "is_struck") === 1) return "gone";
      return numberOf(row, "is_ready") === 1 ? recordOf(row) : "unfinished";
    },

    releaseMedia(media, mark, now) {
      const id = blob(media);
      const row = here.get(id, now);
      if (row === undefined) return "gone";
      if (token.get(id, blob(mark)) === undefined) return "not-permitted";
      if (strike.run(id, blob(mark)).changes === 0) return "released";
      fewer.run(id);
      if (numberOf(row, "is_closed") === 0 || numberOf(row, "waiting") > 1) return "released";
      end.run(id);
      return "last";
    },
  };
}

function ending(
  db: DatabaseSync,
): Pick<MediaVerbs, "endedMedia" | "forgetMedia" | "knownMedia" | "leaveMedia" | "mediaTotals"> {
  const due = db.prepare("SELECT media FROM media WHERE due <= ? ORDER BY due LIMIT ?");
  const end = db.prepare(`${END} AND due > 0`);
  const remove = db.prepare("DELETE FROM media WHERE media = ? AND due <= ? RETURNING bytes");
  const removeTokens = db.prepare("DELETE FROM media_token WHERE media = ?");
  const any = db.prepare("SELECT 1 FROM media WHERE media = ?");
  const endOpen = db.prepare("UPDATE media SET due = 0 WHERE account = ? AND is_ready = 0");
  const forgetAccount = db.prepare("UPDATE media SET account = NULL WHERE account = ?");
  const totals = db.prepare("SELECT name, value FROM mark WHERE name IN ('media-blobs', 'media-bytes')");
  const count = counting(db);
  return {
    // Marked, so that a clock that goes back brings nothing back.
    endedMedia(now, most) {
      const ended = due.all(now, most).map((row) => bytesOf(row, "media"));
      for (const media of ended) end.run(media);
      return ended.map((media) => idOf<MediaId>(media));
    },

    forgetMedia(media, now) {
      for (const each of media) {
        const removed = remove.get(blob(each), now);
        if (removed === undefined) continue;
        removeTokens.run(blob(each));
        count(-1, -numberOf(removed, "bytes"));
      }
      return undefined;
    },

    knownMedia: (media) => media.map((each) => any.get(blob(each)) !== undefined),

    leaveMedia(account) {
      endOpen.run(blob(account));
      forgetAccount.run(blob(account));
      return undefined;
    },

    mediaTotals() {
      const values = new Map(totals.all().map((row) => [textOf(row, "name"), numberOf(row, "value")]));
      return { blobs: values.get("media-blobs") ?? 0, bytes: values.get("media-bytes") ?? 0 };
    },
  };
}

/** Adds to the totals. */
function counting(db: DatabaseSync): (blobs: number, bytes: number) => void {
  const add = db.prepare(
    "INSERT INTO mark VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
  );
  return (blobs, bytes) => {
    add.run("media-blobs", blobs);
    add.run("media-bytes", bytes);
  };
}

function recordOf(row: Row): MediaRecord {
  return {
    bytes: numberOf(row, "bytes"),
    expires: numberOf(row, "expires") as Time,
    state: numberOf(row, "is_ready") === 1 ? "ready" : "open",
  };
}

function isBytes(row: Row, column: string, id: AccountId | CapabilityMark): boolean {
  return row[column] !== null && blob(id).equals(bytesOf(row, column));
}
