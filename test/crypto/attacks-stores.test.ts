// Attacks with stores and time: restored and copied stores, first messages replayed, ratchets that are due. A hostile
// relay between real client cores.
import { type EnvelopeId, PROBLEMS } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import { OWN, putKey } from "../../client-lib/keys/key-rows.ts";
import { putPrekeys } from "../../client-lib/keys/prekey-keeper.ts";
import {
  accessKey,
  encodeIdentity,
  MAX_PAST_CHAINS,
  maintainIdentity,
  makeSignedPrekeys,
  publicIdentity,
  ready,
  replaceProfileKey,
} from "../../crypto/index.ts";
import { AttackWorld, type Seen } from "./attack-world.ts";
import { DAY, seededRandom } from "./support.ts";

beforeAll(ready);

const HOUR = 3_600_000;

function friends(): AttackWorld {
  const world = new AttackWorld("anna", "ben");
  world.befriend("anna", "ben");
  return world;
}

function bodyText(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  return Uint8Array.of(0x52, bytes.length + 2, 0x0a, bytes.length, ...bytes);
}

describe("attack 20: restored and copied stores", () => {
  it("our own store was put back: the relay says so, every ratchet is given up before the next message, prekeys are to be replaced", () => {
    const world = friends();
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    const old = ben.copy();
    world.say("anna", "ben", "one");
    world.say("ben", "anna", "two");
    world.say("anna", "ben", "three");
    const before = ben.keys.ratchets.get(anna.address)?.sending?.id;
    world.start(ben);
    world.run();
    world.start(ben, old);
    world.pass(10_000);
    expect(ben.tellsOf("store-restored")).toHaveLength(1);
    expect(ben.keys.ratchets.get(anna.address)?.sending).toBe(undefined);
    expect(ben.keys.replacePending).toBe(true);
    world.say("ben", "anna", "four");
    expect(anna.texts.at(-1)).toBe("four");
    expect(anna.alarms).toEqual([]);
    expect(ben.keys.ratchets.get(anna.address)?.sending?.id).not.toBe(before);
    world.say("anna", "ben", "five");
    // What the store has forgotten was delivered once, and is missing to it.
    world.pass(11_000);
    expect(ben.texts.slice(-2)).toEqual(["gap 2", "five"]);
    expect(anna.keys.ratchets.get(ben.address)?.sending?.id).toBe(
      ben.keys.ratchets.get(anna.address)?.sending?.id,
    );
  });

  it("a store older than our newest sealing key, device list and access key: all three are mended, and mail flows", () => {
    const world = friends();
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    const old = ben.copy();
    world.pass(15 * DAY);
    // What the library does by the clock, and on a block: known to the relay and to Anna.
    const changed = maintainIdentity(ben.keys.identity, { random: seededRandom(4), now: world.now });
    ben.keys.identity = replaceProfileKey(changed, seededRandom(5));
    ben.write([putKey("identity", OWN, encodeIdentity(ben.keys.identity))]);
    const newest = ben.keys.identity;
    expect(newest.list.version).toBe(2);
    ben.accessHash = publicIdentity(newest).accessKeyHash;
    world.say("ben", "anna", "with new keys");
    world.say("anna", "ben", "to new keys");
    expect(ben.texts.at(-1)).toBe("to new keys");
    const published = world.devicesOf(ben, 1);
    world.start(ben);
    world.run();
    world.lies = (frame, to) =>
      to === ben && frame.frame === "has-devices" && published.frame === "has-devices"
        ? { ...published, request: frame.request }
        : frame;
    world.start(ben, old);
    world.pass(60_000);
    expect(ben.tellsOf("store-restored")).toHaveLength(1);
    expect(ben.keys.identity.list.hash).toEqual(newest.list.hash);
    expect(ben.keys.identity.sealing.at(-1)?.record.createdAt).toBeGreaterThan(
      newest.sealing.at(-1)?.record.createdAt ?? 0,
    );
    expect(ben.keys.accessPending).toBe(true);
    world.lies = (frame) => frame;
    ben.accessHash = publicIdentity(ben.keys.identity).accessKeyHash;
    world.say("ben", "anna", "after the restore");
    expect(anna.texts.at(-1)).toBe("after the restore");
    expect(anna.alarms).toEqual([]);
    world.say("anna", "ben", "and back");
    world.pass(15_000);
    expect(ben.texts.at(-1)).toBe("and back");
  });

  it("two copies of one store send: the peer is told, gives the ratchet up, and nothing of the second copy is handed over", () => {
    const world = friends();
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    const copied = anna.copy();
    world.say("anna", "ben", "from the original");
    const place = undefined;
    const twin = new AttackWorld("anna", "ben").side("anna");
    world.start(twin, copied);
    const id = "of the other one" as EnvelopeId;
    const content = { kind: "message", body: bodyText("from the copy") } as const;
    const [sentAt, message] = [world.now, "copied message!!" as never];
    const sealed = twin.cipher.seal({ to: ben.address, id, message, place, content, sentAt, now: world.now });
    const ciphertext = sealed.ciphertext ?? new Uint8Array();
    const connection = ben.sockets.get("device") ?? 0;
    const frames = [{ frame: "push", id, kind: "pairwise", ciphertext } as const];
    world.step(ben, { event: "frames", socket: "device", connection, frames });
    world.run();
    expect(ben.codes).toEqual(["aead-fail"]);
    expect(ben.alarms).toEqual(["store-copied"]);
    expect(ben.texts).not.toContain("from the copy");
    const known = ben.keys.ratchets.get(anna.address)?.sending?.id;
    world.pass(5_000);
    expect(ben.keys.ratchets.get(anna.address)?.sending?.id).not.toBe(known);
    world.say("ben", "anna", "a new ratchet");
    expect(anna.texts.at(-1)).toBe("a new ratchet");
  });
});

