// A small world for attacks: real client cores on the real cryptography, and a relay that does what the test wants with
// every envelope. Time and chance are given; nothing happens but by `run` and `pass`.
import {
  type AccountId,
  addressOf,
  type ClientFrame,
  type DeviceAddress,
  type DeviceNumber,
  deviceOf,
  type EnvelopeId,
  type FrameOf,
  PROBLEMS,
  type RelayFrame,
  type Time,
  toBytes,
} from "@lethe/protocol";
import { bodyOf, readBody } from "../../client-lib/content/content.ts";
import { createClientCore } from "../../client-lib/delivery/core.ts";
import type { CoreEvent, Effect, Entry, MessageId, SocketName } from "../../client-lib/delivery/events.ts";
import { type KeyState, loadKeys, OWN, putKey } from "../../client-lib/keys/key-rows.ts";
import { PairwiseCipher } from "../../client-lib/keys/pairwise-cipher.ts";
import {
  accessKeyHash,
  type DeviceList,
  encodeIdentity,
  envelopeIdFor,
  equal,
  type Identity,
  type PrekeyKind,
  removeDevice,
} from "../../crypto/index.ts";
import { type MailKind, Side, type Tables } from "./attack-side.ts";
import { linkDevice } from "./linking-support.ts";
import { START, seededRandom } from "./support.ts";

class Crash extends Error {}
type EventBody = CoreEvent extends infer E ? (E extends CoreEvent ? Omit<E, "now"> : never) : never;

/** What the relay sees of one submitted envelope. */
export interface Seen {
  readonly from: string;
  readonly to: string;
  readonly on: SocketName;
  readonly id: EnvelopeId;
  readonly ciphertext: Uint8Array;
}

/** What is for the devices of one account, with a key that opens it or without. */
interface Submitted {
  readonly account: AccountId;
  readonly listVersion: number;
  readonly isPermitted: boolean;
  readonly envelopes: FrameOf<"submit">["envelopes"];
  readonly kind: MailKind;
}

export { Side } from "./attack-side.ts";

export class AttackWorld {
  now: Time = START;
  readonly sides = new Map<string, Side>();
  /** Every envelope that was submitted, in order. */
  readonly seen: Seen[] = [];
  /** Every frame of a client, as the relay gets it. */
  readonly frames: { from: string; on: SocketName; frame: ClientFrame }[] = [];
  /** What the relay does with an envelope: passes on these bytes, or takes it and loses it. */
  hostile: (mail: Seen) => Uint8Array | undefined = ({ ciphertext }) => ciphertext;
  /** What it answers instead of the truth. */
  lies: (frame: RelayFrame, to: Side) => RelayFrame = (frame) => frame;
  /** This process dies at its edge of this number, from 1: before or after a write, before or after a frame. */
  dying: { readonly who: string; readonly edge: number } | undefined;
  edges = 0;
  ownJitterMs = 0;
  /** What becomes of strangers' mail, from the next `start` of a side on. */
  requests: "ask" | "accept" = "accept";
  /** Whether applications settle what they are handed. */
  settles = true;
  #agenda: (() => void)[] = [];
  #chance = 500;

  constructor(...names: string[]) {
    names.forEach((name, i) => this.sides.set(name, new Side(name, 70 + i)));
    for (const side of this.sides.values()) this.start(side);
    this.run();
  }

  side(name: string): Side {
    const found = this.sides.get(name);
    if (found === undefined) throw new Error(`who is ${name}?`);
    return found;
  }

  /** The process begins, with what its store holds. What it was doing before is forgotten. */
  start(side: Side, tables?: Tables): void {
    if (tables !== undefined)
      side.tables = new Map([...tables].map(([table, rows]) => [table, new Map(rows)]));
    const random = seededRandom(this.#chance++);
    const rows = Object.fromEntries(
      [...side.tables].map(([table, of]) => [
        table,
        [...of].map(([key, value]) => ({ key, value: value.slice() })),
      ]),
    );
    side.sockets.clear();
    side.keys = loadKeys(rows) as KeyState;
    side.cipher = new PairwiseCipher({
      keys: side.keys,
      random,
      name: side.user,
      relay: "world",
      alarm: (code) => void side.alarms.push(code),
    });
    side.core = createClientCore({
      account: side.account,
      device: deviceOf(side.address),
      cipher: side.cipher,
      chance: { bytes: (n) => random.bytes(n), fraction: () => random.below(1_000_000) / 1_000_000 },
      rows,
      requests: this.requests,
      urls: 1,
      groups: side.cipher.groupKeys(),
      receiptJitterMs: 100,
      ownJitterMs: this.ownJitterMs,
    });
    this.step(side, { event: "start" });
  }

  step(side: Side, event: EventBody): void {
    try {
      for (const effect of side.core.step({ ...event, now: this.now } as CoreEvent))
        this.#carryOut(side, effect);
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.start(side);
    }
  }

  #edge(side: Side): void {
    if (side.name === this.dying?.who && ++this.edges === this.dying.edge) throw new Crash();
  }

