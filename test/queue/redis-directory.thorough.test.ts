// What several relays do to one directory in Redis, and what a crash leaves in it: of a relay between any two of its steps,
// of Redis at any moment.
import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import type { DeviceAddress, Time, UserName } from "@lethe/protocol";
import { DEFAULT_MAILBOX_LIMITS, type Directory, type Registration } from "@lethe/queue";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Connection } from "../../queue/redis/connection.ts";
import { RedisDirectory } from "../../queue/redis/directory/directory.ts";
import { Keys } from "../../queue/redis/keys.ts";
import { openRedis } from "../../queue/redis/open.ts";
import { Scripts } from "../../queue/redis/scripts.ts";
import type { Arg } from "../../queue/redis/connection.ts";
import { anAccount, aPrekey, NOTHING, plain, registered } from "../contracts/accounts.ts";
import { Clock } from "../contracts/world.ts";
import { Chance } from "../support/chance.ts";
import { RedisServer } from "../support/redis-server.ts";

const SHARDS = 16;
const MINUTE = 60_000;
const chance = Chance.forThisRun("directory in Redis");
const clock = new Clock();
let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server[Symbol.asyncDispose]());

/** Runs scripts as ever, until a step is reached at which its relay ends: nothing more is sent, and nothing answered. */
class Crashing extends Scripts {
  readonly crashed: Promise<void>;
  readonly #crash: () => void;
  #left = Number.POSITIVE_INFINITY;

  constructor(connection: Connection) {
    super(connection);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.crashed = promise;
    this.#crash = resolve;
  }

  crashAfter(steps: number): void {
    this.#left = steps;
  }

  override run(name: string, keys: readonly Buffer[], args: readonly Arg[]): Promise<unknown> {
    if (this.#left-- > 0) return super.run(name, keys, args);
    this.#crash();
    return new Promise(() => undefined);
  }
}

interface Relay extends AsyncDisposable {
  readonly directory: Directory;
  readonly scripts: Crashing;
}

async function aRelay(): Promise<Relay> {
  const config = { kind: "redis", url: server.url, replicas: 0, limits: DEFAULT_MAILBOX_LIMITS } as const;
  const report = (): undefined => undefined;
  const connection = await Connection.open({ ...config, commandMs: 5_000, report });
  const scripts = new Crashing(connection);
  const parts = {
    config: { ...config, report, now: clock.now },
    connection,
    keys: new Keys(SHARDS),
    scripts,
  };
  const directory = await RedisDirectory.open(parts);
  return { directory, scripts, [Symbol.asyncDispose]: async () => connection.close() };
}

async function anInvite(directory: Directory, uses: number): Promise<Buffer> {
  const mark = randomBytes(16);
  await directory.putInvite({ mark, uses, expires: (clock.now() + 60 * MINUTE) as Time });
  return mark;
}

async function usesLeft(directory: Directory, mark: Buffer): Promise<number> {
  return (await directory.invites()).find((invite) => mark.equals(invite.mark))?.uses ?? 0;
}

describe("two relays on one store", () => {
  it("D2 names: of both one gets a name, each time", async () => {
    await using one = await aRelay();
    await using other = await aRelay();
    for (let round = 0; round < 50; round++) {
      const name = `wanted-${round}` as UserName;
      const [a, b] = [anAccount(), anAccount()].map((account) => ({ ...account, name }));
      if (a === undefined || b === undefined) throw new Error("two");
      const answers = await Promise.all([one.directory.register(a), other.directory.register(b)]);
      expect(answers.toSorted()).toEqual(["name-taken", "registered"]);
      const winner = answers[0] === "registered" ? a : b;
      expect(await one.directory.accountOfName(name)).toBe(winner.account);
      expect(await other.directory.account((winner === a ? b : a).account)).toBeUndefined();
    }
  });

  it("D2 names: of both one registers an account, the other finds the same", async () => {
    await using one = await aRelay();
    await using other = await aRelay();
    for (let round = 0; round < 20; round++) {
      const account = anAccount();
      const answers = await Promise.all([one, other].map(({ directory }) => directory.register(account)));
      expect(answers.toSorted()).toEqual(["registered", "same"]);
      expect(await one.directory.accountOfName(account.name)).toBe(account.account);
    }
  });

  it("D8 invites: of ten at both one gets the last use, each time, and none comes back", async () => {
    await using one = await aRelay();
    await using other = await aRelay();
    for (let round = 0; round < 10; round++) {
      const mark = await anInvite(one.directory, 1);
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, i) =>
          (i % 2 === 0 ? one : other).directory.register(anAccount(), mark),
        ),
      );
      expect(answers.filter((answer) => answer === "registered")).toHaveLength(1);
      expect(answers.filter((answer) => answer === "invite-invalid")).toHaveLength(9);
      expect(await usesLeft(one.directory, mark)).toBe(0);
    }
  });

  it("D4 prekeys once: in 1,000 takes at both each key is handed out once, until none is left", async () => {
    await using one = await aRelay();
    await using other = await aRelay();
    const addresses: DeviceAddress[] = [];
    const uploaded = new Set<string>();
    for (let i = 0; i < 4; i++) {
      const address = await registered(one.directory);
      const oneTime = Array.from({ length: 200 }, aPrekey);
      for (const { id } of oneTime) uploaded.add(Buffer.from(id).toString("hex"));
      await one.directory.putPrekeys(address, {
        ...NOTHING,
        signed: aPrekey(),
        lastResort: aPrekey(),
        oneTime,
      });
      addresses.push(address);
    }
    const bundles = await Promise.all(
      Array.from({ length: 1_000 }, (_, i) => {
        const address = addresses[i % addresses.length] as DeviceAddress;
        const relay = chance.below(2) === 0 ? one : other;
        return relay.directory.takePrekeys({ address, requester: randomBytes(32), oneTime: true });
      }),
    );
    const ids = bundles.flatMap((bundle) =>
      bundle?.oneTime === undefined ? [] : [Buffer.from(bundle.oneTime.id).toString("hex")],
    );
    expect(ids).toHaveLength(800);
    expect(new Set(ids)).toEqual(uploaded);
    expect(bundles.every((bundle) => bundle !== undefined)).toBe(true);
  });
});