describe("attacks 8 and 9: first messages replayed to a process that started again", () => {
  for (const [number, oneTime] of [
    [8, false],
    [9, true],
  ] as const)
    it(`attack ${number}: one ratchet and one delivery, though the ids that were seen are forgotten`, () => {
      const world = new AttackWorld("anna", "ben");
      const [anna, ben] = [world.side("anna"), world.side("ben")];
      if (!oneTime)
        world.lies = (frame) =>
          frame.frame === "has-prekeys" ? { ...frame, oneTime: undefined, oneTimeKem: undefined } : frame;
      world.say("anna", "ben", "hello");
      const first = world.submitsOf("anna")[0];
      expect(ben.tables.get("replay")?.size ?? 0).toBe(oneTime ? 0 : 1);
      const ratchets = ben.tables.get("ratchet")?.size;
      for (const lost of [["seen"], ["seen", "ratchet", "ratchet-order"]]) {
        for (const table of lost) ben.tables.delete(table);
        world.start(ben);
        world.run();
        const connection = ben.sockets.get("device") ?? 0;
        const { id, ciphertext } = first ?? { id: "" as EnvelopeId, ciphertext: new Uint8Array() };
        const frames = [{ frame: "push", id, kind: "pairwise", ciphertext } as const];
        world.step(ben, { event: "frames", socket: "device", connection, frames });
        world.run();
        expect(ben.texts).toEqual(["hello"]);
        expect(ben.tables.get("ratchet")?.size ?? 0).toBe(lost.includes("ratchet") ? 0 : ratchets);
      }
      expect(ben.codes).toEqual(oneTime ? ["key-expired"] : []);
      expect(anna.alarms.length + ben.alarms.length).toBe(0);
    });
});

it("an old envelope replayed when its id and its chain's counts are forgotten: no alarm, no request, nothing given up", () => {
  const world = friends();
  const [anna, ben] = [world.side("anna"), world.side("ben")];
  for (let turn = 0; turn < MAX_PAST_CHAINS + 4; turn++) {
    world.say("anna", "ben", `ping ${turn}`);
    world.say("ben", "anna", `pong ${turn}`);
  }
  const old = world.submitsOf("anna")[3] as Seen;
  const used = ben.keys.ratchets.get(anna.address)?.sending?.id;
  const texts = [...ben.texts];
  expect(ben.tables.get("seen")?.has(old.id)).toBe(true);
  world.pass(32 * DAY);
  expect(ben.tables.get("seen")?.has(old.id)).toBe(false);
  const submitted = world.submitsOf("ben").length;
  const connection = ben.sockets.get("device") ?? 0;
  const frames = [{ frame: "push", id: old.id, kind: "pairwise", ciphertext: old.ciphertext } as const];
  world.step(ben, { event: "frames", socket: "device", connection, frames });
  world.pass(10_000);
  expect([ben.alarms, ben.codes, ben.texts]).toEqual([[], [], texts]);
  expect(ben.keys.ratchets.get(anna.address)?.sending?.id).toBe(used);
  expect(world.submitsOf("ben").length).toBe(submitted);
});

/** A day, and what the library does in it by the clock: keys of both sides are new, ratchets past their time are gone. */
function aDay(world: AttackWorld): void {
  world.pass(DAY);
  const making = { random: seededRandom(world.now % 10_007), now: world.now };
  for (const side of world.sides.values()) {
    side.write(side.cipher.sweep(world.now));
    side.keys.identity = maintainIdentity(side.keys.identity, making);
    const prekeys = makeSignedPrekeys({ identity: side.keys.identity, ...making });
    for (const prekey of prekeys) side.keys.prekeys.set(prekey.id, prekey);
    side.write([putKey("identity", OWN, encodeIdentity(side.keys.identity)), ...putPrekeys(prekeys)]);
  }
}

