// The invite verbs over the database. A use is taken by `register`, in its own transaction.
import type { DatabaseSync } from "node:sqlite";
import type { Time } from "@lethe/protocol";
import { type Invite, MAX_INVITES } from "../../directory.ts";
import type { Verbs } from "./calls.ts";
import { bytesOf, numberOf, type Row } from "./rows.ts";

type InviteVerbs = Pick<Verbs, "putInvite" | "invites" | "deleteInvite">;

export function inviteVerbs(db: DatabaseSync): InviteVerbs {
  const put = db.prepare("INSERT OR REPLACE INTO invite VALUES (?, ?, ?)");
  const spent = db.prepare("DELETE FROM invite WHERE uses <= 0 OR expires <= ?");
  const others = db.prepare("SELECT count(*) AS n FROM invite WHERE mark <> ?");
  const all = db.prepare("SELECT * FROM invite WHERE uses > 0 AND expires > ? ORDER BY expires, mark");
  const remove = db.prepare("DELETE FROM invite WHERE mark = ?");
  return {
    putInvite({ mark, uses, expires }, now) {
      spent.run(now);
      if (numberOf(others.get(mark) ?? {}, "n") >= MAX_INVITES) return "too-many";
      put.run(mark, uses, expires);
      return "put";
    },
    invites: (now) => all.all(now).map(inviteOf),
    deleteInvite: (mark) => (remove.run(mark).changes === 0 ? "no-invite" : "deleted"),
  };
}

function inviteOf(row: Row): Invite {
  return {
    mark: bytesOf(row, "mark"),
    uses: numberOf(row, "uses"),
    expires: numberOf(row, "expires") as Time,
  };
}
