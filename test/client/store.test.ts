import "fake-indexeddb/auto";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { openDB } from "idb";
import { afterAll, describe, expect, it } from "vitest";
import { openIdbStore, openMemoryStore, openSqliteStore, removeIdbStore } from "@lethe/client";
import { storeContract } from "./contracts/store.ts";

storeContract("memory", () => ({
  open: async () => openMemoryStore(),
  survives: false,
  cleanUp: async () => {},
}));

storeContract("sqlite", () => {
  const folder = mkdtemp(join(tmpdir(), "lethe-store-"));
  return {
    open: async () => openSqliteStore({ file: join(await folder, "a.db") }),
    survives: true,
    cleanUp: async () => rm(await folder, { recursive: true }),
  };
});

let idbStores = 0;
storeContract("idb, under fake-indexeddb", () => {
  const name = `contract-${++idbStores}`;
  return {
    open: () => openIdbStore({ name }),
    survives: true,
    cleanUp: () => removeIdbStore(name),
  };
});

const run = promisify(execFile);
const folders: string[] = [];
async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "lethe-store-"));
  folders.push(made);
  return made;
}
afterAll(async () => {
  for (const made of folders) await rm(made, { recursive: true });
});

const MARK = "a text that must not be found in any file";
const mark = { table: "inbox", key: "secret-key-of-the-row", value: new TextEncoder().encode(MARK) };
const storeModule = new URL("../../client-lib/store/sqlite.ts", import.meta.url).href;
/** A process of its own that opens the store, says so, and stays. */
const holder = (file: string): string =>
  `const { openSqliteStore } = await import(${JSON.stringify(storeModule)});
   const store = await openSqliteStore({ file: ${JSON.stringify(file)} });
   await store.commit([{ table: "a", key: "k", value: Uint8Array.of(7) }]);
   console.log("open"); setInterval(() => {}, 1000);`;

