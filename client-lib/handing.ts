// From entries of the inbox to the application's handlers. Always true: one conversation's entries are handed over one after
// the other, in their order, each when the handlers of the one before have ended; an entry is settled when its handlers
// have ended well; one whose handlers fail comes again after a restart.
import { type AccountId, accountOf, toHex } from "@lethe/protocol";
import type { Emitter, ReceivedMessage } from "./client-events.ts";
import { readBody, type Said } from "./content/content.ts";
import type { Entry, MessageId } from "./delivery/events.ts";
import type { Outgoing } from "./outgoing.ts";
import type { People } from "./people.ts";

export interface HandingConfig {
  readonly emitter: Emitter;
  readonly people: People;
  readonly outgoing: Outgoing;
  readonly settled: (entry: number) => void;
  readonly read: (from: AccountId, message: MessageId) => void;
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
    if (entry.content.kind === "receipt" || this.#config.emitter.has("message")) this.#chain(entry);
    else this.#unheard.push(entry);
  }

  /** Somebody listens for messages now. */
  heard(): void {
    const unheard = this.#unheard;
    this.#unheard = [];
    for (const entry of unheard) this.#chain(entry);
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
    return this.#config.emitter.emit("gap", { id: toHex(entry.message), from, missing });
  }

  async #receipt(user: string, content: Entry["content"] & { kind: "receipt" }): Promise<void> {
    for (const state of ["delivered", "read"] as const)
      for (const message of content[state]) {
        this.#config.outgoing.reached(message, state);
        await this.#config.emitter.emit("receipt", { user, id: toHex(message), state });
      }
  }

  #own({ message, sentAt }: Entry, user: string, body: Uint8Array): Promise<void> {
    const { emitter } = this.#config;
    const said = readBody(body);
    if (said.is === "unknown" || said.is === "typing")
      return emitter.emit("unknown-content", { from: user, content: body });
    return emitter.emit("own-message", { user, id: toHex(message), ...saidOf(said), sentAt });
  }

  async #message(entry: Entry, account: AccountId, from: string, body: Uint8Array): Promise<void> {
    const { emitter, read } = this.#config;
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
      read: () => read(account, entry.message),
    };
    return emitter.emit("message", message);
  }
}

function saidOf(said: Said): Pick<ReceivedMessage, "text" | "bytes" | "type"> {
  return {
    text: said.is === "text" ? said.text : undefined,
    bytes: said.is === "bytes" ? said.bytes : undefined,
    type: said.is === "bytes" ? said.type : undefined,
  };
}
