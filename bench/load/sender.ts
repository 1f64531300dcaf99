// A sender of pre-sealed random bytes: keeps a window of messages under way on one anonymous connection, and counts what
// is accepted. Always true: every message has an id and bytes of its own; any answer but `accepted` is a fault.
import {
  decodeFrames,
  encodeFrames,
  PATHS,
  problemOf,
  type RelayFrame,
  type Time,
  writeFrame,
  Writer,
} from "@lethe/protocol";
import { type Account, LIST_VERSION } from "./account.ts";
import { SealedBytes } from "./sealed.ts";
import { LoadSocket } from "./socket.ts";
import type { Budget, Counts } from "./tally.ts";
import { atEndOfTurn } from "./turn.ts";
import { NO_WATCH, type Watch } from "./watch.ts";

const EXPIRY_MS = 24 * 3_600_000;
/** Frames in one message at most: far below the relay's limit on its bytes. */
const FRAMES_A_MESSAGE = 64;
const EXPECTING = { from: "relay", on: "anonymous", version: 1 } as const;

export class Sender {
  readonly #targets: readonly Account[];
  readonly #counts: Counts;
  readonly #watch: Watch;
  readonly #sealed: SealedBytes;
  readonly #writer = new Writer(65_536);
  readonly #welcomed = Promise.withResolvers<void>();
  #socket: LoadSocket | undefined;
  #budget: Budget | undefined;
  #next = 0;
  #due = 0;

  private constructor(targets: readonly Account[], counts: Counts, watch: Watch, bytes?: number) {
    this.#sealed = new SealedBytes(bytes);
    this.#targets = targets;
    this.#counts = counts;
    this.#watch = watch;
  }

  static async open(
    url: URL,
    targets: readonly Account[],
    counts: Counts,
    watch: Watch = NO_WATCH,
    bytes?: number,
  ): Promise<Sender> {
    const sender = new Sender(targets, counts, watch, bytes);
    const socket = await LoadSocket.open(url, PATHS.anonymousSocket, {
      failed: (error) => sender.#failed(error),
      message: (payload) => {
        for (const frame of decodeFrames(payload, EXPECTING)) sender.#frame(frame);
      },
    });
    sender.#socket = socket;
    socket.send(encodeFrames({ frame: "hello-anonymous", minVersion: 1, maxVersion: 1 }));
    await sender.#welcomed.promise;
    return sender;
  }

  /** Sends to its targets in turn, `window` at a time, until the budget is used up. */
  spend(budget: Budget, window: number): void {
    this.#budget = budget;
    this.submit(budget.take(window));
  }

  /** Sends `count` more, at the end of this turn. */
  submit(count: number): void {
    if (count === 0) return;
    if (this.#due === 0) atEndOfTurn(this);
    this.#due += count;
  }

  flush(): void {
    const due = this.#due;
    this.#due = 0;
    for (let i = 1; i <= due; i++) {
      this.#write();
      if (i === due || i % FRAMES_A_MESSAGE === 0) this.#socket?.send(this.#writer.take());
    }
  }

  #write(): void {
    const to = this.#targets[this.#next++ % this.#targets.length] as Account;
    const { id, ciphertext } = this.#sealed.next();
    this.#watch.sent(id);
    writeFrame(this.#writer, {
      frame: "submit",
      recipient: to.id,
      accessKey: to.accessKey,
      listVersion: LIST_VERSION,
      expiry: (Date.now() + EXPIRY_MS) as Time,
      envelopes: [{ device: to.device, id, ciphertext }],
    });
  }

  #frame(frame: RelayFrame): void {
    switch (frame.frame) {
      case "accepted":
        this.#watch.accepted(frame.ids);
        this.#counts.accepted.add(frame.ids.length);
        return this.submit(this.#budget?.take(frame.ids.length) ?? 0);
      case "welcome":
        return this.#welcomed.resolve();
      case "ping":
        return this.#socket?.send(encodeFrames({ frame: "pong", token: frame.token }));
      case "refused":
        return this.#failed(new Error(`a message was refused: ${problemOf(frame.code) ?? frame.code}`));
      default:
        return this.#failed(new Error(`a sender was told ${frame.frame}`));
    }
  }

  #failed(error: Error): void {
    this.#welcomed.reject(error);
    this.#counts.fail(error);
  }

  close(): void {
    this.#socket?.close();
  }
}
