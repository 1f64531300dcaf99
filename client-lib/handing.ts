// From entries of the inbox to the application's handlers. Always true: one conversation's entries are handed over one after
// the other, in their order, each when the handlers of the one before have ended; an entry is settled when its handlers
// have ended well; one whose handlers fail comes again after a restart.
import { type AccountId, accountOf, toHex } from "@lethe/protocol";
import type { Conversation, Emitter, ReceivedMessage } from "./client-events.ts";
import { type Beside, readBody, type Said } from "./content/content.ts";
import type { GroupId } from "@lethe/crypto";
import type { CoreView } from "./delivery/core.ts";
import type { Entry, MessageId } from "./delivery/events.ts";
import { progressOf } from "./groups/group-api.ts";
import type { Clock } from "./edge/clock.ts";
import type { Outgoing } from "./outgoing.ts";
import type { People } from "./people.ts";
import type { ReceivedMedia } from "./media/received.ts";
import { hexOf, type MediaFields, saidOf, targetOf } from "./said.ts";

export interface HandingConfig {
  readonly emitter: Emitter;
  readonly people: People;
  readonly outgoing: Outgoing;
  readonly settled: (entry: number) => void;
  readonly read: (from: AccountId, message: MessageId, group?: GroupId) => void;
  readonly view: CoreView;
  readonly self: AccountId;
  readonly received: (media: MediaFields) => ReceivedMedia;
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
    const inGroup = "group" in content && content.group !== undefined && content.kind !== "gap";
    return content.kind === "receipt" || emitter.has(inGroup ? "group-message" : "message");
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
    const { content, from } = entry;
    const account = ("conversation" in content ? content.conversation : undefined) ?? accountOf(from);
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
    if (content.kind === "disappear") return this.#disappear(content, from);
    if (content.kind === "read-elsewhere" || content.kind === "deleted-elsewhere")
      return this.#config.emitter.emit(content.kind, { user: from, ids: content.messages.map(toHex) });
    if (content.kind !== "gap") return this.#body(entry, account, from, content);
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

  #disappear(content: Entry["content"] & { kind: "disappear" }, user: string): Promise<void> {
    const where = whereOf(content.group, user);
    const [account, ids] = [toHex(content.author), content.messages.map(toHex)];
    return this.#config.emitter.emit("disappear", { ...where, account, ids });
  }

  /** What somebody has said or done; of `own`, `account` and its name are those of whom it was said to. */
  #body(
    entry: Entry,
    account: AccountId,
    name: string,
    content: Entry["content"] & { body: Uint8Array },
  ): Promise<void> {
    const { emitter, people, self } = this.#config;
    const author = accountOf(entry.from);
    const own = author === self;
    const { kind, ...beside } = readBody(content.body);
    const done = {
      ...whereOf(
        content.kind === "group" || content.kind === "group-silent" ? content.group : undefined,
        name,
      ),
      ...{ from: own ? people.shown(self) : name, account: toHex(author), own, sentAt: entry.sentAt },
    };
    if (kind === undefined)
      return emitter.emit("unknown-content", { ...done, id: toHex(entry.message), content: content.body });
    switch (kind.is) {
      case "reaction":
        return emitter.emit("reaction", { ...done, target: targetOf(kind), text: kind.text || undefined });
      case "edit":
        return emitter.emit("edit", { ...done, id: hexOf(kind.messageId), text: kind.text });
      case "delete":
        return emitter.emit("deleted", { ...done, ids: kind.messages.map(hexOf) });
      case "timer":
        return emitter.emit("timer", { ...done, ms: kind.ms || undefined });
      default:
        return this.#message(entry, account, name, { kind, beside });
    }
  }

  async #message(
    entry: Entry,
    account: AccountId,
    from: string,
    { kind, beside }: { readonly kind: Said; readonly beside: Beside },
  ): Promise<void> {
    const { emitter, read, received, self } = this.#config;
    const { content, late, sentAt } = entry;
    const [id, said] = [toHex(entry.message), saidOf(kind, beside, received)];
    if (content.kind === "own") return emitter.emit("own-message", { user: from, id, ...said, sentAt });
    const message: ReceivedMessage = {
      id,
      from,
      account: toHex(account),
      sentAt,
      late,
      ...said,
      read: () => read(account, entry.message, content.kind === "group" ? content.group : undefined),
    };
    if (content.kind !== "group") return emitter.emit("message", message);
    const group = toHex(content.group);
    return emitter.emit("group-message", { ...message, group, own: account === self });
  }
}

function whereOf(group: GroupId | undefined, user: string): Conversation {
  return group === undefined ? { user, group } : { user: undefined, group: toHex(group) };
}
