// One schedule: a plan carried out by real machines over simulated sockets, stores and time. Always true: the same plan
// and rules give the same schedule, step for step; a promise that breaks ends it at once.
import {
  type AccountId,
  addressOf,
  type ConnectionKind,
  encode,
  type EnvelopeId,
  type RelayFrame,
  type ClientFrame,
  type Time,
} from "@lethe/protocol";
import type { NodeId } from "@lethe/queue";
import type { Cipher, MessageId, StoredRows, Write } from "../../client-lib/delivery/events.ts";
import { contactRow, orderKey } from "../../client-lib/delivery/rows.ts";
import type { LinkFrame, StoreCall, StoreResult } from "../../relay/delivery/types.ts";
import { Agenda } from "./agenda.ts";
import { Dice, mix, takes } from "./chance.ts";
import { type ClientPipe, SimClient } from "./client.ts";
import { Coverage } from "./coverage.ts";
import type { Said } from "./diary.ts";
import { BrokenPromise, Ledger } from "./ledger.ts";
import type { NodeLink } from "./node-link.ts";
import {
  accountAt,
  addressAt,
  DEVICE,
  type Cast,
  GlassCast,
  indexOf,
  NODES,
  personAt,
  type Plain,
} from "./people.ts";
import { Pipe } from "./pipe.ts";
import type { Plan, Timed } from "./plan.ts";
import { NodeProcess, PING_MS } from "./process.ts";
import type { Rules } from "./rules.ts";
import { SimStore } from "./store.ts";
import type { Arrow, Trace } from "./trace.ts";

export interface WorldOptions {
  readonly plan: Plan;
  readonly rules: Rules;
  readonly trace?: Trace | undefined;
  /** Everybody's keys; a cipher that hides nothing where none is given. */
  readonly cast?: Cast | undefined;
}

export interface Executed {
  readonly result: StoreResult;
  /** When a replica has it, if it has to. */
  readonly durableAt: number | undefined;
}

/** Wall clocks begin here. */
const EPOCH = 1_800_000_000_000;
/** After the last fault everything must have come to rest within this, ms: many retries at their longest pauses. */
const REST_MS = 20 * 60_000;
const REVIEW_MS = 250;
/** What an orderly end takes, ms. */
const FINALE_MS = 40_000;
const READS = new Set(["lookUp", "read", "look"]);

export class World {
  readonly plan: Plan;
  readonly rules: Rules;
  readonly trace: Trace | undefined;
  readonly agenda = new Agenda();
  readonly cover = new Coverage();
  readonly ledger: Ledger;
  readonly store: SimStore;
  readonly links = new Set<NodeLink>();
  readonly #dice: Dice;
  readonly #replica: SimStore | undefined;
  #replicating: { readonly on: StoreCall; readonly now: Time; readonly at: number }[] = [];
  readonly #lost = new Set<StoreCall>();
  readonly #clients: SimClient[] = [];
  readonly #nodes: (NodeProcess | undefined)[] = [];
  readonly #boots: number[] = [];
  readonly #said = new Map<MessageId, Said>();
  readonly #entries = new Map<string, Said>();
  readonly #apart = new Map<string, number>();
  readonly #snapshots = new Map<number, ReturnType<SimClient["snapshot"]>>();
  readonly cast: Cast;
  #storeClock = 0;
  #rested = false;
  #over = false;
  steps = 0;
  /** When everything had come to rest, ms after the last fault. */
  restedAfter = 0;

  constructor({ plan, rules, trace, cast }: WorldOptions) {
    this.plan = plan;
    this.rules = rules;
    this.trace = trace;
    this.#dice = new Dice(mix(plan.seed, 2));
    this.store = new SimStore(rules.store, plan.weather.caps);
    this.#replica =
      plan.weather.replica === undefined ? undefined : new SimStore(rules.store, plan.weather.caps);
    const { limits, quiet } = plan.weather;
    this.ledger = new Ledger({ store: this.store, limits, quiet, cover: this.cover });
    this.ledger.storeNow = () => this.storeNow;
    this.ledger.relayNow = () => this.wall;
    this.cast = cast ?? new GlassCast();
    for (let i = 0; i < plan.nodes; i++) this.#boot(i);
    for (let i = 0; i < plan.clients; i++) this.#clients.push(new SimClient(this, i));
  }

