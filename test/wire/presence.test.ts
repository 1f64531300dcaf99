// Who may see whether somebody is online, and what they are told.
import { PATHS, type RelayFrame } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { GRACE_MS } from "../../relay/edge/presence.ts";
import { aRelay } from "../support/a-relay.ts";
import { Person } from "../support/person.ts";
import type { RelayProcess } from "../support/relay-process.ts";
import { hex, Wire } from "../support/wire.ts";

const PING_MS = 1_000;
const relay = aRelay();
/** One that takes silence for an end much sooner. */
const brief = aRelay(() => ["--ping", String(PING_MS)]);

const someoneAt = (at: RelayProcess, name: string): Promise<Person> => Person.called(name).register(at);
const someone = (name: string): Promise<Person> => someoneAt(relay.at, name);
const watch = ({ account, accessKey }: Person) => ({ frame: "watch", account, accessKey }) as const;

/** What a watcher hears until the brief relay has ended a connection that said nothing. */
async function duringPingTimeout(watcher: Wire): Promise<RelayFrame[]> {
  await using silent = await Wire.anonymous(brief.at);
  let over = false;
  void silent.closed.then(() => {
    over = true;
  });
  const heard: RelayFrame[] = [];
  while (!over) heard.push(...(await watcher.rest()));
  return heard;
}

describe("a watch", () => {
  it("tells offline, online when the person comes, and offline with the minute when they go", async () => {
    const ben = await someone("ben");
    await using watcher = await Wire.anonymous(relay.at);
    watcher.send(watch(ben));
    expect(await watcher.take("notice")).toEqual({
      frame: "notice",
      account: ben.account,
      state: "offline",
      lastSeen: 0,
    });
    const device = await Wire.device(relay.at, ben);
    expect(await watcher.take("notice")).toMatchObject({ state: "online", lastSeen: 0 });
    await device.close();
    const gone = await watcher.take("notice");
    expect(gone).toMatchObject({ state: "offline" });
    expect(gone.lastSeen % 60_000).toBe(0);
    expect(Date.now() - gone.lastSeen).toBeLessThan(120_000);
  });

  it("tells at once that somebody is there", async () => {
    const ben = await someone("ben");
    await using device = await Wire.device(relay.at, ben);
    await device.take("drained");
    await using watcher = await Wire.anonymous(relay.at);
    watcher.send(watch(ben));
    expect(await watcher.take("notice")).toMatchObject({ state: "online" });
  });

  it("says nothing while one of several devices stays", async () => {
    const ben = await someone("ben");
    const tablet = new Person(ben.name, 2, ben);
    await ben.request(relay.at, "PUT", PATHS.deviceList, ben.listOf(2, [ben, tablet]));
    await using watcher = await Wire.anonymous(relay.at);
    watcher.send(watch(ben));
    await watcher.take("notice");
    await using phone = await Wire.device(relay.at, ben);
    expect(await watcher.take("notice")).toMatchObject({ state: "online" });
    const second = await Wire.device(relay.at, tablet);
    await second.take("drained");
    await phone.close();
    expect(await watcher.rest()).toEqual([]);
    await second.close();
    expect(await watcher.take("notice")).toMatchObject({ state: "offline" });
  });

  it("with a wrong key, or of nobody, is denied in the same bytes", async () => {
    const ben = await someone("ben");
    const nobody = Person.called("nobody");
    await using watcher = await Wire.anonymous(relay.at);
    await watcher.message();
    watcher.send({ ...watch(ben), accessKey: new Uint8Array(16) });
    const wrong = await watcher.message();
    watcher.send(watch(nobody));
    const unknown = await watcher.message();
    const denied = (person: Person): string =>
      `32000019${hex(Buffer.from(person.account, "latin1"))}000000000000000000`;
    expect([wrong, unknown]).toEqual([denied(ben), denied(nobody)]);
  });

  it("ends with unwatch", async () => {
    const ben = await someone("ben");
    await using watcher = await Wire.anonymous(relay.at);
    watcher.send(watch(ben));
    await watcher.take("notice");
    watcher.send({ frame: "unwatch", account: ben.account });
    await watcher.rest();
    await using device = await Wire.device(relay.at, ben);
    await device.take("drained");
    expect(await watcher.rest()).toEqual([]);
  });

  it("ends when the person replaces the access key that it was opened with", async () => {
    const ben = await someone("ben");
    await using watcher = await Wire.anonymous(relay.at);
    watcher.send(watch(ben));
    await watcher.take("notice");
    const { accessKeyHash } = Person.called("ben").registration;
    await ben.request(relay.at, "PUT", PATHS.accessKey, { accessKeyHash });
    expect(await watcher.take("notice")).toMatchObject({ account: ben.account, state: "denied" });
    await using device = await Wire.device(relay.at, ben);
    await device.take("drained");
    expect(await watcher.rest()).toEqual([]);
  });

  it("of one person by a thousand gives each of them one notice a change", async () => {
    const WATCHERS = 1_000;
    const ben = await someone("ben");
    const watchers = await Promise.all(Array.from({ length: WATCHERS }, () => Wire.anonymous(relay.at)));
    try {
      const all = async (): Promise<Map<string, number>> => {
        const states = new Map<string, number>();
        for (const watcher of watchers) {
          const { state } = await watcher.take("notice");
          states.set(state, (states.get(state) ?? 0) + 1);
        }
        return states;
      };
      for (const watcher of watchers) watcher.send(watch(ben));
      expect(await all()).toEqual(new Map([["offline", WATCHERS]]));
      const device = await Wire.device(relay.at, ben);
      expect(await all()).toEqual(new Map([["online", WATCHERS]]));
      await device.close();
      expect(await all()).toEqual(new Map([["offline", WATCHERS]]));
      const more: number[] = [];
      for (const watcher of watchers) more.push((await watcher.rest()).length);
      expect(more.filter((count) => count > 0)).toEqual([]);
    } finally {
      for (const watcher of watchers) watcher.socket.terminate();
    }
  });

  it("tells nothing of somebody who goes and comes back within the grace, however often", async () => {
    const ben = await someoneAt(brief.at, "ben");
    await using watcher = await Wire.anonymous(brief.at);
    let device = await Wire.device(brief.at, ben);
    watcher.send(watch(ben));
    expect(await watcher.take("notice")).toMatchObject({ state: "online" });
    for (let i = 0; i < 3; i++) {
      if (i % 2 === 0) device.socket.terminate();
      else await device.close();
      await device.closed;
      expect(await duringPingTimeout(watcher)).toEqual([]);
      device = await Wire.device(brief.at, ben);
      await device.take("drained");
    }
    expect(await watcher.rest()).toEqual([]);
    await device.close();
    expect(await watcher.take("notice")).toMatchObject({ state: "offline" });
    expect(await watcher.rest()).toEqual([]);
  });

  it("of somebody who dies without a word says so within the ping time-out and the grace", async () => {
    const ben = await someoneAt(brief.at, "ben");
    const device = await Wire.device(brief.at, ben);
    await device.take("drained");
    await using watcher = await Wire.anonymous(brief.at);
    watcher.send(watch(ben));
    expect(await watcher.take("notice")).toMatchObject({ state: "online" });
    const at = performance.now();
    // The socket stays open, and nothing is said on it; the watcher's is asked for signs of life, and gives them.
    expect(await watcher.take("notice")).toMatchObject({ state: "offline" });
    expect(performance.now() - at).toBeLessThan(PING_MS + GRACE_MS + 3_000);
  });
});