describe("a relay that ends within a registration", () => {
  // reserve-name, take-use, register, settle-name, settle-use
  const STEPS = 5;

  for (let steps = 0; steps < STEPS; steps++) {
    it(`after ${steps} of its steps: the name is its account's or free, and uses are neither lost nor doubled`, async () => {
      await using relay = await aRelay();
      await using next = await aRelay();
      const mark = await anInvite(next.directory, 2);
      const account = anAccount();
      relay.scripts.crashAfter(steps);
      void relay.directory.register(account, mark);
      await relay.scripts.crashed;
      const isThere = (await next.directory.account(account.account)) !== undefined;
      expect(isThere).toBe(steps >= 3);
      expect(await next.directory.accountOfName(account.name)).toBe(isThere ? account.account : undefined);
      const rival = { ...anAccount(), name: account.name };
      expect(await next.directory.register(rival)).toBe(isThere ? "name-taken" : "registered");
      clock.pass(2 * MINUTE);
      await next.directory.dayPasses();
      expect(await usesLeft(next.directory, mark)).toBe(isThere ? 1 : 2);
      expect(await next.directory.register(account, mark)).toBe(isThere ? "same" : "name-taken");
    });
  }

  it("whoever asks again, by another relay, is registered", async () => {
    await using relay = await aRelay();
    await using next = await aRelay();
    for (let steps = 0; steps < STEPS; steps++) {
      await using crashing = await aRelay();
      const mark = await anInvite(relay.directory, 1);
      const account = anAccount();
      crashing.scripts.crashAfter(steps);
      void crashing.directory.register(account, mark);
      await crashing.scripts.crashed;
      expect(await next.directory.register(account, mark)).toBe(steps >= 3 ? "same" : "registered");
      clock.pass(2 * MINUTE);
      await next.directory.dayPasses();
      expect(await usesLeft(next.directory, mark)).toBe(0);
    }
  });

  it("and whose last step comes late, when others have its name, registers nothing", async () => {
    await using late = await aRelay();
    await using next = await aRelay();
    const account = anAccount();
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    const run = late.scripts.run.bind(late.scripts);
    let isFirst = true;
    late.scripts.run = async (name, keys, args) => {
      if (name === "register" && isFirst) {
        isFirst = false;
        reach();
        await held;
      }
      return run(name, keys, args);
    };
    const registering: Promise<Registration> = late.directory.register(account);
    await reached;
    const rival = { ...anAccount(), name: account.name };
    expect(await next.directory.register(rival)).toBe("registered");
    release();
    expect(await registering).toBe("name-taken");
    expect(await next.directory.account(account.account)).toBeUndefined();
    expect(await next.directory.accountOfName(account.name)).toBe(rival.account);
  });
});

