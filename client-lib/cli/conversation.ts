// What a chat is about, whatever shows it: whom one talks to, what was said, how far one's own messages have come.
// Always true: the list is capped; a message's state only goes forward; what a face shows follows from `changed`.
import type { Client } from "../client.ts";
import type { Conversation } from "../client-events.ts";
import { ClientError } from "../errors.ts";
import type { ContactCard, SaidMessage, Target } from "../said.ts";
import { adviceFor } from "./advice.ts";
import { drawQr, qrRows } from "./qr.ts";
import { ChatDevices } from "./chat-devices.ts";
import { ChatFiles, type FilesOptions } from "./chat-files.ts";
import { ChatGroups } from "./chat-groups.ts";
import { type Beside, ChatMessages, headOf, type MessageLine, shownOf } from "./chat-messages.ts";
import { ChatUploads, type OutLine } from "./chat-uploads.ts";
import type { Happening, Line, State } from "./happenings.ts";
import type { Showing } from "./transfer.ts";
import { usageOf } from "./usages.ts";

/** Lines that are remembered while the chat runs. */
const MAX_LINES = 2_000;
/** States of messages that are not shown yet; the oldest goes first. */
const MAX_EARLY = 1_000;
/** How long "is writing" is shown after the last sign of it, ms. */
export const TYPING_MS = 5_000;
/** How often one's own writing is told, ms. */
const TELL_TYPING_MS = 3_000;
const RANK: Record<State, number> = { queued: 0, sent: 1, delivered: 2, read: 3, expired: 4, refused: 4 };

export class Chat {
  readonly client: Client;
  readonly lines: Line[] = [];
  peer: string | undefined;
  connection: "connecting" | "online" | "offline" = "connecting";
  /** Messages, and what was done to some, that the relay has not taken and that may still go. */
  unsent = 0;
  /** Why nothing goes on by itself any more. */
  halted: string | undefined;
  /** Who is writing, and until when that is believed. */
  readonly typing = new Map<string, number>();
  readonly #accepts: string | undefined;
  readonly #devices: ChatDevices;
  readonly #groups: ChatGroups;
  readonly #messages: ChatMessages;
  readonly #uploads: ChatUploads;
  readonly #files: ChatFiles;
  readonly #numbers = new Map<string, OutLine>();
  readonly #early = new Map<string, State>();
  #listeners: ((what: Happening) => void)[] = [];
  #unheard: Happening[] = [];
  #count = 0;
  #toldTyping = 0;
  #queueing: Promise<void> = Promise.resolve();

