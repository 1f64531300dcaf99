// What may be done to a link, in one table: the shape of a direction lasts until it is changed, an act happens once to the
// connections that are open. Always true: a shape that names nothing changes no byte and holds nothing up.

/** A direction: towards whom the link leads, towards whoever connected, or both. */
export type Toward = "target" | "source" | "both";

export interface Shape {
  /** Each chunk is held up by this long, ms, and at random by up to `jitterMs` more. Order is kept. */
  readonly latencyMs: number;
  readonly jitterMs: number;
  /** Most that passes, bytes a second; 0: no limit. */
  readonly bytesPerSecond: number;
  /** Nothing is read: the sender's buffers fill. All of it goes on when the stall ends. */
  readonly stall: boolean;
  /** Everything is read and thrown away. A connection that lost a byte passes none ever after: no stream has a hole. */
  readonly blackhole: boolean;
  /** Each connection is ended after so many further bytes, wherever in a frame that is. */
  readonly cutAfter: number | undefined;
}

export const CLEAR: Shape = {
  latencyMs: 0,
  jitterMs: 0,
  bytesPerSecond: 0,
  stall: false,
  blackhole: false,
  cutAfter: undefined,
};

/** Where a link leads, and the port on which it listens (0 takes a free one). */
export interface LinkPorts {
  readonly target: number;
  readonly listen?: number;
}

/** A link's handle, here or at the other end of a control socket. */
export interface LinkHandle {
  readonly name: string;
  /** Where it listens. */
  readonly port: number;
  /** Changes what is named of a direction's shape and leaves the rest. */
  shape(toward: Toward, change: Partial<Shape>): Promise<void>;
  /** Open connections are reset, both ends. */
  reset(): Promise<void>;
  /** Open connections are closed in one direction, as by `shutdown(2)`: the other direction goes on. */
  halfClose(toward: "target" | "source"): Promise<void>;
  /** New connections are reset at once, until it is taken back. */
  refuse(refused: boolean): Promise<void>;
  /** Everything is clear again, and what lost bytes is left as it is: dead. */
  heal(): Promise<void>;
  figures(): Promise<LinkFigures>;
}

export interface LinkFigures {
  readonly open: number;
  readonly opened: number;
  readonly bytes: number;
  /** Most that one connection held in memory at once, bytes. */
  readonly mostHeld: number;
}

export interface ProxyHandle extends AsyncDisposable {
  open(name: string, ports: LinkPorts): Promise<LinkHandle>;
}
