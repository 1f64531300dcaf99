// A group at the wire: one who uploads ciphertexts for all of its devices, and devices that take them, on raw sockets that
// end with relays and come back. Always true: what is not answered is sent again under its ids, in its order; what passes
// is noted before anybody acts on it.
import { createHash, randomBytes } from "node:crypto";
import { envelopeIdFor } from "@lethe/crypto";
import {
  type ClientFrame,
  type ConnectionKind,
  decodeFrames,
  encodeFrames,
  type EnvelopeId,
  type FrameOf,
  fromBytes,
  type GroupEnvelopeId,
  MAX_VERSION,
  MIN_VERSION,
  type RelayFrame,
  type Time,
  toHex,
} from "@lethe/protocol";
import { WebSocket } from "ws";
import type { Chance } from "../chance.ts";
import type { Person } from "../person.ts";
import { helloOf, named, proofOf, type Reachable } from "../wire.ts";
import { monotonic, type Stamped, type WireLine } from "./history.ts";

/** A relay that runs, as soon as there is one. */
export type Where = () => Promise<Reachable>;

/** What has passed, by name, and what waits for more of it. */
export class Notes {
  readonly histories = new Map<string, Stamped[]>();
  #waiting: { at: number; resolve: () => void }[] = [];
  /** Ids that were accepted, and pushes. */
  events = 0;

  note(name: string, line: WireLine | { readonly is: "started"; readonly account: string }): void {
    const lines = this.histories.get(name) ?? [];
    this.histories.set(name, lines);
    lines.push({ wall: Date.now(), mono: monotonic(), ...line });
    if (line.is === "accepted") this.events += line.ids.length;
    if (line.is === "received") this.events++;
    const due = this.#waiting.filter(({ at }) => at <= this.events);
    this.#waiting = this.#waiting.filter(({ at }) => at > this.events);
    for (const { resolve } of due) resolve();
  }

  /** Until so many events have been. */
  until(events: number): Promise<void> {
    if (this.events >= events) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ at: events, resolve }));
  }
}

interface Raw {
  send(...frames: ClientFrame[]): void;
  end(): void;
  readonly closed: Promise<void>;
}

function openRaw(
  relay: Reachable,
  kind: ConnectionKind,
  on: { readonly opened: (raw: Raw) => void; readonly frame: (frame: RelayFrame, raw: Raw) => void },
): Raw {
  const socket = new WebSocket(relay.socketUrl(kind), { perMessageDeflate: false });
  socket.on("error", () => undefined); // its end says enough
  const raw: Raw = {
    send: (...frames) => socket.send(encodeFrames(...frames), { binary: true }),
    end: () => socket.terminate(),
    closed: new Promise((resolve) => socket.once("close", () => resolve())),
  };
  socket.on("open", () => on.opened(raw));
  socket.on("message", (data: Buffer) => {
    const context = { from: "relay", on: kind, version: MAX_VERSION } as const;
    for (const frame of decodeFrames(new Uint8Array(data), context))
      if (frame.frame === "ping") raw.send({ frame: "pong", token: frame.token });
      else on.frame(frame, raw);
  });
  return raw;
}

/** A person's device, while it is wanted online. */
export class GroupDevice {
  readonly person: Person;
  readonly #where: Where;
  readonly #notes: Notes;
  /** One push in so many is not acknowledged on its connection; undefined: all are. */
  forgets: { readonly chance: Chance; readonly oneIn: number } | undefined;
  #connections = 0;
  #raw: Raw | undefined;
  #staying: Promise<void> | undefined;

  constructor(person: Person, where: Where, notes: Notes) {
    this.person = person;
    this.#where = where;
    this.#notes = notes;
    notes.note(person.name, { is: "started", account: toHex(person.account) });
  }

  get isOnline(): boolean {
    return this.#staying !== undefined;
  }

