// The prekey verbs over the database. A one-time key is in one of two tables: held, or used by its id only.
import type { DatabaseSync } from "node:sqlite";
import { accountOf, type DeviceAddress, deviceOf, MAX_ONE_TIME_PREKEYS, type Time } from "@lethe/protocol";
import { type PublicPrekey, SAME_PREKEYS_MS } from "../../directory.ts";
import type { Verbs } from "./calls.ts";
import { blob, bytesOf, numberOf, type Row } from "./rows.ts";

const SIGNED = 0;
const LAST_RESORT = 1;
const ONE_TIME = 2;
const ONE_TIME_KEM = 3;

/** Ids of used one-time keys of one kind that are remembered for a device: five full uploads, the oldest go first. */
const MAX_USED_IDS = 5 * MAX_ONE_TIME_PREKEYS;

type PrekeyVerbs = Pick<Verbs, "putPrekeys" | "heldPrekeys" | "takePrekeys">;
type Key = readonly [account: Buffer, device: number];
interface Given {
  readonly oneTime: PublicPrekey | undefined;
  readonly oneTimeKem: PublicPrekey | undefined;
}

export function prekeyVerbs(db: DatabaseSync): PrekeyVerbs {
  const isDevice = db.prepare("SELECT 1 FROM device WHERE account = ? AND device = ?");
  const OF_KIND = "WHERE account = ? AND device = ? AND kind = ?";
  const first = db.prepare(`SELECT serial, id, bytes FROM prekey ${OF_KIND} ORDER BY serial LIMIT 1`);
  const ids = db.prepare(`SELECT id FROM prekey ${OF_KIND} ORDER BY serial`);
  const countOf = db.prepare(`SELECT count(*) AS n FROM prekey ${OF_KIND}`);
  const insert = db.prepare(
    "INSERT OR IGNORE INTO prekey (account, device, kind, id, bytes) VALUES (?, ?, ?, ?, ?)",
  );
  const deleteId = db.prepare(`DELETE FROM prekey ${OF_KIND} AND id = ?`);
  const deleteSerial = db.prepare("DELETE FROM prekey WHERE serial = ?");
  const deleteKind = db.prepare(`DELETE FROM prekey ${OF_KIND}`);
  const isUsed = db.prepare(`SELECT 1 FROM used_prekey ${OF_KIND} AND id = ?`);
  const insertUsed = db.prepare(
    "INSERT OR IGNORE INTO used_prekey (account, device, kind, id) VALUES (?, ?, ?, ?)",
  );
  const trimUsed = db.prepare(
    `DELETE FROM used_prekey WHERE serial IN
       (SELECT serial FROM used_prekey ${OF_KIND} ORDER BY serial DESC LIMIT -1 OFFSET ${MAX_USED_IDS})`,
  );
  const givenTo = db.prepare("SELECT * FROM given WHERE account = ? AND device = ? AND requester = ?");
  const insertGiven = db.prepare("INSERT OR REPLACE INTO given VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  const deleteGiven = db.prepare("DELETE FROM given WHERE account = ? AND device = ?");
  const deleteOldGiven = db.prepare("DELETE FROM given WHERE at <= ?");

  function firstOf(key: Key, kind: number): { serial: number; prekey: PublicPrekey } | undefined {
    const row = first.get(...key, kind);
    if (row === undefined) return undefined;
    return {
      serial: numberOf(row, "serial"),
      prekey: { id: bytesOf(row, "id"), bytes: bytesOf(row, "bytes") },
    };
  }

  function idsOf(key: Key, kind: number): Uint8Array[] {
    return ids.all(...key, kind).map((row) => bytesOf(row, "id"));
  }

  function putOne(key: Key, kind: number, prekey: PublicPrekey | undefined): void {
    if (prekey === undefined) return;
    deleteKind.run(...key, kind);
    insert.run(...key, kind, prekey.id, prekey.bytes);
  }

  /** True where not more are held than may be. */
  function addOneTime(key: Key, kind: number, prekeys: readonly PublicPrekey[], replace: boolean): boolean {
    if (replace) {
      const uploaded = new Set(prekeys.map((prekey) => hex(prekey.id)));
      for (const id of idsOf(key, kind)) if (!uploaded.has(hex(id))) deleteId.run(...key, kind, id);
    }
    for (const { id, bytes } of prekeys) {
      if (isUsed.get(...key, kind, id) === undefined) insert.run(...key, kind, id, bytes);
    }
    return numberOf(countOf.get(...key, kind) ?? {}, "n") <= MAX_ONE_TIME_PREKEYS;
  }

  function takeFirst(key: Key, kind: number): PublicPrekey | undefined {
    const taken = firstOf(key, kind);
    if (taken === undefined) return undefined;
    deleteSerial.run(taken.serial);
    insertUsed.run(...key, kind, taken.prekey.id);
    trimUsed.run(...key, kind);
    return taken.prekey;
  }

  /** The one-time keys that this requester had within the time, or others that nobody had. */
  function give(key: Key, requester: Uint8Array, now: Time): Given {
    deleteOldGiven.run(now - SAME_PREKEYS_MS);
    const row = givenTo.get(...key, requester);
    if (row !== undefined) return givenOf(row);
    const given = { oneTime: takeFirst(key, ONE_TIME), oneTimeKem: takeFirst(key, ONE_TIME_KEM) };
    const { oneTime, oneTimeKem } = given;
    if (oneTime === undefined && oneTimeKem === undefined) return given;
    const columns = [oneTime?.id, oneTime?.bytes, oneTimeKem?.id, oneTimeKem?.bytes].map(
      (bytes) => bytes ?? null,
    );
    insertGiven.run(...key, requester, now, ...columns);
    return given;
  }

  return {
    putPrekeys(address, upload) {
      const key = keyOf(address);
      if (isDevice.get(...key) === undefined) return "no-device";
      const fits = [
        addOneTime(key, ONE_TIME, upload.oneTime, upload.replace),
        addOneTime(key, ONE_TIME_KEM, upload.oneTimeKem, upload.replace),
      ];
      if (fits.includes(false)) throw new TooMany();
      putOne(key, SIGNED, upload.signed);
      putOne(key, LAST_RESORT, upload.lastResort);
      if (upload.replace) deleteGiven.run(...key);
      return "put";
    },

    heldPrekeys(address) {
      const key = keyOf(address);
      if (isDevice.get(...key) === undefined) return undefined;
      return {
        signed: firstOf(key, SIGNED)?.prekey.id,
        lastResort: firstOf(key, LAST_RESORT)?.prekey.id,
        oneTime: idsOf(key, ONE_TIME),
        oneTimeKem: idsOf(key, ONE_TIME_KEM),
      };
    },

    takePrekeys({ address, requester, oneTime }, now) {
      const key = keyOf(address);
      const signed = firstOf(key, SIGNED)?.prekey;
      const lastResort = firstOf(key, LAST_RESORT)?.prekey;
      if (signed === undefined || lastResort === undefined) return undefined;
      if (!oneTime) return { signed, lastResort, oneTime: undefined, oneTimeKem: undefined };
      return { signed, lastResort, ...give(key, requester, now) };
    },
  };
}

/** An upload that would hold more than may be held: thrown to undo what it has done so far. */
export class TooMany extends Error {
  override readonly name = "TooMany";
}

function keyOf(address: DeviceAddress): Key {
  return [blob(accountOf(address)), deviceOf(address)];
}

function givenOf(row: Row): Given {
  return { oneTime: keyIn(row, "one_time"), oneTimeKem: keyIn(row, "one_time_kem") };
}

function keyIn(row: Row, column: string): PublicPrekey | undefined {
  if (row[column] === null) return undefined;
  return { id: bytesOf(row, `${column}_id`), bytes: bytesOf(row, column) };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
