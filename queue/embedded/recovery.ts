// From segment files to mail in memory, when the store is opened. Always true: every record's checksums are checked; a
// torn tail is cut; damage in the middle is stepped over, reported, and its segment marked to be copied out of; mail of
// retired devices and double copies are buried; each mailbox is in order of position; every reference has its payload;
// new references are made to no payload that is not synced.
import type { Position, Time } from "@lethe/protocol";
import type { StoreEvent } from "../backend.ts";
import type { Box } from "./boxes.ts";
import { codeOf, type FileLayer, type StoreFile } from "./files.ts";
import type { Mail } from "./mail.ts";
import { payloadIdAt, referredAt } from "./payload-record.ts";
import { Payload } from "./payloads.ts";
import {
  addressAt,
  appendedAt,
  bodyLengthAt,
  expiryAt,
  findRecord,
  IDENTITY_BYTES,
  PAYLOAD_HEAD_BYTES,
  idAt,
  isBodySound,
  isBodyZero,
  kindAt,
  layoutAt,
  positionAt,
  recordBytes,
  stateAt,
} from "./record.ts";
import { parseSegmentName, Segment } from "./segments.ts";

export interface RecoveryParts {
  readonly files: FileLayer;
  readonly mail: Mail;
  readonly now: () => Time;
  readonly report: (event: StoreEvent) => void;
}

export interface Recovered {
  readonly maxPosition: number;
  /** Double copies that were buried: to be wiped before either copy may be removed. */
  readonly doubles: number;
}

interface Loaded {
  readonly segment: Segment;
  readonly bytes: Buffer;
}

export async function recover(parts: RecoveryParts): Promise<Recovered> {
  const started = parts.now();
  const recovery = new Recovery(parts);
  const segments = await openSegments(parts);
  // Two buffers, so that one segment is read while the other is checked.
  const longest = Math.max(0, ...segments.map(({ size }) => size));
  const buffers = [
    Buffer.allocUnsafeSlow(longest),
    Buffer.allocUnsafeSlow(segments.length > 1 ? longest : 0),
  ];
  const load = async (i: number): Promise<Loaded | undefined> => {
    const found = segments[i];
    const buffer = buffers[i % 2];
    if (found === undefined || buffer === undefined) return undefined;
    const length = await found.segment.file.read(buffer.subarray(0, found.size), 0);
    return { segment: found.segment, bytes: buffer.subarray(0, length) };
  };
  let loading = load(0);
  for (let i = 0; i < segments.length; i++) {
    const loaded = await loading;
    loading = load(i + 1);
    if (loaded !== undefined) await recovery.scan(loaded);
  }
  await loading;
  const doubles = recovery.dropDoubles();
  recovery.dropUnresolved();
  await offerPayloads(parts);
  const { envelopes } = parts.mail.counts;
  parts.report({ is: "recovered", envelopes, segments: segments.length, ms: parts.now() - started });
  return { maxPosition: recovery.maxPosition, doubles };
}

/**
 * A process that was killed between write and sync leaves records that are known to the system alone. Nobody was told that
 * such mail is stored; but it would be said of new references to such a payload, which the next loss of power then takes.
 */
async function offerPayloads({ mail, report }: RecoveryParts): Promise<void> {
  for (const [number, payloads] of Map.groupBy(mail.payloads.all(), ({ segment }) => segment)) {
    const segment = mail.segments.get(number);
    try {
      await segment.file.sync();
      mail.payloads.offer(payloads);
    } catch (error) {
      segment.state = "spoiled";
      report({ is: "sync-failed", code: codeOf(error) });
    }
  }
}

async function openSegments({ files, mail }: RecoveryParts): Promise<{ segment: Segment; size: number }[]> {
  const found: { segment: Segment; size: number }[] = [];
  for (const name of (await files.names()).toSorted()) {
    const parsed = parseSegmentName(name);
    if (parsed === undefined) continue;
    const file: StoreFile = await files.open(name);
    const segment = new Segment(parsed.number, parsed.seed, file, "sealed");
    mail.segments.add(segment);
    found.push({ segment, size: await file.size() });
  }
  return found;
}

