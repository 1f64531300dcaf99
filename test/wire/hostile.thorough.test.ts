// Whatever a client sends: no crash, a stable code, and memory that stays as it was. The oracle in support/hostile.ts
// says beforehand what must become of each generated input.
import {
  encodeFrames,
  type FrameName,
  FRAMES,
  MAX_FRAME_BYTES,
  MAX_MESSAGE_BYTES,
  OPERATOR_PATHS,
  PATHS,
  PROBLEMS,
} from "@lethe/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { attack, faultsAfter, mib, UNDER_ATTACK } from "../support/attack.ts";
import { tcpExchange, upgradeRequest } from "../support/bare-socket.ts";
import { Chance } from "../support/chance.ts";
import { aFolder, type Folder } from "../support/folder.ts";
import { HTTP_KINDS } from "../support/hostile-http.ts";
import { ask, Person } from "../support/person.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { clientFrames, draw, forbiddenFrames } from "../support/samples.ts";
import { eventually, within } from "../support/waiting.ts";
import { named, sealed, submitTo, Wire } from "../support/wire.ts";

const INPUTS = 200_000;
const REQUESTS = 30_000;
const PATIENCE_MS = 20_000;

let folder: Folder;
let relay: RelayProcess;
let ben: Person;
beforeAll(async () => {
  folder = await aFolder();
  relay = await RelayProcess.start({ data: folder.path, ...UNDER_ATTACK });
  ben = await Person.called("ben").register(relay);
});
afterAll(async () => {
  await relay.stop();
  await folder[Symbol.asyncDispose]();
});

const known = (): Person => ben;

/** A fresh connection, and how to bring it to where it stands. */
async function standing(kind: "device" | "anonymous", open: boolean): Promise<Wire> {
  if (!open) return Wire.raw(relay, kind);
  if (kind === "anonymous") return Wire.anonymous(relay);
  const wire = await Wire.device(relay, await Person.called("anna").register(relay));
  await wire.take("drained");
  return wire;
}

async function expectEnd(wire: Wire, code: keyof typeof PROBLEMS): Promise<void> {
  for (;;) {
    const frame = await wire.next();
    if (frame.frame !== "error") continue; // what had been asked before is answered before
    expect(named(frame.code)).toBe(code);
    break;
  }
  expect((await wire.closed).status).toBe(PROBLEMS[code].close);
  wire.socket.terminate();
}

describe("every frame that a client may send", () => {
  it("cut at any byte is malformed, before the greeting and after it", async () => {
    const chance = new Chance(1);
    for (const kind of ["anonymous", "device"] as const)
      for (const name of clientFrames(kind)) {
        const whole = encodeFrames(draw(name, chance, known));
        const cuts = Array.from({ length: whole.length - 1 }, (_, i) => i + 1);
        await Promise.all(
          cuts.map(async (cut) => {
            const open = kind === "anonymous" && cut % 2 === 0;
            const wire = await standing(kind, open);
            wire.sendBytes(whole.subarray(0, cut));
            await expectEnd(wire, "malformed-frame");
          }),
        );
      }
  });

  it("with bytes behind it, or an empty message, is malformed or unknown", async () => {
    const ping = encodeFrames({ frame: "ping", token: 1 });
    for (const [bytes, code] of [
      [new Uint8Array(0), "malformed-frame"],
      [Buffer.concat([ping, Buffer.from("50", "hex")]), "malformed-frame"],
      [Buffer.from("5000000500000001ff", "hex"), "malformed-frame"], // a longer body than a ping has
      [Buffer.from("00000000", "hex"), "unknown-frame"],
    ] as const) {
      const wire = await standing("anonymous", true);
      wire.sendBytes(bytes);
      await expectEnd(wire, code);
    }
  });
});

describe("a frame", () => {
  it("that only the relay sends, or that belongs on the other kind of connection, is unexpected", async () => {
    const chance = new Chance(2);
    for (const kind of ["anonymous", "device"] as const)
      for (const name of forbiddenFrames(kind))
        for (const open of [false, true]) {
          const wire = await standing(kind, open);
          wire.sendBytes(encodeFrames(draw(name, chance, known)));
          await expectEnd(wire, "unexpected-frame");
        }
  });

  it("of any opcode that is not in the table is unknown", async () => {
    const opcodes = new Set<number>((Object.keys(FRAMES) as FrameName[]).map((name) => FRAMES[name].opcode));
    const others = Array.from({ length: 256 }, (_, opcode) => opcode).filter(
      (opcode) => !opcodes.has(opcode),
    );
    await Promise.all(
      others.map(async (opcode) => {
        const wire = await standing("anonymous", opcode % 2 === 0);
        wire.sendBytes(Uint8Array.of(opcode, 0, 0, 0));
        await expectEnd(wire, "unknown-frame");
      }),
    );
  });

  it("that says it is longer than a frame may be is too large; one that is as long as it may be is read", async () => {
    const over = await standing("anonymous", true);
    const header = Buffer.from([FRAMES.submit.opcode, 0, 0, 0]);
    header.writeUIntBE(MAX_FRAME_BYTES + 1, 1, 3);
    over.sendBytes(header);
    await expectEnd(over, "frame-too-large");

    const full = await standing("anonymous", true);
    header.writeUIntBE(MAX_FRAME_BYTES, 1, 3);
    full.sendBytes(Buffer.concat([header, new Uint8Array(MAX_FRAME_BYTES)]));
    await expectEnd(full, "malformed-frame");
  });

  it("with a count or a length over its limit is malformed, before anything is allocated for it", async () => {
    const submit = encodeFrames(submitTo(known(), sealed("x")));
    const before = await relay.residentBytes();
    for (const at of [0, 1, 2, 3]) {
      const lying = Buffer.from(submit);
      lying.fill(0xff, submit.length - 5 - at, submit.length - 1); // the ciphertext's length
      const wire = await standing("anonymous", true);
      wire.sendBytes(lying);
      await expectEnd(wire, "malformed-frame");
    }
    expect((await relay.residentBytes()) - before).toBeLessThan(64 * 1_048_576);
  });
});

