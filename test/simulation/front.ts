// The side of a node that clients see, as the relay's edge is: greetings, frames to events, effects to frames; what one
// turn says to a connection goes as one message. Always true: nothing is said to a connection that has ended.
import {
  addressOf,
  type ClientFrame,
  type ConnectionKind,
  type DeviceAddress,
  type EnvelopeId,
  type FrameOf,
  PROBLEMS,
  type ProblemCode,
  type RelayFrame,
  type Time,
} from "@lethe/protocol";
import type { PayloadId } from "@lethe/queue";
import type { NodeEvent } from "../../relay/delivery/types.ts";
import { retryAfter } from "../../relay/edge/client-socket.ts";
import type { ClientPipe } from "./client-run.ts";
import { indexOfAccount } from "./people.ts";
import type { World } from "./world.ts";

/** Silence after which a connection counts as gone, ms. */
export const PING_MS = 30_000;
const RELAY = "relay.example";

export interface Socket {
  readonly number: number;
  readonly kind: ConnectionKind;
  readonly pipe: ClientPipe;
  at: "greeting" | "proving" | "claiming" | "open";
  hello: FrameOf<"hello"> | undefined;
  address: DeviceAddress | undefined;
  accepted: EnvelopeId[];
  refused: Map<ProblemCode, EnvelopeId[]>;
  out: RelayFrame[];
  dirty: boolean;
}

/** What the front asks of its process. */
export interface FrontPort {
  /** The name of a connection for the ledger, never used again. */
  line(socket: number): string;
  enter(act: () => void): void;
  step(event: NodeEvent): void;
  /** An envelope has come, before the machine hears of it. */
  came(id: EnvelopeId): void;
  refuse(connection: number, id: EnvelopeId, code: ProblemCode): void;
}

export class Front {
  readonly #world: World;
  readonly #port: FrontPort;
  readonly #sockets = new Map<number, Socket>();
  #dirty: Socket[] = [];
  #next = 1;

  constructor(world: World, port: FrontPort) {
    this.#world = world;
    this.#port = port;
  }

  get sockets(): Iterable<Socket> {
    return this.#sockets.values();
  }

  find(connection: number): Socket | undefined {
    return this.#sockets.get(connection);
  }

  accept(pipe: ClientPipe, kind: ConnectionKind): void {
    const socket: Socket = {
      number: this.#next++,
      kind,
      pipe,
      at: "greeting",
      hello: undefined,
      address: undefined,
      accepted: [],
      refused: new Map(),
      out: [],
      dirty: false,
    };
    this.#sockets.set(socket.number, socket);
    pipe.high({
      take: (frames) => this.#port.enter(() => this.#frames(socket, frames)),
      closed: () => this.#port.enter(() => this.#closed(socket)),
    });
  }

  #closed(socket: Socket): void {
    if (!this.#sockets.delete(socket.number)) return;
    if (socket.address !== undefined) this.#port.step({ is: "gone", connection: socket.number });
    this.#world.ledger.ended(this.#port.line(socket.number));
  }

  /** Says why, and ends the connection. A node that leaves waits for its answers first. */
  end(connection: number, code: ProblemCode): void {
    const socket = this.#sockets.get(connection);
    if (socket === undefined || code === "shutting-down") return;
    this.#put(socket, { frame: "error", code: PROBLEMS[code].number });
    this.#write(socket);
    socket.pipe.closeHigh(PROBLEMS[code].close ?? 1011);
    this.#closed(socket);
  }

  endAll(): void {
    for (const socket of [...this.#sockets.values()]) {
      socket.pipe.closeHigh(PROBLEMS["shutting-down"].close ?? 1012);
      this.#closed(socket);
    }
  }

  goaway(retry: () => number): void {
    const code = PROBLEMS["shutting-down"].number;
    for (const socket of this.#sockets.values())
      this.#put(socket, { frame: "goaway", code, retryAfter: retry() });
    this.flush();
  }

  /** The process is gone; `told` says for each connection whether its client hears of it. */
  die(told: () => boolean): void {
    for (const socket of this.#sockets.values()) {
      socket.pipe.dieHigh(told());
      this.#world.ledger.ended(this.#port.line(socket.number));
    }
    this.#sockets.clear();
  }

  // --- what is said --------------------------------------------------------------------------------------------------

  send(connection: number, frame: RelayFrame): void {
    const socket = this.#sockets.get(connection);
    if (socket !== undefined) this.#put(socket, frame);
  }

  welcome(connection: number): void {
    const socket = this.#sockets.get(connection);
    if (socket !== undefined) this.#welcome(socket);
  }

  accepted(connection: number, id: EnvelopeId): void {
    const socket = this.#sockets.get(connection);
    if (socket === undefined) return;
    socket.accepted.push(id);
    this.#touch(socket);
  }

  refused(connection: number, id: EnvelopeId, code: ProblemCode): void {
    const socket = this.#sockets.get(connection);
    if (socket === undefined) return;
    const ids = socket.refused.get(code);
    if (ids === undefined) socket.refused.set(code, [id]);
    else ids.push(id);
    this.#touch(socket);
  }

  #put(socket: Socket, frame: RelayFrame): void {
    socket.out.push(frame);
    this.#touch(socket);
  }

  #touch(socket: Socket): void {
    if (socket.dirty) return;
    socket.dirty = true;
    this.#dirty.push(socket);
  }

