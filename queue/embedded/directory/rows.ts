// Reading SQLite rows with types: a column that is not what the schema says is a fault, never a guess.

export type Row = Readonly<Record<string, unknown>>;

export function bytesOf(row: Row, column: string): Uint8Array {
  const value = row[column];
  if (!(value instanceof Uint8Array)) throw new TypeError(`column ${column} is not bytes`);
  return value;
}

export function numberOf(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== "number") throw new TypeError(`column ${column} is not a number`);
  return value;
}

export function textOf(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw new TypeError(`column ${column} is not text`);
  return value;
}

/** An id's bytes, to be bound. */
export function blob(id: string): Buffer {
  return Buffer.from(id, "latin1");
}

/** An id from its bytes. */
export function idOf<Id extends string>(bytes: Uint8Array): Id {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1") as Id;
}
