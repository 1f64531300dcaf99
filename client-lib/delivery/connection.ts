// One kind of connection to the relay, from wanting it to losing it: greeting, proof, pings, going away, reconnecting.
// Always true: at most one socket is open; a device connection's epoch is durable before its socket is opened; after a
// displacement or a refusal for good nothing is opened until somebody asks.
import { addTime, type ConnectionEnd, endOf, fullJitter, later } from "./connection-ends.ts";
import type { Chance, Cipher, SocketName } from "./events.ts";
import {
  HANDSHAKE_MS,
  LINGER_MS,
  MIN_PING_MS,
  RECONNECT_BASE_MS,
  RECONNECT_CAP_MS,
  STEADY_MS,
} from "./limits.ts";
import {
  type AccountId,
  type ClientFrame,
  type ConnectionKind,
  type DeviceNumber,
  type FrameOf,
  OWN_VERSIONS,
  type ProblemCode,
  type RelayFrame,
  type Time,
} from "@lethe/protocol";
import { epochRow, put } from "./rows.ts";
import type { Turn } from "./turn.ts";

type State =
  | { readonly at: "idle" }
  | { readonly at: "waiting"; readonly until: Time }
  | { readonly at: "raising" }
  | { readonly at: "opening"; readonly connection: number; readonly deadline: Time }
  | { readonly at: "greeting" | "proving"; readonly connection: number; readonly deadline: Time }
  | {
      readonly at: "up";
      readonly connection: number;
      readonly since: Time;
      readonly pingMs: number;
      /** When something was heard last, and when it was asked for a sign of life since. */
      heard: Time;
      pinged: Time | undefined;
      /** When it has had nothing to do since; anonymous connections only. */
      idleSince: Time | undefined;
      /** After `goaway`: when to leave at the latest. */
      leaving: Time | undefined;
    };

export interface ConnectionConfig {
  readonly socket: SocketName;
  readonly account: AccountId;
  readonly device: DeviceNumber;
  /** How many relay URLs there are to go through. */
  readonly urls: number;
  readonly chance: Chance;
  readonly cipher: Pick<Cipher, "prove" | "suspect">;
  /** Closed after so long without work, ms. */
  readonly idleMs: number;
  /** Opened at random up to so long after it is wanted, ms. */
  readonly spreadMs: number;
}

export class Connection {
  readonly #config: ConnectionConfig;
  #state: State = { at: "idle" };
  #connections = 0;
  #epoch: number;
  #url = 0;
  #attempts = 0;
  /** Nothing is opened before this by itself: the last one was lost, or the relay has said so. */
  #notBefore = 0;
  #token = 0;
  /** What the relay said about the end that is coming. */
  #said: { code: ProblemCode | undefined; retryAfter: number } | undefined;

  constructor(config: ConnectionConfig, epoch: number) {
    this.#config = config;
    this.#epoch = epoch;
  }

  get at(): State["at"] {
    return this.#state.at;
  }

  get isUp(): boolean {
    return this.#state.at === "up";
  }

  /** The number of the connection that is up. */
  get up(): number | undefined {
    return this.#state.at === "up" ? this.#state.connection : undefined;
  }

  get epoch(): number {
    return this.#epoch;
  }

  isCurrent(connection: number): boolean {
    return "connection" in this.#state && this.#state.connection === connection;
  }

