// What can be said in a conversation, with one person (`client`) or with a group (`client.groups`): messages, and what changes
// them. Always true: edits and deletions are of one's own messages alone, since what they name is looked for under whoever
// says them; what only changes something is never confirmed, so of it nothing but `sent` is promised.
import { bodyOf, type Said, type Update } from "./content/content.ts";
import type { SentMessage } from "./outgoing.ts";
import { bytesOf, quoteOf, type Target, unless } from "./said.ts";

export interface SendOptions {
  /** Life of the message until the relay has delivered it, ms; at most 30 days. */
  readonly ttl?: number;
  /** How long an unknown name may be asked for, ms. */
  readonly lookUpMs?: number;
  /** An application's word for bytes. */
  readonly type?: string;
  /** The message that this one answers, in the same conversation. */
  readonly replyTo?: Target;
}

/** Of an update: nobody confirms it. */
export type SentUpdate = Pick<SentMessage, "id" | "sent">;

/** What goes to the core of something that is said. @throws ClientError content-invalid */
export function saying(
  kind: Said | Update,
  { replyTo, ttl }: SendOptions,
): { body: Uint8Array; ttl?: number } {
  const body = bodyOf(kind, replyTo === undefined ? {} : { replyTo: quoteOf(replyTo) });
  return { body, ...(ttl === undefined ? {} : { ttl }) };
}

export abstract class Conversing<Handle extends SentUpdate> {
  /** Takes it into the store and resolves when it is there. @throws ClientError */
  protected abstract say(to: string, kind: Said | Update, options: SendOptions): Promise<Handle>;
  /** The conversation's timer; when it was set, by the clock of whoever set it; and what time it is. */
  protected abstract timerOf(
    to: string,
  ): Promise<{ readonly ms: number; readonly setAt: number; readonly now: number }>;
  protected abstract cardOf(user: string): Promise<Said>;

  /** Sends a message and resolves when the relay holds it. @throws ClientError */
  async send(to: string, content: string | Uint8Array, options: SendOptions = {}): Promise<Handle> {
    const handle = await this.queue(to, content, options);
    await handle.sent;
    return handle;
  }

  /** Takes a message into the store and resolves when it is there: it will be sent, whenever that is. @throws ClientError */
  queue(to: string, content: string | Uint8Array, options: SendOptions = {}): Promise<Handle> {
    const said: Said =
      typeof content === "string"
        ? { is: "text", text: content }
        : { is: "bytes", bytes: content, type: options.type ?? "" };
    return this.say(to, said, options);
  }

  /**
   * Says what one feels about a message, of whomever: an emoji or a word, at most 64 bytes; undefined takes it back. As all
   * that follow it resolves when it is in the store. @throws ClientError content-invalid
   */
  async react(to: string, { account, id }: Target, emoji: string | undefined): Promise<SentUpdate> {
    return this.say(to, { is: "reaction", ...quoteOf({ account, id }), text: emoji ?? "" }, {});
  }

  /** Gives a message of one's own another text, or its file another caption. @throws ClientError */
  async edit(to: string, id: string, text: string): Promise<SentUpdate> {
    return this.say(to, { is: "edit", messageId: bytesOf(id), text }, {});
  }

  /** Asks everybody in the conversation to remove messages of one's own, 1 to 255. @throws ClientError content-invalid */
  async delete(to: string, ids: readonly string[]): Promise<SentUpdate> {
    return this.say(to, { is: "delete", messages: ids.map(bytesOf) }, {});
  }

  /** What is said here from now on, by whomever, disappears so long after it was read, ms; undefined: it stays.
   *  @throws ClientError content-invalid: over 366 days */
  async setTimer(to: string, ms: number | undefined): Promise<SentUpdate> {
    const { now, setAt } = await this.timerOf(to);
    return this.say(to, { is: "timer", ms: ms ?? 0, setAt: Math.max(now, setAt + 1) }, {});
  }

  /** How long what is said here stays, ms; undefined: as long as one likes. */
  async timer(to: string): Promise<number | undefined> {
    return unless(0, (await this.timerOf(to)).ms);
  }

  /** Introduces somebody whose keys are known, so that they can be added: without the right to write, which is theirs to give.
   *  @throws ClientError keys-unknown */
  async sendContact(to: string, user: string, options: SendOptions = {}): Promise<Handle> {
    return this.say(to, await this.cardOf(user), options);
  }
}
