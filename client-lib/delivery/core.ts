// The client's deciding code: connection, outbox, inbox, receipts and lookups behind one door. Events in, effects out.
// Always true: no clock, no chance, no I/O but what comes with events and the injected `Chance` and `Cipher`; one
// commit is under way at a time, and whatever follows from it waits for its `committed`; a failed commit ends the core.
import {
  type AccountId,
  accountOf,
  addressOf,
  type FrameOf,
  problemOfClose,
  type RelayFrame,
  type Time,
} from "@lethe/protocol";
import { soonest } from "./connection-ends.ts";
import type { CoreConfig } from "./core-config.ts";
import { Connections, SOCKETS } from "./connections.ts";
import { Contacts } from "./contacts.ts";
import type { CoreEvent, Decision, Effect, Happening, RefusalCode, SocketName } from "./events.ts";
import { Disappearing } from "./disappearing.ts";
import { Groups } from "../groups/groups.ts";
import { Early } from "./early.ts";
import { entryOf, Inbox } from "./inbox.ts";
import { Journal } from "./journal.ts";
import { OWN_JITTER_MS, RECEIPT_JITTER_MS, SWEEP_MS } from "./limits.ts";
import { LibraryMail } from "./library-mail.ts";
import { type Answer, type Ended, Lookups } from "./lookups.ts";
import { Outbox, type Settled } from "./outbox.ts";
import { OwnDevices } from "./own-devices.ts";
import { Quarantine } from "./quarantine.ts";
import { Receipts } from "./receipts.ts";
import { Recovery } from "./recovery.ts";
import { Receiving } from "./receiving.ts";
import { ResendLog } from "./resend-log.ts";
import { epochRow, readTable } from "./rows.ts";
import { type Parts as SendingParts, Sending } from "./sending.ts";
import { SentLog } from "./sent-log.ts";
import { Signals } from "./signals.ts";
import { follow } from "./following.ts";
import { type After, Turn } from "./turn.ts";
import { tellSettled } from "./settled.ts";
import { type CoreView, viewOf } from "./view.ts";
import { Waiting } from "./waiting.ts";
import { Watching } from "./watching.ts";

export type { CoreConfig } from "./core-config.ts";
export type { CoreView } from "./view.ts";

export interface ClientCore {
  step(event: CoreEvent): Effect[];
  readonly view: CoreView;
}

export function createClientCore(config: CoreConfig): ClientCore {
  return new Core(config);
}

type Life = "stopped" | "running" | "failed";

class Core implements ClientCore {
  readonly #self: AccountId;
  readonly #parts: Omit<SendingParts, "lookups">;
  readonly #connections: Connections;
  readonly #contacts: Contacts;
  readonly #sent: SentLog;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox;
  readonly #receipts: Receipts;
  readonly #lookups: Lookups;
  readonly #sending: Sending;
  readonly #receiving: Receiving;
  readonly #resends: ResendLog;
  readonly #mail: LibraryMail;
  readonly #recovery: Recovery;
  readonly #watching: Watching;
  readonly #groups: Groups | undefined;
  readonly #early: Early;
  readonly #disappearing: Disappearing;
  readonly #own: OwnDevices;
  #life: Life = "stopped";
  #started = false;
  readonly #journal = new Journal();
  readonly #waiting = new Waiting();
  readonly #signals: Signals;
  #sweepAt: number | undefined;
  #wakeAt = Number.POSITIVE_INFINITY;