  /** Connects now, unless it is connecting or connected. */
  connect(turn: Turn): void {
    if (this.#state.at !== "idle" && this.#state.at !== "waiting") return;
    this.#said = undefined;
    if (kindOf(this.#config.socket) === "anonymous") {
      this.#open(turn);
      return;
    }
    this.#state = { at: "raising" };
    this.#epoch += 1;
    turn.stage(put("self", "epoch", epochRow, { epoch: this.#epoch }));
    turn.afterwards({ next: "open", epoch: this.#epoch });
  }

  /** Opens it when it may be, if it is neither open nor about to be. */
  want(turn: Turn): void {
    if (this.#state.at !== "idle") return;
    const { spreadMs, chance } = this.#config;
    const spread = spreadMs === 0 ? 0 : Math.ceil(chance.fraction() * spreadMs);
    const until = Math.max(addTime(turn.now, spread), this.#notBefore) as Time;
    if (until <= turn.now) this.connect(turn);
    else this.#state = { at: "waiting", until };
  }

  /** The epoch is durable. */
  raised(turn: Turn, epoch: number): void {
    if (this.#state.at === "raising" && epoch === this.#epoch) this.#open(turn);
  }

  #open(turn: Turn): void {
    const connection = ++this.#connections;
    this.#state = { at: "opening", connection, deadline: later(turn.now, HANDSHAKE_MS) };
    turn.emit({ do: "open", socket: this.#config.socket, connection, url: this.#url % this.#config.urls });
  }

  /** Ends the connection, and every wish for one. */
  stop(turn: Turn): void {
    this.#closeSocket(turn);
    this.#state = { at: "idle" };
  }

  #closeSocket(turn: Turn): void {
    if ("connection" in this.#state)
      turn.emit({ do: "close", socket: this.#config.socket, connection: this.#state.connection });
  }

  opened(turn: Turn, connection: number): void {
    if (this.#state.at !== "opening" || this.#state.connection !== connection) return;
    const { account, device, socket } = this.#config;
    const versions = { minVersion: OWN_VERSIONS.min, maxVersion: OWN_VERSIONS.max };
    this.#state = { at: "greeting", connection, deadline: this.#state.deadline };
    this.send(
      turn,
      kindOf(socket) === "device"
        ? { frame: "hello", ...versions, account, device, epoch: this.#epoch }
        : { frame: "hello-anonymous", ...versions },
    );
  }

  /** Sends on the socket as it is: only frames of the handshake may go before `up`. */
  send(turn: Turn, ...frames: readonly ClientFrame[]): void {
    if (!("connection" in this.#state) || frames.length === 0) return;
    turn.emit({ do: "send", socket: this.#config.socket, connection: this.#state.connection, frames });
  }

  /** Takes the frames of the connection itself. True: it is up now, and was not before. */
  frame(turn: Turn, frame: RelayFrame): boolean {
    if (this.#state.at === "up") {
      this.#state.heard = turn.now;
      this.#state.pinged = undefined;
    }
    switch (frame.frame) {
      case "challenge":
        this.#prove(turn, frame);
        return false;
      case "welcome":
        return this.#welcome(turn, frame);
      case "epoch-behind":
        this.#behind(turn, frame.last);
        return false;
      case "ping":
        this.send(turn, { frame: "pong", token: frame.token });
        return false;
      case "goaway":
        this.#goaway(turn, frame);
        return false;
      case "error":
        this.#said = endOf(frame.code, 0);
        return false;
      default:
        return false;
    }
  }

  #prove(turn: Turn, { relay, nonce, version }: FrameOf<"challenge">): void {
    const state = this.#state;
    if (state.at !== "greeting" || kindOf(this.#config.socket) !== "device") return;
    this.#state = { ...state, at: "proving" };
    this.send(turn, {
      frame: "proof",
      signature: this.#config.cipher.prove({ relay, nonce, version, epoch: this.#epoch }),
    });
  }

  #welcome(turn: Turn, { pingMs }: FrameOf<"welcome">): boolean {
    const state = this.#state;
    const proved = kindOf(this.#config.socket) === "device" ? "proving" : "greeting";
    if (state.at !== proved || !("connection" in state)) return false;
    this.#state = {
      at: "up",
      connection: state.connection,
      since: turn.now,
      pingMs: Math.max(pingMs, MIN_PING_MS),
      heard: turn.now,
      pinged: undefined,
      idleSince: turn.now,
      leaving: undefined,
    };
    return true;
  }

  /**
   * The relay has seen this epoch, or a later one, and not from us: an epoch is raised for each connection, and frames of
   * older connections are not listened to. The store was restored or copied.
   */
  #behind(turn: Turn, last: number): void {
    if (last < this.#epoch) return;
    this.#epoch = last + 1;
    turn.stage(
      put("self", "epoch", epochRow, { epoch: this.#epoch }),
      ...this.#config.cipher.suspect(turn.now),
    );
    turn.tellAfter({ tell: "store-restored" });
    this.#attempts = 0;
  }

  #goaway(turn: Turn, { code, retryAfter }: FrameOf<"goaway">): void {
    this.#said = endOf(code, retryAfter);
    this.#url += 1;
    if (this.#state.at === "up") this.#state.leaving = addTime(turn.now, LINGER_MS);
  }

  /** The socket is gone. Undefined: it was not this one. */
  closed(turn: Turn, connection: number, end: ConnectionEnd): ProblemCode | "lost" | undefined {
    if (!this.isCurrent(connection)) return undefined;
    return this.#lost(turn, end);
  }

  #lost(turn: Turn, end: ConnectionEnd): ProblemCode | "lost" {
    const state = this.#state;
    const said = this.#said;
    const code = end.code ?? said?.code;
    this.#said = undefined;
    if (code !== undefined && isFinal(code)) {
      this.#state = { at: "idle" };
      return code;
    }
    if (state.at === "up" && turn.now - state.since >= STEADY_MS) this.#attempts = 0;
    if (state.at !== "up") this.#url += 1;
    const wait = fullJitter(this.#config.chance, RECONNECT_BASE_MS, RECONNECT_CAP_MS, this.#attempts);
    this.#attempts += 1;
    const until = later(turn.now, afterWait(this.#config.chance, said?.retryAfter ?? 0, wait));
    this.#notBefore = until;
    this.#state = { at: "waiting", until };
    return code ?? "lost";
  }

  /** Says whether there is work for it: it is opened for that, and closed after a while without any. */
  busy(turn: Turn, busy: boolean): void {
    if (busy) this.want(turn);
    else if (this.#state.at === "waiting") this.stop(turn);
    if (this.#state.at !== "up") return;
    this.#state.idleSince = busy ? undefined : (this.#state.idleSince ?? turn.now);
  }

  /** What time does to it: the end of the connection, if it ends by that. */
  tick(turn: Turn): ProblemCode | "lost" | undefined {
    const state = this.#state;
    switch (state.at) {
      case "idle":
      case "raising":
        return undefined;
      case "waiting":
        if (turn.now >= state.until) this.connect(turn);
        return undefined;
      case "opening":
      case "greeting":
      case "proving":
        return turn.now >= state.deadline ? this.#drop(turn) : undefined;
      case "up":
        return this.#tickUp(turn, state);
    }
  }

  #tickUp(turn: Turn, state: State & { at: "up" }): ProblemCode | "lost" | undefined {
    if (state.leaving !== undefined && turn.now >= state.leaving) return this.#drop(turn);
    if (turn.now - state.heard >= state.pingMs) return this.#drop(turn);
    if (this.#idleEnd(state) <= turn.now) {
      this.stop(turn);
      return "lost";
    }
    if (state.pinged === undefined && turn.now - state.heard >= state.pingMs / 2) {
      state.pinged = turn.now;
      this.#token = (this.#token + 1) % 0x1_0000_0000;
      this.send(turn, { frame: "ping", token: this.#token });
    }
    return undefined;
  }

  #idleEnd(state: State & { at: "up" }): number {
    return state.idleSince === undefined ? Number.POSITIVE_INFINITY : state.idleSince + this.#config.idleMs;
  }

  #drop(turn: Turn): ProblemCode | "lost" {
    this.#closeSocket(turn);
    return this.#lost(turn, { code: undefined });
  }

  /** When `tick` has something to do. */
  nextAt(): number {
    const state = this.#state;
    switch (state.at) {
      case "idle":
      case "raising":
        return Number.POSITIVE_INFINITY;
      case "waiting":
        return state.until;
      case "opening":
      case "greeting":
      case "proving":
        return state.deadline;
      case "up": {
        const ping = state.heard + (state.pinged === undefined ? state.pingMs / 2 : state.pingMs);
        return Math.min(ping, state.leaving ?? Number.POSITIVE_INFINITY, this.#idleEnd(state));
      }
    }
  }
}

/** What a connection is to the relay. */
export function kindOf(socket: SocketName): ConnectionKind {
  return socket === "device" ? "device" : "anonymous";
}

/** Ends after which trying again by itself would be wrong. */
function isFinal(code: ProblemCode): boolean {
  return (
    code === "displaced" ||
    code === "authentication-failed" ||
    code === "device-removed" ||
    code === "version-unsupported"
  );
}

/** A relay that names a time gets at least that, and at most twice that: whoever it sent away comes back spread out. */
function afterWait(chance: Chance, retryAfter: number, wait: number): number {
  return retryAfter === 0 ? wait : retryAfter + chance.fraction() * Math.max(retryAfter, wait);
}
