// Storms of connections, and floods of those who never say who they are: each is ended in its time and within its cap,
// memory stays as it was, and a person at another address logs in meanwhile.
import { connect, type Socket } from "node:net";
import { encodeFrames } from "@lethe/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BareHttp, requestBytes } from "../support/bare-http.ts";
import { binaryMessage, upgradeRequest } from "../support/bare-socket.ts";
import { aFolder, type Folder } from "../support/folder.ts";
import { Person } from "../support/person.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { eventually, within } from "../support/waiting.ts";
import { sealed, submitTo, textOf, Wire } from "../support/wire.ts";

const MIB = 1_048_576;
const STORM = 500;
const UNPROVEN = 50;
const PATIENCE_MS = 20_000;
/** Until a connection that does not get on is ended: 10 s and the look for it, once a second. */
const ENDED_MS = 14_000;

let folder: Folder;
let relay: RelayProcess;
beforeAll(async () => {
  folder = await aFolder();
  const flags = [
    "--limit-local",
    "on",
    "--address-connections",
    "600",
    "--address-unproven",
    String(UNPROVEN),
  ];
  relay = await RelayProcess.start({ data: folder.path, log: "error", flags });
});
afterAll(async () => {
  await relay.stop();
  await folder[Symbol.asyncDispose]();
});

/** Somebody at an address of their own who logs in and gets a letter, however the relay is troubled. */
async function someoneLogsIn(from: string): Promise<void> {
  const ben = await Person.called("ben").register(relay);
  await using device = await Wire.device(relay, ben, from);
  await device.take("drained");
  await using sender = await Wire.anonymous(relay, from);
  const letter = sealed("in the middle of it");
  sender.send(submitTo(ben, letter));
  expect(textOf(await device.take("push"))).toBe("in the middle of it");
  device.send({ frame: "delivered", ids: [letter.id] });
  expect((await sender.take("accepted")).ids).toEqual([letter.id]);
}

describe("a storm of connections", () => {
  it("from one address gets its cap and clear refusals; others get in", async () => {
    const storm = Array.from({ length: STORM }, () => new BareHttp(relay.port, "127.0.0.2"));
    const upgrade = Buffer.from(upgradeRequest("anonymous"), "latin1");
    const answers = await within(
      PATIENCE_MS,
      "every answer",
      Promise.all(storm.map((http) => http.exchange(upgrade))),
    );
    const heads = answers.map(({ answers: [answer] }) => answer);
    expect(heads.filter((answer) => answer?.status === 101)).toHaveLength(UNPROVEN);
    const refused = heads.filter((answer) => answer?.status === 429);
    expect(refused).toHaveLength(STORM - UNPROVEN);
    for (const answer of refused) {
      expect(JSON.parse(answer?.body ?? "")).toMatchObject({
        code: "too-many-connections",
        retryAfter: 5_000,
      });
      expect(answer?.headers.get("retry-after")).toBe("5");
    }
    await someoneLogsIn("127.0.0.3");
    for (const http of storm) http.destroy();
  });

  it("of one device, twenty at once, comes down to one session, which gets its mail once", async () => {
    const ben = await Person.called("ben").register(relay);
    const sessions = await relay.metric("lethe_sessions");
    const wires = await Promise.all(Array.from({ length: 20 }, () => Wire.raw(relay, "device", "127.0.0.6")));
    const proofs = wires.map((wire, i) => {
      const then = Object.assign(Object.create(Person.prototype), ben, { epoch: i + 1 }) as Person;
      return wire.prove(then).catch(() => undefined); // it may be over before it was challenged
    });
    await Promise.all(proofs);
    const open = new Set(wires);
    for (const wire of wires) void wire.closed.then(() => open.delete(wire));
    await eventually(PATIENCE_MS, "one session", () => (open.size === 1 ? true : undefined));
    expect((await relay.metric("lethe_sessions")) - sessions).toBe(1);

    await using sender = await Wire.anonymous(relay, "127.0.0.6");
    const letter = sealed("to the one that is left");
    sender.send(submitTo(ben, letter));
    const [left] = [...open] as [Wire];
    await left.take("welcome");
    await left.take("drained");
    expect(textOf(await left.take("push"))).toBe("to the one that is left");
    left.send({ frame: "delivered", ids: [letter.id] });
    expect((await sender.take("accepted")).ids).toEqual([letter.id]);
    expect(await left.rest()).toEqual([]);
    left.socket.terminate();
  });
});

/** One of a flood. `ended` says what it was told, and after how long. */
interface Silent {
  readonly tcp: Socket;
  readonly ended: Promise<{ said: string; after: number }>;
}

