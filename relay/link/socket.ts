// One link's WebSocket, from the first byte to the last. What is sent is gathered and goes out once a turn. Always true:
// its end is told once, unless whoever would be told ended it; what buffers more than its cap is broken, not waited for.
import type { Duplex } from "node:stream";
import { Writer } from "@lethe/protocol";
import type { NodeId } from "@lethe/queue";
import type { WebSocket } from "ws";
import {
  decodeLinkFrames,
  LINK_ENDS,
  type LinkEnd,
  LinkError,
  type WireFrame,
  writeLinkFrame,
} from "./frames.ts";
import { FULL_MESSAGE_BYTES, MAX_LINK_BUFFERED_BYTES, MAX_UNPROVEN_BYTES } from "./limits.ts";
import { answer, hear, type Opening, type Self, type Step } from "./opening.ts";

export interface LinkSocketPort {
  readonly self: Self;
  readonly instant: () => number;
  readonly nonce: () => Uint8Array;
  /** The caller has proved itself: the link stands once this end has answered, and the caller has kept to it. */
  proved(socket: LinkSocket): void;
  stands(socket: LinkSocket): void;
  frame(socket: LinkSocket, frame: WireFrame): void;
  dirty(socket: LinkSocket): void;
  ended(socket: LinkSocket, why: LinkEnd): void;
}

export class LinkSocket {
  readonly #ws: WebSocket;
  readonly #port: LinkSocketPort;
  readonly #self: Self;
  readonly since: number;
  readonly #out = new Writer(4_096);
  #state: Opening;
  #ended = false;
  #dirty = false;
  #uncount: (() => void) | undefined = undefined;
  lastHeard: number;
  /** What the last heartbeat said; undefined before the first. */
  told: { readonly clockAhead: number; readonly sessions: number } | undefined = undefined;

  /** @param state `calling` for one that this node opened, `called` for one that came in. */
  constructor(ws: WebSocket, state: Opening, port: LinkSocketPort) {
    this.#ws = ws;
    this.#port = port;
    this.#self = port.self;
    this.#state = state;
    this.since = port.instant();
    this.lastHeard = this.since;
    if (state.at === "calling") ws.on("open", () => this.#sendNow(state.hello));
    ws.on("message", (message, isBinary) => this.#message(message as Buffer, isBinary));
    ws.on("close", (status) => this.#fail(endOf(status)));
    ws.on("error", () => this.#fail(this.#state.at === "calling" ? "unreached" : "malformed"));
  }

  /** Counts what comes over the stream below, until somebody has proved the secret. */
  countUntilProved(stream: Duplex): void {
    let heard = 0;
    const count = (chunk: Buffer): void => {
      heard += chunk.length;
      if (heard > MAX_UNPROVEN_BYTES) this.#fail("too-large");
    };
    stream.on("data", count);
    this.#uncount = () => stream.off("data", count);
  }

  get stands(): boolean {
    return this.#state.at === "stands" && !this.#ended;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Who the other end has proved to be, or is called as. */
  get peer(): NodeId | undefined {
    const state = this.#state;
    switch (state.at) {
      case "called":
      case "awaiting-caller":
        return undefined;
      case "calling":
        return state.hello.to;
      case "awaiting-listener":
        return state.said.listener;
      case "proved":
      case "awaiting-ready":
        return state.said.caller;
      case "stands":
        return state.peer;
    }
  }

  /** Of the frames' table, as both ends agreed; 0 before the link stands. */
  get version(): number {
    return this.#state.at === "stands" ? this.#state.version : 0;
  }

  /** Where a caller that has proved itself says that it is reached. */
  get callerAddress(): string | undefined {
    return this.#state.at === "proved" ? this.#state.said.callerAddress : undefined;
  }

  /** The ends of a link that stands, for as long as it does. */
  get me(): NodeId {
    return this.#self.id;
  }

  /** This end wants the link. */
  answer(): void {
    if (this.#state.at === "proved" && !this.#ended) this.#take(answer(this.#state, this.#self));
  }

  #message(message: Buffer, isBinary: boolean): void {
    if (this.#ended) return;
    this.lastHeard = this.#port.instant();
    if (!isBinary) return this.#fail("malformed");
    const state = this.#state;
    try {
      if (state.at === "stands")
        this.#standing(decodeLinkFrames(message, { when: "standing", version: state.version }));
      else this.#opening(decodeLinkFrames(message, { when: "opening", version: 0 }));
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      this.#fail(error.code);
    }
  }

  #standing(frames: readonly WireFrame[]): void {
    for (const frame of frames) {
      if (this.#ended) return;
      this.#port.frame(this, frame);
    }
  }

  #opening([frame, ...rest]: readonly WireFrame[]): void {
    if (frame === undefined || rest.length > 0) return this.#fail("unexpected");
    this.#take(hear(this.#state, frame, this.#self, this.#port.nonce));
  }

  #take(step: Step): void {
    if ("end" in step) return this.#fail(step.end);
    this.#state = step.to;
    if (step.send !== undefined) this.#sendNow(step.send);
    if (step.to.at === "proved" || step.to.at === "stands") {
      this.#uncount?.();
      this.#uncount = undefined;
    }
    if (step.to.at === "proved") this.#port.proved(this);
    if (step.to.at === "stands") this.#port.stands(this);
  }

  #sendNow(frame: WireFrame): void {
    writeLinkFrame(this.#out, frame);
    this.#write();
  }

  /** Goes out with what else this turn brings. */
  send(frame: WireFrame): void {
    if (this.#ended) return;
    writeLinkFrame(this.#out, frame);
    if (this.#out.length > FULL_MESSAGE_BYTES) this.flush();
    else if (!this.#dirty) {
      this.#dirty = true;
      this.#port.dirty(this);
    }
  }

  flush(): void {
    this.#dirty = false;
    if (this.#ended) return;
    this.#write();
    if (this.#ws.bufferedAmount > MAX_LINK_BUFFERED_BYTES) this.#fail("slow");
  }

  #write(): void {
    if (this.#out.length > 0) this.#ws.send(this.#out.take(), { binary: true });
  }

  /** Ends it, and tells nobody here. */
  end(why: LinkEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#ws.close(LINK_ENDS[why], why);
    if (why !== "superseded" && why !== "leaving") this.#ws.terminate();
  }

  #fail(why: LinkEnd): void {
    if (this.#ended) return;
    this.end(why);
    this.#port.ended(this, why);
  }
}

const byStatus = new Map((Object.keys(LINK_ENDS) as LinkEnd[]).map((why) => [LINK_ENDS[why] as number, why]));

/** What the other end says of the end; a connection that just broke says nothing. */
function endOf(status: number): LinkEnd {
  return byStatus.get(status) ?? "broken";
}