describe("the sqlite store", () => {
  it("tells a wrong passphrase, a missing one and a missing key file apart", async () => {
    const file = join(await folder(), "a.db");
    const store = await openSqliteStore({ file, passphrase: "correct horse" });
    await store.commit([mark]);
    await store.close();
    await expect(openSqliteStore({ file, passphrase: "battery" })).rejects.toMatchObject({
      code: "wrong-passphrase",
    });
    await expect(openSqliteStore({ file })).rejects.toMatchObject({ code: "passphrase-needed" });
    const again = await openSqliteStore({ file, passphrase: "correct horse" });
    expect(await again.get(mark.table, mark.key)).toEqual(mark.value);
    await again.close();
    const other = join(await folder(), "b.db");
    await (await openSqliteStore({ file: other })).close();
    await rm(`${other}.key`);
    await expect(openSqliteStore({ file: other })).rejects.toMatchObject({ code: "key-file-missing" });
  });

  it("keeps file and key file to their owner, and refuses a key file that others can read", async () => {
    const file = join(await folder(), "a.db");
    await (await openSqliteStore({ file })).close();
    for (const path of [file, `${file}.key`]) expect((await stat(path)).mode & 0o777).toBe(0o600);
    await chmod(`${file}.key`, 0o644);
    await expect(openSqliteStore({ file })).rejects.toMatchObject({ code: "key-file-open" });
  });

  it("attack 27: has one writer, in one process or two", async () => {
    const file = join(await folder(), "a.db");
    const store = await openSqliteStore({ file });
    await expect(openSqliteStore({ file })).rejects.toMatchObject({ code: "store-in-use" });
    const child = await run(process.execPath, ["--input-type=module", "-e", holder(file)]).catch(
      (e: unknown) => e,
    );
    expect(String(child)).toContain("Another process has the store open");
    await store.close();
    await (await openSqliteStore({ file })).close();
  });

  it("is free again once the process that had it was killed, with what that had committed", async () => {
    const file = join(await folder(), "a.db");
    const child = spawn(process.execPath, ["--input-type=module", "-e", holder(file)]);
    await once(child.stdout, "data");
    await expect(openSqliteStore({ file })).rejects.toMatchObject({ code: "store-in-use" });
    child.kill("SIGKILL");
    await once(child, "exit");
    const store = await openSqliteStore({ file });
    expect(await store.get("a", "k")).toEqual(Uint8Array.of(7));
    await store.close();
  });

  it("attack 50: refuses swapped, restored, removed and altered records", async () => {
    const dir = await folder();
    const file = join(dir, "a.db");
    const store = await openSqliteStore({ file });
    const old = { table: "ratchet", key: "ben", value: Uint8Array.of(1) };
    await store.commit([old, { ...old, key: "cleo" }]);
    await store.close();
    await copyFile(file, join(dir, "old.db"));
    const again = await openSqliteStore({ file });
    await again.commit([{ ...old, value: Uint8Array.of(2) }]);
    await again.close();
    const tampers = {
      removed: "DELETE FROM record WHERE place = (SELECT max(place) FROM record WHERE tab = 'ratchet')",
      moved:
        "UPDATE record SET tab = 'other' WHERE place = (SELECT max(place) FROM record WHERE tab = 'ratchet')",
      altered: "UPDATE record SET bytes = zeroblob(60) WHERE tab = 'header'",
      restored: `ATTACH '${join(dir, "old.db")}' AS old; UPDATE record SET bytes = (SELECT o.bytes FROM old.record o WHERE o.place = record.place) WHERE tab = 'ratchet'`,
    };
    for (const [how, sql] of Object.entries(tampers)) {
      const copy = join(dir, `${how}.db`);
      await copyFile(file, copy);
      await copyFile(`${file}.key`, `${copy}.key`);
      const database = new DatabaseSync(copy);
      database.exec(sql);
      database.close();
      await expect(openSqliteStore({ file: copy }), how).rejects.toMatchObject({ code: "store-damaged" });
    }
    const copy = join(dir, "swapped.db");
    await copyFile(file, copy);
    await copyFile(`${file}.key`, `${copy}.key`);
    const database = new DatabaseSync(copy);
    const rows = database.prepare("SELECT place, bytes FROM record WHERE tab = 'ratchet'").all();
    const write = database.prepare("UPDATE record SET bytes = ? WHERE place = ?");
    write.run(rows[0]?.["bytes"] ?? null, rows[1]?.["place"] ?? null);
    write.run(rows[1]?.["bytes"] ?? null, rows[0]?.["place"] ?? null);
    database.close();
    await expect(openSqliteStore({ file: copy })).rejects.toMatchObject({ code: "store-damaged" });
  });

  it("attack 50: has no key, text or deleted record in its files", async () => {
    const file = join(await folder(), "a.db");
    const store = await openSqliteStore({ file });
    await store.commit([mark]);
    await store.commit([{ ...mark, value: undefined }]);
    const seen = await Promise.all(
      [file, `${file}-wal`].map((path) => readFile(path).catch(() => Buffer.alloc(0))),
    );
    for (const content of seen) {
      expect(content.includes(MARK)).toBe(false);
      expect(content.includes(mark.key)).toBe(false);
    }
    await store.close();
    await expect(stat(`${file}-wal`)).rejects.toThrow("ENOENT");
  });

  it("refuses what is no store, and a folder that is not there", async () => {
    const dir = await folder();
    await writeFile(
      join(dir, "text"),
      "this is a letter to a friend, and it is long enough to be read as one".repeat(40),
    );
    await expect(openSqliteStore({ file: join(dir, "text") })).rejects.toMatchObject({
      code: "store-damaged",
    });
    await expect(openSqliteStore({ file: join(dir, "no", "a.db") })).rejects.toMatchObject({
      code: "store-unreachable",
    });
  });
});

