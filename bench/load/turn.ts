// Gathers what the load sends: everything that one turn of the event loop made a connection want to send goes out as one
// WebSocket message, as a client library does it.

export interface Gatherer {
  /** Sends what was gathered. */
  flush(): void;
}

let dirty: Gatherer[] = [];
let scheduled = false;

/** Has `gatherer` flush once at the end of this turn. The caller asks once a turn. */
export function atEndOfTurn(gatherer: Gatherer): void {
  dirty.push(gatherer);
  if (scheduled) return;
  scheduled = true;
  setImmediate(flushAll);
}

function flushAll(): void {
  scheduled = false;
  const now = dirty;
  dirty = [];
  for (const gatherer of now) gatherer.flush();
}
