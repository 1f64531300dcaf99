// The client as applications use it: one object for one device of one account, its methods and its events.
// Always true: whatever `message` hands over is durable and acknowledged; whatever `sent` says is held by the relay.
import {
  type AccountId,
  fromBytes,
  fromHex,
  PATHS,
  type PresenceRequest,
  type Time,
  toHex,
} from "@lethe/protocol";
import { ready, type SafetyNumber } from "@lethe/crypto";
import { Background } from "./background.ts";
import { type ClientEvent, type ClientEvents, Emitter, type Handler } from "./client-events.ts";
import {
  type ClientOptions,
  type Contact,
  type LinkedOptions,
  type Opened,
  openParts,
} from "./client-options.ts";
import { ContactLinks } from "./contact-links.ts";
import { coreOf } from "./client-core.ts";
import { type Said, typingBody, type Update } from "./content/content.ts";
import { Conversing, saying, type SendOptions } from "./conversing.ts";
import type { ClientCore } from "./delivery/core.ts";
import type { MessageId, Presence } from "./delivery/events.ts";
import { MAX_NOTED_IDS } from "./delivery/limits.ts";
import { Engine } from "./edge/engine.ts";
import { GroupsApi } from "./groups/group-api.ts";
import { type Enrolled, enrol, erase } from "./enrol.ts";
import { ClientError } from "./errors.ts";
import { Handing } from "./handing.ts";
import { MediaApi, type MediaMessage, type SendMediaOptions } from "./media/media-api.ts";
import type { MediaSource } from "./media/source.ts";
import { withNewestIdentity } from "./keys/identity-row.ts";
import { PairwiseCipher } from "./keys/pairwise-cipher.ts";
import type { ContactCard } from "./said.ts";
import { Telling } from "./telling.ts";
import { Trust } from "./keys/trust.ts";
import { Devices, type OwnDevices } from "./linking/devices.ts";
import { joinAccount, type LinkingView } from "./linking/new-device.ts";
import { Outgoing, type SentMessage } from "./outgoing.ts";
import { People } from "./people.ts";
import { PolicyKeeper, type RelayPolicy } from "./policy.ts";
import { Watches } from "./watches.ts";

/** A refill of one-time keys waits at random up to this long, ms: when it is seen tells little of when we are here. */
const REFILL_JITTER_MS = 3_600_000;
/** How long the contacts that remain have to learn a new access key before the relay refuses the old one, ms. Whoever
 *  learns it later, or before the relay, tries again. */
const ACCESS_GRACE_MS = 1_000;
const LOOK_UP_MS = 30_000;
/** How long `close` waits for handlers that are running, ms. */
const HANDLERS_MS = 1_000;

export class Client extends Conversing<SentMessage> {
  /** The name of this account. */
  readonly user: string;
  /** 32 hexadecimal characters. */
  readonly account: string;
  /** The groups that this account is in. */
  readonly groups: GroupsApi;
  /** Files: those under way, and those whose messages came before. */
  readonly media: MediaApi;
  readonly #opened: Opened;
  readonly #core: ClientCore;
  readonly #engine: Engine;
  readonly #emitter = new Emitter();
  readonly #outgoing = new Outgoing();
  readonly #people: People;
  readonly #trust: Trust;
  readonly #links: ContactLinks;
  readonly #handing: Handing;
  readonly #background: Background;
  readonly #policy: PolicyKeeper;
  readonly #devices: Devices;
  readonly #watches = new Watches((ask, of) => this.#engine.step({ event: "watch", ask, account: of }));
  readonly #ask: (method: "GET" | "PUT" | "DELETE", path: string, json: unknown) => Promise<unknown>;
  #closed = false;

  /**
   * Opens the store, registers the account if it is new, and connects. Resolves without waiting for the connection,
   * except that a new account needs the relay.
   * @throws ClientError, StoreError
   */
  static async create(options: ClientOptions): Promise<Client> {
    return Client.#begin(options, () => Promise.resolve({ ...options, isNew: false }));
  }

