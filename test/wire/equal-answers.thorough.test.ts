// Whoever asks without the right key learns nothing of whom they ask for, neither from answers nor from times: not whether the
// account is there, not whether it is in use, not whether the key was right once. Every class of asking is compared with every
// other, in rounds of random order, byte for byte and by the times between question and answer.
import { type ClientFrame, type DeviceNumber, encodeFrames, PATHS } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import { aRelay } from "../support/a-relay.ts";
import { Chance } from "../support/chance.ts";
import { ask, Person } from "../support/person.ts";
import { SlowProxy } from "../support/slow-proxy.ts";
import { differences, inRounds, spreads } from "../support/timing.ts";
import { anId, hex, sealed, submitTo, Wire } from "../support/wire.ts";

const ROUNDS = 300;
/** Rounds before them that are not counted: code gets hot, connections get their buffers. */
const WARM_UP = 40;
const TOTAL = WARM_UP + ROUNDS;
/** What the control adds to one class at least, ms: less than half of what a look-up in the directory takes there and back. */
const LEAST_DELAY_MS = 0.1;

const chance = Chance.forThisRun("equal answers");
const relay = aRelay();

const CLASSES = [
  "a wrong key of somebody idle",
  "a wrong key of somebody in use",
  "nobody's account",
  "nobody's account, again",
  "a key that was replaced",
] as const;
type Class = (typeof CLASSES)[number];

let busy: Person;
let replaced: Person;
const nobody = Person.called("nobody");

const wrong = (person: Person): Person =>
  Object.assign(Object.create(person) as Person, { accessKey: chance.bytes(16) });

beforeAll(async () => {
  busy = await Person.called("busy").register(relay.at);
  replaced = await Person.called("replaced").register(relay.at);
  const { accessKeyHash } = Person.called("new").registration;
  const put = await replaced.request(relay.at, "PUT", PATHS.accessKey, { accessKeyHash });
  expect(put.status).toBe(200);
});

/** So many accounts that nobody has asked for yet. */
async function idlePeople(count: number): Promise<Person[]> {
  const people = Array.from({ length: count }, () => Person.called("idle"));
  const lanes = Array.from({ length: 16 }, async (_, lane) => {
    for (let i = lane; i < count; i += 16) await people[i]?.register(relay.at);
  });
  await Promise.all(lanes);
  return people;
}

/** Whom a class asks for, with the key that it shows. */
function askedFor(of: Class, idle: Person): Person {
  switch (of) {
    case "a wrong key of somebody idle":
      return wrong(idle);
    case "a wrong key of somebody in use":
      return wrong(busy);
    case "nobody's account":
      return Person.called("nobody");
    case "nobody's account, again":
      return nobody;
    case "a key that was replaced":
      return replaced;
  }
}

const latin1 = (text: string): string => hex(Buffer.from(text, "latin1"));
const unsigned32 = 0x01020304;

/** What is sent, and what of it comes back in the answer, in hexadecimal. */
interface Question {
  readonly frames: readonly ClientFrame[];
  readonly echo: string;
}

/** Made before anything is measured: what the client does just before it asks would show in its times. */
function prepared<C extends string, T>(
  classes: readonly C[],
  make: (of: C, round: number) => T,
): (of: C, round: number) => T {
  const made = new Map(
    classes.map((of) => [of, Array.from({ length: TOTAL }, (_, round) => make(of, round))]),
  );
  return (of, round) => made.get(of)?.[round] as T;
}

/** Times of so many rounds, those at the beginning left out. */
async function measured<C extends string>(
  classes: readonly C[],
  ask: (of: C, round: number) => Promise<number>,
): Promise<Record<C, number[]>> {
  const times = await inRounds(classes, TOTAL, chance, ask);
  for (const of of classes) times[of] = times[of].slice(WARM_UP);
  return times;
}

const QUESTIONS: Readonly<Record<string, (whom: Person) => Question>> = {
  submit(whom) {
    const envelope = sealed("hello", anId());
    return { frames: [submitTo(whom, envelope)], echo: latin1(envelope.id) };
  },
  // Which nobody answers: what is measured is the ping behind it.
  signal: (whom) => ({
    frames: [
      {
        frame: "signal",
        recipient: whom.account,
        accessKey: whom.accessKey,
        envelopes: [{ device: 1 as DeviceNumber, ...sealed("typing") }],
      },
      { frame: "ping", token: unsigned32 },
    ],
    echo: "",
  }),
  "ask-devices": ({ account, accessKey }) => ({
    frames: [{ frame: "ask-devices", request: unsigned32, account, accessKey }],
    echo: "",
  }),
  "ask-prekeys": ({ account, device, accessKey }) => ({
    frames: [
      { frame: "ask-prekeys", request: unsigned32, account, device, accessKey, requestId: chance.bytes(16) },
    ],
    echo: "",
  }),
  watch: ({ account, accessKey }) => ({
    frames: [{ frame: "watch", account, accessKey }],
    echo: latin1(account),
  }),
};

