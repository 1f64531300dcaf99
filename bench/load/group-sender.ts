// A sender of one ciphertext to a whole group: uploads one at a time on one anonymous connection, the next as soon as every
// member's is accepted. Always true: every upload has an id and bytes of its own; any answer but `accepted` is a fault.
import { randomBytes } from "node:crypto";
import {
  decodeFrames,
  encodeFrames,
  type FrameOf,
  fromBytes,
  type GroupEnvelopeId,
  PATHS,
  problemOf,
  type RelayFrame,
  type Time,
} from "@lethe/protocol";
import { type Account, LIST_VERSION } from "./account.ts";
import { LoadSocket } from "./socket.ts";
import type { Budget, Counts } from "./tally.ts";

const EXPIRY_MS = 24 * 3_600_000;
const EXPECTING = { from: "relay", on: "anonymous", version: 1 } as const;

export class GroupSender {
  readonly #recipients: FrameOf<"submit-group">["recipients"];
  readonly #bytes: number;
  readonly #counts: Counts;
  readonly #welcomed = Promise.withResolvers<void>();
  #socket: LoadSocket | undefined;
  #budget: Budget | undefined;
  /** Members whose answer is out. */
  #due = 0;

  private constructor(members: readonly Account[], bytes: number, counts: Counts) {
    this.#recipients = members.map(({ id: account, accessKey, device }) => ({
      account,
      accessKey,
      listVersion: LIST_VERSION,
      devices: [device],
    }));
    this.#bytes = bytes;
    this.#counts = counts;
  }

  /** @param bytes of each ciphertext. */
  static async open(
    url: URL,
    members: readonly Account[],
    bytes: number,
    counts: Counts,
  ): Promise<GroupSender> {
    const sender = new GroupSender(members, bytes, counts);
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

  /** Uploads one after the other until the budget, which counts uploads, is used up. */
  spend(budget: Budget): void {
    this.#budget = budget;
    if (budget.take(1) === 1) this.#upload();
  }

  #upload(): void {
    this.#due = this.#recipients.length;
    this.#socket?.send(
      encodeFrames({
        frame: "submit-group",
        groupEnvelope: fromBytes<GroupEnvelopeId>(randomBytes(16)),
        expiry: (Date.now() + EXPIRY_MS) as Time,
        ciphertext: randomBytes(this.#bytes),
        recipients: this.#recipients,
      }),
    );
  }

  #frame(frame: RelayFrame): void {
    switch (frame.frame) {
      case "accepted":
        this.#due -= frame.ids.length;
        this.#counts.accepted.add(frame.ids.length);
        if (this.#due === 0 && this.#budget?.take(1) === 1) this.#upload();
        return;
      case "welcome":
        return this.#welcomed.resolve();
      case "ping":
        return this.#socket?.send(encodeFrames({ frame: "pong", token: frame.token }));
      case "refused":
        return this.#failed(new Error(`an upload was refused: ${problemOf(frame.code) ?? frame.code}`));
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
