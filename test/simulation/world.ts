// One schedule: a plan carried out by real machines over simulated sockets, stores and time. Always true: the same plan
// and rules give the same schedule, step for step; a promise that breaks ends it at once.
import {
  type AccountId,
  addressOf,
  type ConnectionKind,
  encode,
  type EnvelopeId,
  type Time,
} from "@lethe/protocol";
import type { Cipher, StoredRows, Write } from "../../client-lib/delivery/events.ts";
import { contactRow } from "../../client-lib/delivery/rows.ts";
import { Agenda } from "./agenda.ts";
import { Dice, mix, takes } from "./chance.ts";
import { SimClient } from "./client.ts";
import type { ClientPipe } from "./client-run.ts";
import { Cluster } from "./cluster.ts";
import { Coverage, EVENTS } from "./coverage.ts";
import { PING_MS } from "./front.ts";
import { framesLabel } from "./labels.ts";
import { BrokenPromise, Ledger } from "./ledger.ts";
import { accountAt, addressAt, type Cast, DEVICE, GlassCast, indexOf, personAt } from "./people.ts";
import { Pipe } from "./pipe.ts";
import type { Plan, Timed } from "./plan.ts";

import type { Rules } from "./rules.ts";
import { SharedStore } from "./shared-store.ts";
import { Talk } from "./talk.ts";
import type { Trace } from "./trace.ts";

export interface WorldOptions {
  readonly plan: Plan;
  readonly rules: Rules;
  readonly trace?: Trace | undefined;
  /** Everybody's keys; a cipher that hides nothing where none is given. */
  readonly cast?: Cast | undefined;
}

/** Wall clocks begin here. */
const EPOCH = 1_800_000_000_000;
/** After the last fault everything must have come to rest within this, ms: many retries at their longest pauses. */
const REST_MS = 20 * 60_000;
const REVIEW_MS = 250;
/** What an orderly end takes, ms. */
const FINALE_MS = 40_000;

export class World {
  readonly plan: Plan;
  readonly rules: Rules;
  readonly trace: Trace | undefined;
  readonly cast: Cast;
  readonly agenda = new Agenda();
  readonly cover = new Coverage(EVENTS);
  readonly dice: Dice;
  readonly shared: SharedStore;
  readonly ledger: Ledger;
  readonly cluster: Cluster;
  readonly talk: Talk;
  readonly #clients: SimClient[] = [];
  readonly #snapshots = new Map<number, ReturnType<SimClient["snapshot"]>>();
  #connections = 0;
  #over = false;
  /** Everything had come to rest: nobody starts again. */
  rested = false;
  steps = 0;
  /** When everything had come to rest, ms after the last fault. */
  restedAfter = 0;

  constructor({ plan, rules, trace, cast }: WorldOptions) {
    this.plan = plan;
    this.rules = rules;
    this.trace = trace;
    this.cast = cast ?? new GlassCast();
    this.dice = new Dice(mix(plan.seed, 2));
    this.shared = new SharedStore(this);
    const { limits, quiet } = plan.weather;
    this.ledger = new Ledger({ store: this.shared.contents, limits, quiet, cover: this.cover });
    this.ledger.storeNow = () => this.storeNow;
    this.ledger.relayNow = () => this.wall;
    this.cluster = new Cluster(this);
    this.talk = new Talk(this);
    this.cluster.bootAll();
    for (let i = 0; i < plan.clients; i++) this.#clients.push(new SimClient(this, i));
  }

  get now(): number {
    return this.agenda.now;
  }

  get wall(): number {
    return EPOCH + Math.floor(this.agenda.now);
  }

  get storeNow(): Time {
    return (this.wall + this.shared.clock) as Time;
  }

  client(index: number): SimClient | undefined {
    return this.#clients[index];
  }

  // --- from beginning to end -----------------------------------------------------------------------------------------

