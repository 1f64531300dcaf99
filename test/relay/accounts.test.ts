// Who is admitted to an account, from the cache or by the directory, in simulated time and against a directory that counts.
import { randomBytes } from "node:crypto";
import { type AccountId, accountOf, fromBytes } from "@lethe/protocol";
import type { AccountRecord, Directory } from "@lethe/queue";
import { describe, expect, it } from "vitest";
import { ACCOUNT_CACHE, accessKeyHash, Accounts } from "../../relay/edge/accounts.ts";

const CACHE_MS = 60_000;

const anId = (): AccountId => fromBytes<AccountId>(randomBytes(16));
const KEY = randomBytes(16);
const HASH = accessKeyHash(KEY);

function world() {
  const records = new Map<AccountId, AccountRecord>();
  const clock = { now: 0 };
  const reads = { count: 0 };
  const directory = {
    account: (account: AccountId) => {
      reads.count++;
      return Promise.resolve(records.get(account));
    },
  } as Directory;
  const accounts = new Accounts(directory, 10, () => clock.now, CACHE_MS);
  const add = (account = anId()): AccountId => {
    const record = { account, accessKeyHash: HASH, devices: [{ device: 1 }] } as unknown as AccountRecord;
    records.set(account, record);
    return account;
  };
  const admit = (account: AccountId, accessKey: Uint8Array | undefined, identified = false) =>
    accounts.admit({ account, accessKey, identified });
  return { accounts, records, clock, reads, add, admit };
}

describe("accounts", () => {
  it("are at hand for whoever has shown the right key, until the time is over or the account changes", async () => {
    const { accounts, clock, add, admit } = world();
    const ben = add();
    expect(accounts.admitted(ben, KEY, false)).toBeUndefined();
    const admitted = await admit(ben, KEY);
    expect(admitted?.record.devices.map((d) => accountOf(d.address))).toEqual([ben]);
    expect(accounts.admitted(ben, Uint8Array.from(KEY), false)).toBe(admitted);
    clock.now = CACHE_MS;
    expect(accounts.admitted(ben, KEY, false)).toBeUndefined();
    await admit(ben, KEY);
    accounts.changed(ben);
    expect(accounts.admitted(ben, KEY, false)).toBeUndefined();
  });

  it("are read from the directory for every wrong key, also of somebody in use, and for whoever is not there", async () => {
    const { accounts, reads, add, admit } = world();
    const [ben, nobody] = [add(), anId()];
    await admit(ben, KEY);
    reads.count = 0;
    for (const account of [ben, nobody, ben, nobody]) {
      const wrong = randomBytes(16);
      expect(accounts.admitted(account, wrong, false)).toBeUndefined();
      expect(await admit(account, wrong)).toBeUndefined();
    }
    expect(accounts.admitted(ben, undefined, false)).toBeUndefined();
    expect(await admit(ben, undefined)).toBeUndefined();
    expect(reads.count).toBe(5);
  });

  it("admit a device that is logged in without a key, and nobody to an account that is not there", async () => {
    const { accounts, add, admit } = world();
    const ben = add();
    expect(await admit(ben, undefined, true)).toBeDefined();
    expect(accounts.admitted(ben, undefined, true)).toBeDefined();
    expect(accounts.admitted(ben, randomBytes(16), true)).toBeUndefined();
    expect(await admit(anId(), undefined, true)).toBeUndefined();
  });

  it("of which more are asked for than are kept: those who were not admitted push nobody out", async () => {
    const { accounts, add, admit } = world();
    const ben = add();
    await admit(ben, KEY);
    const many = Array.from({ length: ACCOUNT_CACHE + 1 }, (_, i) => `nobody ${i}` as AccountId);
    for (const nobody of many) await admit(nobody, undefined, true);
    expect(accounts.admitted(ben, KEY, false)).toBeDefined();
    for (const somebody of many) await admit(add(somebody), undefined, true);
    expect(accounts.admitted(ben, KEY, false)).toBeUndefined();
  });

  it("that change while they are read are used once and not kept", async () => {
    const { accounts, add, admit } = world();
    const ben = add();
    const reading = admit(ben, KEY);
    accounts.changed(ben);
    expect(await reading).toBeDefined();
    expect(accounts.admitted(ben, KEY, false)).toBeUndefined();
  });

  it("keep their rate when they are read again for another way of asking", async () => {
    const { add, admit } = world();
    const ben = add();
    const first = await admit(ben, undefined, true);
    expect(first?.envelopes.take(20, 0)).toBe(0);
    const second = await admit(ben, KEY);
    expect(second).toBe(first);
    expect(second?.envelopes.take(1, 0)).toBeGreaterThan(0);
  });
});
