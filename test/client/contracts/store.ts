// The contract of a client store, as tests: every backend runs all of it. A backend whose content ends with the
// process says so, and is held to that too.
import { afterEach, describe, expect, it } from "vitest";
import type { ClientStore } from "@lethe/client";

export interface StoreUnderTest {
  /** Opens the store of this test; called again after `close`, it opens the same one. */
  open(): Promise<ClientStore>;
  readonly survives: boolean;
  cleanUp(): Promise<void>;
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const put = (table: string, key: string, ...values: number[]) => ({ table, key, value: bytes(...values) });
const gone = (table: string, key: string) => ({ table, key, value: undefined });

export function storeContract(name: string, begin: () => StoreUnderTest): void {
  describe(`the store contract: ${name}`, () => {
    let under: StoreUnderTest | undefined;
    const open = (): Promise<ClientStore> => {
      under ??= begin();
      return under.open();
    };
    afterEach(async () => {
      await under?.cleanUp();
      under = undefined;
    });

    it("S1 gives back what was committed, and undefined for what was not", async () => {
      const store = await open();
      await store.commit([put("a", "k", 1, 2, 3), put("b", "k", 4)]);
      expect(await store.get("a", "k")).toEqual(bytes(1, 2, 3));
      expect(await store.get("b", "k")).toEqual(bytes(4));
      expect(await store.get("a", "other")).toBeUndefined();
      expect(await store.get("c", "k")).toBeUndefined();
      await store.close();
    });

    it("S2 lists a table's rows and no other's, empty values and all", async () => {
      const store = await open();
      await store.commit([put("a", "1"), put("a", "2", 2), put("b", "3", 3)]);
      const rows = (await store.list("a")).sort((x, y) => (x.key < y.key ? -1 : 1));
      expect(rows).toEqual([
        { key: "1", value: bytes() },
        { key: "2", value: bytes(2) },
      ]);
      expect(await store.list("none")).toEqual([]);
      await store.close();
    });

    it("S3 applies the writes of a commit in their order", async () => {
      const store = await open();
      await store.commit([
        put("a", "k", 1),
        gone("a", "k"),
        put("a", "k", 2),
        put("a", "l", 3),
        gone("a", "l"),
      ]);
      expect(await store.list("a")).toEqual([{ key: "k", value: bytes(2) }]);
      await store.commit([gone("a", "k"), gone("a", "never")]);
      expect(await store.list("a")).toEqual([]);
      await store.close();
    });

    it("S4 takes any bytes as key and value", async () => {
      const store = await open();
      const key = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join("");
      const value = Uint8Array.from({ length: 70_000 }, (_, i) => i % 251);
      await store.commit([{ table: "a", key, value }, put("a", "", 1)]);
      expect(await store.get("a", key)).toEqual(value);
      expect(await store.get("a", "")).toEqual(bytes(1));
      await store.close();
    });

    it("S5 shares no bytes with its caller", async () => {
      const store = await open();
      const value = bytes(1, 2, 3);
      await store.commit([{ table: "a", key: "k", value }]);
      value.fill(9);
      const read = await store.get("a", "k");
      read?.fill(8);
      expect(await store.get("a", "k")).toEqual(bytes(1, 2, 3));
      await store.close();
    });

    it("S6 lets commits take effect in the order of their calls", async () => {
      const store = await open();
      await Promise.all(Array.from({ length: 50 }, (_, i) => store.commit([put("a", "k", i)])));
      expect(await store.get("a", "k")).toEqual(bytes(49));
      await store.close();
    });

    it("S7 refuses everything once it is closed, and closing twice is no fault", async () => {
      const store = await open();
      await store.close();
      await store.close();
      const closed = { code: "store-closed" };
      await expect(store.get("a", "k")).rejects.toMatchObject(closed);
      await expect(store.list("a")).rejects.toMatchObject(closed);
      await expect(store.commit([put("a", "k", 1)])).rejects.toMatchObject(closed);
    });

    it("S8 survives being closed and opened, or forgets everything, as the backend says", async () => {
      const store = await open();
      await store.commit([put("a", "k", 1)]);
      await store.close();
      const again = await open();
      expect(await again.get("a", "k")).toEqual(under?.survives === true ? bytes(1) : undefined);
      await again.close();
    });

    it("S9 has one writer, if it outlives its process: another opening is refused until it is closed", async () => {
      const store = await open();
      const other = open();
      if (under?.survives === true) await expect(other).rejects.toMatchObject({ code: "store-in-use" });
      else await (await other).close();
      await store.commit([put("a", "k", 1)]);
      await store.close();
      await (await open()).close();
    });
  });
}
