// One device: the real media code of the client library over a simulated store and line, and an application that sends files, keeps
// what it gets, and goes on after a crash with what it finds. Always true: a run that has ended does nothing more.
import {
  type AccountId,
  accountOf,
  type DeviceAddress,
  deviceOf,
  fromBytes,
  type MediaTokensRequest,
  type Time,
} from "@lethe/protocol";
import type { CapabilityMark, MediaId } from "@lethe/queue";
import { capabilityMark } from "@lethe/crypto";
import type { CoreView } from "../../../client-lib/delivery/core.ts";
import type { MessageId } from "../../../client-lib/delivery/events.ts";
import type { Clock } from "../../../client-lib/edge/clock.ts";
import { ClientError } from "../../../client-lib/errors.ts";
import { type Media, openMedia } from "../../../client-lib/media/media.ts";
import type { MediaConfig, MediaMessage, MediaTarget } from "../../../client-lib/media/media-api.ts";
import type { SentMessage } from "../../../client-lib/outgoing.ts";
import type { Agenda } from "../agenda.ts";
import type { Dice, Pace } from "../chance.ts";
import type { Coverage } from "../coverage.ts";
import { Disk, type Process } from "./disk.ts";
import { ACCOUNT_HEADER } from "./door.ts";
import type { MediaEvent } from "./events.ts";
import { Fetcher } from "./fetcher.ts";
import { type FileFact, sourceOf } from "./files.ts";
import { type Judge, mediaIn } from "./judge.ts";
import { hearing, keeping, seeing } from "./leaving-out.ts";
import { type Mail, mediaOf, type Message, saidIn } from "./mail.ts";
import type { ClientCrash } from "./plan.ts";
import type { MediaRule } from "./rules.ts";
import { Line, type Wire } from "./wire.ts";

export interface DevicePort {
  readonly agenda: Agenda;
  readonly wall: () => number;
  readonly dice: Dice;
  readonly pace: Pace;
  readonly cover: Coverage<MediaEvent>;
  readonly judge: Judge;
  readonly wire: Wire;
  readonly mail: Mail;
  readonly off: MediaRule | undefined;
  /** The accounts of the one group that there is. */
  readonly group: readonly AccountId[];
  readonly fileNamed: (resume: string) => FileFact;
  readonly note: (text: string) => void;
  /** It closes the list of a blob, and strikes these tokens with that. */
  readonly closes: (media: MediaId, strikes: readonly CapabilityMark[]) => void;
}

export interface Run extends Process {
  readonly media: Media;
  isAlive: boolean;
}

export class Device {
  readonly address: DeviceAddress;
  readonly disk: Disk;
  readonly #port: DevicePort;
  readonly #fetcher: Fetcher;
  readonly #sends = new Map<MessageId, PromiseWithResolvers<void>>();
  readonly #closings = new Set<string>();
  #run: Run | undefined;
  #isStarted = false;
  #downMs = 0;
  #offlineUntil = 0;
  isGone = false;

  constructor(address: DeviceAddress, port: DevicePort) {
    this.address = address;
    this.#port = port;
    const { agenda, dice, pace, off } = port;
    this.disk = new Disk({ agenda, dice, pace, kept: keeping(off) });
    this.#fetcher = new Fetcher(port, address);
  }

  get isUp(): boolean {
    return this.#run?.isAlive === true && this.isOnline;
  }

  get isOnline(): boolean {
    return this.#port.agenda.now >= this.#offlineUntil;
  }

  get media(): Media | undefined {
    return this.#run?.media;
  }

  /** Nothing is under way, and nothing is owed. */
  get isIdle(): boolean {
    if (this.isGone) return true;
    const tables = ["media-upload", "media-release"] as const;
    return (
      this.#run !== undefined &&
      tables.every((table) => this.disk.rows(table).size === 0) &&
      this.#fetcher.isIdle
    );
  }

  stepped(): void {
    const run = this.#run;
    if (run === undefined) return;
    for (const [id, settle] of this.#sends) {
      const state = this.#port.mail.messages.get(id)?.state;
      if (state === "sent") settle.resolve();
      if (state === "refused") settle.reject(new ClientError("unknown-recipient"));
    }
    run.media.uploads.stepped();
  }

