// Links between node processes, over sockets that fail: one link for each pair, frames in order or a `down` that says so,
// nobody without the secret, and no end that is waited for.
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { aFolder } from "../support/folder.ts";
import { LinkPair, PATIENCE_MS } from "../support/link-pair.ts";
import { eventually } from "../support/waiting.ts";

/** A silent link is believed in for three heartbeats; the rest is the machine's. */
const SILENCE_MS = 8_000;
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

describe("a link between two nodes", () => {
  it("carries frames of all sizes both ways, in order, and tells how far the clocks are apart", async () => {
    await using pair = await LinkPair.start();
    await pair.linked();
    pair.a.order({ send: pair.b.id, count: 5_000, bytes: 300 });
    pair.b.order({ send: pair.a.id, count: 5_000, bytes: 10 });
    pair.a.order({ send: pair.b.id, count: 100, bytes: 73_728 });
    await eventually(PATIENCE_MS, "all of it", () =>
      pair.b.got.length === 5_100 && pair.a.got.length === 5_000 ? true : undefined,
    );
    expect(pair.b.got).toEqual(upTo(5_100));
    expect(pair.a.got).toEqual(upTo(5_000));
    expect([pair.a.count("up"), pair.b.count("up"), pair.a.count("down"), pair.b.count("down")]).toEqual([
      1, 1, 0, 0,
    ]);
    await eventually(PATIENCE_MS, "a heartbeat", async () => {
      const [ahead] = await pair.a.clocks();
      return ahead !== undefined && Math.abs(ahead) < 1_000 ? true : undefined;
    });
  });

  it("is one, however both open it at the same time, and loses nothing that it does not say is lost", async () => {
    await using pair = await LinkPair.start();
    for (const node of [pair.a, pair.b]) node.order({ known: pair.leases });
    pair.introduce();
    let sent = 0;
    for (let round = 1; round <= 25; round++) {
      pair.a.order({ open: pair.b.id });
      pair.b.order({ open: pair.a.id });
      await eventually(PATIENCE_MS, `link ${round}`, () => standing(pair));
      pair.a.order({ send: pair.b.id, count: 50, bytes: 100 });
      sent += 50;
      await eventually(PATIENCE_MS, `frames of round ${round}`, () =>
        pair.b.got.length === sent ? true : undefined,
      );
      // Both still agree, and both hear of its end.
      expect(standing(pair)).toBe(true);
      pair.toA.cut();
      pair.toB.cut();
      await eventually(PATIENCE_MS, `the end of link ${round}`, () =>
        pair.a.count("up") === pair.a.count("down") && pair.b.count("up") <= pair.b.count("down")
          ? true
          : undefined,
      );
    }
    expect(pair.b.got).toEqual(upTo(sent));
  });

  it("is told as down at once where the other process dies", async () => {
    await using pair = await LinkPair.start();
    await pair.linked();
    const began = performance.now();
    await pair.b.kill();
    await pair.a.times("down", 1);
    expect(performance.now() - began).toBeLessThan(2_000);
    pair.a.order({ open: pair.b.id });
    await pair.a.times("down", 2); // and so is the wish for another one
  });

  it("is told as down where the other process stands still, and stands again when it goes on", async () => {
    await using pair = await LinkPair.start();
    await pair.linked();
    pair.b.signal("SIGSTOP");
    await pair.a.times("down", 1, SILENCE_MS);
    expect(pair.a.ends).toContain("silent");
    pair.b.signal("SIGCONT");
    await pair.b.times("down", 1);
    await eventually(PATIENCE_MS, "a new link", () => {
      pair.a.order({ open: pair.b.id });
      return standing(pair);
    });
  });

  it.each(["up", "down", "both"] as const)(
    "is told as down at both ends where nothing gets through %s",
    async (way) => {
      await using pair = await LinkPair.start();
      await pair.linked();
      for (const line of [pair.toA, pair.toB]) line.silence(way);
      await Promise.all([pair.a.times("down", 1, SILENCE_MS), pair.b.times("down", 1, 2 * SILENCE_MS)]);
      pair.a.order({ open: pair.b.id });
      await pair.a.times("down", 2, SILENCE_MS); // a call that nobody answers
      for (const line of [pair.toA, pair.toB]) line.silence(undefined);
      await eventually(PATIENCE_MS, "a new link", () => {
        pair.a.order({ open: pair.b.id });
        return standing(pair);
      });
    },
  );

  it("is broken, not waited for, where the other end does not take what it is sent", async () => {
    await using pair = await LinkPair.start();
    await pair.linked();
    pair.b.signal("SIGSTOP");
    pair.a.order({ send: pair.b.id, count: 700, bytes: 73_728 });
    await pair.a.times("down", 1);
    expect(pair.a.ends).toContain("slow");
  });
});

