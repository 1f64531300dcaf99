// The events that an application can listen to, with what each carries. The README's table is held against this file.
import type { GroupNews } from "./delivery/events.ts";
import type { ClientError, ClientErrorCode } from "./errors.ts";
import type { Group, GroupProgress } from "./groups/group-api.ts";
import type { RelayPolicy } from "./policy.ts";
import type { SaidMessage, Target } from "./said.ts";

/** A message of somebody, handed over in the order sent; again after a restart, under the same id, until it is settled. */
export interface ReceivedMessage extends SaidMessage {
  /** 32 hexadecimal characters. */
  readonly id: string;
  /** The sender's name as the relay's directory confirms it; "~" and the account's first 12 digits where it does not. */
  readonly from: string;
  /** The sender's account, 32 hexadecimal characters. */
  readonly account: string;
  /** The sender's clock, ms since 1970. */
  readonly sentAt: number;
  /** True where the gap before it was reported already: it stands out of order. */
  readonly late: boolean;
  /** Says that a person has read it: the sender gets a read receipt, and what is to disappear does so from now on. */
  read(): void;
}

/** What somebody has said to a group, or this account on another of its devices (`own`). */
export interface GroupMessage extends ReceivedMessage {
  /** The group's id, 32 hexadecimal characters. */
  readonly group: string;
  readonly own: boolean;
}

/** What another device of this account has sent. */
export interface OwnMessage extends SaidMessage {
  readonly user: string;
  /** 32 hexadecimal characters: the id that receipts for it name. */
  readonly id: string;
  /** The other device's clock, ms since 1970. */
  readonly sentAt: number;
}

/** A conversation: the other person's name, or the group's id. */
export type Conversation =
  | { readonly user: string; readonly group: undefined }
  | { readonly user: undefined; readonly group: string };

/** What somebody has done in a conversation. Settled by its handlers as a message is. */
export type Done = Conversation & {
  /** Who did it: the name, and the account, 32 hexadecimal characters. */
  readonly from: string;
  readonly account: string;
  /** It was this account, on another of its devices. */
  readonly own: boolean;
  /** The clock of whoever did it, ms since 1970. */
  readonly sentAt: number;
};

