// What keeps a connection, what ends it, and what a relay that leaves owes to everybody.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { aFolder, type Folder } from "../support/folder.ts";
import { Person } from "../support/person.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { sealed, submitTo, textOf, Wire } from "../support/wire.ts";

describe("a silent connection", () => {
  const PING_MS = 1_000;
  let folder: Folder;
  let relay: RelayProcess;
  beforeAll(async () => {
    folder = await aFolder();
    relay = await RelayProcess.start({ data: folder.path, flags: ["--ping", String(PING_MS)] });
  });
  afterAll(async () => {
    await relay.stop();
    await folder[Symbol.asyncDispose]();
  });

  it("is pinged after half the ping time-out and ended with ping-timeout after all of it", async () => {
    await using wire = await Wire.anonymous(relay);
    const since = performance.now();
    expect(await wire.next()).toEqual({ frame: "ping", token: 0 });
    expect(performance.now() - since).toBeGreaterThan(PING_MS / 2 - 100);
    expect(await wire.ending()).toEqual({ code: "ping-timeout", status: expect.any(Number) });
    expect(performance.now() - since).toBeGreaterThan(PING_MS - 100);
  });

  it("is kept as long as it answers", async () => {
    await using wire = await Wire.anonymous(relay);
    for (let i = 0; i < 4; i++) {
      expect(await wire.next()).toEqual({ frame: "ping", token: 0 });
      wire.send({ frame: "pong", token: 0 });
    }
    expect(await wire.rest()).toEqual([]);
  });

  it("gives its mail back: what was pushed to it and not acknowledged is stored", async () => {
    const ben = await Person.called("ben").register(relay);
    await using device = await Wire.device(relay, ben);
    await device.take("drained");
    await using sender = await Wire.anonymous(relay);
    const letter = sealed("to a device that has gone quiet");
    sender.send(submitTo(ben, letter));
    await device.take("push");
    expect((await sender.take("accepted")).ids).toEqual([letter.id]);
    await using again = await Wire.device(relay, ben);
    expect((await again.take("push")).id).toBe(letter.id);
  });

  it("says so in the metrics, by code", async () => {
    await using wire = await Wire.raw(relay, "anonymous");
    expect(await wire.ending()).toMatchObject({ code: "ping-timeout" });
    expect(await relay.metric('lethe_connections_ended_total{code="ping-timeout"}')).toBeGreaterThan(0);
  });
});

describe.each(["SIGTERM", "SIGINT"] as const)("a relay that gets %s", (signal) => {
  it("tells everybody, stores what is under way, ends every connection and exits with 0", async () => {
    await using folder = await aFolder();
    const first = await RelayProcess.start({ data: folder.path });
    const ben = await Person.called("ben").register(first);
    const device = await Wire.device(first, ben);
    await device.take("drained");
    const sender = await Wire.anonymous(first);
    const letters = Array.from({ length: 30 }, (_, i) => sealed(`letter ${i}`));
    sender.send(...letters.map((letter) => submitTo(ben, letter)));
    await device.pushes(30);
    device.send({ frame: "delivered", ids: letters.slice(0, 10).map((letter) => letter.id) });
    expect((await sender.take("accepted")).ids).toHaveLength(10);

    first.signal(signal);
    const seen = [await sender.next(), await sender.next()];
    expect(seen.map((frame) => frame.frame).toSorted()).toEqual(["accepted", "goaway"]);
    const accepted = seen.find((frame) => frame.frame === "accepted");
    expect(accepted?.ids).toEqual(letters.slice(10).map((letter) => letter.id)); // they are in the mailbox now
    expect(await device.take("goaway")).toMatchObject({ code: 14 });
    expect((await sender.closed).status).toBe(1012);
    expect((await device.closed).status).toBe(1012);
    expect(await first.exited).toEqual({ code: 0, signal: null });

    await using second = await RelayProcess.start({ data: folder.path });
    await using again = await Wire.device(second, ben);
    const kept = await again.pushes(20);
    expect(kept.map(textOf)).toEqual(letters.slice(10).map(textOf));
    again.send({ frame: "delivered", ids: kept.map((push) => push.id) });
    await again.take("drained");
  });

  it("exits soon although somebody does not read or answer", async () => {
    await using folder = await aFolder();
    const relay = await RelayProcess.start({ data: folder.path });
    const ben = await Person.called("ben").register(relay);
    const device = await Wire.device(relay, ben);
    await device.take("drained");
    device.socket.pause();
    const silent = await Wire.raw(relay, "device");
    silent.socket.pause();
    expect(await relay.stop(signal)).toEqual({ code: 0, signal: null });
  });
});

describe("a relay that was killed", () => {
  it("has everything that it had accepted", async () => {
    await using folder = await aFolder();
    const first = await RelayProcess.start({ data: folder.path });
    const ben = await Person.called("ben").register(first);
    const sender = await Wire.anonymous(first);
    const letters = Array.from({ length: 60 }, (_, i) => sealed(`letter ${i}`)); // within one push window
    sender.send(...letters.map((letter) => submitTo(ben, letter)));
    const accepted = [];
    while (accepted.length < 30) accepted.push(...(await sender.take("accepted")).ids);
    await first.kill();
    await using second = await RelayProcess.start({ data: folder.path });
    await using device = await Wire.device(second, ben);
    const kept = (await device.pushes(accepted.length)).map((push) => push.id);
    expect(kept).toEqual(accepted);
  });
});
