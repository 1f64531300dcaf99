// The ratchet core against libolm: code that nobody here wrote. With Olm's functions passed in, the core must talk to
// @matrix-org/olm both ways, out of order, with losses and repeats. Schedules come from the seed; libolm draws keys of its
// own, so a failing schedule repeats in everything but the keys.
import Olm from "@matrix-org/olm";
import { beforeAll, describe, expect, it } from "vitest";
import { ready } from "../../crypto/index.ts";
import { Conversation, type OlmMail } from "./olm/conversation.ts";
import { seededRandom, seedOf } from "./support.ts";

beforeAll(async () => {
  await ready();
  await Olm.init();
});

const seed = seedOf("olm", 3_215);

/** libolm keeps 40 skipped keys and 5 chains: what is under way stays well inside that. */
const LIMITS = { inFlight: 12, age: 20, chains: 3 };

interface Flying extends OlmMail {
  readonly sentAs: number;
  readonly chainNumber: number;
}

/** One direction: what is under way, and how it is read. */
class Lane {
  readonly flying: Flying[] = [];
  sent = 0;
  arrived = 0;
  #chain = "";
  #chains = 0;
  readonly #send: (text: string) => OlmMail;
  readonly #read: (mail: OlmMail) => string;

  constructor(send: (text: string) => OlmMail, read: (mail: OlmMail) => string) {
    this.#send = send;
    this.#read = read;
  }

  push(mail: OlmMail): void {
    if (mail.chain !== this.#chain) this.#chains++;
    this.#chain = mail.chain;
    this.flying.push({ ...mail, sentAs: this.sent++, chainNumber: this.#chains });
  }

  send(text: string): void {
    this.push(this.#send(text));
  }

  /** Whether the oldest message must arrive before anything else is sent. */
  isFull(): boolean {
    const [oldest] = this.flying;
    if (oldest === undefined) return false;
    const tooOld = this.sent - oldest.sentAs > LIMITS.age;
    return (
      tooOld || this.flying.length >= LIMITS.inFlight || this.#chains - oldest.chainNumber >= LIMITS.chains
    );
  }

  arrive(at: number, twice: boolean): void {
    const [mail] = this.flying.splice(at, 1);
    if (mail === undefined) return;
    expect(this.#read(mail)).toBe(mail.text);
    this.arrived++;
    if (twice) expect(this.#read(mail)).toMatch(/^!(duplicate|OLM\.)/);
  }

  lose(at: number): void {
    this.flying.splice(at, 1);
  }

  /** A message with one bit changed is refused by both, and the right one still opens. */
  corrupt(at: number, bit: number): void {
    const mail = this.flying[at];
    if (mail === undefined) return;
    const body = Uint8Array.from(mail.body);
    const from = body.length - 8;
    body[from + (bit % 8)] = (body[from + (bit % 8)] as number) ^ (1 << (bit % 7));
    expect(this.#read({ ...mail, body })).toMatch(/^!(aead-fail|OLM\.)/);
  }
}

function runSchedule(run: number, startedBy: "olm" | "us"): { toUs: Lane; toOlm: Lane } {
  const random = seededRandom(run);
  using talk = new Conversation(random);
  const toUs = new Lane(
    (text) => talk.sendOlm(text),
    (mail) => talk.weRead(mail),
  );
  const toOlm = new Lane(
    (text) => talk.sendOurs(text),
    (mail) => talk.olmReads(mail),
  );
  if (startedBy === "olm") toUs.push(talk.startedByOlm());
  else toOlm.push(talk.startedByUs());
  (startedBy === "olm" ? toUs : toOlm).arrive(0, false);
  for (let step = 0; step < 150; step++) {
    const lane = random.below(2) === 0 ? toUs : toOlm;
    const at = random.below(Math.max(1, lane.flying.length));
    const fate = random.below(100);
    if (lane.isFull()) lane.arrive(0, false);
    else if (fate < 60) lane.send(`message ${step}${"·".repeat(random.below(40))}`);
    else if (fate < 62) lane.lose(at);
    else if (fate < 64) lane.corrupt(at, random.below(64));
    else lane.arrive(at, random.below(8) === 0);
  }
  for (const lane of [toUs, toOlm]) while (lane.flying.length > 0) lane.arrive(lane.flying.length - 1, false);
  return { toUs, toOlm };
}

describe("the ratchet core with Olm's functions, against @matrix-org/olm 3.2.15", () => {
  for (const startedBy of ["olm", "us"] as const)
    it(`talks both ways, out of order, over random schedules, started by ${startedBy}`, () => {
      const total = { toUs: 0, toOlm: 0 };
      for (let run = 0; run < 25; run++)
        try {
          const { toUs, toOlm } = runSchedule(seed + run, startedBy);
          total.toUs += toUs.arrived;
          total.toOlm += toOlm.arrived;
        } catch (error) {
          throw new Error(`SEED=${seed + run}`, { cause: error });
        }
      expect(total.toUs).toBeGreaterThan(600);
      expect(total.toOlm).toBeGreaterThan(600);
    });

  it("opens a chain of 2,000 that libolm sent backwards in what it keeps", () => {
    using talk = new Conversation(seededRandom(seed));
    const first = talk.startedByOlm();
    expect(talk.weRead(first)).toBe("first");
    const mail = Array.from({ length: 2_000 }, (_, i) => talk.sendOlm(`m${i}`));
    expect(mail.toReversed().map((sent) => talk.weRead(sent))).toEqual(
      mail.toReversed().map(({ text }) => text),
    );
  });
});