function standing({ a, b }: LinkPair): true | undefined {
  return a.isUp && b.isUp ? true : undefined;
}

describe("a node", () => {
  it("with another secret is not linked to, whoever calls", async () => {
    await using pair = await LinkPair.start({ secrets: ["x".repeat(32), "y".repeat(32)] });
    pair.introduce();
    pair.a.order({ open: pair.b.id });
    pair.b.order({ open: pair.a.id });
    await Promise.all([pair.a.times("down", 1), pair.b.times("down", 1)]);
    expect([pair.a.count("up"), pair.b.count("up")]).toEqual([0, 0]);
    expect([...pair.a.ends, ...pair.b.ends]).toContain("not-proved");
  });

  it("whose lease has ended is neither called nor taken in, and its link ends", async () => {
    await using pair = await LinkPair.start();
    const [a] = pair.leases;
    pair.a.order({ alive: pair.leases });
    pair.b.order({ alive: pair.leases.slice(1) });
    pair.a.order({ open: pair.b.id });
    await pair.a.times("down", 1);
    expect(pair.b.ends).toContain("not-alive");
    pair.b.order({ open: pair.a.id });
    await pair.b.times("down", 1);
    pair.b.order({ alive: pair.leases });
    await eventually(PATIENCE_MS, "a link", () => {
      pair.a.order({ open: pair.b.id });
      return standing(pair);
    });
    for (let i = 0; i < 2; i++) pair.a.order({ alive: [a as readonly [string, string]] });
    await Promise.all([pair.a.times("down", 2), pair.b.times("down", 2)]);
  });

  it("is reached through a crowd of strangers who say nothing, nonsense, or too much", async () => {
    await using pair = await LinkPair.start();
    const crowd = Array.from({ length: 1_200 }, (_, i) => {
      const socket = connect({ port: pair.b.port, host: "127.0.0.1" });
      socket.on("error", () => undefined).resume();
      if (i % 3 > 0) socket.write(UPGRADE);
      if (i % 3 === 2)
        socket.write(Buffer.concat([Buffer.from([0x82, 0xfe, 0x27, 0x10]), Buffer.alloc(10_004, i)]));
      return socket;
    });
    await Promise.all(crowd.map((socket) => once(socket, "connect").catch(() => undefined)));
    await pair.linked();
    pair.a.order({ send: pair.b.id, count: 100, bytes: 300 });
    await eventually(PATIENCE_MS, "its frames", () => (pair.b.got.length === 100 ? true : undefined));
    await eventually(PATIENCE_MS, "the end of the crowd", () =>
      crowd.every((socket) => socket.destroyed) ? true : undefined,
    );
    expect([pair.a.count("down"), pair.b.count("down")]).toEqual([0, 0]);
  });

  it("speaks TLS to those whose certificate it can check, and to no others", async () => {
    await using folder = await aFolder();
    const [one, other] = [aCertificate(folder.path, "one"), aCertificate(folder.path, "other")];
    await using pair = await LinkPair.start({
      tls: [
        { ...one, ca: one.cert },
        { ...one, ca: one.cert },
      ],
    });
    await pair.linked();
    await using apart = await LinkPair.start({
      tls: [
        { ...one, ca: other.cert },
        { ...other, ca: other.cert },
      ],
    });
    apart.introduce();
    apart.b.order({ open: apart.a.id });
    await apart.b.times("down", 1);
    expect(apart.b.ends).toContain("unreached");
  });
});

const UPGRADE =
  "GET /link HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: bGV0aGUgaXMgYSByaXZlcg==\r\nSec-WebSocket-Version: 13\r\n\r\n";

function aCertificate(folder: string, name: string): { cert: string; key: string } {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
  const subject = ["-subj", `/CN=${name}.example`, "-addext", "subjectAltName=IP:127.0.0.1"];
  const args = ["req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-keyout", key, "-out", cert];
  execFileSync("openssl", [...args, ...subject], { stdio: "ignore" });
  return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
}
