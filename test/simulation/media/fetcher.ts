// What an application does with files that come: it reads or saves them, keeps what it has, and only then lets the relay know; or it
// does not want them. Always true: after a crash it goes on with what its store says; what it has, it has whole.
import { accountOf, type DeviceAddress, fromBytes } from "@lethe/protocol";
import type { MediaId } from "@lethe/queue";
import { ClientError } from "../../../client-lib/errors.ts";
import { decodeRef, encodeRef, type MediaRef } from "../../../client-lib/media/media-ref.ts";
import type { MediaSink } from "../../../client-lib/media/sink.ts";
import { Dice, mix } from "../chance.ts";
import type { DevicePort, Run } from "./device.ts";
import type { Disk } from "./disk.ts";
import { endOf } from "./facts.ts";
import { isWhole } from "./files.ts";
import { nameOf } from "./judge.ts";
import { tokenMark } from "./mail.ts";

/** Files of the application, by the blob's id: what is wanted, what is here, what is over. */
const TABLE = "app-files";
const WANTED = 0;
const HERE = 1;
const OVER = 2;
/** How long it waits before it tries again what went wrong, ms. */
const AGAIN_MS = 20_000;

type Way = "read" | "save" | "discard";

export class Fetcher {
  readonly #port: DevicePort;
  readonly #device: DeviceAddress;
  readonly #dice: Dice;
  /** Disks of sinks: what was flushed is there after a crash. */
  readonly #places = new Map<string, Uint8Array[]>();
  readonly #open = new Set<string>();

  constructor(port: DevicePort, device: DeviceAddress) {
    this.#port = port;
    this.#device = device;
    this.#dice = new Dice(mix(port.dice.below(2 ** 31), 5));
  }

  /** Nothing that is wanted is missing. */
  get isIdle(): boolean {
    return this.#open.size === 0;
  }

  /** @param taken is called once the message is in the inbox. */
  arrives(run: Run, disk: Disk, ref: MediaRef, taken: () => void): void {
    const key = fromBytes<MediaId>(ref.id);
    if (disk.rows(TABLE).has(key)) return taken();
    if (this.#open.has(key)) return;
    this.#open.add(key);
    this.#port.agenda.in(this.#dice.between(0, 10_000), () => {
      if (run.isAlive) void this.#go(run, disk, ref, WANTED);
      else this.#open.delete(key);
    });
    void disk
      .for(run)
      .commit([{ table: TABLE, key, value: rowOf(WANTED, ref) }])
      .then(taken);
  }

  start(run: Run, disk: Disk): void {
    this.#open.clear();
    for (const [key, row] of disk.rows(TABLE)) {
      if (row[0] === OVER) continue;
      this.#open.add(key);
      void this.#go(run, disk, decodeRef(row.slice(1)), row[0] ?? WANTED);
    }
  }

  async #go(run: Run, disk: Disk, ref: MediaRef, state: number): Promise<void> {
    const { judge, cover, agenda, note } = this.#port;
    const key = fromBytes<MediaId>(ref.id);
    const reach = (to: number) => disk.for(run).commit([{ table: TABLE, key, value: rowOf(to, ref) }]);
    try {
      const way = this.#wayFor(key);
      const mark = tokenMark(ref, this.#device);
      if (state === WANTED && way !== "discard") await this.#have(run, ref, way);
      if (way !== "save") judge.mayRelease(key, mark);
      await reach(HERE);
      if (way !== "save") await run.media.discard(ref);
      await reach(OVER);
      cover.count(way === "discard" ? "discarded" : "fetched");
      this.#open.delete(key);
    } catch (error) {
      if (!run.isAlive) return;
      note(`${nameOf(key)} is not here: ${String(error)}`);
      if (this.#isVain(error, key, ref)) {
        cover.count("fetched in vain");
        await reach(OVER);
        this.#open.delete(key);
      } else
        agenda.in(AGAIN_MS, () => {
          if (run.isAlive) void this.#go(run, disk, ref, state);
        });
    }
  }

  #wayFor(key: string): Way {
    let sum = 0;
    for (let i = 0; i < key.length; i++) sum += key.charCodeAt(i);
    return (["read", "save", "save", "read", "discard"] as const)[sum % 5] ?? "read";
  }

  async #have(run: Run, ref: MediaRef, way: Exclude<Way, "discard">): Promise<void> {
    if (way === "save") return run.media.save(ref, this.#sink(ref), {});
    const chunks: Uint8Array[] = [];
    for await (const chunk of run.media.read(ref, { keep: true })) chunks.push(chunk);
    this.#check(ref, Buffer.concat(chunks));
  }

  #check(ref: MediaRef, bytes: Uint8Array): void {
    const { judge, fileNamed } = this.#port;
    if (!isWhole(fileNamed(ref.name), bytes))
      judge.breaks("b what is ready can be had, bit for bit", `file ${ref.name} is another at the recipient`);
  }

  #sink(ref: MediaRef): MediaSink {
    const key = fromBytes<MediaId>(ref.id);
    const place = Buffer.from(ref.id).toString("hex");
    let written: Uint8Array[] = [];
    return {
      place,
      begin: async (at) => {
        const before = this.#places.get(place) ?? [];
        const flushed = Buffer.concat(before);
        if (flushed.length < at) return false;
        written = [flushed.subarray(0, at)];
        return true;
      },
      write: async (bytes) => void written.push(bytes),
      flush: async () => void this.#places.set(place, [...written]),
      finish: async () => {
        this.#check(ref, Buffer.concat(this.#places.get(place) ?? []));
        this.#port.judge.mayRelease(key, tokenMark(ref, this.#device));
      },
      remove: async () => void this.#places.delete(place),
      close: async () => undefined,
    };
  }

  /** Whether it may have failed for good; @returns false: it is worth another try. */
  #isVain(error: unknown, media: MediaId, ref: MediaRef): boolean {
    const { judge, wall, mail } = this.#port;
    if (!(error instanceof ClientError)) {
      judge.breaks("the machines do not throw", error instanceof Error ? (error.stack ?? "") : String(error));
      return true;
    }
    const { code } = error;
    const facts = judge.facts.get(media);
    const mark = tokenMark(ref, this.#device);
    const hasEnded = facts === undefined || endOf(facts, wall()) !== undefined;
    if (code === "media-not-permitted" || code === "media-unfinished") return hasEnded;
    if (code !== "media-gone") {
      judge.breaks("who has the message gets the file", `${nameOf(media)}: ${code}`);
      return true;
    }
    const isExcused =
      judge.wasWithdrawn(media) ||
      judge.isPastItsTime(media) ||
      judge.hasReleased(media, mark) ||
      !mail.isListed(this.#device);
    if (!isExcused)
      judge.breaks(
        "who has the message gets the file",
        `${nameOf(media)} is gone for ${accountOf(this.#device)}`,
      );
    return true;
  }
}

function rowOf(state: number, ref: MediaRef): Uint8Array {
  return Buffer.concat([new Uint8Array([state]), encodeRef(ref)]);
}
