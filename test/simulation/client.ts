// One device: the real client core with simulated sockets, a simulated store and an application that settles what it
// gets. Always true: nothing reaches a run of the process that has ended.
import { type ClientFrame, type EnvelopeId, type RelayFrame, type Time } from "@lethe/protocol";
import { kindOf } from "../../client-lib/delivery/connection.ts";
import { createClientCore } from "../../client-lib/delivery/core.ts";
import type {
  Effect,
  Entry,
  Happening,
  MessageId,
  SocketName,
  Told,
  Write,
} from "../../client-lib/delivery/events.ts";
import { orderKey } from "../../client-lib/delivery/rows.ts";
import { Dice, mix, takes } from "./chance.ts";
import { type ClientPipe, nameOf, type Run, type Socket } from "./client-run.ts";
import { Diary, type Gap } from "./diary.ts";
import { Disk, type Tables } from "./disk.ts";
import { gapIn, gapOf } from "./gap-rows.ts";
import { accountAt, addressAt, indexOf, indexOfAccount, OPENED_TABLE, personAt } from "./people.ts";
import type { CrashWhen, Deed } from "./plan.ts";
import type { World } from "./world.ts";

/** How often a timer is a millisecond early. */
const EARLY = 0.1;

export class SimClient {
  readonly index: number;
  readonly name: string;
  readonly diary: Diary;
  readonly #world: World;
  readonly #dice: Dice;
  readonly #pace: Dice;
  readonly #disk: Disk;
  /** Gaps that the application was told of, by the keys of their rows. */
  readonly #gaps = new Map<string, Gap>();
  #run: Run | undefined;
  #clock = 0;
  #crashWhen: { readonly when: CrashWhen; readonly ms: number } | undefined;
  #starts = 0;
  /** Why it will not start again. */
  stopped: string | undefined;

