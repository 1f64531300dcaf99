// Attacks on several ratchets between the same two devices: first messages that cross, archived ratchets, copied states.
import { beforeAll, describe, expect, it } from "vitest";
import { receive, stepSending } from "../../crypto/double-ratchet.ts";
import {
  expireArchived,
  giveUp,
  giveUpOn,
  keepHeard,
  keepOwn,
  keepStep,
  type KeptRatchets,
  MAX_ARCHIVED,
  NO_RATCHETS,
  type Ratchet,
  ratchetsOf,
  ready,
  replacement,
  RETENTION_MS,
  RETENTION_SLACK_MS,
  startRatchet,
} from "../../crypto/index.ts";
import { letheSuite } from "../../crypto/suite.ts";
import { type Arrival, DAY, Device, later, type Mail, seededRandom, seedOf, START } from "./support.ts";

beforeAll(ready);

const random = seededRandom(21);

/** A device whose ratchets with one other are kept by the rules, with real keys and real messages. */
class Keeping {
  readonly device: Device;
  kept: KeptRatchets = NO_RATCHETS;

  constructor(device: Device) {
    this.device = device;
  }

  #show(other: Keeping): void {
    this.device.ratchets.set(other.device.address, ratchetsOf(this.kept));
  }

  start(other: Keeping): Ratchet {
    const bundle = this.device.verifyBundle(
      other.device,
      other.device.bundle({ oneTime: false, oneTimeKem: false }),
    );
    if (bundle.code !== "ok") throw new Error(bundle.code);
    this.device.peers.set(other.device.address, bundle.peer);
    const { identity, now } = this.device;
    const replaces = replacement(this.kept);
    const started = startRatchet({ identity, bundle: bundle.bundle, replaces, random, now });
    if (started.code !== "ok") throw new Error(started.code);
    this.kept = keepOwn(this.kept, started.ratchet, now);
    return started.ratchet;
  }

  send(other: Keeping, said: string): Mail {
    if (this.kept.sending === undefined) this.start(other);
    this.#show(other);
    const mail = this.device.send(other.device, said);
    this.kept = keepStep(this.kept, this.device.ratchet(other.device));
    return mail;
  }

  hear(other: Keeping, mail: Mail): Arrival {
    this.#show(other);
    const outcome = this.device.receive(mail);
    if ("ratchet" in outcome) this.kept = keepHeard(this.kept, outcome.ratchet, this.device.now);
    if (outcome.code === "forked" && outcome.failed?.ratchet !== undefined)
      this.kept = giveUpOn(this.kept, outcome.failed.ratchet, this.device.now);
    return outcome;
  }

  read(other: Keeping, mail: Mail): string {
    const outcome = this.hear(other, mail);
    return outcome.code === "ok" ? new TextDecoder().decode(outcome.plaintext) : `!${outcome.code}`;
  }

  get sendsOn(): string | undefined {
    return this.kept.sending?.id;
  }
}

function two(seed: number): [Keeping, Keeping] {
  const chance = seededRandom(seed);
  return [new Keeping(new Device(chance)), new Keeping(new Device(chance))];
}

function round(a: Keeping, b: Keeping): void {
  expect(b.read(a, a.send(b, "round")), "one way").toBe("round");
  expect(a.read(b, b.send(a, "trip")), "the other way").toBe("trip");
}

// --- attack 21 -------------------------------------------------------------------------------------------------------

/** One side's ratchets and the messages under way to it, immutable, so that schedules share what they have in common. */
interface Side {
  readonly kept: KeptRatchets;
  readonly own: Ratchet;
  /** The other side's own ratchet, as this side answers it. */
  readonly theirs: Ratchet;
  readonly sent: number;
  readonly mail: readonly Flying[];
  readonly opened: number;
}

interface Flying {
  readonly ratchet: string;
  readonly counters: Parameters<typeof receive>[2]["counters"];
  readonly sealed: Uint8Array;
}

type Both = readonly [Side, Side];

function sideSends(both: Both, who: 0 | 1): Both {
  const side = both[who];
  const kept = side.kept.sending === undefined ? keepOwn(side.kept, side.own, START) : side.kept;
  const ratchet = kept.sending as Ratchet;
  const step = stepSending(letheSuite, ratchet.core, random);
  if (step === undefined) throw new Error("no step");
  const sealed = letheSuite.seal(step.key, [ratchet.ad], new Uint8Array(8), random);
  const flying = { ratchet: ratchet.id, counters: step.counters, sealed };
  const other = both[1 - who] as Side;
  const next = { ...side, kept: keepStep(kept, { ...ratchet, core: step.core }), sent: side.sent + 1 };
  return put(both, who, next, { ...other, mail: [...other.mail, flying] });
}

function put(both: Both, who: 0 | 1, side: Side, other: Side = both[1 - who] as Side): Both {
  return who === 0 ? [side, other] : [other, side];
}