  #later(side: Side, event: EventBody): void {
    const { core } = side;
    this.#agenda.push(() => {
      if (side.core === core) this.step(side, event);
    });
  }

  #carryOut(side: Side, effect: Effect): void {
    const { core } = side;
    switch (effect.do) {
      case "commit":
        this.#edge(side);
        side.write(effect.writes);
        this.#edge(side);
        return this.#later(side, { event: "committed", commit: effect.commit });
      case "open":
        side.sockets.set(effect.socket, effect.connection);
        return this.#later(side, { event: "opened", socket: effect.socket, connection: effect.connection });
      case "close":
        side.sockets.delete(effect.socket);
        return;
      case "send":
        this.#edge(side);
        for (const frame of effect.frames)
          this.#agenda.push(() => {
            if (side.core === core) this.#relay(side, effect.socket, frame);
          });
        return;
      case "hand":
        this.#hand(side, effect.entry);
        if (this.settles) this.#later(side, { event: "settled", entry: effect.entry.entry });
        return;
      case "tell":
        side.told.push(effect.told);
        return;
      case "wake":
        side.wakeAt = effect.at;
    }
  }

  #hand(side: Side, entry: Entry): void {
    side.entries.push(entry);
    const { content } = entry;
    if (content.kind === "receipt") side.receipts.push(...content.delivered, ...content.read);
    else if (content.kind === "gap") side.texts.push(`gap ${content.last - content.first + 1}`);
    else if (content.kind === "own")
      side.own.push(`${this.#of(content.conversation).user}: ${shown(content.body)}`);
    else if (content.kind === "read-elsewhere" || content.kind === "deleted-elsewhere")
      for (const message of content.messages)
        side.own.push(`${content.kind}: ${message.replaceAll("\0", "")}`);
    else if (content.kind !== "disappear")
      side.texts.push(`${shown(content.body)}${entry.late ? " (late)" : ""}`);
  }

  #answer(side: Side, socket: SocketName, ...frames: RelayFrame[]): void {
    const connection = side.sockets.get(socket);
    if (connection === undefined) return;
    this.#later(side, {
      event: "frames",
      socket,
      connection,
      frames: frames.map((frame) => this.lies(frame, side)),
    });
  }

  #relay(side: Side, on: SocketName, frame: ClientFrame): void {
    this.frames.push({ from: side.name, on, frame });
    switch (frame.frame) {
      case "hello":
        if (frame.epoch <= side.epoch)
          return this.#answer(side, on, { frame: "epoch-behind", last: side.epoch as never });
        side.epoch = frame.epoch;
        return this.#answer(side, on, {
          frame: "challenge",
          version: 1,
          relay: "world",
          nonce: new Uint8Array(32),
        });
      case "hello-anonymous":
        return this.#answer(side, on, this.#welcome());
      case "proof":
        this.#answer(side, on, this.#welcome());
        return this.#drain(side);
      case "submit":
        return this.#submit(side, on, frame);
      case "submit-group":
        return this.#submitGroup(side, on, frame);
      case "signal":
        for (const { device, id, ciphertext } of frame.envelopes)
          this.#push(this.at(addressOf(frame.recipient, device)), { id, ciphertext }, "signal");
        return;
      case "delivered":
        for (const id of frame.ids) {
          const at = side.mailbox.findIndex((mail) => mail.id === id);
          if (at >= 0) side.mailbox.splice(at, 1);
        }
        return;
      case "ask-devices":
        return this.#answer(side, on, this.devicesOf(this.#of(frame.account), frame.request));
      case "ask-prekeys":
        return this.#answer(
          side,
          on,
          this.#prekeysOf(this.at(addressOf(frame.account, frame.device)), frame.request),
        );
      case "ping":
        return this.#answer(side, on, { frame: "pong", token: frame.token });
      default:
        return;
    }
  }

  /** The primary device of an account: it is made before those that are linked to it. */
  #of(account: AccountId): Side {
    for (const side of this.sides.values()) if (side.account === account) return side;
    throw new Error("an account that nobody has");
  }

  at(address: DeviceAddress): Side {
    for (const side of this.sides.values()) if (side.address === address) return side;
    throw new Error("a device that nobody has");
  }

  /** A second device of somebody, linked; the relay has the new list at once. */
  link(user: string, name: string): Side {
    const primary = this.side(user);
    const number = 1 + [...this.sides.values()].filter((side) => side.user === user).length; // never used again
    const random = seededRandom(this.#chance++);
    const { after, linked } = linkDevice(primary.keys.identity, number as DeviceNumber, random, this.now);
    this.publish(primary, after);
    const side = new Side(name, this.#chance++, { user, identity: linked });
    this.sides.set(name, side);
    this.start(side);
    this.step(primary, { event: "tick" }); // as the library does when it has linked a device
    this.run();
    return side;
  }

  /** The primary device takes a device from its list; the relay forgets its mailbox and ends its connections. */
  unlink(name: string): void {
    const side = this.side(name);
    const primary = this.side(side.user);
    const removed = removeDevice(primary.keys.identity, deviceOf(side.address), this.now);
    if (removed.code !== "ok") throw new Error(removed.code);
    this.publish(primary, removed.identity);
    side.mailbox.length = 0;
    const connection = side.sockets.get("device");
    side.sockets.clear();
    if (connection === undefined) return;
    const status = PROBLEMS["device-removed"].close as number;
    this.step(side, { event: "closed", socket: "device", connection, status });
  }

  publish(primary: Side, identity: Identity): void {
    primary.keys.identity = identity;
    primary.write([putKey("identity", OWN, encodeIdentity(identity))]);
  }

  #list(account: AccountId): DeviceList {
    return this.#of(account).keys.identity.list;
  }

  #welcome(): RelayFrame {
    const limits = { maxEnvelopeBytes: 70_000, maxTtlMs: 30 * 86_400_000, pingMs: 30_000 };
    return { frame: "welcome", version: 1, relay: "world", now: this.now, ...limits };
  }

  #drain(side: Side): void {
    for (const mail of side.mailbox) this.#push(side, mail, mail.kind);
    this.#answer(side, "device", { frame: "drained" });
  }

  #push(
    side: Side,
    { id, ciphertext }: { id: EnvelopeId; ciphertext: Uint8Array },
    kind: MailKind | "signal",
  ): void {
    this.#answer(side, "device", { frame: "push", id, kind, ciphertext });
  }

  #submit(side: Side, on: SocketName, frame: FrameOf<"submit">): void {
    const { recipient: account, accessKey, listVersion, envelopes } = frame;
    const isPermitted = accessKey === undefined || this.#opens(accessKey, account);
    this.#take(side, on, { account, listVersion, isPermitted, envelopes, kind: "pairwise" });
  }

  #opens(key: Uint8Array, account: AccountId): boolean {
    return equal(accessKeyHash(key), this.#of(account).accessHash);
  }

  #take(side: Side, on: SocketName, mail: Submitted): void {
    const { account, listVersion, isPermitted, envelopes, kind } = mail;
    const ids = envelopes.map(({ id }) => id);
    if (!isPermitted) {
      const code = PROBLEMS["not-permitted"].number;
      return this.#answer(side, on, { frame: "refused", code, retryAfter: 0, ids });
    }
    const given = envelopes.map(({ device }) => device);
    const stale = this.#stale(account, listVersion, given, ids);
    this.#answer(side, on, stale ?? { frame: "accepted", ids });
    if (stale !== undefined) return;
    for (const { device, id, ciphertext } of envelopes) {
      const at = this.at(addressOf(account, device));
      const seen = { from: side.name, to: at.name, on, id, ciphertext: ciphertext.slice() };
      this.seen.push(seen);
      const passed = this.hostile(seen);
      if (passed !== undefined) this.#deliver(at, { id, ciphertext: passed }, kind);
    }
  }

  /** The answer to a submit for another list than the account's. */
  #stale(
    account: AccountId,
    listVersion: number,
    given: readonly DeviceNumber[],
    ids: EnvelopeId[],
  ): RelayFrame | undefined {
    const { version, devices } = this.#list(account);
    if (listVersion === version) return undefined;
    const known = devices.map(({ device }) => device);
    const missing = known.filter((device) => !given.includes(device));
    const extra = given.filter((device) => !known.includes(device));
    return { frame: "stale-list", account, version, missing, extra, ids };
  }

  #deliver(to: Side, mail: { id: EnvelopeId; ciphertext: Uint8Array }, kind: MailKind): void {
    to.mailbox.push({ ...mail, kind });
    if (!to.away) this.#push(to, mail, kind);
  }

  /** Bytes come to somebody as a group's envelope, whoever may have thought of them. */
  inject(to: Side, id: EnvelopeId, ciphertext: Uint8Array, kind: MailKind = "group"): void {
    this.#deliver(to, { id, ciphertext }, kind);
    this.pass(1_000);
  }

  /** One ciphertext for many accounts: each stands alone. */
  #submitGroup(side: Side, on: SocketName, frame: FrameOf<"submit-group">): void {
    const { groupEnvelope, ciphertext } = frame;
    for (const { account, accessKey, devices, listVersion } of frame.recipients) {
      const isPermitted = accessKey !== undefined && this.#opens(accessKey, account);
      const envelopes = devices.map((device) => {
        const id = envelopeIdFor(groupEnvelope, addressOf(account, device));
        return { device, id, ciphertext };
      });
      this.#take(side, on, { account, listVersion, isPermitted, envelopes, kind: "group" });
    }
  }

  /** Somebody comes back, and gets what has waited. */
  comeBack(side: Side): void {
    side.away = false;
    this.#drain(side);
    this.pass(2_000);
  }

  devicesOf(of: Side, request: number): RelayFrame {
    const { bytes: deviceList, version, devices } = this.#list(of.account);
    const certificates = devices.map(
      ({ device }) => this.at(addressOf(of.account, device)).keys.identity.certificateBytes,
    );
    return { frame: "has-devices", request, version, deviceList, certificates };
  }

  #prekeysOf(of: Side, request: number): RelayFrame {
    const all = [...of.keys.prekeys.values()].sort((a, b) => b.createdAt - a.createdAt);
    const one = (kind: PrekeyKind) => {
      const found = all.find((record) => record.kind === kind && !this.#given.has(record.id));
      return found === undefined ? undefined : { id: toBytes(found.id), bytes: found.upload, key: found.id };
    };
    const [oneTime, oneTimeKem] = [one("oneTime"), one("oneTimeKem")];
    for (const given of [oneTime, oneTimeKem]) if (given !== undefined) this.#given.add(given.key);
    const [signed, lastResort] = [one("signed"), one("lastResort")];
    if (signed === undefined || lastResort === undefined) throw new Error("no prekeys");
    return { frame: "has-prekeys", request, signed, lastResort, oneTime, oneTimeKem };
  }
  readonly #given = new Set<string>();

  /** Everything that is to happen now, happens. */
  run(): void {
    for (let turn = this.#agenda.shift(); turn !== undefined; turn = this.#agenda.shift()) turn();
  }

  /** Time goes by, every wish to be woken fulfilled at its time. */
  pass(ms: number): void {
    const end = this.now + ms;
    this.run();
    for (;;) {
      const next = Math.min(...[...this.sides.values()].map(({ wakeAt }) => wakeAt));
      if (next > end) break;
      this.now = Math.max(this.now, next) as Time;
      for (const side of this.sides.values())
        if (side.wakeAt <= this.now) {
          side.wakeAt = Number.POSITIVE_INFINITY;
          this.step(side, { event: "tick" });
        }
      this.run();
    }
    this.now = end as Time;
  }

  /** Says something, and lets it arrive with all that follows, receipts included. */
  say(from: string, to: string, text: string): MessageId {
    const message = text.padEnd(16, "\0").slice(0, 16) as MessageId;
    const body = bodyOf({ is: "text", text });
    this.step(this.side(from), { event: "send", message, to: this.side(to).account, body });
    this.pass(2_000);
    return message;
  }

  /** Two people become contacts and have confirmed a ratchet. */
  befriend(a: string, b: string): void {
    this.say(a, b, `hello ${b}`);
    this.say(b, a, `hello ${a}`);
    this.say(a, b, `so, ${b}`);
  }

  /** One side's ratchets are gone, as after a fault of its store that nothing else tells of. */
  loseRatchets(side: Side): void {
    side.tables.delete("ratchet");
    side.tables.delete("ratchet-order");
    this.start(side);
    this.run();
  }

  submitsOf(from: string): Seen[] {
    return this.seen.filter((mail) => mail.from === from);
  }

  asksOf(from: string, frame: ClientFrame["frame"]): number {
    return this.frames.filter((sent) => sent.from === from && sent.frame.frame === frame).length;
  }

  deviceOf(name: string): DeviceAddress {
    return this.side(name).address;
  }
}

function shown(body: Uint8Array): string {
  const { kind } = readBody(body);
  return kind?.is === "text" ? kind.text : (kind?.is ?? "unknown");
}
