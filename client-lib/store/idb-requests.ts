/// <reference lib="dom" />
// IndexedDB's events as promises: of a request, of a transaction, of a database that is opened or removed.

/** What a request gives. A request that fails aborts its transaction. */
export function given<T>(request: IDBRequest<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error as DOMException);
  return promise;
}

/** Resolves when a transaction is committed; fails when it was aborted, by whatever. */
export function committed(turn: IDBTransaction): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  turn.oncomplete = () => resolve();
  turn.onabort = () => reject(turn.error ?? new DOMException("", "AbortError"));
  return promise;
}

export interface Opening {
  readonly version: number;
  /** Makes what the version has. */
  readonly make: (database: IDBDatabase) => void;
  /** Somebody else removes it or makes it anew, or the browser does. */
  readonly removed: () => void;
}

export async function opened(name: string, { version, make, removed }: Opening): Promise<IDBDatabase> {
  const request = indexedDB.open(name, version);
  request.onupgradeneeded = () => make(request.result);
  const database = await given(request);
  database.onversionchange = removed;
  database.onclose = removed;
  return database;
}