it("a store that was put back and has forgotten every ratchet since: two ratchets for a moment, nothing lost, no alarm", () => {
  const world = friends();
  const [anna, ben] = [world.side("anna"), world.side("ben")];
  for (let week = 0; week < 2; week++) {
    for (let day = 0; day < 7; day++) aDay(world);
    world.say("anna", "ben", `week ${week}`);
    world.say("ben", "anna", `yes ${week}`);
  }
  const old = ben.copy();
  world.say("ben", "anna", "two");
  world.start(ben);
  world.run();
  world.start(ben, old);
  world.run();
  for (let day = 0; day < 33; day++) aDay(world);
  expect(ben.keys.ratchets.get(anna.address)).toEqual({ sending: undefined, archived: [] });
  expect(anna.keys.ratchets.get(ben.address)?.sending).toBeDefined();
  // Ben's new ratchet is of generation 0, so Anna answers on the one that she has, which he must ask for again.
  world.say("ben", "anna", "after a month");
  world.say("anna", "ben", "an answer");
  world.pass(20_000);
  world.say("anna", "ben", "another");
  world.say("ben", "anna", "and on");
  expect(anna.texts.slice(-3)).toEqual(["two", "after a month", "and on"]);
  expect(ben.texts.slice(-2)).toEqual(["an answer", "another"]);
  expect(new Set(ben.codes)).toEqual(new Set(["header-mac"]));
  expect(anna.keys.ratchets.get(ben.address)?.sending?.id).toBe(
    ben.keys.ratchets.get(anna.address)?.sending?.id,
  );
  expect([anna.alarms, ben.alarms]).toEqual([[], []]);
});

describe("the weekly new ratchet", () => {
  it("a live pair agrees anew every 7 days, both ways, and nothing is lost over it", () => {
    const world = friends();
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    const used: (string | undefined)[] = [];
    for (let week = 0; week < 4; week++) {
      used.push(anna.keys.ratchets.get(ben.address)?.sending?.id);
      world.pass(7 * DAY);
      world.say("anna", "ben", `week ${week}`);
      world.say("ben", "anna", `yes ${week}`);
    }
    expect(new Set(used).size).toBe(4);
    expect(ben.texts.slice(2)).toEqual(["week 0", "week 1", "week 2", "week 3"]);
    expect(anna.texts.slice(1)).toEqual(["yes 0", "yes 1", "yes 2", "yes 3"]);
    expect(anna.keys.ratchets.get(ben.address)?.archived.length).toBeGreaterThanOrEqual(3);
  });

  it("a relay that refuses prekeys stops no mail: the old ratchet goes on, and is replaced once it can be", () => {
    const world = friends();
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    const used = anna.keys.ratchets.get(ben.address)?.sending?.id;
    let code = PROBLEMS["no-device"].number;
    world.lies = (frame) =>
      frame.frame === "has-prekeys"
        ? { frame: "ask-refused", request: frame.request, code, retryAfter: 0 }
        : frame;
    world.pass(8 * DAY);
    world.say("anna", "ben", "all the same");
    expect(ben.texts.at(-1)).toBe("all the same");
    code = PROBLEMS["rate-limited"].number;
    world.pass(2 * HOUR);
    world.say("anna", "ben", "put off without end");
    expect(ben.texts.at(-1)).toBe("put off without end");
    expect(anna.keys.ratchets.get(ben.address)?.sending?.id).toBe(used);
    world.lies = (frame) => frame;
    world.pass(2 * HOUR);
    world.say("anna", "ben", "and now");
    world.say("anna", "ben", "at last");
    expect(ben.texts.slice(-2)).toEqual(["and now", "at last"]);
    expect(anna.keys.ratchets.get(ben.address)?.sending?.id).not.toBe(used);
  });
});

describe("attack 46: telling the access key", () => {
  it("lengthens no short text: it waits for the next message that has room, and is told all the same", () => {
    const world = new AttackWorld("anna", "ben");
    world.say("anna", "ben", "hello");
    const before = world.submitsOf("ben").length;
    world.say("ben", "anna", "x".repeat(200));
    const sizes = world
      .submitsOf("ben")
      .slice(before)
      .map(({ ciphertext }) => ciphertext.length);
    expect(new Set(sizes)).toEqual(new Set([487]));
    const ben = world.side("ben");
    expect(world.side("anna").core.view.contact(ben.account).accessKey).toEqual(accessKey(ben.keys.identity));
  });
});