export interface ClientEvents {
  /** A handler may be asynchronous: when all have ended well, the message is settled and never comes again. */
  message: ReceivedMessage;
  /** Another device of this account has sent something; `user`: to whom. Settled by its handlers as a message is. */
  "own-message": OwnMessage;
  /** Somebody feels something about a message: an emoji or a word, at most 64 bytes; undefined: it is taken back. Of each
   *  account the last one stands. */
  reaction: Done & { readonly target: Target; readonly text: string | undefined };
  /** The message `id` of the account has another text from now on, or its file another caption. */
  edit: Done & { readonly id: string; readonly text: string };
  /** The messages `ids` of the account are to be gone here too. */
  deleted: Done & { readonly ids: readonly string[] };
  /** What is said here from now on disappears so long after it was read, ms; undefined: it stays. */
  timer: Done & { readonly ms: number | undefined };
  /** The time of the account's messages `ids` is over: they are to be gone. Told again after a restart, until its handlers
   *  have ended well. */
  disappear: Conversation & { readonly account: string; readonly ids: readonly string[] };
  /** A person has read messages of somebody on another device of this account. */
  "read-elsewhere": { readonly user: string; readonly ids: readonly string[] };
  /** A person has removed messages of somebody on another device: `client.forget(user, ids)`. */
  "deleted-elsewhere": { readonly user: string; readonly ids: readonly string[] };
  /** Somebody unknown has written: `client.accept(user)` or `client.block(user)`. */
  request: { readonly from: string; readonly account: string };
  /** A message of ours has come so far. `delivered`: on the other device's disk. `read`: a person has read it. */
  receipt: { readonly user: string; readonly id: string; readonly state: "delivered" | "read" };
  /** The relay holds a message of ours. Also for messages of an earlier run. */
  sent: { readonly user: string; readonly id: string };
  /** A group that this account is in, or is asked into, is new or has changed. */
  group: { readonly group: Group; readonly how: GroupNews };
  /** Handed over as `message` is: an application that is in groups listens to both. */
  "group-message": GroupMessage;
  /** A member has a message of ours to a group, or has read it, and how many of them have so far. */
  "group-receipt": {
    readonly group: string;
    readonly id: string;
    readonly user: string;
    readonly state: "delivered" | "read";
  } & GroupProgress;
  /** The relay holds a message of ours for everybody in the group. */
  "group-sent": { readonly group: string; readonly id: string };
  /** A message of ours to a group was refused for good, or has expired. */
  "group-refused": { readonly group: string; readonly id: string; readonly code: ClientErrorCode };
  /** A member is writing. */
  "group-typing": { readonly group: string; readonly from: string };
  /** Somebody is writing. */
  typing: { readonly from: string };
  /** The first that is known of somebody who is watched, and each change; `lastSeen`: the minute, ms since 1970, if it may be seen. */
  presence: {
    readonly user: string;
    readonly state: "online" | "offline" | "unknown";
    readonly lastSeen: number | undefined;
  };
  /** Messages of somebody are missing here, and were waited for: how many. Settled by its handlers as a message is. */
  gap: {
    readonly id: string;
    readonly from: string;
    readonly missing: number;
    /** Undefined where they were for this account alone. */
    readonly group: string | undefined;
  };
  /** A message of ours expired before the relay took it. */
  expired: { readonly user: string; readonly id: string };
  /** A message of ours was refused for good. */
  refused: { readonly user: string; readonly id: string; readonly code: ClientErrorCode };
  /** The relay asks to wait with a message of ours, and why; it goes on by itself. */
  waiting: { readonly user: string; readonly id: string; readonly code: ClientErrorCode };
  connection: { readonly state: "connecting" | "online" | "offline" };
  /** What the relay says of itself is known, or has changed. */
  policy: { readonly policy: RelayPolicy };
  /** Everything that had waited at the relay has come. */
  drained: Record<never, never>;
  /** Another copy of this client took over: `client.reconnect()` takes it back. */
  displaced: Record<never, never>;
  /** Nothing is tried any more. */
  stopped: { readonly code: ClientErrorCode };
  /** The store was older than the relay has seen: keys were replaced. */
  restored: Record<never, never>;
  /** Prekeys were uploaded. */
  prekeys: { readonly uploaded: number };
  /** A message of a later version of this library: its bytes. */
  "unknown-content": Done & { readonly id: string; readonly content: Uint8Array };
  /** Something arrived that cannot be opened; it is kept in the store to look at. */
  quarantined: { readonly code: string };
  /** The account behind a known name has changed its key, or a device list was forked: nothing is sent to it. */
  "key-changed": { readonly user: string; readonly code: ClientErrorCode };
  /** Messages of somebody could not be opened: a new ratchet is begun, and so many are asked for again. */
  "ratchet-reset": { readonly from: string; readonly missing: number };
  /** Somebody could not open a message of ours, and it was sent to them again. */
  resent: { readonly user: string; readonly id: string };
  /** Somebody's store was copied or put back to an older state: a person with a copy of it may be reading along. */
  "store-copied": { readonly user: string };
  /** A handler failed, or work in the background did. What failed is tried again. */
  error: { readonly error: ClientError | Error };
}

export type ClientEvent = keyof ClientEvents;
export type Handler<E extends ClientEvent> = (event: ClientEvents[E]) => void | Promise<void>;

export class Emitter {
  readonly #handlers = new Map<ClientEvent, Set<(event: never) => void | Promise<void>>>();

  /** The result ends it. */
  on<E extends ClientEvent>(event: E, handler: Handler<E>): () => void {
    const handlers = this.#handlers.get(event) ?? new Set();
    this.#handlers.set(event, handlers.add(handler as (event: never) => void | Promise<void>));
    return () => handlers.delete(handler as (event: never) => void | Promise<void>);
  }

  has(event: ClientEvent): boolean {
    return (this.#handlers.get(event)?.size ?? 0) > 0;
  }

  /** All handlers, one after the other. @throws what the first of them that fails throws, after all have run. */
  async emit<E extends ClientEvent>(event: E, what: ClientEvents[E]): Promise<void> {
    const failures: unknown[] = [];
    for (const handler of [...(this.#handlers.get(event) ?? [])])
      try {
        await handler(what as never);
      } catch (error) {
        failures.push(error);
      }
    if (failures.length > 0) throw failures[0];
  }

  /** As `emit`, for events that nobody waits for: a failure is an `error` event. */
  tell<E extends ClientEvent>(event: E, what: ClientEvents[E]): void {
    this.emit(event, what).catch((error: unknown) => {
      if (event !== "error")
        this.tell("error", { error: error instanceof Error ? error : new Error(String(error)) });
    });
  }
}
