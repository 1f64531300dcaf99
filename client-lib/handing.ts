// From entries of the inbox to the application's handlers. Always true: one conversation's entries are handed over one after
// the other, in their order, each when the handlers of the one before have ended; an entry is settled when its handlers
// have ended well; one whose handlers fail comes again after a restart.
import { type AccountId, accountOf, toHex } from "@lethe/protocol";
import type { Emitter, ReceivedMessage } from "./client-events.ts";
import { readBody, type Said } from "./content/content.ts";
import type { GroupId } from "@lethe/crypto";
import type { CoreView } from "./delivery/core.ts";
import type { Entry, MessageId } from "./delivery/events.ts";
import { progressOf } from "./groups/group-api.ts";
import type { Clock } from "./edge/clock.ts";
import type { Outgoing } from "./outgoing.ts";
import type { People } from "./people.ts";

export interface HandingConfig {
  readonly emitter: Emitter;
  readonly people: People;
  readonly outgoing: Outgoing;
  readonly settled: (entry: number) => void;
  readonly read: (from: AccountId, message: MessageId, group?: GroupId) => void;
  readonly view: CoreView;
  readonly self: AccountId;
}

export class Handing {
  readonly #config: HandingConfig;
  readonly #chains = new Map<AccountId, Promise<void>>();
  /** Entries that wait until somebody listens for messages. The core's cap on unsettled entries is theirs. */
  #unheard: Entry[] = [];
  #stopped = false;

  constructor(config: HandingConfig) {
    this.#config = config;
  }

  hand(entry: Entry): void {
    if (this.#isHeard(entry)) this.#chain(entry);
    else this.#unheard.push(entry);
  }

  #isHeard({ content }: Entry): boolean {
    const { emitter } = this.#config;
    return content.kind === "receipt" || emitter.has(content.kind === "group" ? "group-message" : "message");
  }

  /** Somebody listens for messages now. */
  heard(): void {
    const unheard = this.#unheard;
    this.#unheard = [];
    for (const entry of unheard) this.hand(entry);
  }

  /** As `stop`, or when the time is over: what handlers settle now is settled for good, and one that waits for this very end is
   *  not waited for. */
  stopWithin(ms: number, clock: Clock): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = clock.after(ms, resolve);
      this.stop().then(resolve, reject).finally(cancel);
    });
  }

  /** Nothing further is handed over; resolves when the handlers that are running have ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#chains.values());
  }

  /** After everything of that conversation before it, whoever has said it. */
  #chain(entry: Entry): void {
    const account = "conversation" in entry.content ? entry.content.conversation : accountOf(entry.from);
    const before = this.#chains.get(account) ?? Promise.resolve();
    const next = before.then(() => this.#give(entry, account));
    this.#chains.set(account, next);
    void next.then(() => {
      if (this.#chains.get(account) === next) this.#chains.delete(account);
    });
  }

  /** Never rejects: a handler's failure is told, and the next entry goes on. */
  async #give(entry: Entry, account: AccountId): Promise<void> {
    const { emitter, people, settled } = this.#config;
    try {
      const from = await people.confirmed(account);
      if (this.#stopped) return;
      await this.#tell(entry, account, from);
      settled(entry.entry);
    } catch (error) {
      emitter.tell("error", { error: error instanceof Error ? error : new Error(String(error)) });
    }
  }

  #tell(entry: Entry, account: AccountId, from: string): Promise<void> {
    const { content } = entry;
    if (content.kind === "receipt") return this.#receipt(from, content);
    if (content.kind === "own") return this.#own(entry, from, content.body);
    if (content.kind === "read-elsewhere" || content.kind === "deleted-elsewhere")
      return this.#config.emitter.emit(content.kind, { user: from, ids: content.messages.map(toHex) });
    if (content.kind !== "gap") return this.#message(entry, account, from, content.body);
    const missing = content.last - content.first + 1;
    const group = content.group === undefined ? undefined : toHex(content.group);
    return this.#config.emitter.emit("gap", { id: toHex(entry.message), from, missing, group });
  }

  async #receipt(user: string, content: Entry["content"] & { kind: "receipt" }): Promise<void> {
    for (const state of ["delivered", "read"] as const)
      for (const message of content[state]) {
        if (this.#config.view.groupSent(message) !== undefined)
          await this.#groupReceipt(user, message, state);
        else {
          this.#config.outgoing.reached(message, state);
          await this.#config.emitter.emit("receipt", { user, id: toHex(message), state });
        }
      }
  }

  async #groupReceipt(user: string, message: MessageId, state: "delivered" | "read"): Promise<void> {
    const { view, outgoing, emitter } = this.#config;
    const group = view.groupSent(message)?.group;
    if (group === undefined) return;
    const progress = progressOf(view, message);
    if (progress.delivered >= progress.of) outgoing.reached(message, "delivered");
    if (progress.read >= progress.of) outgoing.reached(message, "read");
    await emitter.emit("group-receipt", {
      group: toHex(group),
      id: toHex(message),
      user,
      state,
      ...progress,
    });
  }

  #own({ message, sentAt }: Entry, user: string, body: Uint8Array): Promise<void> {
    const { emitter } = this.#config;
    const said = readBody(body);
    if (said.is === "unknown" || said.is === "typing")
      return emitter.emit("unknown-content", { from: user, content: body });
    return emitter.emit("own-message", { user, id: toHex(message), ...saidOf(said), sentAt });
  }

  async #message(entry: Entry, account: AccountId, from: string, body: Uint8Array): Promise<void> {
    const { emitter, read, self } = this.#config;
    const { content } = entry;
    const said = readBody(body);
    if (said.is === "unknown" || said.is === "typing")
      return emitter.emit("unknown-content", { from, content: body });
    const message: ReceivedMessage = {
      id: toHex(entry.message),
      from,
      account: toHex(account),
      sentAt: entry.sentAt,
      late: entry.late,
      ...saidOf(said),
      read: () => read(account, entry.message, content.kind === "group" ? content.group : undefined),
    };
    if (content.kind !== "group") return emitter.emit("message", message);
    const group = toHex(content.group);
    return emitter.emit("group-message", { ...message, group, own: account === self });
  }
}

function saidOf(said: Said): Pick<ReceivedMessage, "text" | "bytes" | "type"> {
  return {
    text: said.is === "text" ? said.text : undefined,
    bytes: said.is === "bytes" ? said.bytes : undefined,
    type: said.is === "bytes" ? said.type : undefined,
  };
}
