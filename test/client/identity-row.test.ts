// The identity's row, which several parts write: whoever writes it, the store has the newest.
import {
  createIdentity,
  decodeIdentity,
  encodeIdentity,
  ready,
  replaceProfileKey,
  systemRandom,
} from "@lethe/crypto";
import { type ClientStore, openMemoryStore } from "@lethe/client";
import type { Time } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { withNewestIdentity } from "../../client-lib/keys/identity-row.ts";
import { OWN, putKey } from "../../client-lib/keys/key-rows.ts";

await ready();
const first = createIdentity({ random: systemRandom, now: 1_800_000_000_000 as Time });
const second = replaceProfileKey(first, systemRandom);
const rowOf = (identity: typeof first) => putKey("identity", OWN, encodeIdentity(identity));
const other = { table: "other", key: "k", value: Uint8Array.of(1) };

async function keptIn(store: ClientStore): Promise<string> {
  const { profileKey } = decodeIdentity((await store.get("identity", OWN)) ?? new Uint8Array());
  return Buffer.from(profileKey.reveal()).toString("hex");
}
const keyOf = ({ profileKey }: typeof first): string => Buffer.from(profileKey.reveal()).toString("hex");

describe("the row of one's own identity", () => {
  it("is the newest one, also where a commit that was made up before comes after", async () => {
    const [memory, keys] = [openMemoryStore(), { identity: first }];
    const store = withNewestIdentity(memory, keys);
    const early = [rowOf(first), other];
    keys.identity = second;
    await store.commit([rowOf(second)]);
    await store.commit(early);
    expect(await keptIn(memory)).toBe(keyOf(second));
    expect(await memory.get("other", "k")).toEqual(other.value);
  });

  it("goes with the next commit where its own has failed, and with no other", async () => {
    const [memory, keys] = [openMemoryStore(), { identity: first }];
    let [fails, rows] = [true, 0];
    const store = withNewestIdentity(
      {
        get: (table, key) => memory.get(table, key),
        list: (table) => memory.list(table),
        close: () => memory.close(),
        commit: (writes) => {
          rows = writes.length;
          return fails ? Promise.reject(new Error("full")) : memory.commit(writes);
        },
      },
      keys,
    );
    await expect(store.commit([rowOf(first)])).rejects.toThrow("full");
    fails = false;
    await store.commit([other]);
    expect([rows, await keptIn(memory)]).toEqual([2, keyOf(first)]);
    await store.commit([other]);
    expect(rows).toBe(1);
  });
});
