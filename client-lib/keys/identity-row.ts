// The row of one's own identity, which several parts change. Always true: whoever writes it writes what is in memory, so
// that a commit that was made up earlier and comes later takes nothing back.
import { encodeIdentity } from "@lethe/crypto";
import type { Write } from "../delivery/events.ts";
import type { ClientStore } from "../store/store.ts";
import { type KeyState, OWN } from "./key-rows.ts";

/** The store, in which the identity is always the newest one. */
export function withNewestIdentity(store: ClientStore, keys: Pick<KeyState, "identity">): ClientStore {
  const newest = (write: Write): Write =>
    write.table === "identity" && write.key === OWN && write.value !== undefined
      ? { ...write, value: encodeIdentity(keys.identity) }
      : write;
  return {
    get: (table, key) => store.get(table, key),
    list: (table) => store.list(table),
    commit: (writes) => store.commit(writes.map(newest)),
    close: () => store.close(),
  };
}
