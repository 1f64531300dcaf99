// What is done to messages in the chat: `/reply N TEXT`, `/react N EMOJI`, `/edit N TEXT`, `/delete N`, `/timer 1h`, `/card USER`, and
// what comes of it from others. Always true: N counts back from the newest message of the conversation that one writes to,
// which is 1; edits and deletions, whose N counts one's own messages, change only lines of their author.
import type { Client } from "../client.ts";
import type { ClientEvents, Conversation, ReceivedMessage } from "../client-events.ts";
import type { ContactCard, Target } from "../said.ts";
import { fileText } from "./file-text.ts";
import type { Happening, Line } from "./happenings.ts";

export interface ChatMessagesConfig {
  readonly client: Client;
  readonly say: (what: Happening) => void;
  readonly note: (text: string) => void;
  /** How a group is called. */
  readonly tagOf: (group: string) => string;
  /** Where one writes to: a group's id, or a name. */
  readonly here: () => Conversation;
  readonly reply: (text: string, to: Target) => Promise<void>;
  readonly sendCard: (user: string) => Promise<void>;
  readonly add: (card: ContactCard) => Promise<void>;
  readonly removed: (line: MessageLine) => void;
  /** A message of ours is deleted everywhere. */
  readonly deleted: (id: string) => Promise<void>;
  /** Something was done, and goes to the relay. */
  readonly goes: (sent: Promise<void>) => void;
  /** Carried out after what was entered before. */
  readonly after: (what: () => Promise<void>) => void;
}

export type MessageLine = Line & { readonly kind: "in" | "out" };
export interface Beside {
  readonly card: ContactCard | undefined;
  /** Of the message that it answers: its line begins with it. */
  readonly quote: string;
  /** What an edit leaves as it is: a file before its caption. */
  readonly head: string;
}
type Said = Conversation & Target & Beside & { readonly line: MessageLine };
type Place = Pick<Conversation, "user" | "group">;

const HELP = "/reply N TEXT  /react N EMOJI  /edit N TEXT  /delete N  /timer 1h|off  /card USER  /add N";
/** Messages that commands and others may mean: as many as the chat has lines. */
const MAX_SAID = 2_000;
const SHOWN_CHARACTERS = 40;
const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** What is said, or what kind of thing it is. */
export function shownOf(
  message: Pick<ReceivedMessage, "text" | "bytes" | "type" | "media" | "contact">,
): string {
  const { text, bytes, type, media, contact } = message;
  if (contact !== undefined) return `[contact ${contact.name ?? contact.account}]`;
  if (media !== undefined) return headOf(message) + (media.caption ?? "");
  return text ?? `[${bytes?.length ?? 0} bytes ${type ?? ""}]`;
}

/** What stands before the text that its author may change. */
export function headOf({ media }: Pick<ReceivedMessage, "media">): string {
  return media === undefined ? "" : `${fileText(media)}${media.caption === undefined ? "" : " "}`;
}

export class ChatMessages {
  readonly #config: ChatMessagesConfig;
  #said: Said[] = [];

