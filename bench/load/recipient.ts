// A recipient device of the load: proves itself, takes pushes, acknowledges everything of a turn in one frame.
// Always true: it acknowledges an id only once its push came; an end it did not ask for is a fault.
import { sign } from "node:crypto";
import {
  decodeFrames,
  type EnvelopeId,
  encode,
  encodeFrames,
  type FrameOf,
  MAX_IDS,
  PATHS,
  proofTuple,
  type RelayFrame,
  signedBytes,
} from "@lethe/protocol";
import type { Account } from "./account.ts";
import { LoadSocket } from "./socket.ts";
import type { Counts } from "./tally.ts";
import { atEndOfTurn } from "./turn.ts";
import { NO_WATCH, type Watch } from "./watch.ts";

const EXPECTING = { from: "relay", on: "device", version: 1 } as const;

export class Recipient {
  readonly #account: Account;
  readonly #counts: Counts;
  readonly #watch: Watch;
  readonly #welcomed = Promise.withResolvers<void>();
  #socket: LoadSocket | undefined;
  #due: EnvelopeId[] = [];

  private constructor(account: Account, counts: Counts, watch: Watch) {
    this.#account = account;
    this.#counts = counts;
    this.#watch = watch;
  }

  /** Connects and proves the device. Resolves with `welcome`; what is in the mailbox follows. */
  static async open(url: URL, account: Account, counts: Counts, watch: Watch = NO_WATCH): Promise<Recipient> {
    const recipient = new Recipient(account, counts, watch);
    const socket = await LoadSocket.open(url, PATHS.deviceSocket, {
      failed: (error) => recipient.#failed(error),
      message: (payload) => {
        for (const frame of decodeFrames(payload, EXPECTING)) recipient.#frame(frame);
      },
    });
    recipient.#socket = socket;
    account.epoch++;
    const { id, device, epoch } = account;
    const hello = { frame: "hello", minVersion: 1, maxVersion: 1, account: id, device, epoch } as const;
    socket.send(encodeFrames(hello));
    await recipient.#welcomed.promise;
    return recipient;
  }

  #frame(frame: RelayFrame): void {
    switch (frame.frame) {
      case "push":
        return this.#pushed(frame.id);
      case "challenge":
        return this.#prove(frame);
      case "welcome":
        return this.#welcomed.resolve();
      case "drained":
        return this.#counts.drained.add(1);
      case "pong":
        return this.#counts.ponged.add(1);
      case "ping":
        return this.#socket?.send(encodeFrames({ frame: "pong", token: frame.token }));
      default:
        return this.#failed(new Error(`a recipient was told ${frame.frame}`));
    }
  }

  /** Clause A-PROOF. */
  #prove({ relay, nonce, version }: FrameOf<"challenge">): void {
    const { address, epoch, signingKey } = this.#account;
    const tuple = encode(proofTuple, { relay, nonce, address, epoch, version });
    const signature = sign(null, signedBytes("connect", tuple), signingKey);
    this.#socket?.send(encodeFrames({ frame: "proof", signature }));
  }

  #pushed(id: EnvelopeId): void {
    this.#watch.arrived(id);
    if (this.#due.push(id) === 1) atEndOfTurn(this);
  }

  flush(): void {
    const due = this.#due;
    this.#due = [];
    for (let i = 0; i < due.length; i += MAX_IDS)
      this.#socket?.send(encodeFrames({ frame: "delivered", ids: due.slice(i, i + MAX_IDS) }));
    this.#counts.acked.add(due.length);
  }

  /** Asks for a sign of life: its answer means that everything sent before it was handled. */
  ping(): void {
    this.#socket?.send(encodeFrames({ frame: "ping", token: 1 }));
  }

  /** Reads and acknowledges nothing any more, and stays connected. */
  freeze(): void {
    this.#socket?.freeze();
  }

  #failed(error: Error): void {
    this.#welcomed.reject(error);
    this.#counts.fail(error);
  }

  close(): void {
    this.#socket?.close();
  }
}