  constructor(world: World, index: number) {
    this.#world = world;
    this.index = index;
    this.name = personAt(index);
    this.diary = new Diary(this.name, world.cover);
    this.#dice = new Dice(mix(world.plan.seed, 100 + index));
    this.#pace = new Dice(mix(world.plan.seed, 200 + index));
    this.#disk = new Disk({
      agenda: world.agenda,
      dice: this.#pace,
      pace: world.plan.weather.disk,
      rules: world.rules.client,
      changed: (write) => this.#changed(write),
    });
    this.#disk.write([...world.contactRows(index), ...world.cast.rows(index)]);
  }

  /** A row is in the store, or gone from it. */
  #changed({ table, key, value }: Write): void {
    if (table === OPENED_TABLE && value !== undefined) this.#world.ledger.durable(key as EnvelopeId);
    if (table !== "inbox" || value !== undefined) return;
    this.#world.talk.settled(this.index, key);
    const gap = this.#gaps.get(key);
    if (gap === undefined) return;
    this.#gaps.delete(key);
    this.diary.gapSettled(gap);
  }

  get address(): ReturnType<typeof addressAt> {
    return addressAt(this.index);
  }

  get running(): boolean {
    return this.#run !== undefined;
  }

  get now(): Time {
    return (this.#world.wall + this.#clock) as Time;
  }

  // --- the process ---------------------------------------------------------------------------------------------------

  start(): void {
    if (this.#run !== undefined || this.stopped !== undefined || this.#world.rested) return;
    if (this.#world.isAbsent(this.index)) return;
    this.#starts++;
    const rows = this.#disk.read();
    const cipher = this.#world.cipherOf(this.index, rows);
    const chance = new Dice(mix(this.#world.plan.seed, 300 + this.index, this.#starts));
    const core = createClientCore({
      account: accountAt(this.index),
      device: 1 as Parameters<typeof createClientCore>[0]["device"],
      cipher,
      chance,
      rows,
      requests: "accept",
      urls: this.#world.plan.nodes,
    });
    this.#run = { core, sockets: new Map(), wake: undefined, happened: [], busy: false };
    this.#world.note(this.name, this.#starts === 1 ? "starts" : "starts again", false);
    this.#step({ event: "start" });
  }

  /** The process is gone, with what it had not written. */
  crash(): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#run = undefined;
    this.#world.note(this.name, "CRASH", true);
    this.#world.cover.count("client crashed");
    if (run.wake !== undefined) run.wake.act = undefined;
    if (this.#disk.abandon()) this.#world.cover.count("client crashed with a commit under way");
    for (const { pipe } of run.sockets.values()) {
      const told = this.#pace.happens(0.7);
      pipe.dieLow(told);
      if (!told) this.#world.notHeardOf(pipe);
    }
    this.#world.talk.forget(this.index, "not kept");
    this.diary.crashed();
  }

  /** Crashes now, or at a stage of the next commit, and starts again. */
  crashWhen(when: CrashWhen, ms: number): void {
    this.#crashWhen = { when, ms };
    this.#maybeCrash("now");
  }

  /** True: it has crashed. */
  #maybeCrash(stage: CrashWhen): boolean {
    const crash = this.#crashWhen;
    if (crash?.when !== stage) return false;
    this.#crashWhen = undefined;
    this.crash();
    this.#world.agenda.in(crash.ms, () => this.start());
    return true;
  }

  /** Stops as a person closes the application: what is under way is finished by nobody. */
  leave(): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#step({ event: "stop" });
    if (this.#run !== run) return;
    this.#run = undefined;
    if (run.wake !== undefined) run.wake.act = undefined;
    this.#disk.settle();
    this.#world.note(this.name, "leaves", false);
    this.#world.talk.forget(this.index, "not kept");
    this.diary.crashed();
  }

  snapshot(): Tables {
    return this.#disk.snapshot();
  }

  /** The store is as it was earlier: what came since is forgotten, though its device acknowledged it. */
  restore(snapshot: Tables): void {
    this.#disk.restore(snapshot);
    this.diary.restored = true;
    this.#world.cast.wentBack();
    this.#world.cover.count("client store restored");
    this.#world.note(this.name, "STORE RESTORED", true);
    this.#world.talk.forget(this.index, "all");
  }

  /** The clock is set: a process that runs counts on steadily, the next one begins with the new time. */
  setClock(by: number): void {
    this.crash();
    this.#clock += by;
    this.diary.clockJumped = true;
    this.#world.note(this.name, `clock is set by ${by} ms`, true);
    this.#world.agenda.in(300, () => this.start());
  }

  slowDisk(ms: number): void {
    this.#disk.slow(this.#world.now + ms);
  }

  failNextCommit(): void {
    this.#disk.failNext();
  }

  // --- deeds ---------------------------------------------------------------------------------------------------------

  say(message: MessageId, { to, bytes, ttl }: Deed & { do: "say" }): void {
    const body = this.#world.cast.body(bytes);
    const send = { event: "send", message, to: accountAt(to), body } as const;
    this.#step(ttl === undefined ? send : { ...send, ttl });
  }

  type(to: number): void {
    this.#step({ event: "signal", to: accountAt(to), body: this.#world.cast.typing() });
  }

  cut(kind: SocketName): void {
    for (const socket of this.#sockets(kind)) {
      this.#world.cover.count("socket cut");
      this.#world.note(this.name, `${kind} socket CUT`, true);
      socket.pipe.cut();
    }
  }

  silence(kind: SocketName, way: "up" | "down" | "both"): ClientPipe[] {
    const pipes: ClientPipe[] = [];
    for (const socket of this.#sockets(kind)) {
      this.#world.cover.count("socket half open");
      this.#world.note(this.name, `${kind} socket SILENT ${way}`, true);
      socket.pipe.silence(way);
      pipes.push(socket.pipe);
    }
    return pipes;
  }

  #sockets(kind: SocketName): Socket[] {
    return [...(this.#run?.sockets.values() ?? [])].filter((socket) => socket.kind === kind);
  }

  /** Whether its device connection stands, as far as it knows. */
  get connected(): boolean {
    return this.#run?.core.view.connection === "online";
  }

  get waiting(): number {
    return this.#run?.core.view.outbox ?? 0;
  }

  /** What its own log says of a message: a process that ends between the commit and the word tells nobody. */
  endOf(message: MessageId): "sent" | "expired" | "refused" | undefined {
    const state = this.#run?.core.view.sent(message)?.state;
    if (state === undefined || state === "queued") return undefined;
    return state === "delivered" || state === "read" ? "sent" : state;
  }

  get committing(): boolean {
    return this.#disk.committing;
  }

  // --- steps and effects ---------------------------------------------------------------------------------------------

  /** What others wait for is taken at once; the rest at once too, or a moment later, all that happened by then together. */
  #step(event: Happening): void {
    const run = this.#run;
    if (run === undefined) return;
    run.happened.push(event);
    const waitedFor =
      event.event === "committed" || event.event === "commit-failed" || event.event === "stop";
    if (waitedFor || !this.#world.plan.weather.batched) return this.#flush(run);
    if (run.happened.length === 1) this.#world.agenda.in(this.#pace.fraction(), () => this.#flush(run));
  }

  #flush(run: Run): void {
    if (run.busy) return;
    run.busy = true;
    while (run.happened.length > 0 && this.#run === run) {
      const events = run.happened;
      run.happened = [];
      const [first] = events;
      const now = this.now;
      const alone = events.length === 1 && first !== undefined;
      for (const effect of run.core.step(alone ? { ...first, now } : { event: "batch", events, now })) {
        if (this.#run !== run) break;
        this.#carry(run, effect);
      }
    }
    run.busy = false;
  }

  #carry(run: Run, effect: Effect): void {
    switch (effect.do) {
      case "open":
        return this.#open(run, effect.socket, effect.connection, effect.url);
      case "close": {
        const socket = run.sockets.get(nameOf(effect.socket, effect.connection));
        socket?.pipe.closeLow(1000);
        run.sockets.delete(nameOf(effect.socket, effect.connection));
        if (effect.socket === "device") this.diary.disconnected(this.#world.now);
        return;
      }
      case "send":
        return this.#send(run, effect);
      case "commit":
        return this.#commit(run, effect.commit, effect.writes);
      case "hand":
        return this.#hand(run, effect.entry);
      case "tell":
        return this.#told(effect.told);
      case "wake":
        return this.#wakeAt(run, effect.at);
    }
  }

  #wakeAt(run: Run, at: Time): void {
    if (run.wake !== undefined) run.wake.act = undefined;
    // A timer may be up to a millisecond early by the wall clock.
    const early = this.#pace.happens(EARLY) ? 1 : 0;
    run.wake = this.#world.agenda.in(Math.max(0, at - this.now - early), () => this.#step({ event: "tick" }));
  }

  #open(run: Run, kind: SocketName, connection: number, url: number): void {
    const pipe = this.#world.connect(this.index, kindOf(kind), url);
    const name = nameOf(kind, connection);
    const closed = (status: number): void => {
      if (!run.sockets.delete(name) || this.#run !== run) return;
      if (kind === "device") this.diary.disconnected(this.#world.now);
      this.#step({ event: "closed", socket: kind, connection, status });
    };
    if (pipe === undefined) {
      this.#world.agenda.in(takes(this.#pace, this.#world.plan.weather.network), () => {
        if (this.#run === run) this.#step({ event: "closed", socket: kind, connection, status: 1006 });
      });
      return;
    }
    run.sockets.set(name, { kind, connection, pipe });
    pipe.low({
      take: (frames) => this.#frames(run, kind, connection, frames),
      closed,
    });
    this.#world.agenda.in(takes(this.#pace, this.#world.plan.weather.network), () => {
      if (this.#run === run && run.sockets.has(name) && pipe.open)
        this.#step({ event: "opened", socket: kind, connection });
    });
  }

  #frames(run: Run, kind: SocketName, connection: number, frames: readonly RelayFrame[]): void {
    if (this.#run !== run) return;
    for (const frame of frames) if (frame.frame === "push") this.#pushed(frame.id);
    if (!this.#world.rules.client.acknowledgeAfterCommit) this.#acknowledge(run, kind, connection, frames);
    this.#step({ event: "frames", socket: kind, connection, frames });
  }

  /** Rule `acknowledgeAfterCommit` left out. */
  #acknowledge(run: Run, kind: SocketName, connection: number, frames: readonly RelayFrame[]): void {
    const ids = frames.flatMap((frame) =>
      frame.frame === "push" && frame.kind !== "signal" ? [frame.id] : [],
    );
    if (ids.length > 0) run.sockets.get(nameOf(kind, connection))?.pipe.up([{ frame: "delivered", ids }]);
  }

  #pushed(id: EnvelopeId): void {
    const plain = this.#world.cast.plain(id);
    if (plain === undefined) return;
    if (this.#disk.has(OPENED_TABLE, id)) this.#world.cover.count("duplicate at the device");
    if (plain.place !== undefined) this.diary.arrived(plain.from, plain.place, this.#world.now);
    if (plain.content.kind === "receipt") this.#world.cover.count("receipt");
  }

  #send(run: Run, { socket, connection, frames }: Effect & { do: "send" }): void {
    const { client } = this.#world.rules;
    const going = client.sameBytes ? frames : frames.map((frame) => this.#sealedAnew(frame));
    for (const frame of going) if (frame.frame === "submit") this.#submits(frame);
    run.sockets.get(nameOf(socket, connection))?.pipe.up(going);
    if (!client.clearedByAccepted) this.#believeAccepted(socket, connection, frames);
  }

  /** Rule `sameBytes` left out: a retry is sealed anew. */
  #sealedAnew(frame: ClientFrame): ClientFrame {
    if (frame.frame !== "submit") return frame;
    const envelopes = frame.envelopes.map((e) =>
      this.#world.ledger.letters.has(e.id) ? { ...e, ciphertext: Uint8Array.from([...e.ciphertext, 1]) } : e,
    );
    return { ...frame, envelopes };
  }

  /** Rule `clearedByAccepted` left out: what was sent is taken for accepted. */
  #believeAccepted(socket: SocketName, connection: number, frames: readonly ClientFrame[]): void {
    const ids = frames.flatMap((frame) => (frame.frame === "submit" ? frame.envelopes.map((e) => e.id) : []));
    if (ids.length === 0) return;
    this.#world.agenda.in(1, () =>
      this.#step({
        event: "frames",
        socket,
        connection,
        frames: [{ frame: "accepted", ids }],
      }),
    );
  }

  #submits({ recipient, expiry, envelopes }: ClientFrame & { frame: "submit" }): void {
    for (const { id, ciphertext } of envelopes) {
      this.#world.ledger.submitted({
        id,
        label: this.#world.talk.labelOf(this.#world.cast.plain(id)),
        to: addressAt(indexOfAccount(recipient)),
        expiry,
        ciphertext,
      });
    }
  }

  // --- the store -----------------------------------------------------------------------------------------------------

  #commit(run: Run, commit: number, writes: readonly Write[]): void {
    const gaps = writes.flatMap((write) => gapIn(write) ?? []);
    for (const gap of gaps) this.diary.givesUp(gap, this.#world.now, this.#judges(gap));
    this.#disk.commit(writes, {
      durable: () => this.#maybeCrash("durable") || (gaps.length > 0 && this.#maybeCrash("gap")),
      confirmed: (failed) => this.#confirmed(run, commit, failed),
    });
    this.#maybeCrash("sent");
  }

  #confirmed(run: Run, commit: number, failed: boolean): void {
    if (!failed) {
      this.#step({ event: "committed", commit });
      this.#maybeCrash("confirmed");
      return;
    }
    this.#world.note(this.name, "COMMIT FAILS", true);
    this.#step({ event: "commit-failed", commit, why: "simulated" });
    if (this.#run !== run) return;
    this.crash();
    this.#world.agenda.in(200, () => this.start());
  }

  // --- the application -----------------------------------------------------------------------------------------------

  #hand(run: Run, entry: Entry): void {
    if (entry.content.kind === "message") {
      const said = this.#world.talk.of(entry.message);
      this.#world.note(this.name, `has ${said.label}${entry.late ? " (late)" : ""}`, false);
      this.diary.handed(said, entry, this.#world.isJudged(said.from));
      this.#world.talk.handed(this.index, entry.entry, said);
    }
    if (entry.content.kind === "gap") this.#missing(entry, entry.content);
    if (this.#run !== run) return;
    this.#world.agenda.in(this.#pace.between(0, this.#world.plan.weather.reading), () => {
      if (this.#run !== run) return;
      this.#step({ event: "settled", entry: entry.entry });
      if (entry.content.kind === "message" && this.#dice.happens(0.3))
        this.#step({
          event: "read",
          from: accountAt(indexOf(entry.from)),
          messages: [entry.message],
        });
    });
  }

  #missing({ entry, from, message }: Entry, { first, last }: { first: number; last: number }): void {
    const gap = gapOf(from, message, { first, last });
    this.#world.note(this.name, `gap ${first}–${last} of ${personAt(indexOf(from))}`, true);
    this.diary.gap(gap, this.#judges(gap));
    this.#gaps.set(orderKey(entry), gap);
    this.#maybeCrash("gap-told");
  }

  #judges({ from }: Gap): boolean {
    return this.#world.isJudged(indexOf(from));
  }

  /** A claim from before its store went back came through late: the person has it connect again. Else nobody does. */
  #displaced(): void {
    this.#world.note(this.name, "displaced", true);
    this.#world.cover.count("displaced at the device");
    if (!this.diary.restored) {
      this.stopped = "displaced";
      return;
    }
    this.#world.agenda.in(2_000, () => this.#step({ event: "connect" }));
  }

  #told(told: Told): void {
    switch (told.tell) {
      case "drained":
        return this.diary.drained(this.#world.now);
      case "sent":
      case "expired":
        return this.#world.talk.ended(told.message, told.tell);
      case "refused":
        return this.#world.talk.ended(told.message, "refused", told.code);
      case "stopped":
        if (told.code !== "storage-failed") this.stopped = told.code;
        return this.#world.note(this.name, `stopped: ${told.code}`, true);
      case "displaced":
        return this.#displaced();
      case "quarantined":
        return this.#world.quarantined(this.index, told.id, told.code);
      case "signal":
        return this.#world.cover.count("signal");
      case "queued":
        return this.#world.talk.queued(told.message);
      case "store-restored":
        return this.#world.tookForRestored(this);
      default:
        return;
    }
  }
}