  run(): void {
    for (const client of this.#clients) {
      const at = this.dice.between(0, 200);
      if (!this.isAbsent(client.index)) this.agenda.in(at, () => client.start());
    }
    for (const deed of this.plan.deeds) {
      if (deed.do === "restore-client")
        this.agenda.at(Math.min(deed.from, deed.at), () => this.#snapshot(deed.client, deed.number));
      this.agenda.at(deed.at, () => this.#carryOut(deed));
    }
    this.agenda.at(this.plan.calmAt, () => this.#calm());
    while (!this.#over && this.agenda.step()) this.steps++;
    if (!this.#over) throw new BrokenPromise("nothing is stuck", "the world stood still");
  }

  #calm(): void {
    this.note("store", "CALM", false);
    this.cluster.bootAll();
    for (const client of this.#clients) client.start();
    this.agenda.in(REVIEW_MS, () => this.#review());
  }

  #review(): void {
    const stuck = this.#clientsUnrest() ?? this.cluster.unrest() ?? this.talk.unrest();
    if (stuck === undefined) return this.#finale();
    const since = this.now - this.plan.calmAt;
    if (since > REST_MS) throw new BrokenPromise("nothing is stuck", `${stuck} (${this.cluster.describe()})`);
    // Simulated minutes may have to pass: less often, the longer it takes.
    this.agenda.in(Math.max(REVIEW_MS, since / 20), () => this.#review());
  }

  isAbsent(client: number): boolean {
    return this.plan.absent?.includes(client) === true;
  }

  /** What is still under way at a client or in its mailbox, if anything. */
  #clientsUnrest(): string | undefined {
    for (const client of this.#clients) {
      if (this.isAbsent(client.index) || (client.stopped !== undefined && this.#mayBeStopped(client)))
        continue;
      if (client.stopped !== undefined) return `${client.name} stopped: ${client.stopped}`;
      client.start();
      if (!client.connected) return `${client.name} is not connected`;
      if (client.committing || client.waiting > 0)
        return `${client.waiting} envelopes wait at ${client.name}`;
      const entries = this.shared.contents.entries(client.address);
      const kept = entries.filter((entry) => entry.expiry > this.storeNow).length;
      if (kept > 0) return `${kept} entries in the mailbox of ${client.name}`;
    }
    return undefined;
  }

  #mayBeStopped(client: SimClient): boolean {
    return client.stopped === "device-removed" && this.shared.contents.isRetired(client.address);
  }

  /** Everybody goes home: nothing may be left at the nodes, or of what was delivered. */
  #finale(): void {
    this.rested = true;
    this.restedAfter = this.now - this.plan.calmAt;
    this.note("store", "AT REST", false);
    this.talk.endedWell();
    this.shared.contents.sweep(this.storeNow);
    this.ledger.nothingKept();
    for (const process of this.cluster.nodes) {
      if (process === undefined) continue;
      process.step({ is: "tick" });
      const bytes = process.sizes().unsettledBytes;
      if (bytes !== 0) throw new BrokenPromise("caps are respected", `${process.name} counts ${bytes} bytes`);
    }
    for (const client of this.#clients) client.leave();
    this.#goHome(this.now + FINALE_MS);
  }

  #goHome(until: number): void {
    if (this.cluster.nodes.every((process) => process?.idle === true)) return this.#end();
    if (this.now >= until) throw new BrokenPromise("a node is idle at its end", this.cluster.describe());
    this.agenda.in(200, () => this.#goHome(until));
  }

  #end(): void {
    this.ledger.everyOfferAnswered(new Set(this.cluster.nodes.flatMap((process) => process?.key ?? [])));
    this.#over = true;
  }

  // --- deeds ---------------------------------------------------------------------------------------------------------

  #carryOut(deed: Timed): void {
    if ("client" in deed) this.#toClient(deed, this.client(deed.client));
    else if ("node" in deed) this.#toNode(deed);
    else this.#toWorld(deed);
  }

  #toClient(deed: Extract<Timed, { client: number }>, client: SimClient | undefined): void {
    if (client === undefined) return;
    switch (deed.do) {
      case "leave":
        client.leave();
        this.agenda.in(deed.ms, () => client.start());
        return;
      case "cut":
        return client.cut(deed.socket);
      case "silence":
        for (const pipe of client.silence(deed.socket, deed.way)) this.notHeardOf(pipe);
        return;
      case "crash-client":
        return client.crashWhen(deed.when, deed.ms);
      case "restore-client":
        return this.#restore(client, deed.number, deed.ms);
      case "slow-disk":
        return client.slowDisk(deed.ms);
      case "client-clock":
        return client.setClock(deed.by);
      case "fail-disk":
        return client.failNextCommit();
      case "retire":
        return this.#retire(client);
    }
  }

  #toNode(deed: Extract<Timed, { node: number }>): void {
    switch (deed.do) {
      case "crash-node":
        return this.cluster.crash(deed.node, deed.ms);
      case "pause-node":
        return this.cluster.pause(deed.node, deed.ms);
      case "close-node":
        return this.cluster.close(deed.node, deed.ms);
      case "lose-lease":
        return this.cluster.loseLease(deed.node, deed.noticed);
      case "trouble": {
        const process = this.cluster.nodes[deed.node];
        const ms = Math.min(deed.ms, this.plan.calmAt - this.now);
        if (process !== undefined)
          this.note(process.name, `store ${deed.mode} for ${Math.round(ms)} ms`, true);
        return process?.trouble(deed.mode, deed.often, ms);
      }
    }
  }

  #toWorld(deed: Exclude<Timed, { client: number } | { node: number }>): void {
    switch (deed.do) {
      case "say": {
        const client = this.client(deed.from);
        if (client?.running === true && this.client(deed.to) !== undefined) this.talk.say(client, deed);
        return;
      }
      case "type":
        return this.client(deed.from)?.type(deed.to);
      case "cut-link":
        return this.cluster.cutLink(deed.a, deed.b);
      case "silence-link":
        return this.cluster.silenceLink(deed);
      case "failover":
        if (this.shared.failover()) this.cluster.storeMoved();
        return;
      case "store-clock":
        this.shared.clock += deed.by;
        return this.note("store", `clock jumps ${deed.by} ms`, true);
    }
  }

  /** A node hears nothing from a connection any more: its ping time-out ends it. */
  notHeardOf(pipe: ClientPipe): void {
    this.agenda.in(this.dice.between(PING_MS / 2, PING_MS * 1.2), () => pipe.giveUpHigh(1006));
  }

  #snapshot(index: number, number: number): void {
    const client = this.client(index);
    if (client !== undefined) this.#snapshots.set(number, client.snapshot());
  }

