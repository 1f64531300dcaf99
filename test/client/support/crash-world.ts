// Two real client cores with the real cryptography, a relay that is a list of mailboxes, and a process that dies at a
// chosen edge: before or after any write to its store, any frame it sends, any frame it takes, any entry it hands over.
// Deterministic: the same seed and edge give the same run, byte for byte.
import {
  type AccountId,
  accountOf,
  addressOf,
  type ClientFrame,
  decodeAll,
  type DeviceAddress,
  type EnvelopeId,
  type FrameOf,
  type RelayFrame,
  type Time,
  toBytes,
} from "@lethe/protocol";
import {
  type ClientCore,
  type CoreEvent,
  createClientCore,
  type Effect,
  type MessageId,
} from "@lethe/client";
import {
  addressOfIdentity,
  createIdentity,
  encodeIdentity,
  type Identity,
  type PrekeyRecord,
  publicIdentity,
} from "@lethe/crypto";
import { readBody, bodyOf } from "../../../client-lib/content/content.ts";
import type { Entry, SocketName } from "../../../client-lib/delivery/events.ts";
import { outboxRow } from "../../../client-lib/delivery/rows.ts";
import { loadKeys, OWN, putKey } from "../../../client-lib/keys/key-rows.ts";
import { PairwiseCipher } from "../../../client-lib/keys/pairwise-cipher.ts";
import { firstPrekeys, putPrekeys } from "../../../client-lib/keys/prekey-keeper.ts";
import { messageId, seeded } from "./bench-core.ts";

class Crash extends Error {}

type Tables = Map<string, Map<string, Uint8Array>>;
type EventBody = CoreEvent extends infer E ? (E extends CoreEvent ? Omit<E, "now"> : never) : never;

export interface Dying {
  readonly who: string;
  /** The number of the edge, from 1; 0 dies never. */
  readonly edge: number;
}

export interface Relaying {
  /** Each push comes twice, each accepted is lost once: what an at-least-once transport may do. */
  readonly repeats?: boolean;
  /** This message is accepted, and expires before it is pushed. */
  readonly expires?: string;
}

interface Running {
  readonly core: ClientCore;
  readonly sockets: Map<SocketName, number>;
  wakeAt: number;
  /** The connection that the relay pushes to. */
  session: number | undefined;
}

/** Made once: every world begins with the same people. */
const made = new Map<number, { identity: Identity; prekeys: PrekeyRecord[] }>();
function keysOf(seed: number, now: Time): { identity: Identity; prekeys: PrekeyRecord[] } {
  const random = seeded(seed);
  const identity = made.get(seed)?.identity ?? createIdentity({ random, now });
  const keys = made.get(seed) ?? { identity, prekeys: firstPrekeys(identity, random, now) };
  made.set(seed, keys);
  return keys;
}

/** An application that keeps a list: it takes an entry and settles it at once, or after the next edge. */
export class Person {
  readonly name: string;
  readonly identity: Identity;
  readonly prekeys: PrekeyRecord[];
  readonly tables: Tables = new Map();
  readonly toSend: string[];
  readonly to: string;
  running: Running | undefined;
  edges = 0;
  /** Every entry handed over, in order, over all lives. */
  readonly handed: { id: MessageId; text: string; entry: number }[] = [];
  /** Ids whose settling had become durable when they were handed over again. */
  readonly again: string[] = [];
  /** Envelopes given to the cipher though what came of them was durable. */
  readonly openedAgain: EnvelopeId[] = [];
  readonly settled = new Set<MessageId>();
  readonly queued = new Set<string>();
  readonly sentTold = new Set<MessageId>();
  readonly labels: string[] = [];
  settling = new Map<number, MessageId>();

  constructor(name: string, seed: number, now: Time, toSend: string[], to: string) {
    const { identity, prekeys } = keysOf(seed, now);
    this.name = name;
    this.toSend = toSend;
    this.to = to;
    this.identity = identity;
    this.prekeys = [...prekeys];
    this.write([putKey("identity", OWN, encodeIdentity(this.identity)), ...putPrekeys(this.prekeys)]);
  }

  get address(): DeviceAddress {
    return addressOfIdentity(this.identity);
  }

