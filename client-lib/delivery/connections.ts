// The connections of a device: its own, one that submits and asks, one that watches. The last two say nothing of who is
// behind them, and are separate so that whom somebody writes to and whom they watch does not come on one connection.
// Always true: the application hears of the device's own connection alone, once each time that it changes.
import {
  type AccountId,
  type ClientFrame,
  type DeviceNumber,
  type EnvelopeId,
  MAX_IDS,
} from "@lethe/protocol";
import { Connection } from "./connection.ts";
import type { Chance, Cipher, SocketName } from "./events.ts";
import { ANONYMOUS_IDLE_MS, WATCH_IDLE_MS, WATCH_SPREAD_MS } from "./limits.ts";
import type { After, Turn } from "./turn.ts";
import type { CoreView } from "./view.ts";

export const SOCKETS = ["device", "anonymous", "presence"] as const satisfies readonly SocketName[];

export interface ConnectionsConfig {
  readonly account: AccountId;
  readonly device: DeviceNumber;
  readonly urls: number;
  readonly chance: Chance;
  readonly cipher: Pick<Cipher, "prove" | "suspect">;
}

export class Connections {
  readonly device: Connection;
  readonly anonymous: Connection;
  readonly presence: Connection;
  #told: CoreView["connection"] = "offline";

  constructor(shared: ConnectionsConfig, epoch: number) {
    const always = { idleMs: Number.POSITIVE_INFINITY, spreadMs: 0 };
    this.device = new Connection({ ...shared, ...always, socket: "device" }, epoch);
    const submitting = { idleMs: ANONYMOUS_IDLE_MS, spreadMs: 0 };
    this.anonymous = new Connection({ ...shared, ...submitting, socket: "anonymous" }, 0);
    const watching = { idleMs: WATCH_IDLE_MS, spreadMs: WATCH_SPREAD_MS };
    this.presence = new Connection({ ...shared, ...watching, socket: "presence" }, 0);
  }

  of(socket: SocketName): Connection {
    return this[socket];
  }

  get state(): CoreView["connection"] {
    const { at } = this.device;
    return at === "up" ? "online" : at === "idle" || at === "waiting" ? "offline" : "connecting";
  }

  tell(turn: Turn): void {
    const { state } = this;
    if (state === this.#told) return;
    this.#told = state;
    turn.tell({ tell: "connection", state });
  }

  /** Acknowledges what came on the device connection that is up, and is durable by now. */
  acknowledge(turn: Turn, after: readonly After[]): void {
    const { up } = this.device;
    const ids: EnvelopeId[] = [];
    for (const each of after) if (each.next === "acknowledge" && each.connection === up) ids.push(each.id);
    const frames: ClientFrame[] = [];
    for (let at = 0; at < ids.length; at += MAX_IDS)
      frames.push({ frame: "delivered", ids: ids.slice(at, at + MAX_IDS) });
    this.device.send(turn, ...frames);
  }

  /** When `tick` of one of them has something to do. */
  nextAt(): number {
    return Math.min(this.device.nextAt(), this.anonymous.nextAt(), this.presence.nextAt());
  }
}
