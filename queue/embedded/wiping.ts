// Overwriting dead records in place, neighbours together. Always true: tombstones are synced before the first body is
// zeroed, so that a crash in between never leaves live mail of zeros; a record is touched only where its header says
// what is expected; a segment whose sync failed is never touched again.
import { isNoRoom, type StoreFile, writeAll } from "./files.ts";
import { EXTENT_BYTES, EXTENT_GAP, WIPE_ROUND_BYTES } from "./limits.ts";
import type { StoreParts } from "./parts.ts";
import { bodyLengthAt, markDead, recordBytes, zeroBody } from "./record.ts";
import type { Segment } from "./segments.ts";

interface Grave {
  readonly offset: number;
  readonly body: number;
}

/** Neighbouring graves, overwritten in one piece with what lies between them. */
interface Plot {
  readonly from: number;
  to: number;
  readonly graves: Grave[];
}

export class Wiping {
  readonly #parts: StoreParts;

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  /** Overwrites what is dead now. What could not be is kept in mind and tried at a later pass. */
  async wipe(segment: Segment): Promise<void> {
    const since = segment.deadSince;
    const rounds = roundsOf(plotsOf(segment.dead));
    segment.dead = [];
    segment.deadSince = undefined;
    try {
      for (const plots of [...rounds]) {
        if (segment.state === "active") await this.#parts.log.exclusive(() => this.#round(segment, plots));
        else await this.#round(segment, plots);
        rounds.shift();
      }
    } catch {
      for (const { offset, body } of rounds.flat().flatMap((plot) => plot.graves))
        segment.dead.push(offset, body);
      segment.deadSince = since;
    }
  }

  async #round(segment: Segment, plots: readonly Plot[]): Promise<void> {
    if (segment.state === "spoiled" || segment.state === "gone")
      throw new Error("the segment is not to be written");
    const soils = await Promise.all(plots.map((plot) => this.#soil(segment, plot)));
    await this.#overwrite(segment, plots, soils, (soil, at) => markDead(soil, at));
    await this.#overwrite(segment, plots, soils, (soil, at, body) => zeroBody(soil, at, body));
  }

  /** The bytes of a plot, checked: a grave that is not where it is said to be makes the segment one to leave. */
  async #soil(segment: Segment, plot: Plot): Promise<Buffer> {
    const soil = Buffer.allocUnsafeSlow(plot.to - plot.from);
    const length = await segment.file.read(soil, plot.from);
    const isSound = ({ offset, body }: Grave): boolean =>
      bodyLengthAt(soil, offset - plot.from, length, segment.seed) === body;
    if (plot.graves.every(isSound)) return soil;
    this.#parts.report({ is: "corrupt-record", segment: segment.name, count: 1 });
    this.#parts.log.mistrust(segment);
    throw new Error("a record is not where it was written");
  }

  async #overwrite(
    segment: Segment,
    plots: readonly Plot[],
    soils: readonly Buffer[],
    change: (soil: Buffer, at: number, body: number) => void,
  ): Promise<void> {
    try {
      for (const [i, plot] of plots.entries()) {
        const soil = soils[i] as Buffer;
        for (const { offset, body } of plot.graves) change(soil, offset - plot.from, body);
        await writeAll(segment.file, [soil], plot.from);
      }
    } catch (error) {
      if (!isNoRoom(error)) this.#parts.log.spoil(segment, error);
      throw error;
    }
    await this.#sync(segment, segment.file);
  }

  async #sync(segment: Segment, file: StoreFile): Promise<void> {
    try {
      await file.sync();
    } catch (error) {
      this.#parts.log.spoil(segment, error);
      throw error;
    }
  }
}

/** The graves, given as offset and body length in turn, in order and gathered with their neighbours. */
function plotsOf(dead: readonly number[]): Plot[] {
  const graves: Grave[] = [];
  for (let i = 0; i < dead.length; i += 2)
    graves.push({ offset: dead[i] as number, body: dead[i + 1] as number });
  graves.sort((a, b) => a.offset - b.offset);
  const plots: Plot[] = [];
  for (const grave of graves) {
    const end = grave.offset + recordBytes(grave.body);
    const last = plots.at(-1);
    if (last !== undefined && grave.offset - last.to <= EXTENT_GAP && end - last.from <= EXTENT_BYTES) {
      last.to = end;
      last.graves.push(grave);
    } else plots.push({ from: grave.offset, to: end, graves: [grave] });
  }
  return plots;
}

/** Plots of about as many bytes as are overwritten between two pairs of syncs. */
function roundsOf(plots: readonly Plot[]): Plot[][] {
  const rounds: Plot[][] = [];
  let bytes = WIPE_ROUND_BYTES;
  for (const plot of plots) {
    if (bytes >= WIPE_ROUND_BYTES) {
      rounds.push([]);
      bytes = 0;
    }
    rounds.at(-1)?.push(plot);
    bytes += plot.to - plot.from;
  }
  return rounds;
}
