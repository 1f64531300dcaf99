// The chore table over the database.
import type { DatabaseSync } from "node:sqlite";
import type { Time } from "@lethe/protocol";
import type { Chore } from "../../local/chores.ts";
import type { Verbs } from "./calls.ts";
import { numberOf, type Row, textOf } from "./rows.ts";

type ChoreVerbs = Pick<Verbs, "putChore" | "earliestChores" | "finishChore" | "postponeChore">;

export function choreVerbs(db: DatabaseSync): ChoreVerbs {
  const put = db.prepare(
    `INSERT INTO chore VALUES (?, ?, ?, ?, 0, 1)
     ON CONFLICT DO UPDATE SET at = excluded.at, payload = excluded.payload, failures = 0, serial = serial + 1`,
  );
  const earliest = db.prepare(
    "SELECT * FROM chore WHERE name IN (SELECT value FROM json_each(?)) ORDER BY at LIMIT ?",
  );
  const finish = db.prepare("DELETE FROM chore WHERE name = ? AND key = ? AND serial = ?");
  const postpone = db.prepare(
    "UPDATE chore SET at = ?, failures = failures + 1 WHERE name = ? AND key = ? AND serial = ?",
  );

  return {
    putChore({ name, key, at, payload }) {
      put.run(name, key, at, payload);
      return undefined;
    },
    earliestChores: (names, count) => earliest.all(JSON.stringify(names), count).map(choreOf),
    finishChore({ name, key, serial }) {
      finish.run(name, key, serial);
      return undefined;
    },
    postponeChore({ name, key, serial }, at) {
      postpone.run(at, name, key, serial);
      return undefined;
    },
  };
}

function choreOf(row: Row): Chore {
  return {
    name: textOf(row, "name"),
    key: textOf(row, "key"),
    at: numberOf(row, "at") as Time,
    payload: textOf(row, "payload"),
    failures: numberOf(row, "failures"),
    serial: numberOf(row, "serial"),
  };
}
