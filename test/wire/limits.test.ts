// Limits over real sockets: what is over a rate is refused with the time to wait and nothing is lost; a crowd that does
// not say who it is keeps nobody out who was there before; pages of other origins do not connect.
import { connect } from "node:net";
import { once } from "node:events";
import { PATHS } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { aRelay } from "../support/a-relay.ts";
import { Person } from "../support/person.ts";
import { expectProblem } from "../support/problems.ts";
import { sealed, submitTo, Wire } from "../support/wire.ts";

const FLAGS = {
  "--limit-local": "on",
  "--trust-proxy": "on",
  "--connection-rate": "5",
  "--account-rate": "40",
  "--address-connections": "12",
  "--address-unproven": "4",
  "--address-registrations": "6",
  "--origins": "https://chat.example,http://localhost:5173",
};
const relay = aRelay(() => Object.entries(FLAGS).flat());

/** The status that the relay answers an upgrade with, of a page of `origin`, for a client at `from`. */
async function upgrade(headers: Record<string, string>): Promise<{ status: number; end: () => void }> {
  const socket = connect(relay.at.port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(
    `GET ${PATHS.anonymousSocket} HTTP/1.1\r\nHost: relay.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Key: ${Buffer.alloc(16).toString("base64")}\r\nSec-WebSocket-Version: 13\r\n${lines.join("")}\r\n`,
  );
  const [head] = (await once(socket, "data")) as [Buffer];
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(head.toString("latin1"))?.[1]);
  return { status, end: () => socket.destroy() };
}

describe("a rate", () => {
  it("of a connection: what is over it is refused with the time to wait, and accepted later", async () => {
    const ben = await Person.called("ben").register(relay.at);
    await using sender = await Wire.anonymous(relay.at);
    const letters = Array.from({ length: 14 }, (_, i) => sealed(`letter ${i}`));
    for (const letter of letters) sender.send(submitTo(ben, letter));
    const accepted: string[] = [];
    const refused: string[] = [];
    while (accepted.length + refused.length < letters.length) {
      const frame = await sender.next();
      if (frame.frame === "accepted") accepted.push(...frame.ids);
      else if (frame.frame === "refused") {
        refused.push(...frame.ids);
        expect(frame.retryAfter).toBeGreaterThan(0);
        expect(frame.retryAfter).toBeLessThanOrEqual(200);
      } else throw new Error(`${frame.frame} came`);
    }
    expect(accepted.length).toBeGreaterThanOrEqual(10);
    expect(refused.length).toBeGreaterThan(0);
    const again = letters.filter(({ id }) => refused.includes(id));
    for (const letter of again) {
      for (let done = false; !done; ) {
        sender.send(submitTo(ben, letter));
        const frame = await sender.next();
        done = frame.frame === "accepted";
      }
    }
    await using device = await Wire.device(relay.at, ben);
    const pushed = await device.pushes(letters.length);
    expect(pushed.map((push) => push.id).toSorted()).toEqual(letters.map(({ id }) => id).toSorted());
  });

  it("of registrations: with the time to wait, and by the address that the proxy names", async () => {
    const codes: string[] = [];
    for (let i = 0; i < 7; i++) {
      const person = Person.called("crowd");
      const answer = await person.request(relay.at, "POST", PATHS.accounts, person.registration);
      codes.push(answer.code);
      if (answer.status === 201) continue;
      expectProblem(answer, "rate-limited");
      expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(60);
    }
    expect(codes).toContain("rate-limited");
    expect(codes[0]).toBe("");
  });
});

describe("a crowd that does not say who it is", () => {
  it("fills its own address's places, and nobody else's", async () => {
    const from = (address: string) => upgrade({ "X-Forwarded-For": `198.51.100.1, ${address}` });
    const crowd = [];
    for (let i = 0; i < 4; i++) crowd.push(await from("203.0.113.5"));
    expect(crowd.map(({ status }) => status)).toEqual([101, 101, 101, 101]);
    const over = await from("203.0.113.5");
    expect(over.status).toBe(429);
    const other = await from("203.0.113.6");
    expect(other.status).toBe(101);
    for (const { end } of [...crowd, over, other]) end();
  });
});

describe("an origin", () => {
  it.each([
    ["https://chat.example", 101],
    ["http://localhost:5173", 101],
    ["https://evil.example", 403],
    ["https://chat.example.evil.example", 403],
    ["null", 403],
  ])("%s gets %i", async (origin, status) => {
    const answer = await upgrade({ Origin: origin, "X-Forwarded-For": "203.0.113.77" });
    answer.end();
    expect(answer.status).toBe(status);
  });
});
