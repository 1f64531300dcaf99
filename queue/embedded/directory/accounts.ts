// The account verbs over the database. Each runs inside a savepoint of the worker's batch.
import { hash } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import type { AccountId, DeviceNumber, Time, UserName } from "@lethe/protocol";
import type { AccountRecord, DeviceRecord } from "../../directory.ts";
import { isSameAccount } from "../../same-account.ts";
import type { AccountOrNobody, Verbs } from "./calls.ts";
import { blob, bytesOf, idOf, numberOf, type Row, textOf } from "./rows.ts";

const DAY_MS = 86_400_000;

/** Bytes of what an account with one device has: a signed list, a certificate. */
const TYPICAL = { deviceList: 256, certificate: 192 } as const;

type AccountVerbs = Pick<
  Verbs,
  | "register"
  | "accountOfName"
  | "account"
  | "putDeviceList"
  | "putAccessKeyHash"
  | "putHidesLastSeen"
  | "deleteAccount"
  | "used"
  | "dayPasses"
  | "idle"
  | "count"
>;

export function accountVerbs(db: DatabaseSync): AccountVerbs {
  const byAccount = db.prepare("SELECT * FROM account WHERE account = ?");
  const nobody = db.prepare(
    `SELECT '' AS name, zeroblob(32) AS account_key, zeroblob(32) AS access_key_hash, 0 AS list_version,
       zeroblob(${TYPICAL.deviceList}) AS device_list, 0 AS hides_last_seen`,
  );
  const nobodysDevices = db.prepare(
    `SELECT 0 AS device, zeroblob(32) AS signing_key, zeroblob(${TYPICAL.certificate}) AS certificate`,
  );
  const byName = db.prepare("SELECT account FROM account WHERE name = ?");
  const devicesOf = db.prepare(
    "SELECT device, signing_key, certificate FROM device WHERE account = ? ORDER BY device",
  );
  const insertAccount = db.prepare("INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?, 0)");
  const putDevice = db.prepare(
    "INSERT INTO device VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET signing_key = excluded.signing_key, certificate = excluded.certificate",
  );
  const deletedMark = db.prepare("SELECT 1 FROM deleted_account WHERE mark = ?");
  const insertDeleted = db.prepare("INSERT OR IGNORE INTO deleted_account VALUES (?)");
  const updateList = db.prepare("UPDATE account SET list_version = ?, device_list = ? WHERE account = ?");
  const updateHash = db.prepare("UPDATE account SET access_key_hash = ? WHERE account = ?");
  const updateHides = db.prepare("UPDATE account SET hides_last_seen = ? WHERE account = ?");
  const deleteRow = db.prepare("DELETE FROM account WHERE account = ?");
  const deleteConnections = db.prepare("DELETE FROM connection WHERE address >= ? AND address <= ?");
  const takeUse = db.prepare("UPDATE invite SET uses = uses - 1 WHERE mark = ? AND uses > 0 AND expires > ?");
  const noteUse = db.prepare("UPDATE account SET used_day = ? WHERE account = ? AND used_day < ?");
  const dayMark = db.prepare("SELECT value FROM mark WHERE name = 'day'");
  const putDayMark = db.prepare("INSERT OR REPLACE INTO mark VALUES ('day', ?)");
  const shiftUse = db.prepare("UPDATE account SET used_day = used_day + ?");
  const idleSince = db.prepare("SELECT account FROM account WHERE used_day < ? ORDER BY used_day LIMIT ?");
  const countAll = db.prepare("SELECT count(*) AS n FROM account");
  const deleteDevice = ["device", "prekey", "used_prekey", "given"].map((table) =>
    db.prepare(`DELETE FROM ${table} WHERE account = ? AND device = ?`),
  );

  function account(id: AccountId): AccountRecord | undefined {
    const row = byAccount.get(blob(id));
    return row === undefined ? undefined : accountOf(id, row, devicesOf.all(blob(id)).map(deviceOf));
  }

  function putDevices(id: AccountId, devices: readonly DeviceRecord[]): void {
    for (const { device, signingKey, certificate } of devices)
      putDevice.run(blob(id), device, signingKey, certificate);
  }

  function dropDevice(id: AccountId, device: DeviceNumber): void {
    for (const statement of deleteDevice) statement.run(blob(id), device);
  }

  // Whoever is not there is read like anybody else, a row, a device, and the way back between threads with them: how long it
  // takes does not say whether there is somebody.
  function accountOrNobody(id: AccountId): AccountOrNobody {
    const known = account(id);
    if (known !== undefined) return { isKnown: true, record: known };
    const row = nobody.get() ?? {};
    devicesOf.all(blob(id));
    return { isKnown: false, record: accountOf(id, row, nobodysDevices.all().map(deviceOf)) };
  }

  return {
    account: accountOrNobody,

    register(record, invite, now) {
      const known = account(record.account);
      if (known !== undefined) return isSameAccount(known, record) ? "same" : "account-exists";
      if (deletedMark.get(markOf(record.account)) !== undefined) return "account-exists";
      if (byName.get(record.name) !== undefined) return "name-taken";
      if (invite !== undefined && takeUse.run(invite, now).changes === 0) return "invite-invalid";
      const { name, accountKey, accessKeyHash, listVersion, deviceList } = record;
      const row = [name, accountKey, accessKeyHash, listVersion, deviceList, dayOf(now)] as const;
      insertAccount.run(blob(record.account), ...row);
      putDevices(record.account, record.devices);
      return "registered";
    },

    accountOfName(name) {
      const row = byName.get(name);
      return row === undefined ? undefined : idOf<AccountId>(bytesOf(row, "account"));
    },

    putDeviceList(id, list) {
      const known = account(id);
      if (known === undefined) return { is: "no-account" };
      if (list.version !== known.listVersion + 1) return { is: "conflict" };
      const kept = new Set(list.devices.map((device) => device.device));
      const removed = known.devices.map((device) => device.device).filter((device) => !kept.has(device));
      for (const device of removed) dropDevice(id, device);
      updateList.run(list.version, list.deviceList, blob(id));
      putDevices(id, list.devices);
      return { is: "put", removed };
    },

    putAccessKeyHash(id, accessKeyHash) {
      return updateHash.run(accessKeyHash, blob(id)).changes === 0 ? "no-account" : "put";
    },

    putHidesLastSeen(id, hides) {
      return updateHides.run(hides ? 1 : 0, blob(id)).changes === 0 ? "no-account" : "put";
    },

    deleteAccount(id) {
      const known = account(id);
      if (known === undefined) return undefined;
      const devices = known.devices.map((device) => device.device);
      for (const device of devices) dropDevice(id, device);
      deleteConnections.run(blob(`${id}\0\0`), blob(`${id}\xff\xff`));
      deleteRow.run(blob(id));
      insertDeleted.run(markOf(id));
      return devices;
    },

    used(id, now) {
      noteUse.run(dayOf(now), blob(id), dayOf(now));
      return undefined;
    },

    dayPasses(now) {
      const before = dayMark.get();
      const away = before === undefined ? 0 : dayOf(now) - numberOf(before, "value") - 1;
      if (away > 0) shiftUse.run(away);
      putDayMark.run(dayOf(now));
      return undefined;
    },

    idle: (before, count) =>
      idleSince.all(dayOf(before), count).map((row) => idOf<AccountId>(bytesOf(row, "account"))),

    count: () => numberOf(countAll.get() ?? {}, "n"),
  };
}

function dayOf(time: Time): number {
  return Math.floor(time / DAY_MS);
}

/** Knows the id again without telling it: 16 random bytes cannot be guessed from their hash. */
function markOf(account: AccountId): Buffer {
  return hash("sha256", blob(account), "buffer").subarray(0, 16);
}

function accountOf(account: AccountId, row: Row, devices: readonly DeviceRecord[]): AccountRecord {
  return {
    account,
    name: textOf(row, "name") as UserName,
    accountKey: bytesOf(row, "account_key"),
    accessKeyHash: bytesOf(row, "access_key_hash"),
    listVersion: numberOf(row, "list_version"),
    deviceList: bytesOf(row, "device_list"),
    devices,
    ...(numberOf(row, "hides_last_seen") === 1 ? { hidesLastSeen: true as const } : {}),
  };
}

function deviceOf(row: Row): DeviceRecord {
  return {
    device: numberOf(row, "device") as DeviceNumber,
    signingKey: bytesOf(row, "signing_key"),
    certificate: bytesOf(row, "certificate"),
  };
}
