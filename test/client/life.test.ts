import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Time } from "@lethe/protocol";
import {
  Client,
  type ClientOptions,
  type Clock,
  CORE_TABLES,
  openMemoryStore,
  openSqliteStore,
  type ReceivedMessage,
  systemClock,
} from "@lethe/client";
import { RelayProcess } from "./support/relay-process.ts";

let relay: RelayProcess;
let folder: string;
const open = new Set<Client>();

beforeAll(async () => {
  relay = await RelayProcess.start();
  folder = await mkdtemp(join(tmpdir(), "lethe-life-"));
});
afterEach(async () => {
  for (const client of open) await client.close();
  open.clear();
});
afterAll(async () => {
  await relay[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function client(user: string, options: Partial<ClientOptions> = {}): Promise<Client> {
  const made = await Client.create({
    relay: relay.url,
    user,
    store: openMemoryStore(),
    requests: "accept",
    receiptJitterMs: 20,
    refillJitterMs: 0,
    ...options,
  });
  open.add(made);
  return made;
}

async function close(...clients: Client[]): Promise<void> {
  for (const each of clients) {
    await each.close();
    open.delete(each);
  }
}

/** Everything from now on; `next` waits for so many in all. */
function listen(to: Client): {
  all: (string | undefined)[];
  until: (count: number) => Promise<(string | undefined)[]>;
} {
  const all: (string | undefined)[] = [];
  let look = (): void => undefined;
  to.on("message", (message: ReceivedMessage) => {
    all.push(message.text);
    look();
  });
  return {
    all,
    until: (count) =>
      new Promise((resolve) => {
        look = () => {
          if (all.length >= count) resolve(all);
        };
        look();
      }),
  };
}

describe("a device's life", () => {
  it("is displaced by a copy of itself, does not fight, and comes back when it is told to", async () => {
    const file = join(folder, "copy.db");
    const first = await client("copy-a", { store: file });
    if (first.connection !== "online") await first.once("connection", ({ state }) => state === "online");
    await close(first);
    await copyFile(file, join(folder, "second.db"));
    await copyFile(`${file}.key`, join(folder, "second.db.key"));
    const again = await client("copy-a", { store: file });
    if (again.connection !== "online") await again.once("connection", ({ state }) => state === "online");
    const displaced = again.once("displaced");
    const restored = client("copy-a", { store: join(folder, "second.db") });
    const second = await restored;
    await second.once("restored");
    await displaced;
    expect(again.connection).toBe("offline");
    again.reconnect();
    await again.once("restored");
  });

  it("goes on after its store was put back to an older state: new keys, new ratchet, mail flows", async () => {
    const file = join(folder, "ben.db");
    const anna = await client("anna");
    const ben = await client("ben", { store: file });
    const atAnna = listen(anna);
    const atBen = listen(ben);
    await anna.send("ben", "one");
    await atBen.until(1);
    await ben.send("anna", "two");
    await atAnna.until(1);
    await close(ben);
    await copyFile(file, join(folder, "old.db"));
    await copyFile(`${file}.key`, join(folder, "old.db.key"));
    const later = await client("ben", { store: file });
    const atLater = listen(later);
    await anna.send("ben", "three");
    await atLater.until(1);
    await later.send("anna", "four");
    await atAnna.until(2);
    await close(later);
    const old = await client("ben", { store: join(folder, "old.db") });
    const atOld = listen(old);
    await Promise.all([old.once("restored"), old.once("prekeys", ({ uploaded }) => uploaded > 0)]);
    await old.send("anna", "five");
    expect(await atAnna.until(3)).toEqual(["two", "four", "five"]);
    await anna.send("ben", "six");
    expect(await atOld.until(1)).toEqual(["six"]);
  });

  it("after 15 days away: lists issued again, keys rotated, ratchets begun anew, mail flows", async () => {
    const clock: Clock = { ...systemClock, now: () => (systemClock.now() + 15 * 86_400_000) as Time };
    const [fileA, fileB] = [join(folder, "old-anna.db"), join(folder, "old-ben.db")];
    const [anna, ben] = [
      await client("old-anna", { store: fileA }),
      await client("old-ben", { store: fileB }),
    ];
    const first = listen(ben);
    await anna.send("old-ben", "then");
    await first.until(1);
    await ben.send("old-anna", "then, too");
    await close(anna, ben);
    const later = await client("old-anna", { store: fileA, clock });
    const atAnna = listen(later);
    const errors: string[] = [];
    later.on("error", ({ error }) => void errors.push(error.message));
    const annas = later.once("prekeys");
    const benLater = await client("old-ben", { store: fileB, clock });
    const atBen = listen(benLater);
    // A new signed pair, which carries the new sealing key.
    const [round] = await Promise.all([annas, benLater.once("prekeys")]);
    expect(round.uploaded).toBeGreaterThanOrEqual(2);
    await later.send("old-ben", "now");
    await atBen.until(1);
    await benLater.send("old-anna", "now, too");
    expect(await atAnna.until(2)).toEqual(["then, too", "now, too"]);
    const stranger = await client("new-carl", { clock });
    await stranger.send("old-ben", "and me");
    expect(await atBen.until(2)).toEqual(["now", "and me"]);
    expect(errors).toEqual([]);
  });

  it("has more one-time keys made when they were handed out", async () => {
    const file = join(folder, "carl.db");
    const carl = await client("carl", { store: file });
    const atCarl = listen(carl);
    for (let i = 0; i < 6; i++) {
      const writer = await client(`writer-${i}`);
      await writer.send("carl", `${i}`);
      await close(writer);
    }
    await atCarl.until(6);
    await close(carl);
    const again = await client("carl", { store: file });
    const { uploaded } = await again.once("prekeys");
    expect(uploaded).toBe(6);
    const writer = await client("writer-last");
    const atAgain = listen(again);
    await writer.send("carl", "still");
    expect(await atAgain.until(1)).toEqual(["still"]);
  });

  it("expires what the relay did not take in time, and says so", async () => {
    await using own = await RelayProcess.start();
    const [anna, ben] = [await client("anna", { relay: own.url }), await client("ben", { relay: own.url })];
    const atBen = listen(ben);
    await anna.send("ben", "first");
    await atBen.until(1);
    await own.stop("SIGKILL");
    const expired = anna.once("expired");
    const brief = await anna.queue("ben", "brief", { ttl: 300 });
    await expect(brief.sent).rejects.toMatchObject({ code: "expired" });
    expect(await expired).toMatchObject({ user: "ben", id: brief.id });
    await close(anna, ben);
  });

  it("keeps everything of a person in a store that says nothing to a reader", async () => {
    const store = await openSqliteStore({ file: join(folder, "dora.db"), passphrase: "x" });
    const dora = await client("dora", { store });
    expect(dora.contacts()).toEqual([]);
    await close(dora);
    await expect(store.list("identity")).rejects.toMatchObject({ code: "store-closed" });
  });

  it("deletes its account: the relay forgets it, the store is as new, and the name is free", async () => {
    const file = join(folder, "emma.db");
    const anna = await client("anna-leaves");
    const emma = await client("emma", { store: await openSqliteStore({ file }) });
    const heard = emma.once("message");
    await anna.send("emma", "stay");
    await heard;
    const { account } = emma;
    await emma.deleteAccount();
    open.delete(emma);
    await expect(emma.send("anna-leaves", "no")).rejects.toMatchObject({ code: "closed" });

    const bea = await client("bea-asks");
    await expect(bea.send("emma", "hello?", { lookUpMs: 2_000 })).rejects.toMatchObject({
      code: "unknown-user",
    });
    const left = await openSqliteStore({ file });
    for (const table of ["owner", "identity", "prekey", ...CORE_TABLES])
      expect([table, await left.list(table)]).toEqual([table, []]);
    await left.close();
    const again = await client("emma", { store: await openSqliteStore({ file }) });
    expect(again.account).not.toBe(account);
    await close(anna, bea, again);
  });

  it("keeps its account where the relay cannot be asked to delete it", async () => {
    const own = await RelayProcess.start();
    const finn = await client("finn", { relay: own.url });
    await own[Symbol.asyncDispose]();
    await expect(finn.deleteAccount()).rejects.toMatchObject({ code: "relay-unreachable" });
    expect(finn.contacts()).toEqual([]);
    expect(finn.waiting).toBe(0);
    finn.reconnect(); // throws once it is closed
    await close(finn);
  });
});
