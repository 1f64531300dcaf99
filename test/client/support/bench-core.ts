// A client core on a workbench: its store is a map, its sockets are lists, its time is a number. It does what effects
// say and nothing else; with `holdCommits` a commit stays under way until the test lets it end.
import {
  type AccountId,
  addressOf,
  type ClientFrame,
  type DeviceNumber,
  type EnvelopeId,
  type RelayFrame,
  type Time,
} from "@lethe/protocol";
import {
  type Chance,
  type Cipher,
  type ClientCore,
  type CoreEvent,
  createClientCore,
  type Effect,
  type Entry,
  type MessageId,
  type SocketName,
  type Told,
} from "@lethe/client";
import { STUB_KEY, stubCipher } from "./stub-cipher.ts";

export const DEVICE = 1 as DeviceNumber;
export const id16 = (text: string): string => text.padEnd(16, ".").slice(0, 16);
export const account = (name: string): AccountId => id16(name) as AccountId;
export const messageId = (name: string): MessageId => id16(name) as MessageId;

/** Deterministic chance: mulberry32. */
export function seeded(seed: number): Chance {
  let state = seed >>> 0;
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  return { fraction, bytes: (length) => Uint8Array.from({ length }, () => Math.floor(fraction() * 256)) };
}

type Store = Map<string, Map<string, Uint8Array>>;
type EventBody = CoreEvent extends infer E ? (E extends CoreEvent ? Omit<E, "now"> : never) : never;

export interface BenchOptions {
  readonly name?: string;
  readonly seed?: number;
  readonly requests?: "ask" | "accept";
  readonly receiptJitterMs?: number;
  readonly urls?: number;
  readonly cipher?: (self: ReturnType<typeof addressOf>) => Cipher;
}

export class Bench {
  readonly self: AccountId;
  readonly cipher: Cipher;
  readonly store: Store;
  readonly core: ClientCore;
  now = 1_000_000 as Time;
  holdCommits = false;
  held: (Effect & { do: "commit" })[] = [];
  /** What came out, in order, with the name of each effect or frame. */
  readonly log: string[] = [];
  readonly sent: { socket: SocketName; frame: ClientFrame }[] = [];
  readonly handed: Entry[] = [];
  readonly told: Told[] = [];
  readonly opens: { socket: SocketName; connection: number; url: number }[] = [];
  readonly closes: { socket: SocketName; connection: number }[] = [];
  wakeAt: Time | undefined;

  constructor(options: BenchOptions = {}, store: Store = new Map()) {
    this.self = account(options.name ?? "Kanna");
    this.store = store;
    this.cipher = (options.cipher ?? ((self) => stubCipher(self, options.name)))(
      addressOf(this.self, DEVICE),
    );
    const rows = Object.fromEntries(
      [...store].map(([table, of]) => [table, [...of].map(([key, value]) => ({ key, value }))]),
    );
    this.core = createClientCore({
      account: this.self,
      device: DEVICE,
      cipher: this.cipher,
      chance: seeded(options.seed ?? 1),
      rows,
      requests: options.requests ?? "accept",
      urls: options.urls ?? 1,
      receiptJitterMs: options.receiptJitterMs ?? 0,
    });
  }

  step(event: EventBody): Effect[] {
    const effects = this.core.step({ ...event, now: this.now } as CoreEvent);
    for (const effect of effects) this.#carryOut(effect);
    return effects;
  }