  #restore(client: SimClient, number: number, ms: number): void {
    const snapshot = this.#snapshots.get(number);
    if (snapshot === undefined) return;
    client.crash();
    client.restore(snapshot);
    this.agenda.in(ms, () => client.start());
  }

  #retire(client: SimClient): void {
    this.note("store", `retires ${client.name}`, true);
    const owner = this.shared.retire(client.address);
    if (owner === undefined) return;
    this.agenda.in(takes(this.dice, this.plan.weather.store), () =>
      this.cluster.processOf(owner.node)?.wakes([client.address]),
    );
  }

  /** The account's only device was removed. */
  isGone(account: AccountId): boolean {
    return this.shared.contents.isRetired(addressOf(account, DEVICE));
  }

  // --- what clients ask of the world ---------------------------------------------------------------------------------

  connect(index: number, kind: ConnectionKind, url: number): ClientPipe | undefined {
    // Everybody's list of relays begins elsewhere.
    const begins = mix(this.plan.seed, 3, index, kind === "device" ? 0 : 1);
    const process = this.cluster.nodes[(begins + url) % this.plan.nodes];
    if (process === undefined || process.closing) return undefined;
    const dice = new Dice(mix(this.plan.seed, 800 + index, this.#connections++));
    const pipe: ClientPipe = new Pipe(this.agenda, dice, this.plan.weather.network);
    if (this.trace !== undefined)
      pipe.watch = (way, frames, sent, got) => {
        const [from, to] = way === "up" ? [personAt(index), process.name] : [process.name, personAt(index)];
        const label = framesLabel(frames, (id) => this.idLabel(id));
        this.trace?.arrow({ from, to, sent, got, label });
      };
    process.accept(pipe, kind);
    return pipe;
  }

  cipherOf(index: number, rows: StoredRows): Cipher {
    const strangers = new Set<AccountId>();
    const dice = new Dice(mix(this.plan.seed, 900 + index));
    for (let other = 0; other < this.plan.clients; other++)
      if (dice.happens(0.2)) strangers.add(accountAt(other));
    const cipher = this.cast.cipher({ index, rows, strangers });
    if (!this.rules.client.holdBack) giveUpOrder(cipher);
    const seal = cipher.seal.bind(cipher);
    cipher.seal = (request) => {
      const said = this.talk.find(request.message);
      if (said !== undefined) said.place = request.place;
      return seal(request);
    };
    return cipher;
  }

  /** Rows of contacts that are accepted, and whose access key is known: most of them. */
  contactRows(index: number): Write[] {
    const dice = new Dice(mix(this.plan.seed, 1_000 + index));
    const writes: Write[] = [];
    for (let other = 0; other < this.plan.clients; other++) {
      if (other === index || dice.happens(0.2)) continue;
      const accessKey = this.cast.accessKey(other);
      const contact = {
        decision: "accepted",
        accessKey,
        name: undefined,
        nameFrom: "claimed",
        at: 0 as Time,
        by: 0,
      } as const;
      writes.push({ table: "contact", key: accountAt(other), value: encode(contactRow, contact) });
    }
    return writes;
  }

  /** Whether a sender's numbers can be judged: a store that went back uses some again. */
  isJudged(sender: number): boolean {
    return this.client(sender)?.diary.restored !== true;
  }

  /** A client took its store for one that went back. */
  tookForRestored({ diary, name }: SimClient): void {
    if (diary.restored) return;
    throw new BrokenPromise("a whole store is not taken for an old one", `${name} replaces its keys`);
  }

  /** An envelope did not open: only where a store went back, and with it what opens envelopes. */
  quarantined(recipient: number, id: EnvelopeId, code: string): void {
    const plain = this.cast.plain(id);
    const said = plain === undefined ? undefined : this.talk.find(plain.message);
    if (this.isJudged(recipient) && this.isJudged(indexOf(plain?.from ?? addressAt(recipient))))
      throw new BrokenPromise("what was sealed is what arrives", `${this.idLabel(id)} did not open: ${code}`);
    this.cover.count("did not open after a restore");
    if (said !== undefined) said.forgotten = true;
  }

  // --- words ---------------------------------------------------------------------------------------------------------

  note(on: string, text: string, fault: boolean): void {
    this.trace?.note({ on, at: this.now, text, fault });
  }

  idLabel(id: EnvelopeId): string {
    return this.ledger.letters.get(id)?.label ?? "signal";
  }
}

/** Rule `client.holdBack` left out: what is opened has no place in an order. */
function giveUpOrder(cipher: Cipher): void {
  const open = cipher.open.bind(cipher);
  cipher.open = (request) => {
    const outcome = open(request);
    return outcome.outcome === "ok" ? { ...outcome, place: undefined } : outcome;
  };
}
