// Presence in simulated time: one notice a change and watcher, however many watch; comings and goings within the grace
// are not told; an answer of the store that is older than what was heard does not count.
import type { AccountId, DeviceAddress, DeviceNumber, FrameOf, Time } from "@lethe/protocol";
import { addressOf, MAX_WATCHES } from "@lethe/protocol";
import type { AccountRecord, Mailbox, Owner } from "@lethe/queue";
import { describe, expect, it } from "vitest";
import { type KnownAccount, knownOf } from "../../relay/edge/accounts.ts";
import { GRACE_MS, Presence } from "../../relay/edge/presence.ts";

const BEN = "ben's account id" as AccountId;
const DEVICE = addressOf(BEN, 1 as DeviceNumber);
const HERE = "n" as Owner["node"];
const THERE = "m" as Owner["node"];
const START = 1_800_000_000_000;

function record(more: Partial<AccountRecord> = {}): KnownAccount {
  const none = new Uint8Array();
  const devices = [{ device: 1 as DeviceNumber, signingKey: none, certificate: none }];
  return knownOf({
    account: BEN,
    name: "ben" as AccountRecord["name"],
    accountKey: none,
    accessKeyHash: none,
    listVersion: 1,
    deviceList: none,
    devices,
    ...more,
  });
}

function aWorld(owner?: Owner, lastSeen = START - 90_000) {
  const clock = { now: START };
  const told: { socket: number; frame: FrameOf<"notice"> }[] = [];
  const lookUps: (() => void)[] = [];
  const alive = new Set([HERE, THERE]);
  const mailbox = {
    lookUp: (addresses: readonly DeviceAddress[]) =>
      new Promise((resolve) => {
        lookUps.push(() =>
          resolve(addresses.map(() => ({ is: "found", owner, lastSeen: lastSeen as Time }))),
        );
      }),
  } as unknown as Mailbox;
  const presence = new Presence({
    mailbox,
    me: () => HERE,
    alive: (node) => alive.has(node),
    now: () => clock.now,
    instant: () => clock.now,
    notify: (socket, frame) => told.push({ socket, frame }),
  });
  const pass = (ms: number): void => {
    clock.now += ms;
    presence.tick();
  };
  const answer = async (): Promise<void> => {
    for (const resolve of lookUps.splice(0)) resolve();
    await new Promise((resolve) => setImmediate(resolve));
  };
  const take = (): string[] =>
    told.splice(0).map(({ socket, frame }) => `${socket} ${frame.state} ${frame.lastSeen}`);
  return { presence, pass, answer, take, alive };
}

const minute = (time: number): number => Math.floor(time / 60_000) * 60_000;

