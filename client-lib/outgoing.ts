// What the application holds of a message that it sends: promises for sent, delivered and read.
// Always true: each promise settles at most once; one that nobody looks at never becomes an unhandled rejection.
import { toHex } from "@lethe/protocol";
import type { MessageId } from "./delivery/events.ts";
import type { ClientError } from "./errors.ts";

export interface SentMessage {
  /** 32 hexadecimal characters. */
  readonly id: string;
  readonly user: string;
  /** The relay holds it durably. Rejects with a ClientError where it was refused or has expired. */
  readonly sent: Promise<void>;
  /** It is on the other device's disk. */
  readonly delivered: Promise<void>;
  /** A person has read it. */
  readonly read: Promise<void>;
}

type Stage = "queued" | "sent" | "delivered" | "read";
const STAGES = ["queued", "sent", "delivered", "read"] as const satisfies readonly Stage[];

interface Tracked {
  readonly handle: SentMessage;
  readonly settle: Record<Stage, PromiseWithResolvers<void>>;
}

/** Handles that are still waiting for something; the oldest are let go, and then settle no more. */
const MAX_TRACKED = 10_000;

export class Outgoing {
  readonly #tracked = new Map<MessageId, Tracked>();

  track(message: MessageId, user: string): { handle: SentMessage; queued: Promise<void> } {
    const settle = Object.fromEntries(
      STAGES.map((stage) => [stage, Promise.withResolvers<void>()]),
    ) as Tracked["settle"];
    for (const stage of STAGES) settle[stage].promise.catch(() => undefined);
    const handle = {
      id: toHex(message),
      user,
      sent: settle.sent.promise,
      delivered: settle.delivered.promise,
      read: settle.read.promise,
    };
    this.#tracked.set(message, { handle, settle });
    for (const oldest of this.#tracked.keys()) {
      if (this.#tracked.size <= MAX_TRACKED) break;
      this.#tracked.delete(oldest);
    }
    return { handle, queued: settle.queued.promise };
  }

  /** A message has come so far, and so past everything before. */
  reached(message: MessageId, stage: Stage): void {
    const tracked = this.#tracked.get(message);
    if (tracked === undefined) return;
    for (const each of STAGES) {
      tracked.settle[each].resolve();
      if (each === stage) break;
    }
    if (stage === "read") this.#tracked.delete(message);
  }

  failed(message: MessageId, error: ClientError): void {
    const tracked = this.#tracked.get(message);
    for (const stage of STAGES) tracked?.settle[stage].reject(error);
    this.#tracked.delete(message);
  }

  failAll(error: ClientError): void {
    for (const message of [...this.#tracked.keys()]) this.failed(message, error);
  }
}
