// What a contract's tests need of a backend under test, and the small words in which they tell their stories.
import { randomBytes } from "node:crypto";
import {
  type AccountId,
  addressOf,
  type DeviceAddress,
  type DeviceNumber,
  type EnvelopeId,
  type Position,
  type Time,
} from "@lethe/protocol";
import type {
  Backend,
  Entry,
  Envelope,
  EnvelopeKind,
  MailboxLimits,
  NodeId,
  Owner,
  ReadResult,
  Timers,
} from "@lethe/queue";

export interface BackendWorld extends AsyncDisposable {
  /** Another one after `restart`. */
  readonly backend: Backend;
  readonly clock: Clock;
  /** Closes the backend and opens it again over what it keeps. */
  restart(): Promise<void>;
  /** Lets this much of the store's time pass, with what is to happen in it. */
  elapse(ms: number): Promise<void>;
  /** Has `stats` tell what is there now, where it is told a little later. */
  counted(): Promise<void>;
  /** Lets the forget bound pass. */
  forget(): Promise<void>;
  /** Whether any file of the store holds these bytes. */
  holds(bytes: Uint8Array): Promise<boolean>;
  /** How ciphertexts that many envelopes share are kept, where it can be counted. */
  readonly payloads?: PayloadProbe;
}

export interface PayloadProbe {
  /** How often the bytes stand in what the store keeps now. */
  copies(bytes: Uint8Array): Promise<number>;
  /** Which shard a mailbox lies in; a store without shards is one. */
  shardOf(address: DeviceAddress): number;
}

export interface BackendUnderTest {
  readonly name: string;
  /** False for a store in memory: it promises nothing that needs a disk, and its `restart` is never called. */
  readonly keeps: boolean;
  readonly open: (limits?: MailboxLimits) => Promise<BackendWorld>;
}

/** A store's clock and timers, which move only when a test says so. */
export class Clock implements Timers {
  #time = 1_800_000_000_000;
  readonly #timers = new Set<{ at: number; run: () => void }>();

  readonly now = (): Time => this.#time as Time;

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#time + ms, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Moves on, and runs what becomes due on the way, each at its time. */
  pass(ms: number): void {
    const end = this.#time + ms;
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#timers.delete(next);
      this.#time = Math.max(this.#time, next.at);
      next.run();
    }
    this.#time = end;
  }

  #next(end: number): { at: number; run: () => void } | undefined {
    return [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
  }
}

export const ROOMY: MailboxLimits = { envelopes: 1_000, bytes: 1_000_000 };
export const START = 0 as Position;

let counter = 0;

export function anAddress(): DeviceAddress {
  return addressOf(randomBytes(16).toString("latin1") as AccountId, 1 as DeviceNumber);
}

export function anOwner(node = "node-a"): Owner {
  return { node: node as NodeId, session: ++counter };
}

export interface EnvelopeWish {
  readonly bytes?: number;
  readonly expiry?: Time;
  readonly kind?: EnvelopeKind;
}

export function anEnvelope(
  clock: Clock,
  { bytes = 64, expiry, kind = "pairwise" }: EnvelopeWish = {},
): Envelope {
  return {
    id: randomBytes(16).toString("latin1") as EnvelopeId,
    kind,
    expiry: expiry ?? ((clock.now() + 3_600_000) as Time),
    ciphertext: randomBytes(bytes),
  };
}

/** Appends while nobody owns the mailbox, and expects every envelope to be stored. */
export async function store(
  { mailbox }: Pick<Backend, "mailbox">,
  address: DeviceAddress,
  ...envelopes: readonly Envelope[]
): Promise<Position[]> {
  const [result] = await mailbox.appendUnlessOwned([{ address, suspect: undefined, envelopes }]);
  if (result?.is !== "stored") throw new Error(`not stored: ${JSON.stringify(result)}`);
  return result.outcomes.map((outcome) => {
    if (typeof outcome !== "number") throw new Error(`not stored: ${outcome}`);
    return outcome;
  });
}

export async function claim(
  { mailbox }: Pick<Backend, "mailbox">,
  address: DeviceAddress,
  owner: Owner,
  epoch: number,
): Promise<void> {
  const [result] = await mailbox.claim([{ address, owner, epoch }]);
  if (result?.is !== "claimed") throw new Error(`not claimed: ${JSON.stringify(result)}`);
}

export function pageOf(result: ReadResult | undefined): readonly Entry[] {
  if (result?.is !== "page") throw new Error(`no page: ${JSON.stringify(result)}`);
  return result.entries;
}

/** Everything in the mailbox, read in pages of three. */
export async function all({ mailbox }: Pick<Backend, "mailbox">, address: DeviceAddress): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (;;) {
    const after = entries.at(-1)?.position ?? START;
    const page = pageOf((await mailbox.read([{ address, after, maxEntries: 3, maxBytes: 1_000_000 }]))[0]);
    if (page.length === 0) return entries;
    entries.push(...page);
  }
}

export async function remove(
  { mailbox }: Pick<Backend, "mailbox">,
  address: DeviceAddress,
  entries: readonly Entry[],
): Promise<void> {
  await mailbox.remove([{ address, entries: entries.map(({ position, id }) => ({ position, id })) }]);
}

/** An entry as the envelope that it was. */
export function envelopeOf({ id, kind, expiry, ciphertext }: Entry): Envelope {
  return { id, kind, expiry, ciphertext: Buffer.from(ciphertext) };
}

export async function messages(entries: Promise<readonly Entry[]>): Promise<Envelope[]> {
  return (await entries).map(envelopeOf);
}