  async start(): Promise<void> {
    if (this.isGone || this.#isStarted) return;
    this.#isStarted = true;
    const { agenda, cover } = this.#port;
    const run = { isAlive: true } as { isAlive: boolean; media?: Media; crash?: () => void };
    run.crash = (): void => {
      if (!run.isAlive) return;
      run.isAlive = false;
      this.#run = undefined;
      this.#isStarted = false;
      cover.count("client crashed");
      agenda.in(this.#downMs, () => void this.start());
    };
    const process = run as Process & { media?: Media };
    run.media = await openMedia(this.#config(process));
    this.#run = run as Run;
    this.resume();
    this.#fetcher.start(this.#run, this.disk);
  }

  crash(ms: number, when: ClientCrash): void {
    this.#port.note(`crashes ${when}, for ${Math.round(ms)} ms`);
    this.#downMs = ms;
    if (when === "now") return this.#run?.crash();
    this.#port.cover.count("client crashed at a commit");
    this.disk.crashAt = when;
  }

  goOffline(ms: number): void {
    this.#offlineUntil = this.#port.agenda.now + ms;
  }

  heal(): void {
    this.#offlineUntil = 0;
    this.disk.crashAt = undefined;
    this.#downMs = 0;
  }

  /** It is removed from its account, and does nothing more. */
  leave(): void {
    this.isGone = true;
    this.#run?.crash();
  }

  send(file: FileFact, target: MediaTarget): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#under(run, run.media.send(target, sourceOf(file), {}), file);
  }

  withdraw(message: MessageId, media: MediaId): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#port.judge.withdraws(media);
    this.#port.cover.count("withdrawn");
    run.media.uploads.withdraw(message).catch((error: unknown) => this.#expect(run, error));
  }

  /** Ends an upload whose message is not out. */
  cancel(resume: string): void {
    const run = this.#run;
    const upload = run?.media.uploads.unfinished().find((each) => each.resume === resume);
    if (run === undefined || upload === undefined) return;
    this.#port.cover.count("withdrawn");
    run.media.uploads.cancel(messageOf(upload.id)).catch((error: unknown) => this.#expect(run, error));
  }

  arrives(message: Message, taken: () => void): void {
    const run = this.#run;
    const ref = saidIn(message);
    if (run === undefined || ref === undefined) return;
    this.#fetcher.arrives(run, this.disk, ref, taken);
  }

  /** What waits for its source gets it: the application has kept what it is called. */
  resume(): void {
    const { fileNamed, cover } = this.#port;
    const run = this.#run;
    if (run === undefined) return;
    for (const { id, resume, state } of run.media.uploads.unfinished()) {
      if (state !== "waits") continue;
      cover.count("upload resumed");
      const file = fileNamed(resume);
      const resuming = run.media.uploads.resume(messageOf(id), sourceOf(file), () => undefined);
      this.#under(run, resuming, file);
    }
  }

  #under(run: Run, sending: Promise<SentMessage>, file: FileFact): void {
    const { cover, note } = this.#port;
    sending.then(
      () => note(`file ${file.index} was sent`),
      (error: unknown) => {
        if (!run.isAlive) return;
        cover.count("upload failed");
        if (error instanceof ClientError && error.code === "media-source-changed")
          cover.count("source had changed");
        note(`file ${file.index} was not sent: ${String(error)}`);
        this.#expect(run, error);
      },
    );
  }

  #expect(run: Run, error: unknown): void {
    if (!run.isAlive || error instanceof ClientError) return;
    this.#port.judge.breaks(
      "the machines do not throw",
      error instanceof Error ? (error.stack ?? "") : String(error),
    );
  }

