// Groups as applications use them: `client.groups`. Always true: a change resolves when it is durable and owed to everybody whom
// it concerns; names stand for accounts as everywhere in this library.
import { type AccountId, fromBytes, fromHex, toHex } from "@lethe/protocol";
import { type GroupId, MAX_GROUP_NAME_BYTES } from "@lethe/crypto";
import { type Said, typingBody, type Update } from "../content/content.ts";
import { Conversing, saying, type SendOptions } from "../conversing.ts";
import type { CoreView } from "../delivery/core.ts";
import type { Happening, MessageId, RefusalCode } from "../delivery/events.ts";
import { ClientError } from "../errors.ts";
import type { MediaApi, SendMediaOptions } from "../media/media-api.ts";
import type { MediaSource } from "../media/source.ts";
import type { Outgoing, SentMessage } from "../outgoing.ts";
import { groupIdOf } from "./group-receiving.ts";
import type { KnownGroup } from "./group-store.ts";
import type { Change } from "./rows.ts";

export interface GroupMember {
  readonly user: string;
  /** 32 hexadecimal characters. */
  readonly account: string;
  readonly role: "member" | "admin";
}

export interface Group {
  /** 32 hexadecimal characters. */
  readonly id: string;
  readonly name: string;
  /** `invited`: by somebody who is no contact; `client.groups.join` or `leave` decides. `left`: it is not written to any more. */
  readonly standing: "invited" | "joined" | "left";
  readonly members: readonly GroupMember[];
  /** Who may write. */
  readonly writers: "members" | "admins";
  /** Who has put this account into it; oneself, of one's own groups. */
  readonly by: string;
}

/** How many members besides oneself a message went to, and has come to. */
export interface GroupProgress {
  readonly of: number;
  readonly delivered: number;
  readonly read: number;
}

/** `sent`: the relay holds it for everybody. `delivered` and `read`: everybody has it, or has read it. */
export interface SentToGroup extends Omit<SentMessage, "user"> {
  readonly group: string;
  progress(): GroupProgress;
}

export interface GroupsConfig {
  readonly view: CoreView;
  readonly outgoing: Outgoing;
  readonly step: (event: Happening) => void;
  readonly find: (user: string) => Promise<AccountId>;
  readonly shown: (account: AccountId) => string;
  readonly random: (length: number) => Uint8Array;
  readonly media: MediaApi;
  readonly cardOf: (user: string) => Promise<Said>;
  readonly now: () => number;
}

const NO_CHANGE: Omit<Change, "kind"> = { accounts: [], name: "", writers: "members" };

export class GroupsApi extends Conversing<SentToGroup> {
  readonly #config: GroupsConfig;
  readonly #asked = new Map<number, PromiseWithResolvers<GroupId>>();
  #asks = 0;

  constructor(config: GroupsConfig) {
    super();
    this.#config = config;
  }