/** Keeps the account of somebody in use at hand, as their contacts do. */
async function use(wire: Wire): Promise<void> {
  wire.send(submitTo(busy, sealed("from a contact")));
  await wire.message();
}

describe("on an anonymous connection", () => {
  it.each(Object.entries(QUESTIONS))("%s is answered alike, whatever is wrong", async (_name, question) => {
    const idle = await idlePeople(TOTAL);
    const questions = prepared(CLASSES, (of, round) => {
      const { frames, echo } = question(askedFor(of, idle[round] as Person));
      return { bytes: encodeFrames(...frames), echo };
    });
    await using contact = await Wire.anonymous(relay.at);
    await using wire = await Wire.anonymous(relay.at);
    await contact.message();
    await wire.message();
    await use(contact);
    const answers = new Map<string, Set<Class>>();
    const times = await measured(CLASSES, async (of, round) => {
      const { bytes, echo } = questions(of, round);
      const sent = performance.now();
      wire.sendBytes(bytes);
      const answer = await wire.message();
      const took = performance.now() - sent;
      const same = echo === "" ? answer : answer.replace(echo, "echo");
      answers.set(same, (answers.get(same) ?? new Set()).add(of));
      return took;
    });
    expect([...answers.values()].map((classes) => classes.size)).toEqual([CLASSES.length]);
    expect(wire.messages()).toEqual([]);
    expect(differences(times, chance)).toEqual([]);
  });
});

/** What is wrong with a device that shows a signature. */
const UNPROVEN = ["nobody's account", "no device of the account", "a wrong signature"] as const;

function unproven(of: (typeof UNPROVEN)[number]): Person {
  const device = of === "no device of the account" ? 9 : 1;
  const who = of === "nobody's account" ? Person.called("nobody") : new Person(busy.name, device, busy);
  return Object.assign(Object.create(who) as Person, { epoch: 1 });
}

describe("a device that is not on record, and a signature that does not hold", () => {
  it("are refused alike over HTTP", async () => {
    const none = Buffer.alloc(0);
    const authorizations = prepared(UNPROVEN, (of) => unproven(of).authorization("GET", PATHS.prekeys, none));
    const answers = new Set<string>();
    const times = await measured(UNPROVEN, async (of, round) => {
      const sent = performance.now();
      const answer = await ask(relay.at, "GET", PATHS.prekeys, none, authorizations(of, round));
      const took = performance.now() - sent;
      const told = [...answer.headers].filter(([name]) => name !== "date");
      answers.add(JSON.stringify([answer.status, told, { ...answer.body, now: 0 }]));
      return took;
    });
    expect([...answers]).toHaveLength(1);
    expect(differences(times, chance)).toEqual([]);
  });

  it("are refused alike at login", async () => {
    const people = prepared(UNPROVEN, unproven);
    const answers = new Set<string>();
    const times = await measured(UNPROVEN, async (of, round) => {
      await using wire = await Wire.raw(relay.at, "device");
      const proof = encodeFrames(await wire.challenged(people(of, round)));
      await wire.message();
      const sent = performance.now();
      wire.sendBytes(proof);
      answers.add(await wire.message());
      return performance.now() - sent;
    });
    expect([...answers]).toHaveLength(1);
    expect(differences(times, chance)).toEqual([]);
  });
});

describe("the measure", () => {
  const control = ["as they come", "as they come too", "delayed"] as const;

  /** Times through a proxy that holds up one of the classes. */
  async function through(
    proxy: SlowProxy,
    delayMs: number,
  ): Promise<Record<(typeof control)[number], number[]>> {
    await using wire = await Wire.anonymous(proxy);
    await wire.message();
    const questions = prepared(control, () =>
      encodeFrames(submitTo(Person.called("nobody"), sealed("hello"))),
    );
    return await measured(control, async (of, round) => {
      proxy.delayMs = of === "delayed" ? delayMs : 0;
      const sent = performance.now();
      wire.sendBytes(questions(of, round));
      await wire.message();
      return performance.now() - sent;
    });
  }

  it("finds no difference where there is none, and one that is little more than what it calls chance", async () => {
    await using proxy = await SlowProxy.before(relay.at);
    const equal = await through(proxy, 0);
    expect(differences(equal, chance)).toEqual([]);
    const delayMs = Math.max(LEAST_DELAY_MS, 2 * Math.min(...spreads(equal["as they come"], chance)));
    process.stdout.write(`control: ${Math.round(delayMs * 1_000)} µs\n`);
    const delayed = await through(proxy, delayMs);
    expect(differences(delayed, chance).map((found) => found.split(":")[0])).toEqual([
      "as they come, delayed",
      "as they come too, delayed",
    ]);
  });
});