  #config(process: Process & { media?: Media }): MediaConfig {
    const { agenda, wall, dice, wire, off, judge, note } = this.#port;
    const clock: Clock = {
      now: () => wall() as Time,
      after: (ms, call) => {
        const planned = agenda.in(Math.max(0, ms), () => process.isAlive && call());
        return () => {
          planned.act = undefined;
        };
      },
      soon: (call) => void agenda.in(0, () => process.isAlive && call()),
    };
    const random = { bytes: (length: number) => dice.bytes(length) };
    const http: Line = new Line({
      ...{ wire, process, clock, random, agenda, isOnline: () => this.isOnline },
      asks: (asked) => {
        const { method, path, body } = asked;
        note(`${method} ${path.replace(/^.*\/([0-9a-f]{6})[0-9a-f]{26}/, "$1")}`);
        if (method === "PUT" && path.includes("/parts/") && body !== undefined)
          judge.partSent(mediaIn(path), Number(path.split("/").at(-1)), body);
        if (path.endsWith("/tokens") && body !== undefined) this.#asksTokens(path, body);
        if (path.endsWith("/release")) this.#asksRelease(path, asked.headers["authorization"] ?? "");
        return hearing(
          off,
          asked,
          (also) => wire.send(also, { answer: () => undefined, fail: () => undefined }),
          wall(),
        );
      },
    });
    const account = accountOf(this.address);
    return {
      ...{ clock, random, http, account, device: deviceOf(this.address) },
      store: this.disk.for(process),
      chance: dice,
      view: seeing(off, this.#view()),
      signed: async (method, path, json) => {
        const init = { method, headers: { [ACCOUNT_HEADER]: account }, body: JSON.stringify(json) };
        return (await http.read(await http.first(path, () => init))).json;
      },
      direct: () => false,
      say: (message) => this.#say(process, message),
      failed: (error) => {
        if (process.isAlive) this.#expect(process as Run, error);
      },
    };
  }

  #asksTokens(path: string, body: Uint8Array): void {
    const { strike, close } = JSON.parse(Buffer.from(body).toString()) as MediaTokensRequest;
    const strikes = strike.map((mark) => Buffer.from(mark, "base64url").toString("latin1") as CapabilityMark);
    if (strike.length > 0) this.#port.cover.count("token struck");
    // What is asked again was decided before.
    const asked = path + Buffer.from(body).toString();
    if (close && !this.#closings.has(asked)) this.#port.closes(mediaIn(path), strikes);
    if (close) this.#closings.add(asked);
  }

  #asksRelease(path: string, authorization: string): void {
    const capability = Buffer.from(authorization.split(" ")[1] ?? "", "base64url");
    const mark = fromBytes<CapabilityMark>(capabilityMark(new Uint8Array(capability)));
    this.#port.judge.releaseAsked(mediaIn(path), mark);
  }

  async #say(process: Process, said: MediaMessage): Promise<SentMessage> {
    const { judge, mail, group } = this.#port;
    judge.said(mediaOf(said));
    await this.disk.for(process).commit([{ table: "said", key: said.message, value: new Uint8Array(1) }]);
    // Durable, whether or not anybody hears of it.
    if (!mail.messages.has(said.message)) {
      const self = accountOf(this.address);
      const targets = [
        ...new Set([
          self,
          ...(said.group === undefined ? [] : group),
          ...(said.to === undefined ? [] : [said.to]),
        ]),
      ];
      mail.take({
        ...{ ...said, targets, from: this.address, state: "queued", isSealed: false },
        ...{ carriers: new Set(), out: new Set(), arrived: new Set() },
      });
    }
    const sent = this.#sends.get(said.message) ?? Promise.withResolvers<void>();
    sent.promise.catch(() => undefined);
    this.#sends.set(said.message, sent);
    this.stepped();
    const forever = new Promise<void>(() => undefined);
    return { id: said.message, user: said.shown, sent: sent.promise, delivered: forever, read: forever };
  }

  #view(): CoreView {
    const { mail, group, wall } = this.#port;
    const stateOf = (message: MessageId) => {
      const state = mail.messages.get(message)?.state;
      return state === undefined ? undefined : { state, at: wall() };
    };
    const view: Partial<Record<keyof CoreView, unknown>> = {
      sent: stateOf,
      groupSent: stateOf,
      group: () => ({ view: { state: { members: group.map((account) => ({ account })) } } }),
      devices: (account: AccountId) => mail.known(this.address, account),
      carriers: (message: MessageId) => [...(mail.messages.get(message)?.carriers ?? [])],
      isPending: (message: MessageId) => mail.messages.get(message)?.state === "queued",
    };
    return view as CoreView;
  }
}

function messageOf(hex: string): MessageId {
  return fromBytes<MessageId>(Buffer.from(hex, "hex"));
}