class Recovery {
  maxPosition = 0;
  readonly #parts: RecoveryParts;
  readonly #unsorted = new Set<Box>();
  /** By serial. Those that references have named and no record was found of are pending. */
  readonly #payloads = new Map<number, Payload>();
  #doublePayloads = 0;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
  }

  async scan({ segment, bytes }: Loaded): Promise<void> {
    const { seed } = segment;
    let damaged = 0;
    let at = 0;
    while (at < bytes.length) {
      const body = bodyLengthAt(bytes, at, bytes.length, seed);
      if (body >= 0) {
        if (!this.#take(segment, bytes, at, body)) damaged++;
        at += recordBytes(body);
        continue;
      }
      const next = findRecord(bytes, at + 1, bytes.length, seed);
      if (next < 0) break;
      damaged++;
      at = next;
    }
    segment.end = at;
    if (at < bytes.length) await this.#cut(segment, bytes.length - at);
    if (damaged === 0) return;
    segment.state = "spoiled";
    this.#parts.report({ is: "corrupt-record", segment: segment.name, count: damaged });
  }

  /**
   * Of two copies of a position the one in the older segment stays: it was synced before the other was made. The other
   * may be known to the system only, even where a sync succeeds now, if one failed before the process ended.
   */
  dropDoubles(): number {
    const { mail, now } = this.#parts;
    const { table } = mail;
    let doubles = this.#doublePayloads;
    for (const box of this.#unsorted) {
      box.sort(table);
      let kept = -1;
      for (const slot of [...box.slots()]) {
        const isDouble = kept >= 0 && table.position[kept] === table.position[slot];
        if (isDouble) {
          const isOlder = (table.segment[slot] as number) < (table.segment[kept] as number);
          mail.remove(isOlder ? kept : slot, now());
          doubles++;
          if (!isOlder) continue;
        }
        kept = slot;
      }
    }
    return doubles;
  }

  /**
   * What was removed before a crash may be back in part: references whose payload went before them, and payloads that
   * nothing refers to. Neither is mail.
   */
  dropUnresolved(): void {
    const { mail, now, report } = this.#parts;
    const { table } = mail;
    let missing = 0;
    for (let slot = 0; slot < table.end; slot++) {
      if (!table.isLive(slot) || table.payload[slot]?.state !== "pending") continue;
      const box = table.box(slot);
      mail.remove(slot, now());
      mail.boxes.dropIfBlank(box);
      missing++;
    }
    for (const payload of mail.payloads.all()) if (payload.held === 0) mail.payloads.end(payload, now());
    if (missing > 0) report({ is: "payload-missing", count: missing });
  }

  /** Takes in one record with a sound header; false where anything of it is damaged. */
  #take(segment: Segment, bytes: Buffer, at: number, body: number): boolean {
    this.maxPosition = Math.max(this.maxPosition, positionAt(bytes, at));
    const state = stateAt(bytes, at);
    if (state === "dead") {
      if (!isBodyZero(bytes, at, body)) this.#bury(segment, at, body);
      return true;
    }
    if (!isBodySound(bytes, at, body, segment.seed)) return false;
    if (layoutAt(bytes, at) === "payload") this.#addPayload(segment, bytes, at, body);
    else this.#add(segment, bytes, at, body);
    return state === "live";
  }

  #add(segment: Segment, bytes: Buffer, at: number, body: number): void {
    const { mail } = this.#parts;
    const box = mail.boxes.of(addressAt(bytes, at));
    if (box === undefined) return this.#bury(segment, at, body);
    const entry = {
      position: positionAt(bytes, at),
      id: idAt(bytes, at),
      kind: kindAt(bytes, at),
      expiry: expiryAt(bytes, at),
      appended: appendedAt(bytes, at),
    };
    const payload = layoutAt(bytes, at) === "reference" ? this.#referred(bytes, at) : undefined;
    const slot = mail.reserve(box, entry, payload?.bytes ?? body - IDENTITY_BYTES, payload);
    if (!mail.commit(slot, segment, at)) this.#unsorted.add(box);
  }

  #referred(bytes: Buffer, at: number): Payload {
    const named = referredAt(bytes, at);
    return this.#payloadOf(named.serial, named.bytes);
  }

  #payloadOf(serial: Position, bytes: number): Payload {
    const payload = this.#payloads.get(serial) ?? new Payload(serial, bytes);
    this.#payloads.set(serial, payload);
    return payload;
  }

  /** Of two copies the first stays: segments are read in the order in which they were begun. */
  #addPayload(segment: Segment, bytes: Buffer, at: number, body: number): void {
    const payload = this.#payloadOf(positionAt(bytes, at), body - PAYLOAD_HEAD_BYTES);
    if (payload.state === "pending")
      return this.#parts.mail.payloads.keep(payload, payloadIdAt(bytes, at), segment, at);
    this.#doublePayloads++;
    this.#bury(segment, at, body);
  }

  #bury(segment: Segment, at: number, body: number): void {
    this.#parts.mail.segments.buryUncounted(segment, at, body, this.#parts.now());
  }

  /** What was being written when the power or the process went: nobody was told that it is stored. */
  async #cut(segment: Segment, bytes: number): Promise<void> {
    this.#parts.report({ is: "torn-tail", segment: segment.name, bytes });
    try {
      await segment.file.truncate(segment.end);
    } catch {
      segment.state = "spoiled";
    }
  }
}
