// A node that dies with 5,000 devices connected: all of them are back at the other one, and not all at once. Each device is the
// library's own connection on a socket of its own; how long it took is printed.
import { decodeFrames, encodeFrames, PATHS, type Time } from "@lethe/protocol";
import { expect, it } from "vitest";
import { Connection } from "../../client-lib/delivery/connection.ts";
import { RECONNECT_BASE_MS } from "../../client-lib/delivery/limits.ts";
import { Turn } from "../../client-lib/delivery/turn.ts";
import { openNodeSocket, type Socket } from "../../client-lib/edge/socket.ts";
import { Chance } from "../support/chance.ts";
import { Fleet } from "../support/fleet.ts";
import { Person } from "../support/person.ts";
import { eventually } from "../support/waiting.ts";
import { proofOf } from "../support/wire.ts";

const DEVICES = Number(process.env["LETHE_DEVICES"] ?? 5_000);
const AT_ONCE = 32;
const PATIENCE_MS = 120_000;
const EXPECTING = { from: "relay", on: "device", version: 1 } as const;

/** One device: the library's machine of a connection, with a clock and a socket. */
class Device {
  readonly #urls: readonly string[];
  readonly #connection: Connection;
  #socket: Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When each of its attempts to connect began, ms of this process. */
  readonly attempts: number[] = [];
  upAt = 0;

  constructor(person: Person, urls: readonly string[], chance: Chance) {
    this.#urls = urls;
    const { account, device } = person;
    this.#connection = new Connection(
      {
        ...{
          socket: "device",
          account,
          device,
          urls: urls.length,
          idleMs: Number.POSITIVE_INFINITY,
          spreadMs: 0,
        },
        chance: { fraction: () => chance.below(2 ** 30) / 2 ** 30, bytes: (length) => chance.bytes(length) },
        cipher: {
          prove: ({ relay, nonce, version, epoch }) => {
            person.epoch = epoch;
            return proofOf(person, { frame: "challenge", relay, nonce, version });
          },
          suspect: () => [],
        },
      },
      person.epoch,
    );
  }

  connect(): void {
    this.#turn((turn) => this.#connection.connect(turn));
  }

  get isUp(): boolean {
    return this.#connection.isUp;
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#turn((turn) => this.#connection.stop(turn));
    clearTimeout(this.#timer);
  }

  #turn(step: (turn: Turn) => void): void {
    const turn = new Turn(Date.now() as Time);
    step(turn);
    for (const after of turn.after) if (after.next === "open") this.#connection.raised(turn, after.epoch);
    for (const effect of turn.effects) {
      if (effect.do === "open") this.#open(effect.connection, effect.url);
      else if (effect.do === "close") this.#socket?.close();
      else if (effect.do === "send") this.#socket?.send(encodeFrames(...effect.frames));
    }
    clearTimeout(this.#timer);
    const wait = this.#connection.nextAt() - Date.now();
    if (Number.isFinite(wait))
      this.#timer = setTimeout(
        () => this.#turn((later) => void this.#connection.tick(later)),
        Math.max(1, wait),
      );
  }

  #open(connection: number, url: number): void {
    this.attempts.push(performance.now());
    this.#socket = openNodeSocket(`${this.#urls[url]?.replace("http", "ws")}${PATHS.deviceSocket}`, {
      opened: () => this.#turn((turn) => this.#connection.opened(turn, connection)),
      message: (bytes) => {
        for (const frame of decodeFrames(bytes, EXPECTING))
          this.#turn((turn) => {
            if (this.#connection.frame(turn, frame)) this.upAt = performance.now();
          });
      },
      closed: () => this.#turn((turn) => void this.#connection.closed(turn, connection, { code: undefined })),
    });
  }
}

async function inTurn<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const left = items.values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const item of left) await work(item);
    }),
  );
}

it(`${DEVICES} devices of a node that is killed come back, spread over the jitter window`, async () => {
  const chance = Chance.forThisRun("comeback");
  await using fleet = await Fleet.start({ nodes: 2, chance });
  const people = Array.from({ length: DEVICES }, (_, i) => Person.called(`device-${i}`));
  await inTurn(people, (person) => person.register(fleet.node(0)));
  const devices = people.map((person) => new Device(person, fleet.urls, chance));
  await inTurn(devices, async (device) => {
    device.connect();
    await eventually(
      PATIENCE_MS,
      "a device online",
      () => Promise.resolve(device.isUp ? true : undefined),
      2,
    );
  });
  const killed = performance.now();
  await fleet.killNode(0);
  await eventually(PATIENCE_MS, "all devices back", () =>
    Promise.resolve(devices.every(({ isUp, upAt }) => isUp && upAt > killed) ? true : undefined),
  );
  const back = devices.map(({ upAt }) => upAt - killed).toSorted((a, b) => a - b);
  const first = devices.map(({ attempts }) => (attempts.find((at) => at > killed) ?? 0) - killed);
  const tenth = RECONNECT_BASE_MS / 10;
  const crowd = Map.groupBy(first, (at) => Math.floor(at / tenth));
  const most = Math.max(...[...crowd.values()].map(({ length }) => length));
  const at = (part: number): string => ((back[Math.ceil(part * (back.length - 1))] ?? 0) / 1_000).toFixed(2);
  process.stdout.write(
    `${DEVICES} devices back: half after ${at(0.5)} s, 99 % after ${at(0.99)} s, all after ${at(1)} s; ` +
      `at most ${((100 * most) / DEVICES).toFixed(0)} % of first attempts in one tenth of the ${RECONNECT_BASE_MS} ms window\n`,
  );
  expect(await fleet.node(1).metric("lethe_sessions")).toBe(DEVICES);
  expect(most).toBeLessThan(DEVICES / 3);
  for (const device of devices) device.end();
}, 600_000);