  get now(): number {
    return this.agenda.now;
  }

  get wall(): number {
    return EPOCH + Math.floor(this.agenda.now);
  }

  get storeNow(): Time {
    return (this.wall + this.#storeClock) as Time;
  }

  // --- from beginning to end -----------------------------------------------------------------------------------------

  run(): void {
    for (const client of this.#clients) {
      const at = this.#dice.between(0, 200);
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
    for (let i = 0; i < this.plan.nodes; i++) if (this.#nodes[i] === undefined) this.#boot(i);
    for (const client of this.#clients) client.start();
    this.agenda.in(REVIEW_MS, () => this.#review());
  }

  #review(): void {
    const stuck = this.#unrest();
    if (stuck === undefined) return this.#finale();
    if (this.now - this.plan.calmAt > REST_MS) throw new BrokenPromise("nothing is stuck", stuck);
    // Simulated minutes may have to pass: less often, the longer it takes.
    this.agenda.in(Math.max(REVIEW_MS, (this.now - this.plan.calmAt) / 20), () => this.#review());
  }

  isAbsent(client: number): boolean {
    return this.plan.absent?.includes(client) === true;
  }

  /** What is still under way, if anything. */
  #unrest(): string | undefined {
    for (const client of this.#clients) {
      if (this.isAbsent(client.index)) continue;
      if (client.stopped !== undefined) {
        if (client.stopped === "device-removed" && this.store.isRetired(client.address)) continue;
        return `${client.name} stopped: ${client.stopped}`;
      }
      if (!client.running) client.start();
      if (!client.connected) return `${client.name} is not connected`;
      if (client.committing || client.waiting > 0)
        return `${client.waiting} envelopes wait at ${client.name}`;
      const kept = this.store.entries(client.address).filter((entry) => entry.expiry > this.storeNow);
      if (kept.length > 0)
        return `${kept.length} entries in the mailbox of ${client.name} (${this.#nodeOf(client)})`;
    }
    for (const process of this.#nodes) {
      if (process === undefined || process.paused) return "a node is down";
      const { flows, calls } = process.sizes();
      if (flows > 0 || calls > 0) return `${flows} flows and ${calls} calls at ${process.name}`;
    }
    for (const said of this.#said.values()) {
      const waits = this.#waitsFor(said);
      if (waits !== undefined) return waits;
    }
    return undefined;
  }

  #nodeOf(client: SimClient): string {
    return (
      this.#nodes.map((p) => `${p?.name}: ${p?.describe()}`).join("; ") +
      `; owner ${JSON.stringify(this.store.owner(client.address))}`
    );
  }

  #waitsFor(said: Said): string | undefined {
    if (said.forgotten || this.#clients[said.from]?.stopped !== undefined) return undefined;
    said.end ??= this.#clients[said.from]?.endOf(said.message);
    if (said.end === undefined) return `${said.label} has no end at its sender`;
    if (said.end !== "sent" || said.handed) return undefined;
    const letter = this.#letterOf(said);
    const recipient = this.#clients[said.to];
    if (letter === undefined || recipient === undefined || letter.expiry <= this.storeNow) return undefined;
    if (this.store.isRetired(letter.to) || (recipient.diary.restored && letter.durable)) return undefined;
    return `${said.label} was sent, and never handed over`;
  }

  #letterOf(said: Said): ReturnType<Ledger["letters"]["get"]> {
    for (const letter of this.ledger.letters.values()) if (letter.label === said.label) return letter;
    return undefined;
  }

  /** Everybody goes home: nothing may be left at the nodes, or of what was delivered. */
  #finale(): void {
    this.#rested = true;
    this.restedAfter = this.now - this.plan.calmAt;
    this.note("store", "AT REST", false);
    for (const said of this.#said.values()) this.#endedWell(said);
    this.store.sweep(this.storeNow);
    this.ledger.nothingKept();
    for (const process of this.#nodes) {
      process?.step({ is: "tick" });
      this.#countsNothing(process);
    }
    this.ledger.everyOfferAnswered(new Set(this.#nodes.map((p) => p?.id as NodeId)));
    for (const client of this.#clients) client.leave();
    this.#goHome(this.now + FINALE_MS);
  }

  #countsNothing(process: NodeProcess | undefined): void {
    const bytes = process?.sizes().unsettledBytes;
    if (bytes !== 0)
      throw new BrokenPromise("caps are respected", `${process?.name} counts ${bytes} bytes in no flow`);
  }

  #goHome(until: number): void {
    if (this.#nodes.every((process) => process?.idle === true)) {
      this.#over = true;
      return;
    }
    if (this.now >= until) {
      const busy = this.#nodes.filter((process) => process?.idle !== true);
      throw new BrokenPromise(
        "a node is idle at its end",
        busy.map((p) => `${p?.name} ${JSON.stringify(p?.sizes())} ${p?.describe()}`).join("; "),
      );
    }
    this.agenda.in(200, () => this.#goHome(until));
  }

  #endedWell(said: Said): void {
    if (said.end === "expired") this.cover.count("expired at the sender");
    if (said.end !== "refused" || said.endCode === "expired") return;
    if (!this.isGone(accountAt(said.to)))
      throw new BrokenPromise("nothing is stuck", `${said.label} was refused: ${said.endCode}`);
  }

  // --- deeds ---------------------------------------------------------------------------------------------------------

  #client(index: number): SimClient | undefined {
    return this.#clients[index];
  }

  #carryOut(deed: Timed): void {
    switch (deed.do) {
      case "say":
        return this.#say(deed);
      case "type":
        return this.#client(deed.from)?.type(deed.to);
      case "leave":
        this.#client(deed.client)?.leave();
        return this.#later(deed.ms, () => this.#client(deed.client)?.start());
      case "cut":
        return this.#client(deed.client)?.cut(deed.socket);
      case "silence":
        return this.#silence(deed);
      case "crash-client":
        return this.#client(deed.client)?.crashWhen(deed.when, deed.ms);
      case "restore-client":
        return this.#restore(deed.client, deed.number, deed.ms);
      case "slow-disk":
        return this.#client(deed.client)?.slowDisk(deed.ms);
      case "client-clock":
        return this.#client(deed.client)?.setClock(deed.by);
      case "fail-disk":
        return this.#client(deed.client)?.failNextCommit();
      case "crash-node":
        return this.#crashNode(deed.node, deed.ms);
      case "pause-node":
        return this.#pauseNode(deed.node, deed.ms);
      case "close-node":
        return this.#closeNode(deed.node, deed.ms);
      case "lose-lease":
        return this.#loseLease(deed.node, deed.noticed);
      case "cut-link":
        for (const link of [...this.links]) if (link.isBetween(deed.a, deed.b)) this.#cutLink(link);
        return;
      case "silence-link":
        return this.#silenceLink(deed);
      case "trouble":
        this.note(
          this.#nodes[deed.node]?.name ?? "store",
          `store ${deed.mode} for ${Math.round(deed.ms)} ms`,
          true,
        );
        return this.#nodes[deed.node]?.trouble(
          deed.mode,
          deed.often,
          Math.min(deed.ms, this.plan.calmAt - this.now),
        );
      case "failover":
        return this.#failover();
      case "store-clock":
        this.#storeClock += deed.by;
        return this.note("store", `clock jumps ${deed.by} ms`, true);
      case "retire":
        return this.#retire(deed.client);
    }
  }