  /**
   * Makes this device one of an account that is at another device, whose client answers the code with `devices.link`. From
   * then on it is opened with `create`. @throws ClientError, StoreError
   */
  static createLinked(options: LinkedOptions, view: LinkingView): Promise<Client> {
    return Client.#begin(options, async (opened) => {
      const user = await joinAccount(opened, { view, user: options.user });
      return { ...options, user, isNew: true };
    });
  }

  static async #begin(
    options: LinkedOptions,
    owner: (opened: Opened) => Promise<ClientOptions & { readonly isNew: boolean }>,
  ): Promise<Client> {
    await ready();
    const opened = await openParts(options);
    try {
      const whose = await owner(opened);
      const enrolled = await enrol({ ...opened, user: whose.user, ticket: whose.ticket });
      const client = new Client(whose, opened, enrolled);
      if (enrolled.isNew || whose.isNew) await client.#background.first();
      client.#engine.step({ event: "start" });
      client.#devices.resume();
      client.#policy.look();
      client.media.goOn().catch((error: unknown) => client.#failed(error));
      return client;
    } catch (error) {
      await opened.store.close();
      throw error;
    }
  }

  private constructor(options: ClientOptions, opened: Opened, { rows, keys, signer, relay }: Enrolled) {
    super();
    const { clock, http } = opened;
    const store = withNewestIdentity(opened.store, keys);
    this.user = options.user;
    this.account = toHex(signer.account);
    this.#opened = opened;
    const cipher = new PairwiseCipher({
      keys,
      random: opened.random,
      name: options.user,
      relay,
      alarm: (code, about) => {
        const user = this.#people.shown(about);
        if (code === "store-copied") this.#emitter.tell("store-copied", { user });
        else this.#emitter.tell("key-changed", { user, code });
      },
    });
    this.#trust = new Trust({ keys, cipher, commit: (writes) => store.commit(writes) });
    const { account, device } = signer;
    this.#core = coreOf(options, opened, { account, device, cipher, rows });
    this.#engine = new Engine({
      ...{ ...opened, core: this.#core, store },
      hand: (entry) => this.#handing.hand(entry),
      tell: (told) => telling.told(told),
      stepped: () => this.media.stepped(),
    });
    this.#people = new People({
      view: this.#core.view,
      self: { account, name: options.user },
      ask: (ask, name, until) => this.#engine.step({ event: "ask-name", ask, name, until }),
      named: (about, name) => this.#engine.step({ event: "named", account: about, name }),
      keyChanged: (user, before, now) => this.#nameMoved(user, before, now),
      now: () => clock.now(),
    });
    this.#links = new ContactLinks({
      account: signer.account,
      user: options.user,
      relay,
      identity: () => keys.identity,
      trust: this.#trust,
      view: this.#core.view,
      happen: (event) => this.#engine.step(event),
    });
    this.#handing = new Handing({
      emitter: this.#emitter,
      people: this.#people,
      outgoing: this.#outgoing,
      settled: (entry) => this.#engine.step({ event: "settled", entry }),
      read: (from, message, group) =>
        this.#engine.step({
          event: "read",
          from,
          messages: [message],
          ...(group === undefined ? {} : { group }),
        }),
      view: this.#core.view,
      self: account,
      received: (fields) => this.media.received(fields),
    });
    this.#ask = (method, path, json) => http.signed(method, path, json, signer, relay);
    this.media = new MediaApi({
      ...{ ...opened, store, account, device, view: this.#core.view, signed: this.#ask },
      direct: () => this.#policy.current?.media?.direct === true,
      maxBlobBytes: () => this.#policy.current?.media?.bytes,
      say: (message) => this.#say(message),
      failed: (error) => this.#failed(error),
    });
    this.groups = new GroupsApi({
      view: this.#core.view,
      outgoing: this.#outgoing,
      step: (event) => {
        this.#mustBeOpen();
        this.#engine.step(event);
      },
      find: (user) => this.#find(user),
      shown: (about) => (about === account ? this.user : this.#people.shown(about)),
      random: (length) => opened.random.bytes(length),
      media: this.media,
      cardOf: (user) => this.cardOf(user),
      now: () => clock.now(),
    });
    const telling = new Telling({
      emitter: this.#emitter,
      outgoing: this.#outgoing,
      watches: this.#watches,
      groups: this.groups,
      people: this.#people,
      view: this.#core.view,
      refusal: (to, code) => this.#links.refused(to, code),
      online: () => {
        this.#background.online();
        this.media.online();
        this.#policy.look();
      },
      accessKeyChanged: () => {
        this.#devices.lockedOut().catch(() => undefined); // then once more at the next start
        this.#background.soon(ACCESS_GRACE_MS);
      },
      clock: (offset) => {
        http.offset = offset;
      },
    });
    this.#devices = new Devices({
      ...{ ...opened, keys, relay, name: options.user, ask: this.#ask },
      commit: (writes) => store.commit(writes),
      lockOut: () => this.#engine.step({ event: "lock-out" }),
    });
    this.#policy = new PolicyKeeper({
      ...opened,
      learned: (policy) => this.#learned(policy),
      failed: (error) => this.#failed(error),
    });
    this.#background = new Background({
      ...{ ...opened, keys, cipher, store, ask: this.#ask, emitter: this.#emitter },
      refillJitterMs: options.refillJitterMs ?? REFILL_JITTER_MS,
    });
  }

  /** Listens. The result ends it. */
  on<E extends ClientEvent>(event: E, handler: Handler<E>): () => void {
    const off = this.#emitter.on(event, handler);
    if (event === "message" || event === "group-message") this.#handing.heard();
    return off;
  }

  /** The next event of a kind, that fits if a condition is given. */
  once<E extends ClientEvent>(
    event: E,
    fits: (event: ClientEvents[E]) => boolean = () => true,
  ): Promise<ClientEvents[E]> {
    return new Promise((resolve) => {
      const off = this.on(event, (what) => {
        if (!fits(what)) return;
        off();
        resolve(what);
      });
    });
  }

  get connection(): "online" | "connecting" | "offline" {
    return this.#core.view.connection;
  }

  /** The devices of this account: linking and removing them. */
  get devices(): OwnDevices {
    return this.#devices;
  }

  /** Messages that the relay has not taken yet, receipts included. */
  get waiting(): number {
    return this.#core.view.outbox;
  }

  contacts(): Contact[] {
    return [...this.#core.view.contacts().keys()].map((account) => this.#contact(account));
  }

  #contact(account: AccountId): Contact {
    return {
      user: this.#people.shown(account),
      account: toHex(account),
      decision: this.#core.view.contact(account).decision,
      verified: this.#trust.isVerified(account),
    };
  }

  /**
   * The text by which others add this account (`addContact`), for a QR code or to be sent: who it is, and the right to
   * write to it. It holds until somebody is blocked, which replaces the access key.
   */
  contactLink(): string {
    return this.#links.own();
  }

  /**
   * Takes somebody's contact link: they are accepted, no other account key than theirs is ever believed, and the first
   * message is no request; with a card (`sendContact`), which a third person has sent, it is one. Their name is asked of the directory, and shown once that says the same; until then use `user`.
   * @throws ClientError link-malformed, link-other-version, link-other-relay, link-own, account-key-changed
   */
  async addContact(link: string | ContactCard): Promise<Contact> {
    this.#mustBeOpen();
    const { account, name } = await this.#links.add(link);
    const user = await this.#people.confirmed(account, name);
    return { ...this.#contact(account), user, decision: "accepted" };
  }

  /** What both people compare, by voice or camera, to know that nobody stands in between. @throws ClientError keys-unknown */
  async safetyNumber(user: string): Promise<SafetyNumber> {
    return this.#trust.number(await this.#find(user));
  }

  /** The person has compared the safety number; or `scanned` is the code of the other screen. @throws ClientError */
  async verify(user: string, scanned?: Uint8Array): Promise<void> {
    const account = await this.#find(user);
    await this.#trust.verify(account, scanned);
    this.#engine.step({ event: "verified", account });
  }

  /** After `key-changed`: the name stands for its new account from now on, which is somebody new. */
  async acceptKey(user: string): Promise<void> {
    const before = await this.#find(user);
    const successor = this.#trust.successor(before);
    if (successor === undefined) return;
    await this.#trust.forget(before);
    this.#people.rename(user, successor);
  }

  #nameMoved(user: string, before: AccountId, now: AccountId): void {
    const told = (): void => this.#emitter.tell("key-changed", { user, code: "account-key-changed" });
    this.#trust.moved(before, now).then(told, told);
  }

  #find(user: string): Promise<AccountId> {
    this.#mustBeOpen();
    return this.#people.find(user, (this.#opened.clock.now() + LOOK_UP_MS) as Time);
  }

  protected async say(user: string, kind: Said | Update, options: SendOptions): Promise<SentMessage> {
    this.#mustBeOpen();
    const { clock, random } = this.#opened;
    const to = await this.#people.find(user, (clock.now() + (options.lookUpMs ?? LOOK_UP_MS)) as Time);
    this.#mustBeOpen();
    const said = saying(kind, options);
    const message: MessageId = fromBytes(random.bytes(16));
    return this.#say({ message, to, group: undefined, shown: user, ...said });
  }

  /**
   * Sends a file: its blob goes to the relay, sealed, then the message that names it. Resolves when the relay holds both. It goes
   * on after cuts; after a restart `client.media.unfinished` has it. Passing a file on is sending it anew. @throws ClientError
   * media-off, media-too-large, media-quota, media-source-changed, ...; what the source throws
   */
  async sendMedia(user: string, source: MediaSource, options: SendMediaOptions = {}): Promise<SentMessage> {
    return this.media.send({ to: await this.#find(user), group: undefined, shown: user }, source, options);
  }

  async #say({ message, to, group, shown: user, ...said }: MediaMessage): Promise<SentMessage> {
    if (to !== undefined && this.#trust.blocks(to)) throw new ClientError("account-key-changed", user);
    const { handle, queued } = this.#outgoing.track(message, user);
    if (group !== undefined) this.#engine.step({ event: "group-send", message, group, ...said });
    else if (to !== undefined) this.#engine.step({ event: "send", message, to, ...said });
    await queued;
    return handle;
  }

  #failed(error: unknown): void {
    this.#emitter.tell("error", { error: error instanceof Error ? error : new Error(String(error)) });
  }

  protected async timerOf(user: string) {
    const conversation = await this.#find(user);
    return { ...this.#core.view.timer({ conversation }), now: this.#opened.clock.now() };
  }

  protected async cardOf(user: string): Promise<Said> {
    return this.#links.card(await this.#find(user), user);
  }

  /** Lets a contact know that this person is writing: now, or not at all. */
  async typing(user: string): Promise<void> {
    const to = await this.#find(user);
    this.#engine.step({ event: "signal", to, body: typingBody() });
  }

  /**
   * Tells by `presence` when a contact comes and goes, until `unwatch`, `block` or the end of this client.
   * @throws ClientError not-a-contact, blocked, too-many-watched
   */
  async watch(user: string): Promise<void> {
    const account = await this.#find(user);
    this.#mustBeOpen();
    await this.#watches.watch(account, user);
  }

  async unwatch(user: string): Promise<void> {
    this.#engine.step({ event: "unwatch", account: await this.#find(user) });
  }

  /** The last that is known of somebody who is watched; of everybody else nothing is known. */
  presence(user: string): Presence {
    const account = this.#people.known(user);
    return account === undefined
      ? { state: "unknown", lastSeen: undefined }
      : this.#core.view.presence(account);
  }

  /** Whether contacts may see when this account was last here. That it is online they see. @throws ClientError */
  async showLastSeen(shown: boolean): Promise<void> {
    this.#mustBeOpen();
    await this.#ask("PUT", PATHS.presence, { lastSeen: shown } satisfies PresenceRequest);
  }

  /** What the relay says of itself, once it is known. */
  get policy(): RelayPolicy | undefined {
    return this.#policy.current;
  }

  #learned(policy: RelayPolicy): void {
    const terms = { maxEnvelopeBytes: policy.limits.envelopeBytes, maxTtlMs: policy.retention.mailMs };
    this.#engine.step({ event: "terms", terms });
    this.#emitter.tell("policy", { policy });
  }

  /** Takes mail of somebody from now on, and what has waited. */
  accept(user: string): Promise<void> {
    return this.#decide(user, "accepted");
  }

  /** Drops mail of somebody from now on, and what has waited. They are not told. */
  block(user: string): Promise<void> {
    return this.#decide(user, "blocked");
  }

  async #decide(user: string, decision: "accepted" | "blocked"): Promise<void> {
    const account = await this.#find(user);
    this.#engine.step({ event: "decide", account, decision });
  }

  /**
   * The person has removed messages of somebody here: what waits of them goes, and this account's other devices are told
   * (`deleted-elsewhere`). `ids` are of messages in either direction.
   */
  async forget(user: string, ids: readonly string[]): Promise<void> {
    const from = await this.#find(user);
    const messages = ids.map((id) => fromHex<MessageId>(id, 16));
    for (let at = 0; at < messages.length; at += MAX_NOTED_IDS)
      this.#engine.step({ event: "forget", from, messages: messages.slice(at, at + MAX_NOTED_IDS) });
  }

  /** Connects now: after a displacement, or when the network is known to be back. */
  reconnect(): void {
    this.#mustBeOpen();
    this.#engine.step({ event: "connect" });
  }

  /** Ends the connections and closes the store, once handlers that are running have ended (a second at most), and releases of files that are under way (another). What waits in the outbox goes on when it is opened again. */
  close(): Promise<void> {
    return this.#end(() => Promise.resolve());
  }

  /**
   * Removes this account from the relay, with its name, its keys and the mail that waits for it, then everything from the
   * store, and closes the client. What is on other people's devices stays there. Nothing has happened where the relay does not
   * answer. @throws ClientError relay-unreachable
   */
  async deleteAccount(): Promise<void> {
    this.#mustBeOpen();
    await this.#ask("DELETE", PATHS.account, undefined);
    await this.#end(() => erase(this.#opened.store));
  }

  /** @param last what is still to be done with the store. */
  async #end(last: () => Promise<void>): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#policy.stop();
    await this.#handing.stopWithin(HANDLERS_MS, this.#opened.clock);
    await this.media.stop();
    await this.#engine.stop();
    await this.#devices.stop();
    await this.#background.stop();
    this.#outgoing.failAll(new ClientError("closed"));
    this.#watches.failAll("closed");
    this.groups.failAll("closed");
    try {
      await last();
    } finally {
      await this.#opened.store.close();
    }
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new ClientError("closed");
  }
}
