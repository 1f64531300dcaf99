// The row of one's own identity, which several parts change. Always true: whoever writes it writes what is in memory, so
// that a commit that was made up earlier and comes later takes nothing back; what could not be written goes with the next.
import { encodeIdentity } from "@lethe/crypto";
import type { Write } from "../delivery/events.ts";
import type { ClientStore } from "../store/store.ts";
import { type KeyState, OWN } from "./key-rows.ts";

const isOwn = ({ table, key, value }: Write): boolean =>
  table === "identity" && key === OWN && value !== undefined;

/** The store, in which the identity is always the newest one. */
export function withNewestIdentity(store: ClientStore, keys: Pick<KeyState, "identity">): ClientStore {
  let isBehind = false;
  return {
    get: (table, key) => store.get(table, key),
    list: (table) => store.list(table),
    async commit(writes) {
      if (!isBehind && !writes.some(isOwn)) return store.commit(writes);
      const own = { table: "identity", key: OWN, value: encodeIdentity(keys.identity) };
      isBehind = true;
      await store.commit([...writes.filter((write) => !isOwn(write)), own]);
      isBehind = false;
    },
    close: () => store.close(),
  };
}