  #later(ms: number, act: () => void): void {
    this.agenda.in(ms, act);
  }

  #say(deed: Timed & { do: "say" }): void {
    const client = this.#client(deed.from);
    if (client === undefined || !client.running || this.#client(deed.to) === undefined) return;
    const label = `${personAt(deed.from)[0]}→${personAt(deed.to)[0]}${deed.number}`;
    const message = `say ${deed.number}`.padEnd(16, ".") as MessageId;
    this.#said.set(message, {
      message,
      label,
      from: deed.from,
      to: deed.to,
      queued: false,
      end: undefined,
      endCode: undefined,
      place: undefined,
      forgotten: false,
      handed: false,
      settled: false,
    });
    this.note(client.name, `says ${label}`, false);
    client.say(message, deed);
  }

  #silence({ client, socket, way }: Timed & { do: "silence" }): void {
    for (const pipe of this.#client(client)?.silence(socket, way) ?? []) this.notHeardOf(pipe);
  }

  /** A node hears nothing from a connection any more: its ping time-out ends it. */
  notHeardOf(pipe: ClientPipe): void {
    this.#later(this.#dice.between(PING_MS / 2, PING_MS * 1.2), () => pipe.giveUpHigh(1006));
  }

  #snapshot(index: number, number: number): void {
    const client = this.#client(index);
    if (client !== undefined) this.#snapshots.set(number, client.snapshot());
  }

  #restore(index: number, number: number, ms: number): void {
    const client = this.#client(index);
    const snapshot = this.#snapshots.get(number);
    if (client === undefined || snapshot === undefined) return;
    client.crash();
    client.restore(snapshot);
    this.#later(ms, () => client.start());
  }

  #cutLink(link: NodeLink): void {
    this.note(link.low.name, `link to ${link.high.name} CUT`, true);
    link.cut();
  }

  #silenceLink({ a, b, way, ms }: Timed & { do: "silence-link" }): void {
    if (a === b) return;
    this.#apart.set(`${Math.min(a, b)}-${Math.max(a, b)}`, Math.min(this.now + ms, this.plan.calmAt));
    for (const link of [...this.links]) {
      if (!link.isBetween(a, b)) continue;
      this.cover.count("link silent");
      this.note(link.low.name, `link to ${link.high.name} SILENT`, true);
      link.silence(way);
    }
  }

  isApart(a: number, b: number): boolean {
    return (this.#apart.get(`${Math.min(a, b)}-${Math.max(a, b)}`) ?? 0) > this.now;
  }

  /** The account's only device was removed. */
  isGone(account: AccountId): boolean {
    return this.store.isRetired(addressOf(account, DEVICE));
  }

  #retire(index: number): void {
    const client = this.#client(index);
    if (client === undefined) return;
    this.note("store", `retires ${client.name}`, true);
    const owner = this.store.retire(client.address);
    this.#replica?.retire(client.address);
    if (owner === undefined) return;
    this.#later(takes(this.#dice, this.plan.weather.store), () =>
      this.processOf(owner.node)?.wakes([client.address]),
    );
  }

  // --- nodes ---------------------------------------------------------------------------------------------------------

  #boot(index: number): void {
    const boot = (this.#boots[index] ?? 0) + 1;
    this.#boots[index] = boot;
    const process = new NodeProcess(this, index, NODES[index] ?? `N${index}`, boot);
    this.#nodes[index] = process;
    if (boot > 1) {
      this.cover.count("node restarted");
      this.note(process.name, `starts as ${process.id}`, false);
    }
    this.store.leases.add(process.id);
    this.#leasesChanged(boot === 1);
  }

  #leasesChanged(atOnce = false): void {
    for (const process of this.#nodes) {
      if (process === undefined) continue;
      const tell = (): void => process.leases(new Set(this.store.leases));
      if (atOnce) tell();
      else this.#later(this.#dice.between(0, 3_000), tell);
    }
  }

  #dropLease(id: NodeId): void {
    this.store.leases.delete(id);
    this.#leasesChanged();
  }

  processOf(id: NodeId): NodeProcess | undefined {
    return this.#nodes.find((process) => process?.id === id && process.up);
  }

  #crashNode(index: number, ms: number): void {
    const process = this.#nodes[index];
    if (process === undefined) return;
    this.cover.count("node crashed");
    this.note(process.name, "CRASH", true);
    process.crash();
    this.#nodes[index] = undefined;
    this.#later(this.#dice.between(7_000, 10_000), () => this.#dropLease(process.id));
    this.#later(ms, () => this.#bootIfDown(index));
  }

  /** It stands still, and goes on as if nothing had been; its lease may be lost by then. */
  #pauseNode(index: number, ms: number): void {
    const process = this.#nodes[index];
    if (process === undefined || process.paused) return;
    this.cover.count("node paused");
    this.note(process.name, `stands still for ${Math.round(ms)} ms`, true);
    process.pause();
    this.#later(ms, () => process.resume());
    if (ms > 8_000)
      this.#later(this.#dice.between(7_000, ms), () => this.#loseLease(index, this.#dice.between(0, 2_000)));
  }

  #bootIfDown(index: number): void {
    if (this.#nodes[index] === undefined) this.#boot(index);
  }

  #closeNode(index: number, ms: number): void {
    const process = this.#nodes[index];
    if (process === undefined || process.closing) return;
    this.cover.count("node closed");
    this.note(process.name, "closes", false);
    process.close();
    this.#closed(process, ms, this.now + 10_000);
  }

  /** It waits for what is under way, then ends its connections. */
  #closed(process: NodeProcess, ms: number, deadline: number): void {
    if (!process.up) return;
    if (!process.idle && this.now < deadline)
      return this.#later(50, () => this.#closed(process, ms, deadline));
    process.endAll();
    process.crash();
    if (this.#nodes[process.index] === process) this.#nodes[process.index] = undefined;
    this.#dropLease(process.id);
    this.#later(Math.min(ms, 5_000), () => this.#bootIfDown(process.index));
  }

  #loseLease(index: number, noticed: number): void {
    const process = this.#nodes[index];
    if (process === undefined || process.closing || process.fenced) return;
    this.cover.count("lease lost");
    this.note(process.name, "LEASE LOST", true);
    process.fenced = true;
    this.#dropLease(process.id);
    const notices = (): void => {
      if (!process.up || process.closing) return;
      if (process.paused) return this.#later(500, notices);
      const boot = (this.#boots[index] ?? 0) + 1;
      this.#boots[index] = boot;
      process.notice(`${process.name}${boot}` as NodeId);
      process.fenced = false;
      this.store.leases.add(process.id);
      this.#leasesChanged();
      this.note(process.name, `notices, and is ${process.id} now`, true);
    };
    this.#later(noticed, notices);
  }

  // --- the store -----------------------------------------------------------------------------------------------------

  execute(on: StoreCall, by: string): Executed {
    const now = this.storeNow;
    const result = this.store.execute(on, now, this.now);
    if (this.trace !== undefined) this.trace.call(by, this.now, on, result, (id) => this.#idLabel(id));
    if (on.verb === "wake") this.#deliverWakes(on.arg.node);
    const lag = this.plan.weather.replica;
    if (this.#replica === undefined || lag === undefined || READS.has(on.verb))
      return { result, durableAt: undefined };
    this.#replicating.push({ on, now, at: this.now });
    const durableAt = this.now + lag;
    this.agenda.at(durableAt, () => this.#replicate());
    return { result, durableAt };
  }

  #replicate(): void {
    while (this.#replicating.length > 0) {
      const next = this.#replicating[0];
      if (next === undefined || next.at + (this.plan.weather.replica ?? 0) > this.now) return;
      this.#replicating.shift();
      this.#replica?.execute(next.on, next.now, next.at);
    }
  }

  /** The replica takes over: what it had not got is forgotten, and was never answered. */
  #failover(): void {
    const replica = this.#replica;
    if (replica === undefined) return;
    this.cover.count("failover");
    this.note("store", `FAILOVER forgets ${this.#replicating.length} calls`, true);
    for (const { on } of this.#replicating) this.#lost.add(on);
    this.#replicating = [];
    this.store.become(replica);
    for (const process of this.#nodes)
      if (process !== undefined) this.#later(this.#dice.between(0, 1_000), () => process.storeMoved());
  }

  survived(on: StoreCall): boolean {
    return !this.#lost.has(on);
  }

  #deliverWakes(node: NodeId): void {
    this.#later(takes(this.#dice, this.plan.weather.store), () => {
      const process = this.processOf(node);
      if (process === undefined) return;
      if (process.stalledUntil > this.now)
        return this.#later(process.stalledUntil - this.now, () => this.#deliverWakes(node));
      this.#replica?.takeWakes(node);
      process.wakes(this.store.takeWakes(node));
    });
  }

  // --- what clients ask of the world ---------------------------------------------------------------------------------

  connect(index: number, kind: ConnectionKind, url: number): ClientPipe | undefined {
    // Everybody's list of relays begins elsewhere.
    const begins = mix(this.plan.seed, 3, index, kind === "device" ? 0 : 1);
    const process = this.#nodes[(begins + url) % this.plan.nodes];
    if (process === undefined || process.closing) return undefined;
    const dice = new Dice(mix(this.plan.seed, 800 + index, this.#connections++));
    const pipe: ClientPipe = new Pipe(this.agenda, dice, this.plan.weather.network);
    const client = personAt(index);
    if (this.trace !== undefined)
      pipe.watch = (way, frames, sent, got) => {
        const [from, to] = way === "up" ? [client, process.name] : [process.name, client];
        this.arrow({ from, to, sent, got, label: this.framesLabel(frames) });
      };
    process.accept(pipe, kind);
    return pipe;
  }
  #connections = 0;

  cipherOf(index: number, rows: StoredRows): Cipher {
    const strangers = new Set<AccountId>();
    const dice = new Dice(mix(this.plan.seed, 900 + index));
    for (let other = 0; other < this.plan.clients; other++)
      if (dice.happens(0.2)) strangers.add(accountAt(other));
    const cipher = this.cast.cipher({ index, rows, strangers });
    if (!this.rules.client.holdBack) giveUpOrder(cipher);
    const seal = cipher.seal.bind(cipher);
    cipher.seal = (request) => {
      const said = this.#said.get(request.message);
      if (said !== undefined) said.place = request.place;
      return seal(request);
    };
    return cipher;
  }

  contactRows(index: number): Write[] {
    const dice = new Dice(mix(this.plan.seed, 1_000 + index));
    const writes: Write[] = [];
    for (let other = 0; other < this.plan.clients; other++) {
      if (other === index || dice.happens(0.2)) continue;
      const value = encode(contactRow, {
        decision: "accepted",
        accessKey: this.cast.accessKey(other),
        name: undefined,
        nameFrom: "claimed",
      });
      writes.push({ table: "contact", key: accountAt(other), value });
    }
    return writes;
  }

  saidOf(message: MessageId): Said {
    const said = this.#said.get(message);
    if (said === undefined)
      throw new BrokenPromise("what was sealed is what arrives", "a message that nobody said");
    return said;
  }

  remembersEntry(client: number, entry: number, said: Said): void {
    this.#entries.set(`${client}/${orderKey(entry)}`, said);
  }

  settledRow(client: number, key: string): void {
    const said = this.#entries.get(`${client}/${key}`);
    if (said?.handed === true) said.settled = true;
  }

  /** The sender's word about a message. */
  ended(message: MessageId, end: "sent" | "expired" | "refused", code: string | undefined): void {
    const said = this.saidOf(message);
    if (said.end !== undefined && said.end !== end && this.isJudged(said.from))
      throw new BrokenPromise("nothing is stuck", `${said.label} is ${end} after it was ${said.end}`);
    said.end = end;
    said.endCode = code;
    this.note(
      personAt(said.from),
      `${said.label} ${end}${code === undefined ? "" : ` (${code})`}`,
      end !== "sent",
    );
  }

  queued(message: MessageId): void {
    this.saidOf(message).queued = true;
  }

  /** A sender's process ended: what was not kept yet is gone. Its store went back: so may be what was. */
  forgetSaid(client: number, which: "not kept" | "all"): void {
    for (const said of this.#said.values())
      if (said.from === client && said.end === undefined && (which === "all" || !said.queued))
        said.forgotten = true;
  }

  /** Whether a sender's numbers can be judged: a store that went back uses some again. */
  isJudged(sender: number): boolean {
    return this.#clients[sender]?.diary.restored !== true;
  }

  /** A client took its store for one that went back. */
  tookForRestored(client: SimClient): void {
    if (!client.diary.restored)
      throw new BrokenPromise(
        "a whole store is not taken for an old one",
        `${client.name} replaces its keys for nothing`,
      );
  }

  /** An envelope did not open: only where a store went back, and with it what opens envelopes. */
  quarantined(recipient: number, id: EnvelopeId, code: string): void {
    const plain = this.cast.plain(id);
    const said = plain === undefined ? undefined : this.#said.get(plain.message);
    const restored = [recipient, indexOf(plain?.from ?? addressAt(recipient))].some((i) => !this.isJudged(i));
    if (!restored)
      throw new BrokenPromise(
        "what was sealed is what arrives",
        `${this.#idLabel(id)} did not open: ${code}`,
      );
    this.cover.count("did not open after a restore");
    if (said !== undefined) said.forgotten = true;
  }

  // --- the diagram ---------------------------------------------------------------------------------------------------

  note(on: string, text: string, fault: boolean): void {
    this.trace?.note(on, this.now, text, fault);
  }

  arrow(arrow: Arrow): void {
    this.trace?.arrow(arrow);
  }

  labelOf(plain: Plain | undefined): string {
    if (plain === undefined) return "?";
    const said = this.#said.get(plain.message);
    if (said !== undefined) return said.label;
    return `${personAt(indexOf(plain.from))[0]}→${personAt(indexOf(plain.to))[0]} ${plain.content.kind}`;
  }

  #idLabel(id: EnvelopeId): string {
    return this.ledger.letters.get(id)?.label ?? "signal";
  }

  framesLabel(frames: readonly (ClientFrame | RelayFrame)[]): string {
    return frames.map((frame) => this.#frameLabel(frame)).join(", ");
  }

  #frameLabel(frame: ClientFrame | RelayFrame): string {
    if (frame.frame === "push") return `push ${this.#idLabel(frame.id)}`;
    if ("ids" in frame) return `${frame.frame} ${frame.ids.map((id) => this.#idLabel(id)).join(" ")}`;
    if (frame.frame === "submit")
      return `submit ${frame.envelopes.map((e) => this.#idLabel(e.id)).join(" ")}`;
    if (frame.frame === "hello") return `hello ${frame.epoch}`;
    return frame.frame;
  }

  linkLabel(frame: LinkFrame): string {
    if (frame.is === "offer") return `offer ${frame.envelopes.map((e) => this.#idLabel(e.id)).join(" ")}`;
    if (frame.is === "answer") return `${frame.how} ${frame.ids.map((id) => this.#idLabel(id)).join(" ")}`;
    return frame.is;
  }

  get rested(): boolean {
    return this.#rested;
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