  constructor(config: CoreConfig) {
    const { account, device, chance, cipher, rows, urls } = config;
    this.#self = account;
    const epoch = readTable(rows, "self", epochRow).find(([key]) => key === "epoch")?.[1].epoch ?? 0;
    this.#connections = new Connections({ account, device, urls, chance, cipher }, epoch);
    this.#contacts = new Contacts({ self: account, device }, rows);
    this.#sent = new SentLog(rows);
    this.#outbox = new Outbox(chance, rows, { account, jitterMs: config.ownJitterMs ?? OWN_JITTER_MS });
    this.#inbox = new Inbox(rows);
    this.#receipts = new Receipts(chance, config.receiptJitterMs ?? RECEIPT_JITTER_MS, rows);
    this.#lookups = new Lookups(chance);
    this.#resends = new ResendLog(account, rows);
    this.#watching = new Watching(this.#contacts);
    this.#disappearing = new Disappearing(addressOf(account, device), rows);
    const parts = {
      self: account,
      device,
      chance,
      cipher,
      contacts: this.#contacts,
      outbox: this.#outbox,
      sent: this.#sent,
      resends: this.#resends,
      disappearing: this.#disappearing,
    };
    this.#parts = parts;
    this.#sending = new Sending({ ...parts, lookups: this.#lookups }, rows);
    this.#signals = new Signals({
      contacts: this.#contacts,
      sending: this.#sending,
      anonymous: this.#connections.anonymous,
    });
    this.#mail = new LibraryMail({ ...parts, sending: this.#sending });
    this.#recovery = new Recovery({ ...parts, mail: this.#mail, log: this.#resends }, rows);
    this.#early = new Early(rows);
    this.#receiving = new Receiving({
      ...parts,
      sending: this.#sending,
      early: this.#early,
      heard: (turn, note) => this.#own.heard(turn, note),
      requests: config.requests,
      inbox: this.#inbox,
      receipts: this.#receipts,
      recovery: this.#recovery,
      quarantine: new Quarantine(rows),
      watching: this.#watching,
      groups: () => this.#groups,
    });
    this.#own = new OwnDevices(
      {
        ...parts,
        mail: this.#mail,
        sending: this.#sending,
        receiving: this.#receiving,
        fellows: () => this.#groups?.fellows() ?? [],
      },
      rows,
    );
    const { groups: keys } = config;
    if (keys === undefined) return;
    const { accessKey } = keys;
    const mine = { sending: this.#sending, mail: this.#mail, inbox: this.#receiving, keys, accessKey };
    this.#groups = new Groups({ ...parts, ...mine }, rows);
  }

  get view(): CoreView {
    return viewOf({
      ...this.#parts,
      connections: this.#connections,
      sending: this.#sending,
      watching: this.#watching,
      inbox: this.#inbox,
      groups: this.#groups,
    });
  }

  step(event: CoreEvent): Effect[] {
    if (this.#life === "failed") return [];
    const turn = new Turn(event.now);
    this.#take(turn, event);
    this.#passTime(turn);
    this.#follow(turn, this.#journal.take(turn));
    this.#pump(turn);
    this.#connections.tell(turn);
    this.#wake(turn);
    return turn.effects;
  }

  #take(turn: Turn, event: Happening | (CoreEvent & { event: "batch" })): void {
    switch (event.event) {
      case "batch":
        for (const each of event.events) this.#take(turn, each);
        return;
      case "start":
        return this.#start(turn);
      case "stop":
        return this.#stop(turn);
      case "tick":
        this.#wakeAt = Number.POSITIVE_INFINITY; // the timer is spent, whether or not anything is due yet
        return;
      case "connect":
        this.#life = "running";
        return this.#connect(turn);
      case "opened":
        return this.#connections.of(event.socket).opened(turn, event.connection);
      case "closed":
        return this.#closed(turn, event.socket, event.connection, event.status);
      case "frames":
        if (!this.#connections.of(event.socket).isCurrent(event.connection)) return;
        for (const frame of event.frames) this.#frame(turn, event.socket, frame);
        return;
      case "committed":
        return this.#follow(turn, this.#journal.committed(event.commit));
      case "commit-failed":
        return this.#fail(turn);
      case "send":
        return this.#sending.send(turn, event);
      case "group-change":
      case "group-join":
      case "group-send":
      case "group-signal":
        return this.#groups?.take(turn, event);
      case "signal":
        if (this.#life === "running") this.#signals.say(turn, event.to, event.body);
        return;
      case "settled":
        this.#inbox.settled(turn, event.entry);
        return this.#takeWaiting(turn);
      case "read":
        return this.#receiving.read(turn, event);
      case "forget":
        this.#inbox.forget(turn, event.from, event.messages);
        this.#sending.tellOwn(turn, { kind: "deleted", conversation: event.from, messages: event.messages });
        return this.#takeWaiting(turn);
      case "verified":
        return this.#contacts.changed(event.account);
      case "watch":
        return this.#watching.watch(turn, event);
      case "unwatch":
        return this.#watching.unwatch(event.account);
      case "terms":
        return this.#sending.agree(event.terms);
      case "decide":
        this.#decide(turn, event.account, event.decision);
        return this.#takeWaiting(turn);
      case "lock-out":
        return this.#mail.lockOut(turn, this.#groups?.fellows() ?? []);
      case "meet":
        return this.#receiving.meet(turn, event.account, event);
      case "named":
        return this.#contacts.named(turn, event.account, event.name, "here");
      case "ask-name":
        return this.#lookups.askName(turn, event);
    }
  }

  /** Whoever is blocked loses the right to send, which a stranger has by a contact link: those who remain get a new access
   *  key, then the relay its hash. */
  #decide(turn: Turn, account: AccountId, decision: Decision): void {
    if (account === this.#self) return;
    const before = this.#contacts.of(account);
    this.#receiving.decide(turn, account, decision);
    if (decision === "blocked" && before.decision !== "blocked")
      this.#mail.lockOut(turn, this.#groups?.fellows(account) ?? []);
  }

  #start(turn: Turn): void {
    if (this.#life === "running") return;
    this.#life = "running";
    if (!this.#started) {
      this.#started = true;
      for (const ready of this.#inbox.takeUnsettled()) turn.emit({ do: "hand", entry: entryOf(ready) });
      for (const account of this.#inbox.requests.accounts())
        turn.tell({ tell: "request", account, name: this.#contacts.of(account).name });
      this.#sending.prepareAll(turn);
    }
    this.#connect(turn);
  }

  #connect(turn: Turn): void {
    if (!this.#connections.device.isUp) this.#connections.device.connect(turn);
  }

  #stop(turn: Turn): void {
    if (this.#life !== "running") return;
    this.#life = "stopped";
    this.#end(turn);
  }

  /** All connections end, and what was under way on them is to go again. */
  #end(turn: Turn): void {
    for (const socket of SOCKETS) {
      this.#connections.of(socket).stop(turn);
      this.#lost(turn, socket);
    }
  }

  #fail(turn: Turn): void {
    this.#end(turn);
    this.#life = "failed";
    turn.tell({ tell: "stopped", code: "storage-failed" });
  }

  #lost(turn: Turn, socket: SocketName): void {
    if (socket === "presence") return this.#watching.lost(turn.now);
    this.#outbox.lost(socket);
    this.#lookups.lost(turn.now, socket);
    if (socket === "anonymous") this.#groups?.lost();
    if (socket !== "device") return;
    this.#inbox.disconnected();
    this.#waiting.clear();
  }

  #closed(turn: Turn, socket: SocketName, connection: number, status: number): void {
    const end = this.#connections.of(socket).closed(turn, connection, { code: problemOfClose(status) });
    if (end !== undefined) this.#ended(turn, socket, end);
  }

  #ended(turn: Turn, socket: SocketName, end: RefusalCode): void {
    this.#lost(turn, socket);
    const final = this.#connections.of(socket).at === "idle" && end !== "lost";
    if (!final) return;
    this.#life = "stopped";
    this.#end(turn);
    turn.tell(end === "displaced" ? { tell: "displaced" } : { tell: "stopped", code: end });
  }

  #frame(turn: Turn, socket: SocketName, frame: RelayFrame): void {
    const connection = this.#connections.of(socket);
    const { device } = this.#connections;
    const { epoch } = device;
    if (connection.frame(turn, frame) && frame.frame === "welcome") this.#welcome(turn, socket, frame);
    if (frame.frame === "epoch-behind" && device.epoch !== epoch) {
      this.#sending.restored(turn);
      this.#groups?.restored(turn);
    }
    if (!connection.isUp) return;
    switch (frame.frame) {
      case "push":
        return this.#push(turn, frame);
      case "drained":
        this.#inbox.drained(turn.now);
        return turn.tell({ tell: "drained" });
      case "accepted":
        this.#groups?.accepted(turn, frame.ids);
        return this.#settle(turn, this.#outbox.accepted(turn, frame.ids));
      case "refused":
        this.#groups?.refused(turn, frame);
        return this.#refused(turn, frame);
      case "stale-list":
        this.#groups?.staleList(turn, frame);
        return this.#settle(turn, this.#sending.stale(turn, frame));
      case "notice":
        if (socket === "presence") this.#watching.notice(turn, frame);
        return;
      case "is-account":
      case "has-devices":
      case "has-prekeys":
        return this.#answered(turn, this.#lookups.answered(frame satisfies Answer));
      case "ask-refused":
        return this.#answered(
          turn,
          this.#lookups.refused(turn.now, frame.request, frame.code, frame.retryAfter),
        );
      default:
        return;
    }
  }

  #welcome(turn: Turn, socket: SocketName, welcome: FrameOf<"welcome">): void {
    const offset = welcome.now - turn.now;
    this.#sending.offset = offset;
    this.#sending.agree(welcome);
    if (socket === "device") turn.tell({ tell: "clock", offset, relay: welcome.relay });
  }

  /** A push is opened while the inbox has room; otherwise it waits, unacknowledged, and the relay's window fills. */
  #push(turn: Turn, frame: FrameOf<"push">): void {
    const { up } = this.#connections.device;
    if (up === undefined) return;
    if (frame.kind === "signal") return this.#receiving.signal(turn, frame);
    if (this.#inbox.hasRoom && this.#waiting.isEmpty) return this.#receiving.push(turn, up, frame);
    if (this.#waiting.add(frame)) return;
    turn.emit({ do: "close", socket: "device", connection: up });
    this.#closed(turn, "device", up, 0);
  }

  #takeWaiting(turn: Turn): void {
    const { up } = this.#connections.device;
    while (up !== undefined && this.#inbox.hasRoom) {
      const frame = this.#waiting.take();
      if (frame === undefined) return;
      this.#receiving.push(turn, up, frame);
    }
  }

  #refused(turn: Turn, frame: FrameOf<"refused">): void {
    const { settled, waiting, relist, code } = this.#outbox.refused(turn, frame);
    this.#settle(turn, settled);
    for (const { message, to, told } of waiting)
      if (told === "yes") turn.tell({ tell: "waiting", message, to: accountOf(to), code });
    for (const account of relist) this.#sending.askDevices(turn, account);
  }

  #settle(turn: Turn, settled: readonly Settled[]): void {
    tellSettled(turn, settled, this.#parts);
  }

  #answered(turn: Turn, all: readonly Ended[]): void {
    for (const ended of all) this.#learned(turn, ended);
  }

  #learned(turn: Turn, ended: Ended): void {
    const { question } = ended;
    if (question.about !== "name") {
      this.#settle(turn, this.#sending.ended(turn, ended));
      this.#recovery.answered(turn, ended);
      this.#groups?.answered(turn, ended);
      return;
    }
    if (ended.how === "answered" && ended.answer.frame === "is-account")
      turn.tell({ tell: "name", ask: question.ask, account: ended.answer.account });
    else if (ended.how === "refused")
      turn.tell({ tell: "name-refused", ask: question.ask, code: ended.code });
  }

  #passTime(turn: Turn): void {
    for (const socket of SOCKETS) {
      const end = this.#connections.of(socket).tick(turn);
      if (end !== undefined) this.#ended(turn, socket, end);
    }
    this.#settle(turn, this.#outbox.tick(turn, this.#sending.relayNow(turn.now)));
    this.#sending.tick(turn);
    this.#answered(turn, this.#lookups.tick(turn.now));
    this.#receiving.tick(turn);
    if (this.#started) this.#disappearing.tick(turn, this.#inbox);
    if (this.#life === "running") this.#sending.receipts(turn, this.#receipts);
    this.#recovery.tick(turn);
    this.#watching.tick(turn);
    if (this.#life === "running") this.#own.tick(turn);
    this.#groups?.tick(turn);
    this.#groups?.pump(turn);
    this.#sweepAt ??= turn.now + SWEEP_MS;
    if (turn.now < this.#sweepAt) return;
    this.#sweepAt = turn.now + SWEEP_MS;
    this.#inbox.sweep(turn);
    this.#sent.sweep(turn);
    this.#resends.sweep(turn, this.#sending.relayNow(turn.now));
    this.#recovery.sweep(turn);
    this.#groups?.sweep(turn);
    this.#early.sweep(turn);
  }

  /** What waited for durability: acknowledgements first, then the application. */
  #follow(turn: Turn, after: readonly After[]): void {
    this.#connections.acknowledge(turn, after);
    follow(turn, after, {
      opens: this.#life === "running" ? this.#connections.device : undefined,
      outbox: this.#outbox,
      groups: this.#groups,
      signals: this.#signals,
    });
  }

  /** What may go now, on the connections that there are; an anonymous one is opened when something wants it. */
  #pump(turn: Turn): void {
    const signals = this.#signals.take();
    if (this.#life !== "running") return;
    const { device, anonymous, presence } = this.#connections;
    if (anonymous.isUp) this.#signals.connected(turn);
    const waits = this.#groups?.wantsConnection ?? false;
    const wanted = waits || this.#outbox.wants("anonymous") || this.#lookups.wants("anonymous");
    anonymous.busy(turn, wanted || signals.length > 0);
    presence.busy(turn, this.#watching.wantsConnection);
    if (presence.isUp) presence.send(turn, ...this.#watching.pump());
    if (device.isUp)
      device.send(turn, ...this.#lookups.pump(turn.now, "device"), ...this.#outbox.pump(turn.now, "device"));
    if (anonymous.isUp)
      anonymous.send(
        turn,
        ...this.#lookups.pump(turn.now, "anonymous"),
        ...this.#outbox.pump(turn.now, "anonymous"),
        ...(this.#groups?.frames(turn.now) ?? []),
        ...signals,
      );
  }

  #wake(turn: Turn): void {
    const { now } = turn;
    let at = Number.POSITIVE_INFINITY;
    const candidates = [
      this.#connections.nextAt(),
      this.#watching.nextAt(),
      this.#outbox.nextAt(now, this.#sending.offset),
      this.#sending.nextAt(now),
      this.#lookups.nextAt(now),
      this.#receiving.nextAt(now),
      this.#receipts.nextAt(now),
      this.#disappearing.nextAt,
      this.#recovery.nextAt(now),
      this.#groups?.nextAt(now) ?? Number.POSITIVE_INFINITY,
      this.#own.nextAt(now),
      this.#sweepAt ?? Number.POSITIVE_INFINITY,
    ];
    for (const candidate of candidates) at = soonest(now, at, candidate);
    if (at === this.#wakeAt && this.#wakeAt > now) return;
    this.#wakeAt = at;
    if (at !== Number.POSITIVE_INFINITY) turn.emit({ do: "wake", at: at as Time });
  }
}
