// One run of a simulated client's process, from its start to its stop or crash, and the sockets that it has.
import type { ClientFrame, RelayFrame } from "@lethe/protocol";
import type { ClientCore } from "../../client-lib/delivery/core.ts";
import type { Happening, SocketName } from "../../client-lib/delivery/events.ts";
import type { Planned } from "./agenda.ts";
import type { Pipe } from "./pipe.ts";

export type ClientPipe = Pipe<readonly ClientFrame[], readonly RelayFrame[]>;

export interface Socket {
  readonly kind: SocketName;
  readonly connection: number;
  readonly pipe: ClientPipe;
}

export interface Run {
  readonly core: ClientCore;
  readonly sockets: Map<string, Socket>;
  wake: Planned | undefined;
  /** What the core has not been told yet. */
  happened: Happening[];
  busy: boolean;
}

export function nameOf(kind: SocketName, connection: number): string {
  return `${kind}${connection}`;
}