describe("the idb store", () => {
  const old = { table: "ratchet", key: "ben", value: Uint8Array.of(1) };
  type Record = [key: IDBValidKey, bytes: Uint8Array];

  /** What stands in a store's database, changed by `tamper`. */
  async function change(name: string, tamper: (records: Record[]) => Record[]): Promise<void> {
    const database = await openDB(`lethe/${name}`);
    const turn = database.transaction("record", "readwrite");
    const [keys, values] = await Promise.all([turn.store.getAllKeys(), turn.store.getAll()]);
    const records = keys.map((key, i): Record => [key, values[i] as Uint8Array]);
    await turn.store.clear();
    for (const [key, bytes] of tamper(records)) await turn.store.put(bytes, key);
    await turn.done;
    database.close();
  }

  const tableOf = ([key]: Record): unknown => (Array.isArray(key) ? key[0] : undefined);
  const ratchets = (records: Record[]): Record[] => records.filter((r) => tableOf(r) === "ratchet");
  const others = (records: Record[]): Record[] => records.filter((r) => tableOf(r) !== "ratchet");

  it("attack 50: refuses swapped, restored, removed and altered records", async () => {
    let before: Record[] = [];
    const tampers: { [how: string]: (records: Record[]) => Record[] } = {
      removed: (records) => [...others(records), ...ratchets(records).slice(1)],
      moved: (records) =>
        records.map(([key, bytes]) => [Array.isArray(key) ? ["other", key[1] ?? 0] : key, bytes]),
      altered: (records) => records.map((r) => (tableOf(r) === "header" ? [r[0], new Uint8Array(60)] : r)),
      restored: (records) => [...others(records), ...ratchets(before)],
      swapped(records) {
        const [a, b] = ratchets(records);
        if (a === undefined || b === undefined) throw new Error("two ratchets were written");
        return [...others(records), [a[0], b[1]], [b[0], a[1]]];
      },
    };
    for (const [how, tamper] of Object.entries(tampers)) {
      const name = `tampered-${how}`;
      const store = await openIdbStore({ name });
      await store.commit([old, { ...old, key: "cleo" }]);
      await store.close();
      await change(name, (records) => (before = records));
      const again = await openIdbStore({ name });
      expect(await again.get("ratchet", "ben")).toEqual(Uint8Array.of(1));
      await again.commit([{ ...old, value: Uint8Array.of(2) }]);
      await again.close();
      await change(name, tamper);
      await expect(openIdbStore({ name }), how).rejects.toMatchObject({ code: "store-damaged" });
    }
  });

  it("reads and writes more than one page of rows, each once", async () => {
    const store = await openIdbStore({ name: "pages" });
    const keys = Array.from({ length: 700 }, (_, i) => `key ${i}`);
    const row = (key: string) => ({ table: "a", key, value: new TextEncoder().encode(key) });
    await store.commit([...keys.map(row), { ...row("other"), table: "b" }]);
    await store.commit(keys.filter((_, i) => i % 2 === 0).map((key) => ({ ...row(key), value: undefined })));
    await store.close();
    const again = await openIdbStore({ name: "pages" });
    const left = (await again.list("a")).map(({ key }) => key);
    expect(left.toSorted()).toEqual(keys.filter((_, i) => i % 2 === 1).toSorted());
    await again.close();
  });

  it("has no key, text or name of a row in its database", async () => {
    const store = await openIdbStore({ name: "sealed" });
    await store.commit([mark]);
    await store.close();
    await change("sealed", (records) => {
      expect(records).toHaveLength(2);
      for (const [key, bytes] of records) {
        const place = Array.isArray(key) ? key[1] : undefined;
        const seen = Buffer.concat([
          bytes,
          place instanceof ArrayBuffer ? new Uint8Array(place) : new Uint8Array(),
        ]);
        expect(seen.length).toBeGreaterThan(60);
        for (const secret of [MARK, mark.key]) expect(seen.includes(secret)).toBe(false);
      }
      return records;
    });
  });

  it("forgets what is removed, and begins anew", async () => {
    const store = await openIdbStore({ name: "removed" });
    await store.commit([old]);
    await expect(removeIdbStore("removed")).rejects.toMatchObject({ code: "store-in-use" });
    await store.close();
    await removeIdbStore("removed");
    const anew = await openIdbStore({ name: "removed" });
    expect(await anew.list("ratchet")).toEqual([]);
    await anew.close();
  });
});