  write(writes: readonly { table: string; key: string; value: Uint8Array | undefined }[]): void {
    for (const { table, key, value } of writes) {
      const rows = this.tables.get(table) ?? new Map<string, Uint8Array>();
      this.tables.set(table, rows);
      if (value === undefined) rows.delete(key);
      else rows.set(key, value.slice());
    }
  }

  /** The message of an envelope that is in the outbox. */
  messageIn(id: EnvelopeId): MessageId | undefined {
    for (const value of this.tables.get("outbox")?.values() ?? []) {
      const row = decodeAll(outboxRow, value);
      if (row.id === id) return row.message;
    }
    return undefined;
  }

  rows() {
    return Object.fromEntries(
      [...this.tables].map(([table, of]) => [
        table,
        [...of].map(([key, value]) => ({ key, value: value.slice() })),
      ]),
    );
  }
}

interface Mail {
  readonly id: EnvelopeId;
  readonly ciphertext: Uint8Array;
  readonly kind: "pairwise" | "signal";
}

const T0 = 1_700_000_000_000 as Time;
const DAY = 86_400_000;

export class CrashWorld {
  now = T0;
  readonly people: readonly Person[];
  /** Every ciphertext that was ever submitted under an id. */
  readonly submitted = new Map<EnvelopeId, Uint8Array[]>();
  readonly mailboxes = new Map<DeviceAddress, Mail[]>();
  readonly #dying: Dying;
  readonly #repeats: boolean;
  readonly #expires: MessageId | undefined;
  readonly #handedOut = new Map<string, FrameOf<"has-prekeys">>();
  readonly #lostOnce = new Set<EnvelopeId>();
  #agenda: (() => void)[] = [];
  #lives = 0;

  constructor(dying: Dying, { repeats = false, expires }: Relaying) {
    this.#dying = dying;
    this.#repeats = repeats;
    this.#expires = expires === undefined ? undefined : messageId(expires);
    this.people = [
      new Person("anna", 11, T0, ["a one", "a two", "a three"], "ben"),
      new Person("ben", 22, T0, ["b one", "b two"], "anna"),
    ];
  }

  person(name: string): Person {
    const found = this.people.find((person) => person.name === name);
    if (found === undefined) throw new Error(`who is ${name}?`);
    return found;
  }

  /** Both begin, say what they have to say, and everything comes to rest. */
  run(): void {
    for (const person of this.people) this.#plan(() => this.#begin(person));
    for (let rounds = 0; rounds < 400; rounds++) {
      for (let turn = this.#agenda.shift(); turn !== undefined; turn = this.#agenda.shift()) turn();
      if (!this.#wake()) return;
    }
    throw new Error("no rest");
  }

  #plan(turn: () => void): void {
    this.#agenda.push(turn);
  }

  /** Time goes on to the next wish; false after ten minutes of rest. */
  #wake(): boolean {
    const next = Math.min(...this.people.map(({ running }) => running?.wakeAt ?? Number.POSITIVE_INFINITY));
    if (next > T0 + 600_000) return false;
    this.now = Math.max(this.now, next) as Time;
    for (const person of this.people)
      if (person.running !== undefined && person.running.wakeAt <= this.now) {
        person.running.wakeAt = Number.POSITIVE_INFINITY;
        this.#step(person, { event: "tick" });
      }
    return true;
  }

  #begin(person: Person): void {
    this.#lives += 1;
    const random = seeded(1_000 + this.#lives);
    const rows = person.rows();
    const keys = loadKeys(rows);
    if (keys === undefined) throw new Error("no identity in the store");
    const config = { keys, random, name: person.name, relay: "world", alarm: () => undefined };
    const { account, device } = publicIdentity(keys.identity);
    const core = createClientCore({
      account,
      device,
      cipher: watched(new PairwiseCipher(config), person),
      chance: random,
      rows,
      requests: "accept",
      urls: 1,
      receiptJitterMs: 100,
    });
    person.running = { core, sockets: new Map(), wakeAt: Number.POSITIVE_INFINITY, session: undefined };
    this.#step(person, { event: "start" });
    for (const text of person.toSend) {
      const to = accountOf(this.person(person.to).address);
      const body = bodyOf({ is: "text", text });
      this.#step(person, { event: "send", message: messageId(text), to, body });
    }
  }