  /** Connects, and again whenever its relay is gone. */
  come(): void {
    if (this.#staying !== undefined) return;
    const gone = Promise.withResolvers<undefined>();
    this.#leave = () => gone.resolve(undefined);
    let isWanted = true;
    void gone.promise.then(() => {
      isWanted = false;
    });
    this.#staying = (async () => {
      while (isWanted) {
        const relay = await Promise.race([this.#where(), gone.promise]);
        if (relay === undefined) return;
        this.#raw = this.#connect(relay);
        await Promise.race([this.#raw.closed, gone.promise]);
        this.#raw.end();
        await this.#raw.closed;
      }
    })();
  }

  #leave: () => void = () => undefined;

  /** Its connection ends without a word. */
  async go(): Promise<void> {
    this.#leave();
    await this.#staying;
    this.#staying = undefined;
  }

  #connect(relay: Reachable): Raw {
    const connection = ++this.#connections;
    const { person } = this;
    person.epoch++;
    return openRaw(relay, "device", {
      opened: (raw) => raw.send(helloOf(person)),
      frame: (frame, raw) => {
        if (frame.frame === "challenge") raw.send({ frame: "proof", signature: proofOf(person, frame) });
        if (frame.frame === "push") this.#pushed(frame, raw, connection);
      },
    });
  }

  #pushed({ id, ciphertext }: FrameOf<"push">, raw: Raw, connection: number): void {
    const { name } = this.person;
    this.taken.push({ id: toHex(id), mark: markOf(ciphertext) });
    this.#notes.note(name, { is: "received", id: toHex(id), connection });
    if (this.forgets?.chance.oneIn(this.forgets.oneIn) === true) return;
    raw.send({ frame: "delivered", ids: [id] });
    this.#notes.note(name, { is: "acknowledged", ids: [toHex(id)], connection });
  }

  /** Everything that came, repeats too. */
  readonly taken: { readonly id: string; readonly mark: string }[] = [];
}

interface Upload {
  readonly groupEnvelope: GroupEnvelopeId;
  readonly ciphertext: Buffer;
  readonly expiry: Time;
  /** Those who have no answer yet, by id. */
  readonly left: Map<string, Person>;
}

export interface GroupSenderOptions {
  readonly members: readonly Person[];
  readonly where: Where;
  readonly notes: Notes;
  readonly bytes: number;
  /** Uploads under way at the same time. */
  readonly window: number;
}

/** Uploads one ciphertext after another, as many as it is allowed. */
export class GroupSender {
  readonly #o: GroupSenderOptions;
  readonly uploads: Upload[] = [];
  readonly refused: string[] = [];
  #allowed = 0;
  #raw: Raw | undefined;
  #isReady = false;
  #isOver = false;
  #working: Promise<void> | undefined;

  constructor(options: GroupSenderOptions) {
    this.#o = options;
  }

  start(): void {
    this.#working = (async () => {
      while (!this.#isOver) {
        this.#raw = this.#connect(await this.#o.where());
        await this.#raw.closed;
        this.#isReady = false;
      }
    })();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    this.#raw?.end();
    await this.#working;
  }

  allow(count: number): void {
    this.#allowed += count;
    this.#goOn();
  }

  /** Uploads that are not answered whole. */
  get underWay(): number {
    return this.uploads.filter(({ left }) => left.size > 0).length;
  }

  /** Of these, those that some devices have been answered for. */
  get halfDone(): number {
    const { length } = this.#o.members;
    return this.uploads.filter(({ left }) => left.size > 0 && left.size < length).length;
  }

  get isDone(): boolean {
    return this.#allowed === this.uploads.length && this.underWay === 0;
  }

  #connect(relay: Reachable): Raw {
    return openRaw(relay, "anonymous", {
      opened: (raw) =>
        raw.send({ frame: "hello-anonymous", minVersion: MIN_VERSION, maxVersion: MAX_VERSION }),
      frame: (frame, raw) => {
        if (frame.frame === "welcome") {
          this.#isReady = true;
          for (const upload of this.uploads) if (upload.left.size > 0) this.#send(upload, raw);
          this.#goOn();
        }
        if (frame.frame === "accepted") this.#accepted(frame.ids);
        if (frame.frame === "refused") this.refused.push(`${named(frame.code)} ${frame.ids.length}`);
        if (frame.frame === "stale-list") this.refused.push("stale-list");
      },
    });
  }

  #accepted(ids: readonly EnvelopeId[]): void {
    for (const id of ids) for (const { left } of this.uploads.slice(-64)) if (left.delete(toHex(id))) break;
    this.#o.notes.note("sender", { is: "accepted", ids: ids.map(toHex) });
    this.#goOn();
  }

  #goOn(): void {
    const { members, bytes, window } = this.#o;
    while (this.#isReady && this.uploads.length < this.#allowed && this.underWay < window) {
      const groupEnvelope = fromBytes<GroupEnvelopeId>(randomBytes(16));
      const left = new Map(
        members.map((person) => [toHex(envelopeIdFor(groupEnvelope, person.address)), person]),
      );
      const expiry = (Date.now() + 3_600_000) as Time;
      const upload = { groupEnvelope, ciphertext: randomBytes(bytes), expiry, left };
      this.uploads.push(upload);
      if (this.#raw !== undefined) this.#send(upload, this.#raw);
    }
  }

  #send({ groupEnvelope, ciphertext, expiry, left }: Upload, raw: Raw): void {
    const mark = markOf(ciphertext);
    for (const [id, { account }] of left)
      this.#o.notes.note("sender", { is: "submitted", id, account: toHex(account), mark });
    const recipients = [...left.values()].map(({ account, accessKey, listVersion, device }) => ({
      account,
      accessKey,
      listVersion,
      devices: [device],
    }));
    raw.send({ frame: "submit-group", groupEnvelope, expiry, ciphertext, recipients });
  }
}

/** What a ciphertext is known by. */
export function markOf(ciphertext: Uint8Array): string {
  return createHash("sha256").update(ciphertext).digest("hex");
}
