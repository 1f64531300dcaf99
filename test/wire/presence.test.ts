// Who may see whether somebody is online, and what they are told.
import { PATHS } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { aRelay } from "../support/a-relay.ts";
import { Person } from "../support/person.ts";
import { hex, Wire } from "../support/wire.ts";

const relay = aRelay();

const someone = (name: string): Promise<Person> => Person.called(name).register(relay.at);
const watch = ({ account, accessKey }: Person) => ({ frame: "watch", account, accessKey }) as const;

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
});
