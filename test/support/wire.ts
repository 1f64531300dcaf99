// A client that is nothing but the wire: sends frames or bytes, and gives what came back one frame at a time.
// Always true: every byte that came is kept in order; a wait that nothing answers fails with a name.
import { randomBytes, sign } from "node:crypto";
import {
  type ClientFrame,
  type ConnectionKind,
  decodeFrames,
  encode,
  encodeFrames,
  type EnvelopeId,
  type FrameOf,
  fromBytes,
  MAX_VERSION,
  MIN_VERSION,
  PROBLEMS,
  type ProblemCode,
  problemOf,
  proofTuple,
  type RelayFrame,
  signedBytes,
  type Time,
} from "@lethe/protocol";
import { WebSocket } from "ws";
import type { Person } from "./person.ts";
import type { RelayProcess } from "./relay-process.ts";
import { Arrivals, within } from "./waiting.ts";

const PATIENCE_MS = 15_000;

export interface Closed {
  readonly status: number;
  readonly reason: string;
}

type FrameNamed<N extends RelayFrame["frame"]> = Extract<RelayFrame, { frame: N }>;

/** A relay, or what stands in front of one. */
export type Reachable = Pick<RelayProcess, "socketUrl">;

export class Wire {
  readonly kind: ConnectionKind;
  readonly socket: WebSocket;
  readonly closed: Promise<Closed>;
  readonly #frames = new Arrivals<RelayFrame>();
  readonly #messages = new Arrivals<Buffer>();

  private constructor(kind: ConnectionKind, socket: WebSocket) {
    this.kind = kind;
    this.socket = socket;
    this.closed = new Promise((resolve) =>
      socket.once("close", (status, reason) => resolve({ status, reason: reason.toString() })),
    );
    socket.on("error", () => undefined); // what it means is in `closed`
    socket.on("message", (data: Buffer) => {
      this.#messages.put(data);
      for (const frame of decodeFrames(new Uint8Array(data), {
        from: "relay",
        on: kind,
        version: MAX_VERSION,
      }))
        this.#frames.put(frame);
    });
  }

  /** A connection that has said nothing yet. @param from one of this machine's addresses. */
  static async raw(relay: Reachable, kind: ConnectionKind, from = "127.0.0.1"): Promise<Wire> {
    const socket = new WebSocket(relay.socketUrl(kind), { perMessageDeflate: false, localAddress: from });
    const wire = new Wire(kind, socket);
    const opened = new Promise((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
    });
    await within(PATIENCE_MS, "the WebSocket's upgrade", opened);
    return wire;
  }

  /** An anonymous connection, greeted. */
  static async anonymous(relay: Reachable, from?: string): Promise<Wire> {
    const wire = await Wire.raw(relay, "anonymous", from);
    wire.send({ frame: "hello-anonymous", minVersion: MIN_VERSION, maxVersion: MAX_VERSION });
    await wire.take("welcome");
    return wire;
  }

  /** A person's device, logged in with its next epoch. What it is owed comes next, then `drained`. */
  static async device(relay: RelayProcess, person: Person, from?: string): Promise<Wire> {
    const wire = await Wire.raw(relay, "device", from);
    person.epoch++;
    await wire.prove(person);
    await wire.take("welcome");
    return wire;
  }

  /** Says hello with the person's epoch and answers the challenge. */
  async prove(person: Person, versions = { min: MIN_VERSION, max: MAX_VERSION }): Promise<void> {
    this.send(await this.challenged(person, versions));
  }

  /** Says hello with the person's epoch, and makes the proof that answers the challenge. */
  async challenged(
    person: Person,
    versions = { min: MIN_VERSION, max: MAX_VERSION },
  ): Promise<FrameOf<"proof">> {
    this.send(helloOf(person, versions));
    return { frame: "proof", signature: proofOf(person, await this.take("challenge")) };
  }

  send(...frames: ClientFrame[]): void {
    this.sendBytes(encodeFrames(...frames));
  }

  sendBytes(bytes: Uint8Array): void {
    this.socket.send(bytes, { binary: true });
  }