  constructor(config: ChatMessagesConfig) {
    this.#config = config;
    const { client } = config;
    client.on("reaction", (event) => this.#reaction(event));
    client.on("edit", (event) => this.#edited(event));
    client.on("deleted", (event) => this.#gone(event, "deleted", this.#who(event)));
    client.on("timer", (event) => this.#timer(this.#who(event), event.ms));
    client.on("disappear", (event) => this.#gone(event, "disappeared", ""));
  }

  static get help(): string {
    return HELP;
  }

  /** A line stands for this message. */
  remember(where: Conversation, { account, id }: Target, line: MessageLine, beside: Beside): void {
    this.#said.push({ ...where, ...beside, account, id, line });
    if (this.#said.length > MAX_SAID) this.#said.shift();
  }

  /** What stands before an answer. */
  quote(replyTo: Target | undefined): string {
    if (replyTo === undefined) return "";
    const said = this.#said.find(({ account, id }) => account === replyTo.account && id === replyTo.id);
    return `[to ${said === undefined ? "an earlier message" : `"${short(said)}"`}] `;
  }

  /** False: the command is none of these. */
  takes(name: string, [first = "", ...rest]: readonly string[]): boolean {
    const { after, client } = this.#config;
    const isNumber = /^\d+$/.test(first);
    const text = rest.join(" ");
    if (name === "reply" && isNumber && text !== "") after(() => this.#config.reply(text, this.#at(first)));
    else if (name === "react" && isNumber) after(() => this.#react(this.#at(first), text));
    else if (name === "edit" && isNumber && text !== "")
      after(() => this.#edit(this.#at(first, client.account), text));
    else if (name === "delete" && isNumber) after(() => this.#delete(this.#at(first, client.account)));
    else if (name === "add" && isNumber) after(() => this.#add(this.#at(first)));
    else if (name === "card" && first !== "") after(() => this.#config.sendCard(first));
    else if (name === "timer" && msOf(first) !== "none") after(() => this.#setTimer(first));
    else return false;
    return true;
  }

  /** The so many newest message here; of an account alone. @throws Error where there is none */
  #at(number: string, account?: string): Said {
    const here = this.#config.here();
    const all = this.#said.filter((said) => isIn(said, here) && (account ?? said.account) === said.account);
    const found = all.at(-Number(number));
    if (found === undefined || number === "0") throw new Error(`There is no message ${number} here.`);
    return found;
  }

  async #react(said: Said, emoji: string): Promise<void> {
    const { client } = this.#config;
    const text = emoji === "" ? undefined : emoji;
    const { sent } = await (said.group === undefined
      ? client.react(said.user, said, text)
      : client.groups.react(said.group, said, text));
    this.#config.goes(sent);
    this.#reacted("you", text, said);
  }

  async #edit(said: Said, text: string): Promise<void> {
    const { client } = this.#config;
    const { user, group, id } = said;
    const { sent } = await (group === undefined
      ? client.edit(user, id, text)
      : client.groups.edit(group, id, text));
    this.#config.goes(sent);
    this.#change(said, "you", text);
  }

  async #delete(said: Said): Promise<void> {
    const { user, group, id } = said;
    const { client } = this.#config;
    const { sent } = await (group === undefined
      ? client.delete(user, [id])
      : client.groups.delete(group, [id]));
    this.#config.goes(sent);
    this.#gone({ ...said, ids: [id] }, "deleted", "you");
    await this.#config.deleted(id);
  }

  async #add(said: Said): Promise<void> {
    if (said.card === undefined) throw new Error(`"${short(said)}" is no contact card.`);
    await this.#config.add(said.card);
  }

  async #setTimer(word: string): Promise<void> {
    const { client, here } = this.#config;
    const ms = msOf(word);
    const { user, group } = here();
    if (ms === "none") return;
    const { sent } = await (group === undefined
      ? client.setTimer(user, ms)
      : client.groups.setTimer(group, ms));
    this.#config.goes(sent);
    this.#timer("you", ms);
  }

  // --- what comes ----------------------------------------------------------------------------------------------------

  #who(event: Conversation & { readonly from: string; readonly own: boolean }): string {
    const who = event.own ? "you" : event.from;
    return event.group === undefined ? who : `${this.#config.tagOf(event.group)} ${who}`;
  }

  #find(where: Place, account: string, id: string): Said | undefined {
    return this.#said.find((said) => said.account === account && said.id === id && isIn(said, where));
  }

  #reaction(event: ClientEvents["reaction"]): void {
    const { target, text } = event;
    this.#reacted(this.#who(event), text, this.#find(event, target.account, target.id));
  }

  #reacted(from: string, text: string | undefined, said: Said | undefined): void {
    const about = said === undefined ? "an earlier message" : short(said);
    this.#config.say({ is: "reaction", from, text, about });
    this.#config.note(`${from}: ${text ?? "no longer anything"} to "${about}"`);
  }

  #edited(event: ClientEvents["edit"]): void {
    this.#change(this.#find(event, event.account, event.id), this.#who(event), event.text);
  }

  #change(said: Said | undefined, from: string, text: string): void {
    if (said !== undefined) said.line.text = `${said.head}${text} (edited)`;
    this.#config.say({ is: "edit", from, text });
  }

  #gone(
    event: Place & { account: string; ids: readonly string[] },
    how: "deleted" | "disappeared",
    from: string,
  ): void {
    for (const id of event.ids) {
      const said = this.#find(event, event.account, id);
      if (said === undefined) continue;
      this.#said = this.#said.filter((each) => each !== said);
      this.#config.removed(said.line);
      this.#config.say({ is: "gone", how, from, about: short(said) });
    }
  }

  #timer(from: string, ms: number | undefined): void {
    this.#config.say({ is: "timer", from, ms });
    const what = ms === undefined ? "stay" : `disappear ${spanOf(ms)} after they were read`;
    this.#config.note(`${from}: messages here ${what} from now on.`);
  }
}

function isIn(said: Place, { user, group }: Place): boolean {
  return said.group === group && said.user === user;
}

/** The beginning of what a message says itself. */
function short({ line, quote }: Pick<Said, "line" | "quote">): string {
  const text = line.text.startsWith(quote) ? line.text.slice(quote.length) : line.text;
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS - 1)}…` : text;
}

/** 30s, 5m, 1h, 7d; off. */
function msOf(word: string): number | undefined | "none" {
  if (word === "off") return undefined;
  const [, count = "", unit = ""] = /^(\d{1,4})([smhd])$/.exec(word) ?? [];
  return count === "" || Number(count) === 0 ? "none" : Number(count) * (UNITS[unit] ?? 0);
}

function spanOf(ms: number): string {
  const [unit, of] = Object.entries(UNITS).findLast(([, each]) => ms % each === 0) ?? ["ms", 1];
  return `${ms / of} ${unit}`;
}
