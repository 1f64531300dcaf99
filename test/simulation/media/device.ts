// One device: the real media code of the client library over a simulated store and line, and an application that sends files, keeps
// what it gets, and goes on after a crash with what it finds. Always true: a run that has ended does nothing more.
import {
  type AccountId,
  accountOf,
  type DeviceAddress,
  deviceOf,
  fromBytes,
  type MediaTokensRequest,
} from "@lethe/protocol";
import type { CapabilityMark, MediaId } from "@lethe/queue";
import { capabilityMark } from "@lethe/crypto";
import type { MessageId } from "../../../client-lib/delivery/events.ts";
import { ClientError } from "../../../client-lib/errors.ts";
import { type Media, openMedia } from "../../../client-lib/media/media.ts";
import type { MediaConfig, MediaMessage, MediaTarget } from "../../../client-lib/media/media-api.ts";
import type { SentMessage } from "../../../client-lib/outgoing.ts";
import type { Agenda } from "../agenda.ts";
import type { Dice, Pace } from "../chance.ts";
import type { Coverage } from "../coverage.ts";
import { Disk, type Process } from "./disk.ts";
import { ACCOUNT_HEADER, type Answered, type Asked } from "./door.ts";
import type { MediaEvent } from "./events.ts";
import { Fetcher } from "./fetcher.ts";
import { type FileFact, sourceOf } from "./files.ts";
import { type Judge, mediaIn } from "./judge.ts";
import { hearing, keeping, seeing } from "./leaving-out.ts";
import { type Mail, mediaOf, type Message, saidIn } from "./mail.ts";
import type { ClientCrash } from "./plan.ts";
import type { MediaRule } from "./rules.ts";
import { clockOf, viewOf } from "./surroundings.ts";
import { Line, NOBODY, type Wire } from "./wire.ts";

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

/** One run of its process. */
export class Run implements Process {
  isAlive = true;
  readonly #ended: () => void;
  #media: Media | undefined;

  constructor(ended: () => void) {
    this.#ended = ended;
  }

  get media(): Media {
    if (this.#media === undefined) throw new Error("it is not open yet");
    return this.#media;
  }

  set media(media: Media) {
    this.#media = media;
  }

  crash(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    this.#ended();
  }
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

  /** Nothing is under way, and nothing is owed. */
  get isIdle(): boolean {
    return this.work === "";
  }

  /** What is under way or owed, for people; "": nothing. */
  get work(): string {
    if (this.isGone) return "";
    if (this.#run === undefined) return "starting";
    const owed = ["media-upload", "media-release"].filter((table) => this.disk.rows(table).size > 0);
    return [...owed, ...(this.#fetcher.isIdle ? [] : ["fetching"])].join(" ");
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
    const run = new Run(() => {
      this.#run = undefined;
      this.#isStarted = false;
      this.#port.cover.count("client crashed");
      this.#port.agenda.in(this.#downMs, () => void this.start());
    });
    run.media = await openMedia(this.#config(run));
    this.#run = run;
    this.resume();
    this.#fetcher.start(run, this.disk);
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

  #config(run: Run): MediaConfig {
    const { agenda, wall, dice, wire, mail, group, off } = this.#port;
    const clock = clockOf(run, agenda, wall);
    const random = { bytes: (length: number) => dice.bytes(length) };
    const http = new Line({
      ...{ wire, process: run, clock, random, agenda },
      isOnline: () => this.isOnline,
      asks: (asked) => this.#asks(asked),
    });
    const account = accountOf(this.address);
    return {
      ...{ clock, random, http, account, device: deviceOf(this.address) },
      store: this.disk.for(run),
      chance: dice,
      view: seeing(off, viewOf(mail, this.address, group)),
      signed: async (method, path, json) => {
        const init = { method, headers: { [ACCOUNT_HEADER]: account }, body: JSON.stringify(json) };
        return (await http.read(await http.first(path, () => init))).json;
      },
      direct: () => false,
      maxBlobBytes: () => undefined,
      say: (message) => this.#say(run, message),
      failed: (error) => this.#expect(run, error),
    };
  }

  /** Sees what it asks, and answers where a rule is left out. */
  #asks(asked: Asked): Answered | undefined {
    const { wire, wall, judge, off, note } = this.#port;
    const { method, path, body, headers } = asked;
    note(`${method} ${path.replace(/^.*\/([0-9a-f]{6})[0-9a-f]{26}/, "$1")}`);
    if (method === "PUT" && path.includes("/parts/") && body !== undefined)
      judge.partSent(mediaIn(path), Number(path.split("/").at(-1)), body);
    if (path.endsWith("/tokens") && body !== undefined) this.#asksTokens(path, body);
    if (path.endsWith("/release")) this.#asksRelease(path, headers["authorization"] ?? "");
    const also = (further: Asked): void => wire.send(further, NOBODY);
    return hearing(off, asked, also, wall());
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

  async #say(run: Run, said: MediaMessage): Promise<SentMessage> {
    const { judge, mail, group } = this.#port;
    judge.said(mediaOf(said));
    await this.disk.for(run).commit([{ table: "said", key: said.message, value: new Uint8Array(1) }]);
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
}

function messageOf(hex: string): MessageId {
  return fromBytes<MessageId>(Buffer.from(hex, "hex"));
}
