// One schedule of media: a plan carried out by the real routes, collection and client code over simulated stores, lines and time.
// Always true: the same plan and rules give the same schedule, step for step; a promise that breaks ends it.
import { type AccountId, accountOf, type DeviceAddress, type Time } from "@lethe/protocol";
import type { GroupId } from "@lethe/crypto";
import type { CapabilityMark, MediaId } from "@lethe/queue";
import { Agenda } from "../agenda.ts";
import { Dice, mix } from "../chance.ts";
import { Coverage } from "../coverage.ts";
import { accountAt, personAt } from "../people.ts";
import type { Trace } from "../trace.ts";
import { BlobLine } from "./blob-line.ts";
import { Calls } from "./calls.ts";
import { Device } from "./device.ts";
import { MEDIA_EVENTS, type MediaEvent } from "./events.ts";
import type { Facts } from "./facts.ts";
import type { FileFact } from "./files.ts";
import { Judge, nameOf } from "./judge.ts";
import { LedgerLine } from "./ledger-line.ts";
import { Mail, mediaOf, type Message, saidIn } from "./mail.ts";
import { Node } from "./node.ts";
import type { MediaPlan, TimedDeed } from "./plan.ts";
import { drained } from "./platform.ts";
import type { MediaRule } from "./rules.ts";
import { Wire } from "./wire.ts";

export interface MediaWorldOptions {
  readonly plan: MediaPlan;
  readonly off: MediaRule | undefined;
  readonly trace?: Trace | undefined;
}

const EPOCH = 1_800_000_000_000;
/** After the last fault everything must have come to rest within this, ms. */
const REST_MS = 90 * 60_000;
const LOOK_MS = 5_000;
/** A collection, and a look for orphans, have been there after so long, ms. */
const SWEPT_MS = 3_600_000 + 2 * 900_000;
const MAX_STEPS = 200_000;

export class MediaWorld {
  readonly plan: MediaPlan;
  readonly agenda = new Agenda();
  readonly cover = new Coverage<MediaEvent>(MEDIA_EVENTS);
  readonly judge: Judge;
  steps = 0;
  restedAfter = 0;
  readonly #off: MediaRule | undefined;
  readonly #trace: Trace | undefined;
  readonly #group: readonly AccountId[];
  readonly #files: FileFact[] = [];
  readonly #refused = new Set<number>();
  readonly #ledger: LedgerLine;
  readonly #blobs: BlobLine;
  readonly #calls: Calls;
  readonly #wire: Wire;
  readonly #mail: Mail;
  readonly #nodes: Node[] = [];
  readonly #devices: Device[] = [];

  constructor({ plan, off, trace }: MediaWorldOptions) {
    this.plan = plan;
    this.#off = off;
    this.#trace = trace;
    const { agenda, cover } = this;
    const { network, store } = plan.weather;
    const dice = (stream: number): Dice => new Dice(mix(plan.seed, 2_000 + stream));
    const wall = (): number => this.wall;
    this.judge = new Judge({
      wall,
      cover,
      kept: (media, part) => this.#blobs.kept(media, part),
      note: (text) => this.#note("relay", text),
    });
    this.#calls = new Calls({ agenda, dice: dice(1), pace: store, cover });
    const { judge } = this;
    this.#ledger = new LedgerLine({ wall, calls: this.#calls, judge, dice: dice(2), cover, off });
    this.#blobs = new BlobLine({ calls: this.#calls, judge: () => judge, off });
    this.#wire = new Wire({ agenda, dice: dice(3), pace: network, cover, nodes: () => this.#nodes });
    this.#group = Array.from({ length: plan.clients }, (_, i) => accountAt(i));
    this.#mail = this.#openMail(dice(4));
  }

  get wall(): number {
    return EPOCH + Math.floor(this.agenda.now);
  }

  async run(): Promise<void> {
    await this.#begin();
    for (const deed of this.plan.deeds) this.agenda.at(deed.at, () => this.#do(deed));
    await this.#until(this.plan.span);
    this.#heal();
    await this.#rest();
    await this.#until(this.agenda.now + SWEPT_MS);
    this.#onlyWhatWaits();
    const { keepMs, unfinishedMs } = this.plan.weather;
    await this.#until(this.agenda.now + Math.max(keepMs, unfinishedMs) + SWEPT_MS);
    await this.#empty();
  }

  async #begin(): Promise<void> {
    const { agenda, cover } = this;
    const { weather, nodes } = this.plan;
    const failed = (error: unknown): void =>
      this.judge.breaks(
        "the machines do not throw",
        error instanceof Error ? (error.stack ?? "") : String(error),
      );
    for (let i = 0; i < nodes; i++)
      this.#nodes.push(
        new Node({
          ...{
            agenda,
            cover,
            weather,
            judge: this.judge,
            off: this.#off,
            ledger: this.#ledger,
            blobs: this.#blobs,
            failed,
          },
          wall: () => this.wall,
          note: (text) => this.#note("relay", text),
        }),
      );
    for (const account of this.#group) this.#addDevice(account);
    this.#addDevice(accountAt(0));
    await drained();
  }

