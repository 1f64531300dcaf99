// One client's WebSocket: frames in, frames out. Writes are gathered and go out once a turn, as one message. Always
// true: a socket that buffers more than its cap is ended, not waited for; nothing is decoded before its size is checked.
import type { Duplex } from "node:stream";
import {
  type ClientFrame,
  type ConnectionKind,
  type DeviceAddress,
  type EnvelopeId,
  type FrameError,
  decodeFrames,
  MAX_IDS,
  MAX_UNPROVEN_BYTES,
  PROBLEMS,
  type ProblemCode,
  type RelayFrame,
  writeFrame,
  Writer,
} from "@lethe/protocol";
import type { WebSocket } from "ws";
import type { Address } from "./addresses.ts";
import type { Greeting } from "./greeting.ts";
import { asMessage } from "./message.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Bytes that may wait in one socket's buffer: four push windows. */
export const MAX_BUFFERED_BYTES = 1_048_576 * 2;
/** Bytes of a message that is not complete, of somebody who has not greeted: what they may say, and one read of a socket. */
export const MAX_UNPROVEN_UNDER_WAY = MAX_UNPROVEN_BYTES + 65_536;
/** Frames that wait for the account of an earlier one; then reading stops until they are through. */
export const MAX_BACKLOG = 256;

export interface SocketPort {
  frame(socket: ClientSocket, frame: ClientFrame): void;
  closed(socket: ClientSocket): void;
  dirty(socket: ClientSocket): void;
  ended(code: ProblemCode): void;
}

/** What a connection is, and where it comes from. */
export interface From {
  readonly kind: ConnectionKind;
  readonly address: Address;
  /** Envelopes a second that it may send; twice as many at once. */
  readonly envelopeRate: number;
}

/** A WebSocket, and the stream that it lies on. */
export interface Carried {
  readonly ws: WebSocket;
  readonly stream: Duplex;
}

/** Names that a connection may ask for: a second, and at once. */
const QUESTIONS = { rate: 1, burst: 100 } as const;

const shared = new Writer(65_536);

export class ClientSocket {
  readonly number: number;
  readonly kind: ConnectionKind;
  /** Where it comes from, as far as limits tell addresses apart. */
  readonly address: Address;
  readonly #envelopeRate: number;
  #envelopes: TokenBucket | undefined = undefined;
  #questions: TokenBucket | undefined = undefined;
  readonly #ws: WebSocket;
  /** What carries the WebSocket: messages are written to it whole. */
  readonly #stream: Duplex;
  readonly #port: SocketPort;
  readonly #now: () => number;
  /** Where the connection stands before it is `open`. */
  greeting: Greeting;
  version = 1;
  lastHeard: number;
  pinged = false;
  dirty = false;
  #out: RelayFrame[] = [];
  #accepted: EnvelopeId[] = [];
  /** Made when something is refused: most connections never need it. */
  #refused: Map<ProblemCode, { ids: EnvelopeId[]; wait: number }> | undefined = undefined;
  #ended = false;
  /** Frames that wait behind one that is not through yet; undefined where nothing is waited for. */
  #backlog: ClientFrame[] | undefined;
  /** How many of them are through. */
  #taken = 0;
  /** Bytes that have come since the last whole message, counted while nobody has greeted. */
  #underWay = 0;
  #uncount: (() => void) | undefined = undefined;
  /** How many steps of the frame ahead are under way: it is through when all of them are. */
  #holds = 0;

