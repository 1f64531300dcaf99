// A disk in memory behind the store's file layer, that can lose its power, be full, write short, and fail to sync.
// Always true: what `sync` resolved for is on the platter; of what is not synced yet a loss of power keeps any part, by
// sector; after a sync that failed, what it was to write is lost at the next loss of power, and no later sync saves it.
import type { FileLayer, StoreFile } from "../../queue/embedded/files.ts";

const SECTOR = 512;

/** Random numbers in [0, 1). */
export type Chance = () => number;

/** A small generator, so that a printed seed gives the same run again. */
export function chanceOf(seed: number): Chance {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Change =
  | { readonly is: "write"; readonly at: number; readonly bytes: Buffer }
  | { readonly is: "truncate"; readonly to: number };

/** A file's bytes as the system shows them, as the platter holds them, and what is in between. */
class DiskFile {
  shown: Buffer = Buffer.alloc(0);
  platter: Buffer = Buffer.alloc(0);
  pending: Change[] = [];

  apply(change: Change): void {
    this.shown = changed(this.shown, change);
    this.pending.push(change);
  }

  sync(): void {
    for (const change of this.pending) this.platter = changed(this.platter, change);
    this.pending = [];
  }

  losePower(chance: Chance): void {
    const keep = chance();
    for (const change of this.pending) {
      for (const part of sectorsOf(change)) if (chance() < keep) this.platter = changed(this.platter, part);
    }
    this.pending = [];
    this.shown = Buffer.from(this.platter);
  }
}

function changed(bytes: Buffer, change: Change): Buffer {
  if (change.is === "truncate") {
    return change.to <= bytes.length
      ? Buffer.from(bytes.subarray(0, change.to))
      : Buffer.concat([bytes, Buffer.alloc(change.to - bytes.length)]);
  }
  const result = Buffer.alloc(Math.max(bytes.length, change.at + change.bytes.length));
  result.set(bytes);
  result.set(change.bytes, change.at);
  return result;
}

/** A write reaches the platter sector by sector, in any order; a truncation at once. */
function sectorsOf(change: Change): Change[] {
  if (change.is === "truncate") return [change];
  const parts: Change[] = [];
  const end = change.at + change.bytes.length;
  for (let at = change.at; at < end; at = Math.floor(at / SECTOR + 1) * SECTOR) {
    const to = Math.min(end, Math.floor(at / SECTOR + 1) * SECTOR);
    parts.push({ is: "write", at, bytes: change.bytes.subarray(at - change.at, to - change.at) });
  }
  return parts;
}

export type FileVerb = "read" | "write" | "sync" | "truncate" | "create" | "unlink" | "syncNames";

/** Gives the error code that a call fails with, or undefined where it succeeds. */
export type Faults = (verb: FileVerb, name: string) => string | undefined;

export class Disk {
  readonly #chance: Chance;
  #names = new Map<string, DiskFile>();
  #platterNames = new Map<string, DiskFile>();
  /** Layers given out before the last crash are dead. */
  #life = 0;
  capacity = Number.POSITIVE_INFINITY;
  faults: Faults = () => undefined;
  writesShort = false;
  /** What a process that is gone has of every call: the system never hears of it. */
  readonly #dead = failure("EIO");
  readonly calls: { readonly verb: FileVerb; readonly name: string }[] = [];

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  /** The disk as one process sees it, until the next crash. */
  layer(): FileLayer {
    const life = this.#life;
    const call = async (verb: FileVerb, name: string): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve));
      if (life !== this.#life) throw this.#dead;
      this.calls.push({ verb, name });
      const code = this.faults(verb, name);
      if (code !== undefined) throw failure(code);
    };
    return {
      names: async () => [...this.#names.keys()],
      create: async (name) => {
        await call("create", name);
        if (this.#names.has(name)) throw failure("EEXIST");
        this.#names.set(name, new DiskFile());
        return this.#handle(name, call);
      },
      open: async (name) => this.#handle(name, call),
      unlink: async (name) => {
        await call("unlink", name);
        this.#names.delete(name);
      },
      room: async () => ({ free: this.capacity - this.used, size: this.capacity }),
      syncNames: async () => {
        await call("syncNames", "");
        this.#platterNames = new Map(this.#names);
      },
    };
  }

  /** The process is gone; the system is not: what was written is there, synced or not. */
  killProcess(): void {
    this.#life++;
  }

  /** Nothing is certain but what was synced. */
  losePower(): void {
    this.#life++;
    const names = new Map<string, DiskFile>();
    for (const [name, file] of new Map([...this.#platterNames, ...this.#names])) {
      const isShown = this.#names.has(name);
      const isSure = isShown === this.#platterNames.has(name);
      if (isSure ? isShown : this.#chance() < 0.5) names.set(name, file);
    }
    for (const file of names.values()) file.losePower(this.#chance);
    this.#names = names;
    this.#platterNames = new Map(names);
  }

  /** Whether any file, as shown or on the platter, holds these bytes. */
  holds(bytes: Uint8Array): boolean {
    const needle = Buffer.from(bytes);
    return this.files().some(({ shown, platter }) => shown.includes(needle) || platter.includes(needle));
  }

  files(): { name: string; shown: Buffer; platter: Buffer }[] {
    return [...new Map([...this.#platterNames, ...this.#names])].map(([name, { shown, platter }]) => ({
      name,
      shown,
      platter,
    }));
  }

  /** Puts other bytes in place of a file's, on the platter too. */
  replace(name: string, bytes: Buffer): void {
    const file = new DiskFile();
    file.shown = Buffer.from(bytes);
    file.platter = Buffer.from(bytes);
    this.#names.set(name, file);
    this.#platterNames.set(name, file);
  }

  copy(): Disk {
    const disk = new Disk(this.#chance);
    for (const { name, shown } of this.files()) disk.replace(name, shown);
    return disk;
  }

  get used(): number {
    return [...this.#names.values()].reduce((sum, file) => sum + file.shown.length, 0);
  }

  #handle(name: string, call: (verb: FileVerb, name: string) => Promise<void>): StoreFile {
    const file = this.#names.get(name);
    if (file === undefined) throw failure("ENOENT");
    return {
      read: async (bytes, position) => {
        await call("read", name);
        const part = file.shown.subarray(position, position + bytes.length);
        bytes.set(part);
        return part.length;
      },
      write: async (parts, position) => {
        await call("write", name);
        return this.#write(file, Buffer.concat(parts), position);
      },
      sync: async () => {
        await call("sync", name).catch((error: unknown) => {
          // The system shows the bytes still, and has forgotten that they are not on the platter.
          if (error !== this.#dead) file.pending = [];
          throw error;
        });
        file.sync();
      },
      truncate: async (length) => {
        await call("truncate", name);
        file.apply({ is: "truncate", to: length });
      },
      size: async () => file.shown.length,
      close: async () => undefined,
    };
  }

  #write(file: DiskFile, bytes: Buffer, position: number): number {
    const grows = Math.max(0, position + bytes.length - file.shown.length);
    const room = this.capacity - this.used;
    const fits = grows <= room ? bytes.length : Math.max(0, bytes.length - grows + Math.max(0, room));
    if (fits === 0 && bytes.length > 0) throw failure("ENOSPC");
    const length = this.writesShort ? Math.max(1, Math.floor(fits * this.#chance())) : fits;
    file.apply({ is: "write", at: position, bytes: Buffer.from(bytes.subarray(0, length)) });
    return length;
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}