describe("presence", () => {
  it("tells a thousand watchers of one person once each, and those of nobody else", async () => {
    const { presence, pass, answer, take } = aWorld();
    for (let socket = 1; socket <= 1_000; socket++) presence.watch(socket, BEN, record());
    await answer();
    expect(new Set(take()).size).toBe(1_000);
    presence.changed(DEVICE, true, HERE);
    presence.changed(addressOf("somebody else 16" as AccountId, 1 as DeviceNumber), true, HERE);
    const told = take();
    expect(told.length).toBe(1_000);
    expect(new Set(told).size).toBe(1_000);
    presence.changed(DEVICE, false, HERE);
    pass(GRACE_MS);
    expect(take().length).toBe(1_000);
  });

  it("does not tell of whoever comes back within the grace, and tells the minute of their going afterwards", async () => {
    const { presence, pass, answer, take } = aWorld({ node: HERE, session: 1 });
    presence.watch(1, BEN, record());
    await answer();
    expect(take()).toEqual(["1 online 0"]);
    for (let i = 0; i < 20; i++) {
      presence.changed(DEVICE, false, HERE);
      pass(GRACE_MS - 1);
      presence.changed(DEVICE, true, HERE);
      pass(10);
    }
    expect(take()).toEqual([]);
    presence.changed(DEVICE, false, HERE);
    const gone = START + 20 * (GRACE_MS + 9);
    pass(GRACE_MS - 1);
    expect(take()).toEqual([]);
    pass(1);
    expect(take()).toEqual([`1 offline ${minute(gone)}`]);
    pass(60_000);
    expect(take()).toEqual([]);
  });

  it("believes what it heard, not an older answer of the store", async () => {
    const { presence, pass, answer, take } = aWorld({ node: HERE, session: 1 });
    presence.watch(1, BEN, record());
    presence.changed(DEVICE, false, HERE);
    await answer();
    expect(take()).toEqual([`1 offline ${minute(START - 90_000)}`]);
    pass(GRACE_MS);
    expect(take()).toEqual([]);
  });

  it("keeps to itself when somebody was here who does not want it told", async () => {
    const { presence, pass, answer, take } = aWorld();
    presence.watch(1, BEN, record({ hidesLastSeen: true }));
    await answer();
    expect(take()).toEqual(["1 offline 0"]);
    presence.wishesChanged(BEN, false);
    presence.changed(DEVICE, true, HERE);
    presence.changed(DEVICE, false, HERE);
    pass(GRACE_MS);
    expect(take()).toEqual(["1 online 0", `1 offline ${minute(START)}`]);
    presence.wishesChanged(BEN, true);
    presence.changed(DEVICE, true, HERE);
    presence.changed(DEVICE, false, HERE);
    pass(GRACE_MS);
    expect(take()).toEqual(["1 online 0", "1 offline 0"]);
  });

  it("lets one connection watch 1,024 people; one more is denied, and one who is not watched any more makes room", async () => {
    const { presence, answer, take } = aWorld();
    const watch = (i: number): void => {
      const account = `account ${String(i).padStart(8, "0")}` as AccountId;
      presence.watch(7, account, record({ account }));
    };
    for (let i = 0; i < MAX_WATCHES; i++) watch(i);
    await answer();
    expect(take().filter((notice) => notice.includes("denied"))).toEqual([]);
    watch(MAX_WATCHES);
    expect(take()).toEqual(["7 denied 0"]);
    watch(5); // who is watched already may be asked for again
    await answer();
    expect(take()).toEqual([`7 offline ${minute(START - 90_000)}`]);
    presence.unwatch(7, "account 00000005" as AccountId);
    watch(MAX_WATCHES);
    await answer();
    expect(take()).toEqual([`7 offline ${minute(START - 90_000)}`]);
  });

  it("forgets a watch that ended before it began", async () => {
    const { presence, pass, answer, take } = aWorld();
    presence.watch(1, BEN, record());
    presence.gone(1);
    await answer();
    presence.changed(DEVICE, true, HERE);
    pass(GRACE_MS);
    expect(take()).toEqual([]);
  });

  it("knows who went to another node, in whichever order the two nodes say so", async () => {
    for (const isFirst of [true, false]) {
      const { presence, pass, answer, take } = aWorld({ node: THERE, session: 1 });
      presence.watch(1, BEN, record());
      await answer();
      if (isFirst) presence.changed(DEVICE, true, HERE);
      presence.changed(DEVICE, false, THERE);
      if (!isFirst) presence.changed(DEVICE, true, HERE);
      pass(GRACE_MS);
      expect(take()).toEqual(["1 online 0"]);
    }
    const { presence, answer, take } = aWorld({ node: THERE, session: 1 });
    presence.watch(1, BEN, record());
    presence.changed(DEVICE, false, HERE); // an old session's end, heard after it has moved on
    await answer();
    expect(take()).toEqual(["1 online 0"]);
  });

  it("has nobody online at a node that is dead, and tells it at once: a lease's time is longer than the grace", async () => {
    const { presence, answer, take, alive } = aWorld({ node: THERE, session: 1 });
    presence.watch(1, BEN, record());
    await answer();
    alive.delete(THERE);
    presence.nodesChanged();
    presence.watch(2, BEN, record());
    await answer();
    expect(take()).toEqual([
      "1 online 0",
      `1 offline ${minute(START)}`,
      `2 offline ${minute(START - 90_000)}`,
    ]);
  });

  it("takes what a node says of all its devices for what it missed: comings, goings, also during a look-up", async () => {
    const { presence, pass, answer, take } = aWorld({ node: THERE, session: 1 });
    presence.watch(1, BEN, record());
    await answer();
    presence.present(THERE, new Set());
    pass(GRACE_MS);
    presence.present(THERE, new Set([DEVICE]));
    expect(take()).toEqual(["1 online 0", `1 offline ${minute(START)}`, "1 online 0"]);
    const other = aWorld({ node: THERE, session: 1 });
    other.presence.watch(1, BEN, record());
    other.presence.present(THERE, new Set());
    await other.answer();
    expect(other.take()).toEqual([]); // the answer may be older: it is asked again
    await other.answer();
    expect(other.take()).toEqual(["1 online 0"]);
  });
});