  constructor(number: number, from: From, on: Carried, port: SocketPort, now: () => number) {
    const { ws } = on;
    this.number = number;
    this.kind = from.kind;
    this.address = from.address;
    this.#envelopeRate = from.envelopeRate;
    this.#ws = ws;
    this.#stream = on.stream;
    this.#port = port;
    this.#now = now;
    this.lastHeard = now();
    this.greeting = { at: "awaiting-hello", since: this.lastHeard };
    ws.on("message", (data, isBinary) => this.#message(data as Buffer, isBinary));
    ws.on("close", () => this.#gone());
    ws.on("error", () => ws.terminate()); // protocol errors of the WebSocket layer: `close` follows
  }

  /** Envelopes that this connection may send. Made when it sends one: most connections only wait for mail. */
  get envelopes(): TokenBucket {
    const rate = this.#envelopeRate;
    return (this.#envelopes ??= new TokenBucket(rate, rate * 2, this.lastHeard));
  }

  /** Questions about names that it may ask. */
  get questions(): TokenBucket {
    return (this.#questions ??= new TokenBucket(QUESTIONS.rate, QUESTIONS.burst, this.lastHeard));
  }

  /** True from the moment in which nothing of this connection counts any more, whoever ended it. */
  get ended(): boolean {
    return this.#ended;
  }

  #gone(): void {
    this.#ended = true;
    this.#backlog = undefined;
    this.#port.closed(this);
  }

  #message(data: Buffer, isBinary: boolean): void {
    if (this.#ended) return;
    this.lastHeard = this.#now();
    this.pinged = false;
    this.#underWay = 0;
    if (!isBinary) return this.end("malformed-frame");
    if (this.greeting.at !== "open" && data.length > MAX_UNPROVEN_BYTES) return this.end("frame-too-large");
    let frames: ClientFrame[];
    try {
      frames = decodeFrames(data, { from: "client", on: this.kind, version: this.version });
    } catch (error) {
      return this.end((error as FrameError).code);
    }
    for (const frame of frames) {
      if (this.#ended) return;
      if (this.#backlog === undefined) this.#port.frame(this, frame);
      else this.#holdBack(this.#backlog, frame);
    }
  }

  /** Counts what comes over the stream below, until somebody has greeted. */
  countUntilOpen(): void {
    const count = (chunk: Buffer): void => this.#heard(chunk.length);
    this.#stream.on("data", count);
    this.#uncount = () => this.#stream.off("data", count);
  }

  /** Somebody has greeted; a device is at `address`. */
  open(address: DeviceAddress | undefined): void {
    this.greeting = { at: "open", address };
    this.#uncount?.();
    this.#uncount = undefined;
  }

  /** A message of somebody unknown is not waited for beyond what it may be, and nothing more is read. */
  #heard(bytes: number): void {
    if (this.greeting.at === "open" || this.#ended) return;
    this.#underWay += bytes;
    if (this.#underWay <= MAX_UNPROVEN_UNDER_WAY) return;
    this.end("frame-too-large");
    this.#ws.pause();
  }

  #holdBack(backlog: ClientFrame[], frame: ClientFrame): void {
    backlog.push(frame);
    if (backlog.length - this.#taken >= MAX_BACKLOG) this.#ws.pause();
  }

  /** The frame at hand takes time: later ones wait behind it until as many `resume` as `hold` have come. */
  hold(): void {
    this.#holds++;
    this.#backlog ??= [];
  }

  /** A step is through: after the last one what waited is taken, until a frame has to wait again. More is read once nothing waits. */
  resume(): void {
    if (--this.#holds > 0) return;
    const backlog = this.#backlog ?? [];
    while (this.#taken < backlog.length && !this.#ended) {
      this.#port.frame(this, backlog[this.#taken++] as ClientFrame);
      if (this.#waits()) return;
    }
    this.#backlog = undefined;
    this.#taken = 0;
    if (this.#ws.isPaused && !this.#ended) this.#ws.resume();
  }

  #waits(): boolean {
    return this.#holds > 0;
  }

  send(frame: RelayFrame): void {
    if (this.#ended) return;
    this.#out.push(frame);
    this.#touch();
  }

  accept(id: EnvelopeId): void {
    this.#accepted.push(id);
    this.#touch();
  }

  /** @param wait ms after which trying again makes sense. */
  refuse(id: EnvelopeId, code: ProblemCode, wait = retryAfter(code)): void {
    this.#refused ??= new Map();
    const refused = this.#refused.get(code);
    if (refused === undefined) this.#refused.set(code, { ids: [id], wait });
    else {
      refused.ids.push(id);
      refused.wait = Math.max(refused.wait, wait);
    }
    this.#touch();
  }

  #touch(): void {
    if (this.dirty) return;
    this.dirty = true;
    this.#port.dirty(this);
  }

  /** Everything gathered goes out as one message. */
  flush(): void {
    this.dirty = false;
    this.#write();
    if (this.#ws.bufferedAmount > MAX_BUFFERED_BYTES) this.end("slow-reader");
  }

  #write(): void {
    for (let i = 0; i < this.#accepted.length; i += MAX_IDS)
      writeFrame(shared, { frame: "accepted", ids: this.#accepted.slice(i, i + MAX_IDS) });
    if (this.#accepted.length > 0) this.#accepted = [];
    if (this.#refused !== undefined) this.#writeRefused(this.#refused);
    this.#refused = undefined;
    for (const frame of this.#out) writeFrame(shared, frame);
    if (this.#out.length > 0) this.#out = [];
    if (shared.length > 0) this.#send();
  }

  /** In one piece with its WebSocket header: written apart, the two cost a fifth of a small message's whole way. */
  #send(): void {
    const message = asMessage(shared);
    if (this.#ws.readyState === this.#ws.OPEN) this.#stream.write(message);
  }

  #writeRefused(refused: ReadonlyMap<ProblemCode, { ids: EnvelopeId[]; wait: number }>): void {
    for (const [code, { ids, wait }] of refused)
      for (let i = 0; i < ids.length; i += MAX_IDS)
        writeFrame(shared, {
          frame: "refused",
          code: PROBLEMS[code].number,
          retryAfter: wait,
          ids: ids.slice(i, i + MAX_IDS),
        });
  }

  /** Says the code and ends the connection; what was gathered goes out before it. */
  end(code: ProblemCode): void {
    if (this.#ended) return;
    const leaving = code === "shutting-down";
    this.#out.push(
      leaving
        ? { frame: "goaway", code: PROBLEMS[code].number, retryAfter: 1_000 }
        : { frame: "error", code: PROBLEMS[code].number },
    );
    this.#write();
    this.#ended = true;
    this.#backlog = undefined;
    this.#port.ended(code);
    this.#ws.close(PROBLEMS[code].close ?? 1011, code);
    if (code === "slow-reader" || code === "ping-timeout") this.#ws.terminate();
    this.#port.closed(this);
  }

  /** Announces that the node is leaving without ending the connection: answers under way still go out. */
  goaway(retryAfter: number): void {
    this.send({ frame: "goaway", code: PROBLEMS["shutting-down"].number, retryAfter });
  }

  terminate(): void {
    this.#ended = true;
    this.#ws.terminate();
  }
}

/** Milliseconds after which trying again makes sense, 0 where it does not. */
export function retryAfter(code: ProblemCode): number {
  switch (code) {
    case "mailbox-full":
      return 30_000;
    case "storage-full":
    case "storage-failed":
      return 5_000;
    case "busy":
      return 1_000;
    default:
      return PROBLEMS[code].retry === "later" ? 5_000 : 0;
  }
}