  /** The bytes of the next WebSocket message, in hexadecimal. */
  async message(): Promise<string> {
    return hex(await within(PATIENCE_MS, "a message", this.#messages.next()));
  }

  /** The bytes of every message that has come and nobody took, in hexadecimal. */
  messages(): string[] {
    return this.#messages.takeAll().map(hex);
  }

  next(): Promise<RelayFrame> {
    return within(PATIENCE_MS, "a frame", this.#frames.next());
  }

  /** The next frame, which must be of this name; pings in between are answered. */
  async take<N extends RelayFrame["frame"]>(name: N): Promise<FrameNamed<N>> {
    for (;;) {
      const frame = await within(PATIENCE_MS, `a ${name} frame`, this.#frames.next());
      if (frame.frame === name) return frame as FrameNamed<N>;
      if (frame.frame !== "ping") throw new Error(`${name} was expected, ${describeFrame(frame)} came`);
      this.send({ frame: "pong", token: frame.token });
    }
  }

  /** The codes of a refusal and of the ids that it is for. */
  async refusal(): Promise<{ code: ProblemCode; ids: EnvelopeId[]; retryAfter: number }> {
    const { code, ids, retryAfter } = await this.take("refused");
    return { code: named(code), ids, retryAfter };
  }

  /** The code that the relay said before it ended the connection, and the status that it ended it with. */
  async ending(): Promise<{ code: ProblemCode; status: number }> {
    const { code } = await this.take("error");
    const { status } = await within(PATIENCE_MS, "the connection's end", this.closed);
    return { code: named(code), status };
  }

  /** Everything that has come and nobody took, after a ping has been there and back. */
  async rest(): Promise<RelayFrame[]> {
    const token = randomBytes(4).readUInt32BE();
    this.send({ frame: "ping", token });
    const before: RelayFrame[] = [];
    for (;;) {
      const frame = await within(PATIENCE_MS, "a pong", this.#frames.next());
      if (frame.frame === "pong" && frame.token === token) return [...before, ...this.#frames.takeAll()];
      if (frame.frame !== "ping") before.push(frame);
    }
  }

  /** Reads `count` pushes in order. */
  async pushes(count: number): Promise<FrameOf<"push">[]> {
    const pushes: FrameOf<"push">[] = [];
    while (pushes.length < count) pushes.push(await this.take("push"));
    return pushes;
  }

  /** Ends the connection as a client does that is done. */
  async close(): Promise<Closed> {
    this.socket.close(1000);
    return within(PATIENCE_MS, "the connection's end", this.closed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.terminate();
    await this.closed;
  }
}

export function helloOf(person: Person, versions = { min: MIN_VERSION, max: MAX_VERSION }): FrameOf<"hello"> {
  return {
    frame: "hello",
    minVersion: versions.min,
    maxVersion: versions.max,
    account: person.account,
    device: person.device,
    epoch: person.epoch,
  };
}

/** Clause A-PROOF: over the relay's name, its nonce, the device, its epoch and the agreed version. */
export function proofOf(person: Person, challenge: FrameOf<"challenge">): Uint8Array {
  const { relay, nonce, version } = challenge;
  const tuple = encode(proofTuple, { relay, nonce, address: person.address, epoch: person.epoch, version });
  return sign(null, signedBytes("connect", tuple), person.key.secret);
}

export function named(code: number): ProblemCode {
  const name = problemOf(code);
  if (name === undefined) throw new Error(`no problem has the number ${code}`);
  return name;
}

/** The error frame with which a connection ends, as bytes. */
export function errorBytes(code: ProblemCode): string {
  return hex(encodeFrames({ frame: "error", code: PROBLEMS[code].number }));
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export function anId(): EnvelopeId {
  return fromBytes<EnvelopeId>(randomBytes(16));
}

export interface Sealed {
  readonly id: EnvelopeId;
  readonly ciphertext: Uint8Array;
}

export function sealed(text: string | Uint8Array, id: EnvelopeId = anId()): Sealed {
  return { id, ciphertext: typeof text === "string" ? new TextEncoder().encode(text) : text };
}

/** A submit of one envelope for a person's device, with their access key. */
export function submitTo(
  person: Person,
  envelope: Sealed,
  change: Partial<Omit<FrameOf<"submit">, "frame">> = {},
): FrameOf<"submit"> {
  return {
    frame: "submit",
    recipient: person.account,
    accessKey: person.accessKey,
    listVersion: person.listVersion,
    expiry: (Date.now() + 3_600_000) as Time,
    envelopes: [{ device: person.device, ...envelope }],
    ...change,
  };
}

function describeFrame(frame: RelayFrame): string {
  return frame.frame === "error" || frame.frame === "refused"
    ? `${frame.frame} ${named(frame.code)}`
    : frame.frame;
}

export function textOf(push: { readonly ciphertext: Uint8Array }): string {
  return Buffer.from(push.ciphertext).toString();
}