async function aCaller(from: string, first: Uint8Array | string): Promise<Silent> {
  const tcp = connect({ port: relay.port, host: "127.0.0.1", localAddress: from });
  const chunks: Buffer[] = [];
  tcp.on("error", () => undefined);
  tcp.on("data", (chunk) => chunks.push(chunk));
  const began = performance.now();
  const ended = new Promise<{ said: string; after: number }>((resolve) =>
    tcp.once("close", () =>
      resolve({ said: Buffer.concat(chunks).toString("latin1"), after: performance.now() - began }),
    ),
  );
  if (first.length > 0) tcp.write(first);
  return { tcp, ended };
}

/** Writes these bytes one by one, a few each second, until the connection ends. */
function drip({ tcp, ended }: Silent, bytes: string): void {
  let at = 0;
  const timer = setInterval(() => tcp.write(bytes.charAt(at++ % bytes.length)), 250);
  void ended.then(() => clearInterval(timer));
}

describe("a flood of callers who never say who they are", () => {
  it("is ended in its time, within its memory, and somebody else logs in meanwhile", async () => {
    await someoneLogsIn("127.0.0.3"); // what a first time costs is no growth
    const memory = await relay.residentBytes();
    const each = 40;
    const flood = (from: string, first: Uint8Array | string): Promise<Silent[]> =>
      Promise.all(Array.from({ length: each }, () => aCaller(from, first)));
    const upgrade = upgradeRequest("device");
    const silent = await flood("127.0.0.4", "");
    const dripping = await flood("127.0.0.4", "");
    for (const caller of dripping) drip(caller, `GET / HTTP/1.1\r\nX: ${"x".repeat(500)}`);
    const halfUpgrades = await flood("127.0.0.4", upgrade.slice(0, -2));
    const bodies = await flood(
      "127.0.0.4",
      requestBytes("POST", "/v1/accounts", { "content-length": "9" }).subarray(0, -2),
    );
    const upgraded = await flood("127.0.0.5", upgrade);

    await someoneLogsIn("127.0.0.3");
    expect((await relay.residentBytes()) - memory).toBeLessThan(24 * MIB);
    for (const caller of [...silent, ...dripping, ...halfUpgrades, ...bodies, ...upgraded]) {
      const { after } = await within(PATIENCE_MS, "the end", caller.ended);
      expect(after).toBeLessThan(ENDED_MS);
      expect(after).toBeGreaterThan(5_000);
    }
    const { said } = await (upgraded[0] as Silent).ended;
    expect(said).toContain("authentication-timeout");
    await someoneLogsIn("127.0.0.4");
  });

  it("with a large first message is ended before the message has come: its bytes are not waited for", async () => {
    const memory = await relay.residentBytes();
    const message = binaryMessage(new Uint8Array(MIB - 8));
    const first = Buffer.concat([
      Buffer.from(upgradeRequest("anonymous"), "latin1"),
      message.subarray(0, 900_000),
    ]);
    const callers = await Promise.all(Array.from({ length: 40 }, () => aCaller("127.0.0.7", first)));
    await someoneLogsIn("127.0.0.3");
    for (const { ended } of callers) {
      const { said, after } = await within(PATIENCE_MS, "the end", ended);
      expect(said).toContain("frame-too-large");
      expect(after).toBeLessThan(8_000);
    }
    expect((await relay.residentBytes()) - memory).toBeLessThan(24 * MIB);
  });

  it("in small messages before its greeting goes on: only what is under way counts", async () => {
    const wire = await Wire.raw(relay, "anonymous", "127.0.0.7");
    const pings = encodeFrames(
      ...Array.from({ length: 400 }, (_, token) => ({ frame: "ping" as const, token })),
    );
    for (let i = 0; i < 50; i++) wire.sendBytes(pings);
    for (let i = 0; i < 50 * 400; i++) expect((await wire.next()).frame).toBe("pong");
    await wire.close();
  });
});

describe("connections before their upgrade", () => {
  it("have a cap of each address: one more is ended at once, and there is room again when one goes", async () => {
    await using place = await aFolder();
    const flags = ["--limit-local", "on", "--address-connections", "3", "--address-unproven", "2"];
    await using small = await RelayProcess.start({ data: place.path, flags });
    const call = async (from: string): Promise<BareHttp> => {
      const http = new BareHttp(small.port, from);
      await within(PATIENCE_MS, "an answer", http.exchange(requestBytes("GET", "/health")));
      return http;
    };
    const open = [];
    for (let i = 0; i < 5; i++) open.push(await call("127.0.0.8"));
    expect(open.map((http) => http.usable)).toEqual([true, true, true, true, true]);
    expect((await call("127.0.0.8")).usable).toBe(false);
    const other = await call("127.0.0.9");
    expect(other.usable).toBe(true);
    (open[0] as BareHttp).destroy();
    const again = await eventually(PATIENCE_MS, "room again", async () => {
      const http = await call("127.0.0.8");
      return http.usable ? http : undefined;
    });
    for (const http of [...open, other, again]) http.destroy();
    expect(await small.metric('lethe_refused_total{code="too-many-connections"}')).toBeGreaterThan(0);
  });
});