  flush(): void {
    if (this.#dirty.length === 0) return;
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const socket of dirty) this.#write(socket);
  }

  #write(socket: Socket): void {
    socket.dirty = false;
    const frames: RelayFrame[] = [];
    if (socket.accepted.length > 0) frames.push({ frame: "accepted", ids: socket.accepted });
    for (const [code, ids] of socket.refused)
      frames.push({ frame: "refused", code: PROBLEMS[code].number, retryAfter: retryAfter(code), ids });
    for (const frame of socket.out) frames.push(frame);
    socket.accepted = [];
    if (socket.refused.size > 0) socket.refused = new Map();
    socket.out = [];
    if (frames.length > 0) socket.pipe.down(frames);
  }

  // --- what is heard -------------------------------------------------------------------------------------------------

  #frames(socket: Socket, frames: readonly ClientFrame[]): void {
    for (const frame of frames) if (this.#sockets.has(socket.number)) this.#frame(socket, frame);
    this.flush();
  }

  #frame(socket: Socket, frame: ClientFrame): void {
    switch (frame.frame) {
      case "ping":
        return this.#put(socket, { frame: "pong", token: frame.token });
      case "hello":
        socket.hello = frame;
        socket.at = "proving";
        return this.#put(socket, {
          frame: "challenge",
          version: 1,
          relay: RELAY,
          nonce: new Uint8Array(32),
        });
      case "hello-anonymous":
        return this.#welcome(socket);
      case "proof":
        return this.#proof(socket);
      case "submit":
        return this.#submit(socket, frame);
      case "signal":
        for (const { device, id, ciphertext } of frame.envelopes)
          this.#port.step({
            is: "signalled",
            address: addressOf(frame.recipient, device),
            id,
            ciphertext,
          });
        return;
      case "delivered":
        this.#world.ledger.acked(this.#port.line(socket.number), frame.ids);
        return this.#port.step({ is: "acked", connection: socket.number, ids: frame.ids });
      case "ask-devices":
        return this.#askDevices(socket, frame);
      case "ask-prekeys": {
        const prekeys = this.#world.cast.prekeys(indexOfAccount(frame.account));
        return this.#put(socket, { frame: "has-prekeys", request: frame.request, ...prekeys });
      }
      case "ask-name":
      case "submit-group":
      case "watch":
      case "unwatch":
      case "pong":
        return;
    }
  }

  #askDevices(socket: Socket, { request, account }: FrameOf<"ask-devices">): void {
    if (this.#world.isGone(account)) {
      const { number: code } = PROBLEMS["not-permitted"];
      this.#put(socket, { frame: "ask-refused", request, code, retryAfter: 0 });
      return;
    }
    this.#put(socket, {
      frame: "has-devices",
      request,
      ...this.#world.cast.devices(indexOfAccount(account)),
    });
  }

  #proof(socket: Socket): void {
    const { hello } = socket;
    if (hello === undefined || socket.at !== "proving") return;
    socket.at = "claiming";
    socket.address = addressOf(hello.account, hello.device);
    this.#port.step({
      is: "connected",
      connection: socket.number,
      address: socket.address,
      epoch: hello.epoch,
    });
  }

  #welcome(socket: Socket): void {
    socket.at = "open";
    this.#put(socket, {
      frame: "welcome",
      version: 1,
      relay: RELAY,
      now: this.#world.wall as Time,
      maxEnvelopeBytes: 65_536,
      maxTtlMs: 30 * 86_400_000,
      pingMs: PING_MS,
    });
  }

  #submit(socket: Socket, { recipient, expiry, envelopes }: FrameOf<"submit">): void {
    for (const { device, id, ciphertext } of envelopes) {
      if (expiry <= this.#world.wall) {
        this.#port.refuse(socket.number, id, "expired");
        continue;
      }
      this.#port.came(id);
      const address = addressOf(recipient, device);
      const connection = socket.number;
      if (isShared(id)) {
        const shared = { kind: "pairwise", expiry, ciphertext, payload: payloadOf(ciphertext) } as const;
        this.#port.step({ is: "submitted-group", connection, shared, to: [{ address, id }] });
      } else
        this.#port.step({
          is: "submitted",
          connection,
          address,
          envelope: { id, kind: "pairwise", expiry, ciphertext },
        });
    }
  }
}

/** Every other envelope goes the way of a group's upload, and a retry as it went before. */
function isShared(id: EnvelopeId): boolean {
  return id.charCodeAt(id.length - 1) % 2 === 0;
}

/** What a ciphertext is named by: any name that no other one has. */
function payloadOf(ciphertext: Uint8Array): PayloadId {
  return Buffer.from(ciphertext).toString("latin1") as PayloadId;
}
