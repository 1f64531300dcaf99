// Attacks 8, 9, 14, 19 to 22 and 26 together: random schedules of two people, a relay that loses, repeats, replays, alters,
// holds back and reorders, processes that start again, ratchets that are lost and stores that are put back. Then calm:
// both sides agree on one ratchet again, and nothing was altered, or told twice.
import type { EnvelopeId } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import { bodyOf } from "../../client-lib/content/content.ts";
import { MAX_ARCHIVED, ready } from "../../crypto/index.ts";
import { AttackWorld, type Seen, type Side } from "./attack-world.ts";
import { DAY, seededRandom, seedOf } from "./support.ts";

beforeAll(ready);

const HOUR = 3_600_000;

interface Tally {
  said: number;
  read: number;
  altered: number;
  lost: number;
  resets: number;
  resent: number;
  restored: number;
  crossed: number;
}

/** One schedule. Gives what became of it; throws where a promise was broken. */
function live(seed: number, tally: Tally, harm: { readonly stores: boolean }): void {
  const chance = seededRandom(seed);
  const world = new AttackWorld("anna", "ben");
  const [anna, ben] = [world.side("anna"), world.side("ben")];
  const held: Seen[] = [];
  const past: Seen[] = [];
  const copies = new Map<Side, ReturnType<Side["copy"]>>();
  const forgot = new Set<Side>();
  const said = new Map<Side, Set<string>>([
    [anna, new Set()],
    [ben, new Set()],
  ]);
  world.hostile = (mail) => {
    past.push(mail);
    const dice = chance.below(100);
    if (dice < 6) tally.lost++;
    if (dice < 6) return undefined;
    if (dice < 12) {
      tally.altered++;
      const at = chance.below(mail.ciphertext.length);
      return mail.ciphertext.map((byte, i) => (i === at ? byte ^ (1 + chance.below(255)) : byte));
    }
    if (dice < 30) held.push(mail);
    return dice < 30 ? undefined : mail.ciphertext;
  };
  const push = ({ to, id, ciphertext }: Seen): void => {
    const side = world.side(to);
    const connection = side.sockets.get("device");
    if (connection === undefined) return;
    const frames = [{ frame: "push", id, kind: "pairwise", ciphertext } as const];
    world.step(side, { event: "frames", socket: "device", connection, frames });
  };
  const release = (): void => {
    const [mail] = held.splice(chance.below(Math.max(1, held.length)), 1);
    if (mail !== undefined) push(mail);
  };
  const say = (from: Side, to: Side): void => {
    const text = `${from.name} ${tally.said++}`;
    said.get(from)?.add(text);
    const message = text.padEnd(16, "\0") as never;
    world.step(from, { event: "send", message, to: to.account, body: bodyOf({ is: "text", text }) });
  };
  const side = (): Side => (chance.below(2) === 0 ? anna : ben);
  for (let step = 0; step < 60; step++) {
    const dice = chance.below(100);
    const one = side();
    if (dice < 45) say(one, one === anna ? ben : anna);
    else if (dice < 65) release();
    else if (dice < 75) world.pass(chance.below(20_000));
    else if (dice < 80 && past.length > 0) push(past[chance.below(past.length)] as Seen);
    else if (dice < 85) world.start(one);
    else if (dice < 88) world.pass(chance.below(3 * HOUR));
    else if (dice < 90) world.pass(chance.below(8) * DAY);
    else if (dice < 92 && harm.stores) world.loseRatchets(one);
    else if (dice < 96 && harm.stores) copies.set(one, one.copy());
    else if (dice < 98 && harm.stores) {
      const old = copies.get(one);
      if (old === undefined) continue;
      // It has connected since, so the relay knows a later epoch.
      world.start(one);
      world.run();
      world.start(one, old);
      world.pass(1_000);
      forgot.add(one);
      tally.restored++;
    }
    if (chance.below(3) > 0) world.run();
  }
  // Calm.
  world.hostile = ({ ciphertext }) => ciphertext;
  while (held.length > 0) release();
  world.pass(3 * DAY);
  for (let round = 0; round < 2; round++) {
    say(anna, ben);
    world.pass(2 * HOUR);
    say(ben, anna);
    world.pass(2 * HOUR);
  }
  world.pass(2 * DAY);
  check(anna, ben, { said: said.get(ben) ?? new Set(), forgot, seed });
  check(ben, anna, { said: said.get(anna) ?? new Set(), forgot, seed });
  const [atAnna, atBen] = [anna.keys.ratchets.get(ben.address), ben.keys.ratchets.get(anna.address)];
  expect(atAnna?.sending?.id, `seed ${seed}: one ratchet`).toBe(atBen?.sending?.id);
  for (const kept of [atAnna, atBen]) expect(kept?.archived.length ?? 0).toBeLessThanOrEqual(MAX_ARCHIVED);
  tally.resets += anna.tellsOf("ratchet-reset").length + ben.tellsOf("ratchet-reset").length;
  tally.resent += anna.tellsOf("resent").length + ben.tellsOf("resent").length;
  tally.crossed += (atAnna?.archived.length ?? 0) > 0 ? 1 : 0;
  tally.read += anna.entries.length + ben.entries.length;
}

/** What one side was told: nothing that was not said, nothing twice, and the last words in any case. */
function check(
  at: Side,
  from: Side,
  { said, forgot, seed }: { said: ReadonlySet<string>; forgot: ReadonlySet<Side>; seed: number },
): void {
  const read = at.texts.filter((text) => !text.startsWith("gap")).map((text) => text.replace(" (late)", ""));
  for (const text of read) expect(said.has(text), `seed ${seed}: "${text}" was never said`).toBe(true);
  if (!forgot.has(at)) expect(new Set(read).size, `seed ${seed}: told twice`).toBe(read.length);
  const last = [...said].slice(-2);
  expect(read, `seed ${seed}: ${from.name}'s last words`).toEqual(expect.arrayContaining(last));
  const waiting = [...at.mailbox].map(({ id }): EnvelopeId => id);
  expect(waiting, `seed ${seed}: mail waits`).toEqual([]);
}

describe("attacks 14, 19 to 22, 26: anything in any order", () => {
  const none = (): Tally => ({
    said: 0,
    read: 0,
    altered: 0,
    lost: 0,
    resets: 0,
    resent: 0,
    restored: 0,
    crossed: 0,
  });

  it("a relay that does what it likes: nothing is altered or told twice, no ratchet is reset, one is used in the end", () => {
    const seed = seedOf("attacks in any order", 1_400);
    const tally = none();
    for (let i = 0; i < 25; i++) live(seed + i, tally, { stores: false });
    console.info(JSON.stringify(tally));
    expect(tally.resets).toBe(0);
    expect(tally.altered).toBeGreaterThan(20);
  }, 300_000);

  it("and stores that are put back, ratchets that are gone: it heals, and in the end one ratchet is used", () => {
    const seed = seedOf("attacks in any order, with stores", 2_200);
    const tally = none();
    for (let i = 0; i < 25; i++) live(seed + i, tally, { stores: true });
    console.info(JSON.stringify(tally));
    expect(tally.resets).toBeGreaterThan(0);
    expect(tally.restored).toBeGreaterThan(0);
    expect(tally.resent).toBeGreaterThan(0);
  }, 300_000);
});