  #carryOut(effect: Effect): void {
    switch (effect.do) {
      case "commit":
        this.log.push(`commit ${effect.commit}`);
        this.held.push(effect);
        if (!this.holdCommits) this.letCommit();
        break;
      case "send":
        for (const frame of effect.frames) {
          this.log.push(`send ${frame.frame}`);
          this.sent.push({ socket: effect.socket, frame });
        }
        break;
      case "open":
        this.opens.push(effect);
        break;
      case "close":
        this.closes.push(effect);
        break;
      case "hand":
        this.log.push(`hand ${bodyOf(effect.entry)}`);
        this.handed.push(effect.entry);
        break;
      case "tell":
        this.log.push(`tell ${effect.told.tell}`);
        this.told.push(effect.told);
        break;
      case "wake":
        this.wakeAt = effect.at;
        break;
    }
  }

  /** The commit that is under way becomes durable. */
  letCommit(): void {
    const effect = this.held.shift();
    if (effect === undefined) return;
    for (const { table, key, value } of effect.writes) {
      const rows = this.store.get(table) ?? new Map<string, Uint8Array>();
      this.store.set(table, rows);
      if (value === undefined) rows.delete(key);
      else rows.set(key, value.slice());
    }
    this.step({ event: "committed", commit: effect.commit });
  }

  /** Time goes by: every wish to be woken is fulfilled at its time. */
  pass(ms: number): void {
    const end = this.now + ms;
    while (this.wakeAt !== undefined && this.wakeAt <= end) {
      this.now = this.wakeAt;
      this.wakeAt = undefined;
      this.step({ event: "tick" });
    }
    this.now = end as Time;
    this.step({ event: "tick" });
  }

  connectionOf(socket: SocketName): number {
    return this.opens.findLast((open) => open.socket === socket)?.connection ?? 0;
  }

  frames(socket: SocketName, ...frames: RelayFrame[]): void {
    this.step({ event: "frames", socket, connection: this.connectionOf(socket), frames });
  }

  /** Time goes by until a connection of this kind is being opened that was not before, and the relay takes it. */
  reconnect(socket: SocketName): void {
    const before = this.connectionOf(socket);
    for (let i = 0; i < 100 && this.connectionOf(socket) === before; i++) this.pass(1_000);
    if (this.connectionOf(socket) === before) throw new Error("no new connection");
    this.accept(socket);
  }

  /** The relay's side of a handshake, as far as `welcome`. */
  accept(socket: SocketName): void {
    this.step({ event: "opened", socket, connection: this.connectionOf(socket) });
    if (socket === "device")
      this.frames(socket, { frame: "challenge", version: 1, relay: "test", nonce: new Uint8Array(32) });
    this.frames(socket, {
      frame: "welcome",
      version: 1,
      relay: "test",
      now: this.now,
      maxEnvelopeBytes: 70_000,
      maxTtlMs: 30 * 86_400_000,
      pingMs: 30_000,
    });
  }

  close(socket: SocketName, status = 1006): void {
    this.step({ event: "closed", socket, connection: this.connectionOf(socket), status });
  }

  online(): this {
    this.step({ event: "start" });
    this.accept("device");
    return this;
  }

  send(to: string, text: string, ttl?: number): MessageId {
    const message = messageId(text);
    const body = new TextEncoder().encode(text);
    this.step({ event: "send", message, to: account(to), body, ...(ttl === undefined ? {} : { ttl }) });
    return message;
  }

  /** Mail of somebody comes, with the access key that they give. */
  hears(from: string, text: string, accessKey = STUB_KEY): void {
    const cipher = (self: ReturnType<typeof addressOf>): Cipher => stubCipher(self, from, accessKey);
    const sender = new Bench({ name: from, cipher }).online();
    sender.send("Kanna", text);
    const submit = sender.sent.at(-1)?.frame;
    if (submit?.frame !== "submit" || submit.envelopes[0] === undefined) throw new Error("no submit");
    const { ciphertext } = submit.envelopes[0];
    this.frames("device", { frame: "push", id: id16(text) as EnvelopeId, kind: "pairwise", ciphertext });
  }

  /** Every submit so far, as `socket: text`. */
  submits(): string[] {
    return this.sent.flatMap(({ socket, frame }) =>
      frame.frame === "submit" ? frame.envelopes.map((e) => `${socket}: ${textIn(e.ciphertext)}`) : [],
    );
  }

  lastId(): EnvelopeId {
    const submit = this.sent.findLast(({ frame }) => frame.frame === "submit")?.frame;
    if (submit?.frame !== "submit") throw new Error("nothing was submitted");
    const envelope = submit.envelopes.at(-1);
    if (envelope === undefined) throw new Error("an empty submit");
    return envelope.id;
  }

  /** The id of the envelope that carries this text. */
  idOf(text: string): EnvelopeId {
    for (const { frame } of this.sent)
      if (frame.frame === "submit")
        for (const e of frame.envelopes) if (textIn(e.ciphertext) === text) return e.id;
    throw new Error(`${text} was not submitted`);
  }

  texts(): string[] {
    return this.handed.map(bodyOf);
  }

  tellsOf<T extends Told["tell"]>(tell: T): (Told & { tell: T })[] {
    return this.told.filter((told): told is Told & { tell: T } => told.tell === tell);
  }

  /** The missing runs that were handed over, as [first, last]. */
  gaps(): [number, number][] {
    return this.handed.flatMap(({ content }) =>
      content.kind === "gap" ? [[content.first, content.last] satisfies [number, number]] : [],
    );
  }

  rows(table: string): number {
    return this.store.get(table)?.size ?? 0;
  }
}

export function bodyOf(entry: Entry): string {
  const { content } = entry;
  if (content.kind === "receipt") return `receipt ${content.delivered.length}/${content.read.length}`;
  if (content.kind === "gap") return `gap ${content.first}-${content.last}`;
  if (!("body" in content)) return content.kind;
  return new TextDecoder().decode(content.body) + (entry.late ? " (late)" : "");
}

const OFFSET = 18 + 16;
/** The text of an envelope that the stub cipher sealed. */
export function textIn(ciphertext: Uint8Array): string {
  let at = OFFSET;
  at += ciphertext[at] === 1 ? 17 : 1;
  at += 8;
  at += ciphertext[at] === 1 ? 17 : 1;
  if (ciphertext[at] === 1) at += 2 + ((ciphertext[at + 1] ?? 0) << 8) + (ciphertext[at + 2] ?? 0);
  at += 1;
  const kind = ciphertext[at];
  const length = new DataView(ciphertext.buffer, ciphertext.byteOffset).getUint32(at + 1);
  return kind === 1 ? "receipt" : new TextDecoder().decode(ciphertext.subarray(at + 5, at + 5 + length));
}

export { STUB_KEY };