  constructor(client: Client, peer: string | undefined, files: FilesOptions) {
    this.client = client;
    this.peer = peer;
    this.#accepts = peer;
    this.#devices = new ChatDevices(client, (text) => this.#answer(text));
    this.#groups = new ChatGroups({
      client,
      note: (text) => this.#answer(text),
      after: (what) => this.#then(what),
      turnTo: (tag) => this.#writeTo(tag),
    });
    this.#messages = new ChatMessages({
      client,
      say: (what) => this.#say(what),
      note: (text) => this.#note(text),
      tagOf: (group) => this.#groups.tagOf(group),
      here: () => this.#here(),
      reply: (text, to) => this.#send(text, to),
      sendCard: (user) => this.#sendCard(user),
      add: (card) => this.#addCard(card),
      removed: (line) => this.#hide(line),
      deleted: (id) => this.#uploads.withdraw(id),
      goes: (sent) => this.#goes(sent),
      after: (what) => this.#then(what),
    });
    const showing: Showing = {
      say: (what) => this.#say(what),
      note: (text) => this.#note(text),
      show: (line) => this.#show(line),
      hide: (line) => this.#hide(line),
    };
    const acting = {
      ...{ ...showing, client },
      here: () => this.#here(),
      after: (what: () => Promise<void>) => this.#then(what),
    };
    this.#uploads = new ChatUploads({
      ...acting,
      begin: (where, text) => this.#begin(where, text),
      known: (line, where, id, head) => this.#known(line, where, id, { head, quote: "" }),
      reach: (line, state, code) => this.#move(line, state, code),
    });
    this.#files = new ChatFiles({ ...acting, ...files, answer: (text) => this.#answer(text) });
    this.connection = client.connection;
    this.#listen();
    this.#then(() => this.#files.goOn());
    this.#then(() => this.#uploads.goOn());
    if (client.contacts().some(({ user, decision }) => user === peer && decision === "accepted"))
      this.#watch(peer);
  }

  /** Files that are being saved. */
  get saving(): number {
    return this.#files.saving;
  }

  /** Watches whom one talks to, as soon as that may be: they have written, or confirmed a message. */
  #watch(user: string | undefined): void {
    if (
      user === undefined ||
      user !== this.peer ||
      user.startsWith("#") ||
      this.client.presence(user).state !== "unknown"
    )
      return;
    this.client.watch(user).catch(() => undefined);
  }

  /** The first to listen hears of everything from the beginning. The result ends it. */
  onHappening(listener: (what: Happening) => void): () => void {
    this.#listeners.push(listener);
    for (const what of this.#unheard) listener(what);
    this.#unheard = [];
    return () => {
      this.#listeners = this.#listeners.filter((each) => each !== listener);
    };
  }

  #say(what: Happening): void {
    if (this.#listeners.length === 0) this.#unheard.push(what);
    for (const listener of this.#listeners) listener(what);
  }

  #listen(): void {
    const { client } = this;
    client.on("connection", ({ state }) => {
      this.connection = state;
      this.#say({ is: "connection", state });
    });
    client.on("message", (message) => {
      const { from, sentAt, late } = message;
      this.typing.delete(from);
      if (this.peer === undefined) this.#turn(from);
      const done = this.#heard({ user: from, group: undefined }, message, { from, at: sentAt, late });
      message.read();
      this.#watch(message.from);
      return done;
    });
    client.on("own-message", (message) => {
      const { user, sentAt } = message;
      const own = { account: client.account, ...message };
      const line = { from: `you → ${user}`, at: sentAt, late: false };
      return this.#heard({ user, group: undefined }, own, line);
    });
    this.#listenToGroups();
    client.on("presence", (presence) => {
      if (presence.user === this.peer) this.#say({ is: "presence", ...presence });
    });
    client.on("typing", ({ from }) => {
      this.typing.set(from, Date.now() + TYPING_MS);
      this.#say({ is: "typing", from });
    });
    client.on("request", async ({ from }) => {
      if (from === this.#accepts) await client.accept(from);
      else {
        this.#say({ is: "request", from });
        this.#note(`${from} would like to write to you: /accept ${from} or /block ${from}`);
      }
    });
    client.on("sent", ({ id }) => this.#reach(id, "sent"));
    client.on("receipt", ({ user, id, state }) => {
      this.#reach(id, state);
      this.#watch(user);
    });
    client.on("expired", ({ id }) => this.#reach(id, "expired"));
    client.on("refused", ({ id, code }) => this.#reach(id, "refused", code));
    client.on("waiting", ({ id, code }) => {
      const number = this.#numbers.get(id)?.number;
      if (number !== undefined) this.#say({ is: "waiting", number, code });
    });
    client.on("gap", ({ from, missing }) => {
      this.#say({ is: "gap", from, missing });
      this.#note(`${missing} of ${from}'s messages ${missing === 1 ? "is" : "are"} missing`);
    });
    client.on("displaced", () => {
      this.#note("This chat was opened somewhere else. /reconnect takes it back.");
      this.#halt("displaced");
    });
    client.on("stopped", ({ code }) => {
      this.#note(adviceFor(new ClientError(code)).says);
      this.#halt(code);
    });
    client.on("key-changed", ({ user }) => this.#note(`Careful: ${user}'s key is another than before.`));
    client.on("error", ({ error }) => this.#say({ is: "error", text: error.message }));
  }

  #listenToGroups(): void {
    const { client } = this;
    client.on("group-message", (message) => {
      const { group, from, own, sentAt, late } = message;
      const tag = this.#groups.tagOf(group);
      const line = { from: `${tag} ${own ? "you" : from}`, at: sentAt, late };
      if (this.peer === undefined) this.#turn(tag);
      const done = this.#heard({ user: undefined, group }, message, line);
      message.read();
      return done;
    });
    client.on("group", ({ group, how }) => {
      const tag = this.#groups.tag(group);
      this.#say({ is: "group", tag, how, members: group.members.length });
      const what = {
        invited: `you are invited by ${group.by}: /join ${tag} or /leave ${tag}`,
        removed: "you were removed",
      };
      this.#note(`${tag}: ${what[how as keyof typeof what] ?? `${how}, ${group.members.length} members`}`);
    });
    client.on("group-sent", ({ id }) => this.#reach(id, "sent"));
    client.on("group-refused", ({ id, code }) =>
      this.#reach(id, code === "expired" ? "expired" : "refused", code),
    );
    client.on("group-receipt", ({ id, of, delivered, read }) => {
      const number = this.#numbers.get(id)?.number;
      if (number !== undefined) this.#say({ is: "progress", number, of, delivered, read });
      if (delivered >= of) this.#reach(id, read >= of ? "read" : "delivered");
    });
    client.on("group-typing", ({ group, from }) => {
      const who = `${this.#groups.tagOf(group)} ${from}`;
      this.typing.set(who, Date.now() + TYPING_MS);
      this.#say({ is: "typing", from: who });
    });
  }

  #halt(why: string): void {
    this.halted = why;
    this.#say({ is: "halted", why });
  }

  /** Resolves when what the message needs later is in the store. */
  #heard(
    where: Conversation,
    message: SaidMessage & Target,
    shown: Omit<Line & { kind: "in" }, "kind" | "text">,
  ): Promise<void> {
    const quote = this.#messages.quote(message.replyTo);
    const line: MessageLine = { kind: "in", ...shown, text: quote + shownOf(message) };
    const { contact: card } = message;
    this.#messages.remember(where, message, line, { card, quote, head: headOf(message) });
    this.#add(line);
    return this.#files.received(where, message, shown.from);
  }

  #goes(sent: Promise<void>): void {
    this.unsent += 1;
    const over = (): void => {
      this.unsent -= 1;
      this.#say({ is: "done" });
    };
    sent.then(over, (error: unknown) => {
      this.#failed(error);
      over();
    });
  }

  #hide(line: Line): void {
    const at = this.lines.indexOf(line);
    if (at >= 0) this.lines.splice(at, 1);
    this.#say({ is: "moved" });
  }

  #show(line: Line): void {
    this.lines.push(line);
    if (this.lines.length > MAX_LINES) this.lines.shift();
    this.#say({ is: "moved" });
  }

  #add(line: Line): void {
    this.#show(line);
    this.#say({ is: "line", line });
  }

  #note(text: string): void {
    this.#show({ kind: "note", text });
    this.#say({ is: "notice", text });
  }

  #answer(text: string): void {
    this.#show({ kind: "note", text });
    this.#say({ is: "answer", text });
  }

  #reach(id: string, state: State, code?: string): void {
    const line = this.#numbers.get(id);
    if (line === undefined) {
      // Heard before the message was shown: `queue` has not answered yet.
      this.#early.set(id, state);
      for (const oldest of this.#early.keys()) {
        if (this.#early.size <= MAX_EARLY) break;
        this.#early.delete(oldest);
      }
      return;
    }
    this.#move(line, state, code);
    if (RANK[line.state] >= RANK.read) this.#numbers.delete(id);
  }

  #move(line: OutLine, state: State, code?: string): void {
    if (RANK[state] <= RANK[line.state]) return;
    if (line.state === "queued") this.unsent -= 1;
    line.state = state;
    this.#say({ is: "state", number: line.number, state, code });
  }

  /** Takes a line of input. "quit": the person wants to leave. Lines are carried out one after the other. */
  enter(input: string): "quit" | undefined {
    if (input.trim() === "") return undefined;
    if (input.startsWith("/") && !input.startsWith("//")) return this.#command(input.slice(1));
    const text = input.startsWith("//") ? input.slice(1) : input;
    this.#then(() => this.#send(text));
    return undefined;
  }

  /** Everything that was entered has been carried out. */
  settled(): Promise<void> {
    return this.#queueing;
  }

  #then(what: () => Promise<void>): void {
    this.#queueing = this.#queueing.then(what).catch((error: unknown) => this.#failed(error));
  }

  #failed(error: unknown): void {
    const { says, advice } = adviceFor(error);
    this.#say({ is: "error", text: says });
    this.#note(advice === undefined ? says : `${says} ${advice}`);
  }

  /** Whom one writes to. @throws Error */
  #here(): Conversation {
    const to = this.peer;
    if (to === undefined) throw new Error("To whom? /to USER says it.");
    return to.startsWith("#")
      ? { user: undefined, group: this.#groups.find(to).id }
      : { user: to, group: undefined };
  }

  async #send(text: string, replyTo?: Target): Promise<void> {
    const { client } = this;
    const where = this.#here();
    const { user, group } = where;
    const options = replyTo === undefined ? {} : { replyTo };
    const { id } = await (group === undefined
      ? client.queue(user, text, options)
      : client.groups.queue(group, text, options));
    this.#said(where, id, text, this.#messages.quote(replyTo));
  }

  async #sendCard(user: string): Promise<void> {
    const { client } = this;
    const where = this.#here();
    const { id } = await (where.group === undefined
      ? client.sendContact(where.user, user)
      : client.groups.sendContact(where.group, user));
    this.#said(where, id, `[contact ${user}]`);
  }

  #said(where: Conversation, id: string, text: string, quote = ""): void {
    this.#known(this.#begin(where, quote + text), where, id, { head: "", quote });
  }

  /** A line for a message of ours. */
  #begin({ user, group }: Conversation, text: string): OutLine {
    const to = group === undefined ? user : this.#groups.tagOf(group);
    const line: OutLine = { kind: "out", number: ++this.#count, to, text, at: Date.now(), state: "queued" };
    this.unsent += 1;
    this.#add(line);
    return line;
  }

  #known(line: OutLine, where: Conversation, id: string, beside: Omit<Beside, "card">): void {
    this.#numbers.set(id, line);
    this.#messages.remember(where, { account: this.client.account, id }, line, {
      ...beside,
      card: undefined,
    });
    const early = this.#early.get(id);
    this.#early.delete(id);
    if (early !== undefined) this.#reach(id, early);
  }

  #command(input: string): "quit" | undefined {
    const [name = "", ...words] = input.trim().split(/\s+/);
    const [user = ""] = words;
    const rest = input.trim().slice(name.length).trim();
    if (name === "quit" || name === "q") return "quit";
    if (name === "reconnect") {
      this.halted = undefined;
      this.client.reconnect();
    } else if (name === "to" && user !== "") this.#then(() => this.#turnTo(user));
    else if (name === "accept" && user !== "") this.#then(() => this.#accept(user));
    else if (name === "block" && user !== "") this.#then(() => this.client.block(user));
    else if (name === "contact") this.#showLink();
    else if (name === "help") this.#help((text) => this.#answer(text));
    else if (this.#messages.takes(name, words)) return undefined;
    else if (this.#uploads.takes(name, rest) || this.#files.takes(name, rest)) return undefined;
    else if (name === "add" && user !== "") this.#then(async () => this.#writeTo(await this.#added(user)));
    else if (!this.#devices.takes(name, user) && !this.#groups.takes(name, words, this.peer)) {
      this.#say({ is: "error", text: `/${name} is not understood` });
      const usage = usageOf(name);
      if (usage === undefined) this.#help((text) => this.#note(text));
      else this.#answer(usage);
    }
    return undefined;
  }

  #help(tell: (text: string) => void): void {
    tell(
      `/to USER  /accept USER  /block USER  /contact  /add LINK  /devices  /link CODE  /reconnect  /quit  /help  ${ChatGroups.help}`,
    );
    tell(
      `${ChatMessages.help}  (N counts back from the newest message, which is 1; for /edit and /delete from yours)`,
    );
    tell(`${ChatUploads.help}  ${ChatFiles.help}  (N counts back from the newest file here)`);
  }

  async #turnTo(user: string): Promise<void> {
    this.#writeTo(user.startsWith("#") ? this.#groups.tag(this.#groups.find(user)) : user);
  }

  #writeTo(user: string): void {
    const before = this.peer;
    this.#turn(user);
    if (before !== undefined && before !== user && !before.startsWith("#"))
      this.client.unwatch(before).catch(() => undefined);
    this.#watch(user);
    this.#note(`You write to ${user} now.`);
  }

  #turn(to: string): void {
    this.peer = to;
    this.#say({ is: "to", to });
  }

  #showLink(): void {
    const link = this.client.contactLink();
    const rows = qrRows(link);
    this.lines.push({
      kind: "drawing",
      columns: rows[0]?.length ?? 0,
      rows: drawQr(link).trimEnd().split("\n"),
    });
    this.#note(`Your contact link, for others to /add. Whoever has it can write to you.\n${link}`);
    this.#say({ is: "contact", link });
  }

  async #added(link: string | ContactCard): Promise<string> {
    const { user } = await this.client.addContact(link);
    this.#say({ is: "added", user });
    return user;
  }

  /** Somebody whom the others have introduced: the conversation with them goes on. */
  async #addCard(card: ContactCard): Promise<void> {
    const user = await this.#added(card);
    this.#note(`${user} is added: /to ${user} writes to them.`);
  }

  async #accept(user: string): Promise<void> {
    await this.client.accept(user);
    if (this.peer === undefined) this.#turn(user);
  }

  /** The person is writing: told to the other one now and then. */
  writes(now: number): void {
    const to = this.peer;
    if (to === undefined || now - this.#toldTyping < TELL_TYPING_MS || this.connection !== "online") return;
    this.#toldTyping = now;
    if (to.startsWith("#")) this.#groups.typing(to);
    else this.client.typing(to).catch(() => undefined);
  }
}
