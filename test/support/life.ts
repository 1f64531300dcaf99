// One hostile connection from its beginning to its end: draws inputs, sends them, and compares what becomes of them with
// what the oracle has said beforehand. Throws where they differ, with every input that it sent.
import { decodeFrames, encodeFrames, MAX_VERSION, PROBLEMS, type RelayFrame } from "@lethe/protocol";
import { BareSocket, binaryMessage } from "./bare-socket.ts";
import type { Chance } from "./chance.ts";
import { drawInput, type Input, type Standing } from "./hostile.ts";
import type { Person } from "./person.ts";
import { within } from "./waiting.ts";
import { named, proofOf } from "./wire.ts";

const PATIENCE_MS = 20_000;

/** What the WebSocket layer ends a connection with (RFC 6455 section 7.4.1), or without a word. */
const WEBSOCKET_ENDS: readonly (number | undefined)[] = [1002, 1003, 1007, 1008, 1009, undefined];

/** Where lives are led. */
export interface Stage {
  readonly port: number;
  /** Whom inputs name: people whom the relay knows, and people whom it does not. */
  readonly people: readonly Person[];
  /** Devices to log in as; each is taken by one life at a time. */
  readonly devices: Person[];
}

export interface Tally {
  inputs: number;
  connections: number;
  /** Questions answered and envelopes accepted or refused. */
  answers: number;
  /** How often a connection ended with which code. */
  readonly ends: Map<string, number>;
}

/** One connection's life: inputs until one ends it or there have been enough; then the ends are compared. */
export class Life {
  readonly #stage: Stage;
  readonly #chance: Chance;
  readonly #kind: "device" | "anonymous";
  readonly #frames: RelayFrame[] = [];
  readonly #socket: BareSocket;
  #arrived: () => void = () => undefined;
  #standing: Standing = "greeting";
  #owed = 0;
  #answers = 0;
  readonly #inputs: string[] = [];
  #person: Person | undefined;

  constructor(stage: Stage, chance: Chance) {
    this.#stage = stage;
    this.#chance = chance;
    this.#kind = chance.oneIn(3) ? "device" : "anonymous";
    this.#socket = new BareSocket(stage.port, this.#kind, (message) => this.#take(message));
  }

  #take(message: Buffer): void {
    for (const frame of decodeFrames(message, { from: "relay", on: this.#kind, version: MAX_VERSION })) {
      this.#frames.push(frame);
      this.#answers += answersIn(frame);
    }
    this.#arrived();
  }

  async run(tally: Tally): Promise<void> {
    try {
      await this.#live(tally);
    } finally {
      if (this.#person !== undefined) this.#stage.devices.unshift(this.#person);
    }
  }

  async #live(tally: Tally): Promise<void> {
    tally.connections++;
    if (!this.#chance.oneIn(10)) {
      if (this.#kind === "anonymous") this.#greet();
      else await this.#login();
    }
    for (let left = this.#chance.between(5, 80); left > 0; left--) {
      const input = drawInput({
        chance: this.#chance,
        on: this.#kind,
        standing: this.#standing,
        person: () => this.#chance.pick(this.#stage.people),
      });
      tally.inputs++;
      this.#inputs.push(`${input.what}:${input.bytes.toString("hex")}`);
      this.#socket.write(input.bytes);
      if (input.fate.is !== "goes-on") return this.#over(input, tally);
      this.#standing = input.fate.standing;
      this.#owed += input.fate.answers;
    }
    await this.#allAnswered();
    tally.answers += this.#answers;
    this.#socket.destroy();
    await this.#socket.ended;
  }

  #greet(): void {
    this.#socket.write(
      binaryMessage(encodeFrames({ frame: "hello-anonymous", minVersion: 1, maxVersion: 9 })),
    );
    this.#standing = "open";
    this.#owed++;
  }

  async #login(): Promise<void> {
    const person = this.#stage.devices.pop() as Person; // nobody else logs in as this device meanwhile
    this.#person = person;
    person.epoch++;
    const { account, device, epoch } = person;
    this.#socket.write(
      binaryMessage(encodeFrames({ frame: "hello", minVersion: 1, maxVersion: 1, account, device, epoch })),
    );
    await this.#until(() => this.#frames.length > 0);
    const challenge = this.#frames[0];
    if (challenge?.frame !== "challenge") throw new Error(`challenge was expected, ${challenge?.frame} came`);
    this.#socket.write(
      binaryMessage(encodeFrames({ frame: "proof", signature: proofOf(person, challenge) })),
    );
    await this.#until(() => this.#frames.some(({ frame }) => frame === "welcome"));
    this.#standing = "open";
    this.#answers = 0;
  }

  async #until(fits: () => boolean): Promise<void> {
    const what = (): string => this.#describe("an answer");
    while (!fits())
      await within(PATIENCE_MS, what, new Promise<void>((resolve) => (this.#arrived = resolve)));
  }

  #describe(what: string): string {
    return `${what} (${this.#kind}, ${this.#standing}, ${this.#answers} answers of ${this.#owed}, last ${this.#frames.at(-1)?.frame}, inputs ${this.#inputs.join(" ")})`;
  }

  /** Every question has its answer, every envelope its fate; each code is one of the table. */
  async #allAnswered(): Promise<void> {
    await this.#until(() => this.#answers >= this.#owed);
    if (this.#answers > this.#owed) throw new Error(this.#describe("more answers than questions"));
  }

  async #over(input: Input, tally: Tally): Promise<void> {
    const { status } = await within(PATIENCE_MS, `the end after ${input.what}`, this.#socket.ended);
    tally.answers += this.#answers;
    const last = this.#frames.at(-1);
    const said = last?.frame === "error" ? named(last.code) : last?.frame;
    const isRight =
      input.fate.is === "ends"
        ? said === input.fate.code && status === PROBLEMS[input.fate.code].close
        : WEBSOCKET_ENDS.includes(status);
    if (!isRight)
      throw new Error(this.#describe(`${JSON.stringify(input.fate)} was due, ${said} ${status} came`));
    const end = input.fate.is === "ends" ? input.fate.code : "broken WebSocket";
    tally.ends.set(end, (tally.ends.get(end) ?? 0) + 1);
  }
}

/** How many questions or envelopes a frame answers. */
function answersIn(frame: RelayFrame): number {
  switch (frame.frame) {
    case "accepted":
    case "refused":
    case "stale-list":
      if (frame.frame === "refused") named(frame.code);
      return frame.ids.length;
    case "ask-refused":
      return named(frame.code).length > 0 ? 1 : 0;
    case "is-account":
    case "has-devices":
    case "has-prekeys":
    case "pong":
    case "challenge":
    case "welcome":
      return 1;
    default:
      return 0;
  }
}