describe("a message", () => {
  it("over the message limit ends the connection with WebSocket's own status for that", async () => {
    const wire = await standing("anonymous", true);
    wire.sendBytes(new Uint8Array(MAX_MESSAGE_BYTES + 1));
    expect([1009, 1006]).toContain((await wire.closed).status);
  });

  it("full of the smallest questions is answered, all of it", async () => {
    const wire = await standing("anonymous", true);
    const asks = Array.from({ length: 5_000 }, (_, request) => ({
      frame: "ask-devices" as const,
      request,
      account: known().account,
      accessKey: known().accessKey,
    }));
    wire.send(...asks);
    for (let request = 0; request < asks.length; request++)
      expect((await wire.take("has-devices")).request).toBe(request);
    await wire.close();
  });
});

describe("a client", () => {
  it("that does not greet is ended after 10 s with authentication-timeout", async () => {
    const device = await Wire.raw(relay, "device");
    const anonymous = await Wire.raw(relay, "anonymous");
    const challenged = await Wire.raw(relay, "device");
    challenged.send(draw("hello", new Chance(3), known) as Parameters<Wire["send"]>[0]);
    await challenged.take("challenge");
    for (const wire of [device, anonymous, challenged]) await expectEnd(wire, "authentication-timeout");
  });

  it("that asks and never reads is ended as a slow reader, and costs the relay a bounded buffer", async () => {
    const before = await relay.residentBytes();
    const ended = 'lethe_connections_ended_total{code="slow-reader"}';
    const already = await relay.metric(ended);
    const wire = await standing("anonymous", true);
    wire.socket.pause();
    const { account, accessKey } = known();
    const question = encodeFrames(
      ...Array.from({ length: 2_000 }, (_, request) => ({
        frame: "ask-devices" as const,
        request,
        account,
        accessKey,
      })),
    );
    let asked = 0;
    await eventually(PATIENCE_MS, "the end of a slow reader", async () => {
      if (asked++ < 500) wire.sendBytes(question);
      return (await relay.metric(ended)) > already ? true : undefined;
    });
    expect((await relay.residentBytes()) - before).toBeLessThan(96 * 1_048_576);
    wire.socket.terminate();
  });
});

describe("bytes that are no upgrade", () => {
  const good = upgradeRequest("anonymous");
  it.each<[string, string]>([
    ["another path", good.replace(PATHS.anonymousSocket, "/v1/other")],
    ["no key", good.replace(/Sec-WebSocket-Key.*\r\n/, "")],
    ["a short key", good.replace("bGV0aGUgaXMgYSByaXZlcg==", "bGV0aGU=")],
    ["another version", good.replace("Version: 13", "Version: 7")],
    ["another protocol", good.replace("Upgrade: websocket", "Upgrade: h2c")],
    ["POST", good.replace("GET", "POST")],
    ["a path that climbs", good.replace(PATHS.anonymousSocket, `/..${PATHS.anonymousSocket}`)],
    ["a header of 100 KiB", good.replace("Host:", `X-Long: ${"x".repeat(102_400)}\r\nHost:`)],
    ["binary", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003"],
    ["nothing but line ends", "\r\n\r\n\r\n\r\n"],
  ])("are answered with a 4xx or the end: %s", async (_what, request) => {
    const answer = (
      await within(PATIENCE_MS, "an end", tcpExchange(relay.port, Buffer.from(request, "latin1"), true))
    ).toString("latin1");
    expect(answer).toMatch(/^(?:HTTP\/1\.1 4\d\d |$)/);
    expect((await ask(relay, "GET", OPERATOR_PATHS.health, Buffer.alloc(0))).status).toBe(200);
  });
});

describe(`${INPUTS.toLocaleString("en")} inputs at the sockets and ${REQUESTS.toLocaleString("en")} requests, generated`, () => {
  it("each end as the contract says, and the relay's memory stays as it was after warming up", async () => {
    const { seed } = Chance.forThisRun("hostile inputs");
    const outcome = await attack(relay, { sockets: INPUTS, http: REQUESTS, seed });
    const { sockets, http, seconds, resident } = outcome;
    process.stdout.write(
      `hostile inputs: ${sockets.inputs} on ${sockets.connections} sockets, ${sockets.answers} answers, ends ${JSON.stringify(Object.fromEntries(sockets.ends))}; ` +
        `${http.inputs} requests, answers ${JSON.stringify(Object.fromEntries(http.answers))}; ${seconds.toFixed(1)} s, resident MiB ${resident.map(mib).join(" ")}\n`,
    );
    expect(await faultsAfter(relay, outcome)).toEqual([]);
    for (const code of [
      "malformed-frame",
      "unknown-frame",
      "unexpected-frame",
      "frame-too-large",
      "broken WebSocket",
    ])
      expect([code, sockets.ends.get(code) ?? 0]).not.toEqual([code, 0]);
    for (const kind of HTTP_KINDS) expect([kind, http.kinds.get(kind) ?? 0]).not.toEqual([kind, 0]);
    for (const answer of [
      "200",
      "201",
      "400 bad-request",
      "401 unauthorized",
      "401 replayed",
      "404 not-found",
    ])
      expect([answer, http.answers.get(answer) ?? 0]).not.toEqual([answer, 0]);
  }, 290_000);
});