/** Any message under way may come next: order is the relay's to choose. */
function sideHears(both: Both, who: 0 | 1, at: number): Both {
  const side = both[who];
  const { ratchet: id, counters, sealed } = side.mail[at] as Flying;
  const ratchet = ratchetsOf(side.kept).find((kept) => kept.id === id) ?? side.theirs;
  expect(ratchet.id).toBe(id);
  const got = receive(letheSuite, ratchet.core, { counters, ad: [ratchet.ad], sealed, now: START });
  if (got.code !== "ok") throw new Error(got.code);
  const confirmed: Ratchet = { ...ratchet, core: got.core, standing: { at: "confirmed" } };
  const kept = keepHeard(side.kept, confirmed, START);
  return put(both, who, { ...side, kept, mail: side.mail.toSpliced(at, 1), opened: side.opened + 1 });
}

/** Walks every schedule of `messages` a side; `anyOrder`: a message may overtake others. */
function walk(both: Both, limits: { messages: number; anyOrder: boolean }, done: (both: Both) => void): void {
  let ended = true;
  for (const who of [0, 1] as const) {
    const side = both[who];
    if (side.sent < limits.messages) {
      ended = false;
      walk(sideSends(both, who), limits, done);
    }
    const choices = limits.anyOrder ? side.mail.length : Math.min(1, side.mail.length);
    for (let at = 0; at < choices; at++) {
      ended = false;
      walk(sideHears(both, who, at), limits, done);
    }
  }
  if (ended) done(both);
}

/** Ids, roles, standing and place of all that both sides keep. */
function shapeOf(both: Both): string {
  const show = ({ id, role, standing, core }: Ratchet): string =>
    `${id}${role}${standing.at}${core.sending.at}${core.receiving.at}`;
  return both
    .map(
      ({ kept }) =>
        `${kept.sending === undefined ? "-" : show(kept.sending)}|${ratchetsOf(kept).map(show).join()}`,
    )
    .join("//");
}

/** Each side's own ratchet and its answer to the other's, made by a real key agreement. */
function crossing(seed: number): Both {
  const [a, b] = two(seed);
  const [fromA, fromB] = [a.start(b), b.start(a)];
  const [toB, toA] = [a.send(b, "x"), b.send(a, "x")];
  const [atB, atA] = [b.hear(a, toB), a.hear(b, toA)];
  if (!("ratchet" in atA) || !("ratchet" in atB)) throw new Error("not opened");
  const answer = (heard: Ratchet, prekey: Device): Ratchet => {
    const { secret, upload } = prekey.prekey("signed");
    const own = { secret, publicKey: upload.slice(20, 52) };
    // As it was before the message: root and first key are the agreement's.
    return { ...heard, core: { ...startAgain(heard.id === fromA.id ? fromA : fromB, own) } };
  };
  const side = (own: Ratchet, theirs: Ratchet): Side => ({
    kept: NO_RATCHETS,
    own,
    theirs,
    sent: 0,
    mail: [],
    opened: 0,
  });
  return [side(fromA, answer(atA.ratchet, a.device)), side(fromB, answer(atB.ratchet, b.device))];
}

function startAgain(
  initiators: Ratchet,
  own: { secret: Ratchet["headerKey"]; publicKey: Uint8Array },
): Ratchet["core"] {
  const sending = { at: "chain", own, key: initiators.headerKey, next: 0, previousCount: 0 } as const;
  const receiving = { at: "none", peer: new Uint8Array(32) } as const;
  return { root: initiators.core.root, sending, receiving, skipped: [], past: [], older: new Uint8Array() };
}