  #step(person: Person, event: EventBody): void {
    const { running } = person;
    if (running === undefined) return;
    try {
      const effects = running.core.step({ ...event, now: this.now } as CoreEvent);
      for (const effect of effects) this.#carryOut(person, running, effect);
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.#die(person);
    }
  }

  /** The process is gone with all that it had in memory; it is started again. */
  #die(person: Person): void {
    person.running = undefined;
    person.settling = new Map();
    this.#plan(() => this.#begin(person));
  }

  #edge(person: Person, label: string): void {
    person.edges += 1;
    person.labels.push(label);
    if (person.name === this.#dying.who && person.edges === this.#dying.edge) throw new Crash(label);
  }

  #carryOut(person: Person, running: Running, effect: Effect): void {
    switch (effect.do) {
      case "commit":
        // As with a real store it happens later: whatever must wait for it has every chance not to.
        this.#plan(() => this.#commit(person, running, effect));
        return;
      case "send":
        this.#edge(person, `before sending ${effect.frames[0]?.frame}`);
        if (running.sockets.get(effect.socket) === effect.connection)
          for (const frame of effect.frames) this.#plan(() => this.#relay(person, running, effect, frame));
        this.#edge(person, `after sending ${effect.frames[0]?.frame}`);
        return;
      case "open":
        running.sockets.set(effect.socket, effect.connection);
        this.#later(person, running, {
          event: "opened",
          socket: effect.socket,
          connection: effect.connection,
        });
        return;
      case "close":
        running.sockets.delete(effect.socket);
        return;
      case "hand":
        this.#hand(person, running, effect.entry);
        return;
      case "tell":
        if (effect.told.tell === "sent") person.sentTold.add(effect.told.message);
        return;
      case "wake":
        running.wakeAt = effect.at;
    }
  }

  #commit(person: Person, running: Running, { commit, writes }: Effect & { do: "commit" }): void {
    if (person.running !== running) return;
    try {
      this.#edge(person, "before a commit");
      person.write(writes);
      this.#noteSettled(person);
      this.#edge(person, "after a commit");
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.#die(person);
      return;
    }
    this.#step(person, { event: "committed", commit });
  }

  #later(person: Person, running: Running, event: EventBody): void {
    this.#plan(() => {
      if (person.running === running) this.#step(person, event);
    });
  }

  #hand(person: Person, running: Running, entry: Entry): void {
    const text = textOf(entry);
    if (text === undefined) {
      this.#later(person, running, { event: "settled", entry: entry.entry });
      return;
    }
    this.#edge(person, `before handing over ${entry.content.kind}`);
    if (person.settled.has(entry.message)) person.again.push(text);
    person.handed.push({ id: entry.message, text: entry.late ? `${text} (late)` : text, entry: entry.entry });
    this.#edge(person, `after handing over ${entry.content.kind}`);
    person.settling.set(entry.entry, entry.message);
    this.#later(person, running, { event: "settled", entry: entry.entry });
  }

  /** An entry is settled for good when its row is gone. */
  #noteSettled(person: Person): void {
    const left = [...(person.tables.get("inbox")?.keys() ?? [])].map((key) =>
      Array.from(key).reduce((value, c) => value * 256 + c.charCodeAt(0), 0),
    );
    for (const [entry, id] of person.settling)
      if (!left.includes(entry)) {
        person.settled.add(id);
        person.settling.delete(entry);
      }
  }

  // --- the relay ---

  #answer(
    person: Person,
    running: Running,
    socket: SocketName,
    connection: number,
    ...frames: RelayFrame[]
  ): void {
    this.#plan(() => {
      if (person.running !== running || running.sockets.get(socket) !== connection) return;
      try {
        this.#edge(person, `before taking ${frames[0]?.frame}`);
      } catch {
        this.#die(person);
        return;
      }
      this.#step(person, { event: "frames", socket, connection, frames });
    });
  }

  #relay(
    person: Person,
    running: Running,
    { socket, connection }: Effect & { do: "send" },
    frame: ClientFrame,
  ): void {
    const answer = (...frames: RelayFrame[]) => this.#answer(person, running, socket, connection, ...frames);
    switch (frame.frame) {
      case "hello":
        return answer({ frame: "challenge", version: 1, relay: "world", nonce: new Uint8Array(32) });
      case "hello-anonymous":
        return answer(this.#welcome());
      case "proof":
        running.session = connection;
        answer(this.#welcome());
        for (const mail of this.mailboxes.get(person.address) ?? []) answer({ frame: "push", ...mail });
        return answer({ frame: "drained" });
      case "submit":
        return this.#submit(person, frame, answer);
      case "delivered":
        this.mailboxes.set(
          person.address,
          (this.mailboxes.get(person.address) ?? []).filter(({ id }) => !frame.ids.includes(id)),
        );
        return;
      case "ask-devices":
        return answer(this.#devices(frame));
      case "ask-prekeys":
        return answer(this.#prekeysOf(frame));
      default:
    }
  }

  #welcome(): FrameOf<"welcome"> {
    const limits = { maxEnvelopeBytes: 73_728, maxTtlMs: 30 * DAY, pingMs: 3_600_000 };
    return { frame: "welcome", version: 1, relay: "world", now: this.now, ...limits };
  }

  #submit(
    sender: Person,
    { recipient, envelopes }: FrameOf<"submit">,
    answer: (...frames: RelayFrame[]) => void,
  ): void {
    for (const { device, id, ciphertext } of envelopes) {
      const bytes = ciphertext.slice();
      this.submitted.set(id, [...(this.submitted.get(id) ?? []), bytes]);
      if (sender.messageIn(id) === this.#expires && this.#expires !== undefined) continue;
      const address = addressOf(recipient, device);
      const mail: Mail = { id, ciphertext: bytes, kind: "pairwise" };
      this.mailboxes.set(address, [...(this.mailboxes.get(address) ?? []), mail]);
      this.#push(address, mail);
      if (this.#repeats) this.#push(address, mail);
    }
    const ids = envelopes.map(({ id }) => id).filter((id) => !this.#repeats || this.#lostOnce.has(id));
    for (const { id } of envelopes) this.#lostOnce.add(id);
    if (ids.length > 0) answer({ frame: "accepted", ids });
  }

  #push(address: DeviceAddress, mail: Mail): void {
    const person = this.people.find((each) => each.address === address);
    const connection = person?.running?.session;
    if (person?.running === undefined || connection === undefined) return;
    this.#answer(person, person.running, "device", connection, { frame: "push", ...mail });
  }

  #byAccount(account: AccountId): Person {
    const found = this.people.find((person) => accountOf(person.address) === account);
    if (found === undefined) throw new Error("an account that nobody has");
    return found;
  }

  #devices({ request, account }: FrameOf<"ask-devices">): FrameOf<"has-devices"> {
    const { listVersion, deviceList, certificate } = publicIdentity(this.#byAccount(account).identity);
    return { frame: "has-devices", request, version: listVersion, deviceList, certificates: [certificate] };
  }

  /** The same requester gets the same keys; another gets the next. */
  #prekeysOf({ request, account, requestId }: FrameOf<"ask-prekeys">): FrameOf<"has-prekeys"> {
    const key = account + requestId.join();
    const known = this.#handedOut.get(key);
    if (known !== undefined) return { ...known, request };
    const { prekeys } = this.#byAccount(account);
    const take = (kind: PrekeyRecord["kind"], once: boolean) => {
      const at = prekeys.findIndex((record) => record.kind === kind);
      const found = prekeys[at];
      if (found === undefined) throw new Error(`out of ${kind} keys`);
      if (once) prekeys.splice(at, 1);
      return { id: toBytes(found.id), bytes: found.upload };
    };
    const answer: FrameOf<"has-prekeys"> = {
      frame: "has-prekeys",
      request,
      signed: take("signed", false),
      lastResort: take("lastResort", false),
      oneTime: take("oneTime", true),
      oneTimeKem: take("oneTimeKem", true),
    };
    this.#handedOut.set(key, answer);
    return answer;
  }
}

/** A seen id is looked up before anything is opened: the ratchet's own memory of what it opened is the second defence. */
function watched(cipher: PairwiseCipher, person: Person): PairwiseCipher {
  const open = cipher.open.bind(cipher);
  cipher.open = (request) => {
    if (person.tables.get("seen")?.has(request.id) === true) person.openedAgain.push(request.id);
    return open(request);
  };
  return cipher;
}

/** What an application is given to settle; undefined for receipts. */
function textOf({ content }: Entry): string | undefined {
  if (content.kind === "receipt") return undefined;
  if (content.kind === "gap") return `gap ${content.first}-${content.last}`;
  if (!("body" in content)) return content.kind;
  const { kind } = readBody(content.body);
  return kind?.is === "text" ? kind.text : kind?.is;
}