describe("a relay that ends within a deletion", () => {
  // doubt-name, delete-account, settle-name
  for (let steps = 0; steps < 3; steps++) {
    it(`after ${steps} of its steps: account and name are both there, or both gone and the name free`, async () => {
      await using relay = await aRelay();
      await using next = await aRelay();
      const account = anAccount();
      await registered(relay.directory, account);
      relay.scripts.crashAfter(steps);
      void relay.directory.deleteAccount(account.account);
      await relay.scripts.crashed;
      const isThere = steps < 2;
      const named = async () => next.directory.accountOfName(account.name);
      expect(await named()).toBe(isThere ? account.account : undefined);
      clock.pass(2 * MINUTE);
      await next.directory.dayPasses();
      expect(await named()).toBe(isThere ? account.account : undefined);
      const rival = { ...anAccount(), name: account.name };
      expect(await next.directory.register(rival)).toBe(isThere ? "name-taken" : "registered");
      expect(await next.directory.register(account)).toBe(isThere ? "same" : "account-exists");
    });
  }
});

describe("what a relay leaves that ends in between", () => {
  it("is gone when a day passes, where nobody wanted it: no name, no held use, no doubt", async () => {
    const redis = new Redis(server.port, "127.0.0.1");
    await redis.flushall();
    await using next = await aRelay();
    const mark = await anInvite(next.directory, 9);
    const accounts = Array.from({ length: 4 }, () => anAccount());
    for (const [i, account] of accounts.entries()) {
      await using relay = await aRelay();
      if (i === 3) await registered(relay.directory, account);
      relay.scripts.crashAfter(i === 3 ? 2 : i + 1);
      void (i === 3
        ? relay.directory.deleteAccount(account.account)
        : relay.directory.register(account, mark));
      await relay.scripts.crashed;
    }
    const left = async () => {
      const keys = (await redis.keysBuffer("*")).map((key) => key.toString("latin1"));
      return {
        names: accounts.map(({ name }) => keys.some((key) => key.includes(name))),
        kinds: [...new Set(keys.map((key) => key.charAt(5)))]
          .filter((letter) => "jh".includes(letter))
          .toSorted(),
      };
    };
    expect(await left()).toEqual({ names: [true, true, true, true], kinds: ["h", "j"] });
    clock.pass(2 * MINUTE);
    await next.directory.dayPasses();
    expect(await left()).toEqual({ names: [false, false, true, false], kinds: [] });
    expect(await usesLeft(next.directory, mark)).toBe(8);
    redis.disconnect();
  });
});

describe("Redis, killed while accounts are registered", () => {
  it("D1 durable: what was answered is there, with its name; what was not can be registered", async () => {
    const backend = await openRedis({
      kind: "redis",
      url: server.url,
      replicas: 0,
      limits: DEFAULT_MAILBOX_LIMITS,
      shards: 256,
      commandMs: 2_000,
      report: () => undefined,
    });
    const { directory } = backend;
    const accounts = Array.from({ length: 300 }, () => anAccount());
    const answered = new Set<number>();
    let crashes = 0;
    let crashing: Promise<void> | undefined;
    const crash = async (): Promise<void> => {
      await server.kill();
      await server.restart();
      crashes++;
      crashing = undefined;
    };
    const lanes = Array.from({ length: 8 }, async (_, lane) => {
      for (let i = lane; i < accounts.length; i += 8) {
        const account = accounts[i];
        if (account === undefined) continue;
        const answer = await directory.register(account).catch(() => "failed");
        if (answer === "registered" || answer === "same") answered.add(i);
        if (chance.below(40) === 0) crashing ??= crash();
      }
    });
    await Promise.all(lanes);
    await crashing;
    await crash();
    expect(crashes).toBeGreaterThan(2);
    expect(answered.size).toBeGreaterThan(100);
    for (const [i, account] of accounts.entries()) {
      if (!answered.has(i)) expect(await directory.register(account)).toMatch(/^(?:registered|same)$/);
      expect(plain(await directory.account(account.account))).toEqual(account);
      expect(await directory.accountOfName(account.name)).toBe(account.account);
    }
    expect(await directory.count()).toBeGreaterThanOrEqual(accounts.length);
    await backend.close();
  });
});