describe("attack 21: first messages that cross", () => {
  const agree = (both: Both): Both => {
    let at = sideSends(both, 0);
    at = sideHears(at, 1, at[1].mail.length - 1);
    at = sideSends(at, 1);
    at = sideHears(at, 0, at[0].mail.length - 1);
    if (at[0].kept.sending?.id !== at[1].kept.sending?.id) throw new Error("two ratchets are used");
    return at;
  };

  it("all interleavings of 2 x 3 messages: every message opens, and both sides use one ratchet after a round", () => {
    for (const seed of [1]) {
      const ends = new Set<string | undefined>();
      const shapes = new Map<string, string | undefined>();
      let schedules = 0;
      walk(crossing(seed), { messages: 3, anyOrder: false }, (both) => {
        schedules++;
        expect([both[0].opened, both[1].opened]).toEqual([3, 3]);
        // Which one is chosen depends on which are kept alone: a round for each such end is enough.
        const kept = shapeOf(both);
        if (!shapes.has(kept)) shapes.set(kept, agree(both)[0].kept.sending?.id);
        ends.add(shapes.get(kept));
      });
      expect(schedules).toBe(23_100);
      expect(ends.size, "either side's ratchet can be the one").toBe(2);
    }
  }, 300_000);

  it("all interleavings of 2 x 2 messages that overtake each other as well", () => {
    for (const seed of [1, 2, 3, 4]) {
      let schedules = 0;
      walk(crossing(seed), { messages: 2, anyOrder: true }, (both) => {
        schedules++;
        expect([both[0].opened, both[1].opened]).toEqual([2, 2]);
        agree(both);
      });
      expect(schedules).toBe(630);
    }
  }, 300_000);

  it("whole envelopes, a hundred random schedules: what was said is read once, and one ratchet is left in use", () => {
    const seed = seedOf("attack 21", 21);
    for (let i = 0; i < 100; i++) {
      const chance = seededRandom(seed + i);
      const [a, b] = two(seed + i);
      const flying: [Mail[], Mail[]] = [[], []];
      const read: string[] = [];
      for (let left = 14; left > 0 || flying[0].length + flying[1].length > 0; left--) {
        const who = chance.below(2) as 0 | 1;
        const [me, other] = who === 0 ? [a, b] : [b, a];
        if (left > 0 && chance.below(2) === 0) flying[1 - who]?.push(me.send(other, `${who}${left}`));
        else {
          const [mail] = flying[who].splice(chance.below(Math.max(1, flying[who].length)), 1);
          if (mail !== undefined) read.push(me.read(other, mail));
        }
      }
      expect(read.filter((said) => said.startsWith("!"))).toEqual([]);
      expect(new Set(read).size).toBe(read.length);
      round(a, b);
      expect(a.sendsOn).toBe(b.sendsOn);
    }
  }, 120_000);

  it("a restored store's new ratchet goes first, whichever id is lower", () => {
    for (let seed = 1; seed <= 6; seed++) {
      const [a, b] = two(400 + seed);
      round(a, b);
      b.kept = giveUp(b.kept, START, false);
      a.start(b);
      const crossed = a.send(b, "crossed");
      const fresh = b.send(a, "of a restored store");
      expect(a.read(b, fresh)).toBe("of a restored store");
      expect(a.sendsOn).toBe(b.sendsOn);
      expect(b.read(a, crossed)).toBe("crossed");
      expect(a.sendsOn).toBe(b.sendsOn);
    }
  });

  it("a first message that comes late, behind its successor's, does not turn the choice back", () => {
    const [a, b] = two(60);
    const late = b.send(a, "first");
    b.start(a);
    const next = b.send(a, "second");
    expect(a.read(b, next)).toBe("second");
    const used = a.sendsOn;
    expect(a.read(b, late)).toBe("first");
    expect(a.sendsOn).toBe(used);
    round(a, b);
    expect(b.sendsOn).toBe(used);
  });
});

// --- attack 19 -------------------------------------------------------------------------------------------------------

describe("attack 19: a copied old state sends on an archived ratchet", () => {
  it("is never promoted for sending, and what was under way on it still opens", () => {
    const [a, b] = two(19);
    round(a, b);
    const old = b.sendsOn;
    const underWay = b.send(a, "was under way");
    a.start(b);
    round(a, b);
    const used = a.sendsOn;
    expect(used).not.toBe(old);
    expect(a.read(b, underWay)).toBe("was under way");
    expect(a.sendsOn).toBe(used);
    expect(a.kept.archived.map(({ ratchet }) => ratchet.id)).toContain(old);
  });

  it("is refused behind the end that its owner named, whole, and told", () => {
    const [a, b] = two(20);
    round(a, b);
    round(a, b);
    const copy = new Keeping(b.device);
    copy.kept = b.kept;
    const underWay = b.send(a, "before the end");
    b.start(a);
    expect(a.read(b, b.send(a, "a new one"))).toBe("a new one");
    const used = a.sendsOn;
    const before = a.kept;
    copy.send(a, "spends the number that the owner used");
    expect(a.read(b, copy.send(a, "behind the end"))).toBe("!superseded");
    expect(a.kept).toBe(before);
    expect(a.read(b, underWay)).toBe("before the end");
    expect(a.sendsOn).toBe(used);
  });

  it("with a ratchet key of its own is refused as well: the end names the last key", () => {
    const [a, b] = two(22);
    round(a, b);
    const copied = b.kept;
    expect(b.read(a, a.send(b, "a new key of mine"))).toBe("a new key of mine");
    expect(a.read(b, b.send(a, "and of mine"))).toBe("and of mine");
    b.start(a);
    expect(a.read(b, b.send(a, "a new one"))).toBe("a new one");
    const copy = new Keeping(b.device);
    copy.kept = copied;
    expect(a.read(b, copy.send(a, "from long ago"))).toMatch(/^!(superseded|forked|duplicate|key-expired)$/);
    expect(a.sendsOn).toBe(b.sendsOn);
  });

  it("keeps at most 8, the newest, until R + 2 d after they were replaced", () => {
    const [a, b] = two(23);
    round(a, b);
    const ids: (string | undefined)[] = [];
    for (let week = 1; week <= 12; week++) {
      ids.push(a.sendsOn);
      for (const each of [a, b]) each.device.now = later(START, week * DAY);
      a.start(b);
      round(a, b);
    }
    expect(a.kept.archived.map(({ ratchet }) => ratchet.id)).toEqual(ids.toReversed().slice(0, MAX_ARCHIVED));
    const over = RETENTION_MS + RETENTION_SLACK_MS;
    expect(expireArchived(a.kept, later(START, 12 * DAY + over - 1)).archived).toHaveLength(1);
    expect(expireArchived(a.kept, later(START, 12 * DAY + over)).archived).toEqual([]);
    expect(expireArchived(a.kept, later(START, 12 * DAY))).toBe(a.kept);
  });
});
