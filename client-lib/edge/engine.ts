// Carries out what the core decides: sockets, store, timer. It decides nothing itself.
// Always true: events reach the core in the order in which they happened, those of one moment as one batch, so that
// they share a commit, but for a page no longer than it may be held up; effects are carried out in their order; after
// `stop` nothing reaches the application any more.
import { decodeFrames, PATHS, type RelayFrame } from "@lethe/protocol";
import { kindOf } from "../delivery/connection.ts";
import type { ClientCore } from "../delivery/core.ts";
import type { Effect, Entry, Happening, SocketName, Told } from "../delivery/events.ts";
import type { ClientStore } from "../store/store.ts";
import type { Clock } from "./clock.ts";
import { toMessages } from "./messages.ts";
import { STRETCH } from "./platform.ts";
import type { OpenSocket, Socket } from "./socket.ts";

export interface EngineConfig {
  readonly core: ClientCore;
  readonly store: ClientStore;
  readonly clock: Clock;
  readonly openSocket: OpenSocket;
  /** Base addresses, http or https. */
  readonly urls: readonly string[];
  readonly hand: (entry: Entry) => void;
  readonly tell: (told: Told) => void;
  /** Something may have changed in the core. */
  readonly stepped: () => void;
}

/** RFC 6455, 7.4.1: the other side breaks the protocol. */
const PROTOCOL_ERROR = 1002;

export class Engine {
  readonly #config: EngineConfig;
  readonly #sockets = new Map<string, Socket>();
  #queue: Happening[] = [];
  #busy = false;
  #planned = false;
  #stopping = false;
  #stopped = false;
  #cancelWake: () => void = () => undefined;
  /** The commit that is under way. */
  #committing: Promise<void> = Promise.resolve();

  constructor(config: EngineConfig) {
    this.#config = config;
  }

  /** Takes an event. What others wait for is taken at once, with what stands before it; the rest soon, together. */
  step(event: Happening): void {
    this.#queue.push(...inPieces(event));
    if (event.event === "committed" || event.event === "commit-failed" || event.event === "stop")
      this.#flush();
    else this.#plan();
  }

  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    this.#config.clock.soon(() => {
      this.#planned = false;
      this.#flush();
    });
  }

  #flush(): void {
    // Effects of this very flush may cause events: they are taken after it, below.
    if (this.#busy) return;
    this.#busy = true;
    const until = this.#config.clock.now() + STRETCH.ms;
    try {
      while (this.#queue.length > 0) {
        const now = this.#config.clock.now();
        // The end is never put off: who stops waits for what it writes.
        if (now >= until && !this.#stopping) return this.#plan();
        const events = this.#queue.splice(0, STRETCH.events);
        for (const effect of this.#config.core.step({ event: "batch", events, now })) this.#carryOut(effect);
      }
      this.#config.stepped();
    } finally {
      this.#busy = false;
    }
  }

  /** Ends the connections and waits for what is being written. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.step({ event: "stop" });
    this.#stopped = true;
    this.#cancelWake();
    let writing: Promise<void> | undefined;
    while (writing !== this.#committing) {
      writing = this.#committing;
      await writing;
    }
  }

  #carryOut(effect: Effect): void {
    switch (effect.do) {
      case "open":
        return this.#open(effect);
      case "close":
        return this.#sockets.get(effect.socket + effect.connection)?.close();
      case "send":
        for (const message of toMessages(effect.frames))
          this.#sockets.get(effect.socket + effect.connection)?.send(message);
        return;
      case "commit":
        this.#committing = this.#commit(effect);
        return;
      case "hand":
        if (!this.#stopped) this.#config.hand(effect.entry);
        return;
      case "tell":
        if (!this.#stopped) this.#config.tell(effect.told);
        return;
      case "wake":
        this.#cancelWake();
        if (this.#stopped) return;
        this.#cancelWake = this.#config.clock.after(effect.at - this.#config.clock.now(), () =>
          this.step({ event: "tick" }),
        );
    }
  }

  async #commit({ commit, writes }: Effect & { do: "commit" }): Promise<void> {
    try {
      await this.#config.store.commit(writes);
    } catch (error) {
      this.step({ event: "commit-failed", commit, why: error instanceof Error ? error.message : "" });
      return;
    }
    this.step({ event: "committed", commit });
  }

  #open({ socket: of, connection, url }: Effect & { do: "open" }): void {
    const name = of + connection;
    const closed = (status: number): void => {
      if (this.#sockets.delete(name)) this.step({ event: "closed", socket: of, connection, status });
    };
    const socket = this.#config.openSocket(this.#address(of, url), {
      opened: () => this.step({ event: "opened", socket: of, connection }),
      message: (bytes) => {
        if (!this.#sockets.has(name)) return;
        const frames = decode(bytes, of);
        if (frames !== undefined) return this.step({ event: "frames", socket: of, connection, frames });
        socket.close();
        closed(PROTOCOL_ERROR);
      },
      closed,
    });
    this.#sockets.set(name, socket);
  }

  #address(socket: SocketName, url: number): string {
    const base = this.#config.urls[url] ?? "";
    return (
      base.replace(/^http/, "ws") + (kindOf(socket) === "device" ? PATHS.deviceSocket : PATHS.anonymousSocket)
    );
  }
}

/** Frames that came together are no more at a stretch than other events. */
function inPieces(event: Happening): Happening[] {
  if (event.event !== "frames" || event.frames.length <= STRETCH.events) return [event];
  const pieces: Happening[] = [];
  for (let at = 0; at < event.frames.length; at += STRETCH.events)
    pieces.push({ ...event, frames: event.frames.slice(at, at + STRETCH.events) });
  return pieces;
}

/** Undefined: not frames of this protocol. */
function decode(bytes: Uint8Array, socket: SocketName): RelayFrame[] | undefined {
  try {
    return decodeFrames(bytes, { from: "relay", on: kindOf(socket), version: 1 });
  } catch {
    return undefined;
  }
}