  list(): Group[] {
    return [...this.#config.view.groups()].map((known) => this.shown(known));
  }

  /** @throws ClientError unknown-group */
  get(id: string): Group {
    return this.shown(this.#known(id));
  }

  /** A new group, with this account as its admin. The others are contacts: their keys are known. @throws ClientError not-a-contact, group-full, ... */
  async create(
    name: string,
    users: readonly string[],
    options: { readonly writers?: Group["writers"] } = {},
  ): Promise<Group> {
    const accounts = await this.#accounts(users);
    return this.#ask(undefined, { ...NO_CHANGE, kind: "add", accounts, name: checked(name), ...options });
  }

  /** @throws ClientError not-admin, already-member, not-a-contact, group-full */
  async add(id: string, users: readonly string[]): Promise<Group> {
    const group = await this.#change(id, { kind: "add", accounts: await this.#accounts(users) });
    const { ms, setAt } = await this.timerOf(id);
    if (ms > 0) await this.say(id, { is: "timer", ms, setAt }, {}); // who is new has not heard it
    return group;
  }

  /** Whoever is removed cannot read what is sent from then on. @throws ClientError not-admin, unknown-member */
  async remove(id: string, users: readonly string[]): Promise<Group> {
    return this.#change(id, { kind: "remove", accounts: await this.#accounts(users) });
  }

  /** @throws ClientError not-admin, unknown-member, unchanged */
  async promote(id: string, user: string): Promise<Group> {
    return this.#change(id, { kind: "promote", accounts: await this.#accounts([user]) });
  }

  /** @throws ClientError not-admin, unknown-member, last-admin, unchanged */
  async demote(id: string, user: string): Promise<Group> {
    return this.#change(id, { kind: "demote", accounts: await this.#accounts([user]) });
  }

  /** @throws ClientError not-admin, name-too-long, unchanged */
  async rename(id: string, name: string): Promise<Group> {
    return this.#change(id, { kind: "rename", name: checked(name) });
  }

  /** Who may write: all members, or admins alone. @throws ClientError not-admin, unchanged */
  async setWriters(id: string, writers: Group["writers"]): Promise<Group> {
    return this.#change(id, { kind: "writers", writers });
  }

  /** The last admin promotes somebody before. @throws ClientError last-admin, not-a-member */
  async leave(id: string): Promise<Group> {
    return this.#change(id, { kind: "leave" });
  }

  /** Takes an invitation, and what has waited behind it. @throws ClientError not-a-member */
  join(id: string): Promise<Group> {
    const group = this.#known(id).id;
    return this.#done((ask) => this.#config.step({ event: "group-join", ask, group }));
  }

  protected async say(id: string, kind: Said | Update, options: SendOptions): Promise<SentToGroup> {
    const { outgoing, step, random, view } = this.#config;
    const group = this.#known(id).id;
    const said = saying(kind, options);
    const message = fromBytes<MessageId>(random(16));
    const { handle, queued } = outgoing.track(message, id);
    step({ event: "group-send", message, group, ...said });
    await queued;
    return sentToGroup(handle, id, view);
  }

  /**
   * Sends a file to everybody in the group: as `client.sendMedia`. @throws ClientError unknown-group, not-a-member,
   * media-too-many-devices, ...
   */
  async sendMedia(id: string, source: MediaSource, options: SendMediaOptions = {}): Promise<SentToGroup> {
    const { media, view } = this.#config;
    const { id: group, standing } = this.#known(id);
    if (standing !== "joined") throw new ClientError("not-a-member", id);
    const handle = await media.send({ to: undefined, group, shown: id }, source, options);
    return sentToGroup(handle, id, view);
  }

  protected timerOf(id: string) {
    const { view, now } = this.#config;
    return Promise.resolve({ ...view.timer({ group: this.#known(id).id }), now: now() });
  }

  protected cardOf(user: string): Promise<Said> {
    return this.#config.cardOf(user);
  }

  /** How far a message of ours has come. */
  progress(message: string): GroupProgress {
    const known = groupIdOf(message);
    return known === undefined ? NOWHERE : progressOf(this.#config.view, known as unknown as MessageId);
  }

  /** Lets the members of a small group know that this person is writing: now, or not at all. */
  typing(id: string): void {
    this.#config.step({ event: "group-signal", group: this.#known(id).id, body: typingBody() });
  }

  // --- inside --------------------------------------------------------------------------------------------------------

  #known(id: string): KnownGroup {
    const group = groupIdOf(id);
    const known = group === undefined ? undefined : this.#config.view.group(group);
    if (known === undefined) throw new ClientError("unknown-group", id);
    return known;
  }

  #accounts(users: readonly string[]): Promise<AccountId[]> {
    return Promise.all(users.map((user) => this.#config.find(user)));
  }

  #change(id: string, change: Partial<Change> & Pick<Change, "kind">): Promise<Group> {
    return this.#ask(this.#known(id).id, { ...NO_CHANGE, ...change });
  }

  #ask(group: GroupId | undefined, change: Change): Promise<Group> {
    return this.#done((ask) => this.#config.step({ event: "group-change", ask, group, change }));
  }

  async #done(step: (ask: number) => void): Promise<Group> {
    this.#asks += 1;
    const answer = Promise.withResolvers<GroupId>();
    this.#asked.set(this.#asks, answer);
    step(this.#asks);
    return this.get(toHex(await answer.promise));
  }

  answered(ask: number, code: RefusalCode | "ok", group: GroupId | undefined): void {
    const asked = this.#asked.get(ask);
    this.#asked.delete(ask);
    if (code === "ok" && group !== undefined) asked?.resolve(group);
    else asked?.reject(new ClientError(code));
  }

  failAll(code: RefusalCode): void {
    for (const { reject } of this.#asked.values()) reject(new ClientError(code));
    this.#asked.clear();
  }

  shown({ id, standing, by, view }: KnownGroup): Group {
    const { shown } = this.#config;
    const { name, writers, members } = view.state;
    const people = members.map(({ account, role }) => ({
      user: shown(account),
      account: toHex(account),
      role,
    }));
    return { id: toHex(id), name, standing, writers, by: shown(by), members: people };
  }
}

function sentToGroup(handle: SentMessage, group: string, view: CoreView): SentToGroup {
  const message = fromHex<MessageId>(handle.id, 16);
  const { user: _, ...promises } = handle;
  return { ...promises, group, progress: () => progressOf(view, message) };
}

const NOWHERE: GroupProgress = { of: 0, delivered: 0, read: 0 };

export function progressOf(view: CoreView, message: MessageId): GroupProgress {
  const row = view.groupSent(message);
  return row === undefined ? NOWHERE : { of: row.of, delivered: row.delivered.length, read: row.read.length };
}

/** @throws ClientError name-too-long */
function checked(name: string): string {
  if (name === "" || new TextEncoder().encode(name).length > MAX_GROUP_NAME_BYTES)
    throw new ClientError("name-too-long", name);
  return name;
}