  // --- time ------------------------------------------------------------------------------------------------------------

  async #until(end: number): Promise<void> {
    this.agenda.at(end, () => undefined);
    while (this.agenda.now < end && this.judge.broken === undefined) await this.#step();
  }

  async #step(): Promise<void> {
    this.agenda.step();
    this.steps++;
    if (this.steps > MAX_STEPS) this.judge.breaks("nothing is stuck", `${MAX_STEPS} steps, and no end`);
    await drained();
  }

  #heal(): void {
    this.#calls.heal();
    this.#wire.heal();
    for (const node of this.#nodes) node.start();
    for (const device of this.#devices) {
      device.heal();
      void device.start();
    }
  }

  /** Everything that somebody does comes to its end. */
  async #rest(): Promise<void> {
    const began = this.agenda.now;
    while (this.judge.broken === undefined && !this.#isAtRest()) {
      if (this.agenda.now > began + REST_MS)
        return this.judge.breaks("nothing is stuck", this.#whatIsStuck());
      for (const device of this.#devices) device.resume();
      await this.#until(this.agenda.now + LOOK_MS);
    }
    this.restedAfter = this.agenda.now - began;
    for (const node of this.#nodes) node.isOver = true;
  }

  #isAtRest(): boolean {
    const isCarried = ({ state, carriers, arrived, from }: Message): boolean =>
      !this.#mail.isListed(from) ||
      (state !== "queued" &&
        (state === "refused" ||
          [...carriers].every((device) => arrived.has(device) || !this.#mail.isListed(device))));
    return (
      this.#devices.every((device) => device.isIdle) && [...this.#mail.messages.values()].every(isCarried)
    );
  }

  #whatIsStuck(): string {
    const busy = this.#devices
      .filter((device) => !device.isIdle)
      .map(({ address, work }) => `${wordsOf(address)} (${work})`);
    return `${busy.join(", ")} at work, ${this.#mail.messages.size} messages`;
  }

  // --- what is left ----------------------------------------------------------------------------------------------------

  /** Nothing is there but what somebody may still want, or nobody can say anything of any more. */
  #onlyWhatWaits(): void {
    const { judge } = this;
    if (judge.broken !== undefined) return;
    for (const [media, facts] of judge.facts)
      if (!this.#mayStay(media, facts))
        judge.breaks(
          "c nothing is kept longer than it may be",
          `${nameOf(media)} is kept though everybody is done with it`,
        );
    for (const media of this.#blobs.blobs)
      if (!judge.facts.has(media))
        judge.breaks("c nothing is kept longer than it may be", `${nameOf(media)} has bytes, and no owner`);
  }

  /**
   * What a device that is gone has begun, or was to fetch, waits to expire; so does what a late request has begun again, and what
   * got a token for a device that was added when its message had been sealed already.
   */
  #mayStay(media: MediaId, { isReady, marks }: Facts): boolean {
    if (!isReady) return false;
    const message = this.#mail.of(media);
    const isOf = ({ address }: Device): boolean => address === message?.from;
    if (message === undefined || this.#devices.find(isOf)?.isGone === true) return true;
    const waiting = this.#devices.filter(
      ({ address }) => marks.get(this.#mail.markOf(message, address)) === false,
    );
    const isNotFor = ({ address }: Device): boolean => !message.carriers.has(address);
    if (waiting.some(isNotFor)) this.cover.count("kept for a device without the message");
    return waiting.some((device) => device.isGone || isNotFor(device)) || this.judge.wasBegunAgain(media);
  }

  /** The list of a blob is being closed: who is known to be gone holds up nothing. */
  #closes(sender: DeviceAddress, media: MediaId, strikes: readonly CapabilityMark[]): void {
    const message = this.#mail.of(media);
    const marks = this.judge.facts.get(media)?.marks;
    if (message === undefined || marks === undefined) return;
    for (const { isGone, address } of this.#devices) {
      if (
        !isGone ||
        this.#mail.known(sender, accountOf(address))?.some((known) => known.address === address) !== false
      )
        continue;
      const mark = this.#mail.markOf(message, address);
      if (marks.get(mark) === false && !strikes.includes(mark))
        this.judge.breaks(
          "c nothing is kept longer than it may be",
          `${nameOf(media)} waits for ${wordsOf(address)}, which is gone`,
        );
    }
  }

  /** Nothing at all. */
  async #empty(): Promise<void> {
    const { judge } = this;
    if (judge.broken !== undefined) return;
    const { blobs, bytes } = await this.#ledger.here.totals();
    if (blobs !== 0 || bytes !== 0)
      judge.breaks(
        "c nothing is kept longer than it may be",
        `the ledger has ${blobs} blobs of ${bytes} bytes`,
      );
    if (this.#blobs.blobs.length > 0)
      judge.breaks("c nothing is kept longer than it may be", `${this.#blobs.blobs.length} blobs have bytes`);
    for (const account of this.#group) await this.#hasRoom(account);
  }

  async #hasRoom(account: AccountId): Promise<void> {
    const [media, uploadKey] = [account as unknown as MediaId, account as unknown as CapabilityMark];
    const [expires, unfinished] = [(this.wall + 1) as Time, (this.wall + 1) as Time];
    const upload = { media, account, bytes: 100, uploadKey, expires, unfinished };
    const answer = await this.#ledger.here.begin(upload, { bytes: 100, blobs: 1 });
    if (answer !== "begun") this.judge.breaks("f quotas return to zero", `${account}: ${answer}`);
  }

  // --- deeds -----------------------------------------------------------------------------------------------------------

  #do(deed: TimedDeed): void {
    if (deed.do !== "send") this.#note("faults", JSON.stringify(deed));
    switch (deed.do) {
      case "send":
        return this.#send(deed);
      case "refuse":
        this.#refused.add(deed.file);
        return;
      case "withdraw":
        return this.#withdraw(deed.file);
      case "change-source": {
        const file = this.#files[deed.file];
        if (file !== undefined) file.version = 1;
        return;
      }
      case "crash-client":
        return this.#devices[deed.device]?.crash(deed.ms, deed.when);
      case "crash-node":
        return this.#nodes[deed.node]?.crash(deed.ms, deed.steps);
      case "offline":
        return this.#devices[deed.device]?.goOffline(deed.ms);
      case "trouble":
        return this.#wire.trouble(deed.fate, deed.often, deed.ms);
      case "store-trouble":
        return this.#calls.trouble(deed.fate, deed.often, deed.ms);
      case "failover":
        return this.#ledger.failover();
      case "add-device":
        this.cover.count("device added");
        this.#addDevice(accountAt(deed.account));
        return;
      case "remove-device":
        return this.#removeDevice(deed.device);
    }
  }

  #send({ from, to, size, file: index }: TimedDeed & { readonly do: "send" }): void {
    const file = this.#files[index] ?? { index, size, version: 0 };
    this.#files[index] = file;
    const device = this.#devices[from];
    if (device === undefined || device.isGone) return;
    this.cover.count(to === "group" ? "sent to a group" : "sent");
    if (size > 2_000_000) this.cover.count("of several parts");
    const target =
      to === "group"
        ? { to: undefined, group: GROUP, shown: "all" }
        : { to: accountAt(to), group: undefined, shown: personAt(to) };
    device.send(file, target);
  }

  #withdraw(index: number): void {
    const message = [...this.#mail.messages.values()].find((each) => fileOf(each) === String(index));
    const device = this.#devices.find(({ address }) => address === message?.from);
    if (message !== undefined) return device?.withdraw(message.message, mediaOf(message));
    for (const each of this.#devices) each.cancel(String(index));
  }

  #addDevice(account: AccountId): void {
    const number = 1 + this.#devices.filter(({ address }) => accountOf(address) === account).length;
    const address = this.#mail.addDevice(account, number);
    const { agenda, cover, judge } = this;
    const device = new Device(address, {
      ...{ agenda, cover, judge, off: this.#off, group: this.#group, wire: this.#wire, mail: this.#mail },
      wall: () => this.wall,
      dice: new Dice(mix(this.plan.seed, 3_000 + this.#devices.length)),
      pace: this.plan.weather.disk,
      fileNamed: (name) => this.#files[Number(name)] ?? { index: -1, size: 0, version: 0 },
      note: (text) => this.#note(wordsOf(address), text),
      closes: (media, strikes) => this.#closes(address, media, strikes),
    });
    this.#devices.push(device);
    void device.start();
  }

  /** The last device of an account stays. */
  #removeDevice(index: number): void {
    const device = this.#devices[index];
    if (device === undefined || device.isGone) return;
    if (this.#mail.devicesOf(accountOf(device.address)).length < 2) return;
    this.cover.count("device removed");
    this.#mail.removeDevice(device.address);
    device.leave();
  }

  #openMail(dice: Dice): Mail {
    const { agenda } = this;
    const { network, rumour } = this.plan.weather;
    const deviceAt = (address: DeviceAddress) => this.#devices.find((device) => device.address === address);
    return new Mail({
      ...{ agenda, dice, pace: network, rumour },
      isUp: (address) => deviceAt(address)?.isUp === true,
      stepped: (address) => deviceAt(address)?.stepped(),
      arrives: (address, message, taken) => deviceAt(address)?.arrives(message, taken),
      refuses: (message) => this.#refuses(message),
    });
  }

  #refuses(message: Message): boolean {
    const isRefused = this.#refused.has(Number(fileOf(message)));
    if (isRefused) this.cover.count("refused");
    return isRefused;
  }

  #note(on: string, text: string): void {
    this.#trace?.note({ on, at: this.agenda.now, text, fault: on === "faults" });
  }
}

const GROUP = "a group of them." as GroupId;

function fileOf(message: Message): string {
  return saidIn(message)?.name ?? "";
}

function wordsOf(address: DeviceAddress): string {
  return `${accountOf(address).replaceAll(".", "")}${address.charCodeAt(17)}`;
}
