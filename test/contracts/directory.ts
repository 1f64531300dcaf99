// The directory's contract as tests, for every backend: each name begins with the promise of queue/directory.ts.
import { randomBytes } from "node:crypto";
import {
  type AccountId,
  addressOf,
  type DeviceAddress,
  type DeviceNumber,
  type Time,
  type UserName,
} from "@lethe/protocol";
import {
  type AccountRecord,
  type DeviceRecord,
  type Directory,
  type PrekeyBundle,
  type PrekeyUpload,
  type PublicPrekey,
  SAME_PREKEYS_MS,
  StoreClosedError,
} from "@lethe/queue";
import { describe, expect, it } from "vitest";
import type { BackendUnderTest } from "./world.ts";

const FIRST = 1 as DeviceNumber;
let counter = 0;

function aDevice(device = 1): DeviceRecord {
  return { device: device as DeviceNumber, signingKey: randomBytes(32), certificate: randomBytes(200) };
}

function anAccount(devices: readonly DeviceRecord[] = [aDevice()]): AccountRecord {
  return {
    account: randomBytes(16).toString("latin1") as AccountId,
    name: `user-${++counter}-${randomBytes(8).toString("hex")}` as UserName,
    accountKey: randomBytes(32),
    accessKeyHash: randomBytes(32),
    listVersion: 1,
    deviceList: randomBytes(150),
    devices,
  };
}

function aPrekey(): PublicPrekey {
  return { id: randomBytes(8), bytes: randomBytes(100) };
}

function anUpload(oneTime = 3, replace = false): PrekeyUpload {
  const some = () => Array.from({ length: oneTime }, aPrekey);
  return { signed: aPrekey(), lastResort: aPrekey(), oneTime: some(), oneTimeKem: some(), replace };
}

const NOTHING: PrekeyUpload = {
  signed: undefined,
  lastResort: undefined,
  oneTime: [],
  oneTimeKem: [],
  replace: false,
};

async function registered(directory: Directory, account = anAccount()): Promise<DeviceAddress> {
  expect(await directory.register(account)).toBe("registered");
  return addressOf(account.account, account.devices[0]?.device ?? FIRST);
}

async function take(
  directory: Directory,
  address: DeviceAddress,
  requester = randomBytes(32),
): Promise<PrekeyBundle> {
  const bundle = await directory.takePrekeys({ address, requester, oneTime: true });
  if (bundle === undefined) throw new Error("no bundle");
  return plain(bundle);
}

/** The same value with plain buffers, so that it can be compared whoever made the bytes. */
function plain<Value>(value: Value): Value {
  if (value instanceof Uint8Array) return Buffer.from(value) as Value;
  if (Array.isArray(value)) return value.map(plain) as Value;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)])) as Value;
}

export function directoryContract({ name, keeps, open }: BackendUnderTest): void {
  describe(`directory contract: ${name}`, () => {
    it.runIf(keeps)(
      "D1 durable: accounts, lists, hashes, prekeys and what was handed out outlive a restart",
      async () => {
        await using world = await open();
        const account = anAccount([aDevice(1), aDevice(2)]);
        const address = await registered(world.backend.directory, account);
        await world.backend.directory.putPrekeys(address, anUpload());
        const requester = randomBytes(32);
        const bundle = await take(world.backend.directory, address, requester);
        const held = await world.backend.directory.heldPrekeys(address);
        await world.restart();
        const { directory } = world.backend;
        expect(plain(await directory.account(account.account))).toEqual(account);
        expect(await directory.accountOfName(account.name)).toBe(account.account);
        expect(plain(await directory.heldPrekeys(address))).toEqual(plain(held));
        expect(await take(directory, address, requester)).toEqual(bundle);
      },
    );

    it("D2 names: gives an account back as it was registered, its devices in rising order", async () => {
      await using world = await open();
      const { directory } = world.backend;
      const [first, second] = [aDevice(1), aDevice(300)];
      const account = anAccount([first, second]);
      await registered(directory, account);
      expect(plain(await directory.account(account.account))).toEqual(account);
      expect(await directory.accountOfName(account.name)).toBe(account.account);
      expect(await directory.account(anAccount().account)).toBeUndefined();
      expect(await directory.accountOfName("nobody" as UserName)).toBeUndefined();
      expect(await directory.count()).toBe(1);
    });

    it("D2 names: the same again is the same, other content is refused, a name is given once", async () => {
      await using world = await open();
      const { directory } = world.backend;
      const account = anAccount();
      await registered(directory, account);
      expect(await directory.register(account)).toBe("same");
      expect(await directory.register({ ...account, name: "other-name" as UserName })).toBe("account-exists");
      expect(await directory.register({ ...account, accountKey: randomBytes(32) })).toBe("account-exists");
      expect(await directory.register({ ...account, devices: [aDevice()] })).toBe("account-exists");
      expect(await directory.register({ ...anAccount(), name: account.name })).toBe("name-taken");
      expect(plain(await directory.account(account.account))).toEqual(account);
      expect(await directory.count()).toBe(1);
    });

    it("D2 names: of many who want one name at the same time, one gets it", async () => {
      await using world = await open();
      const wanted = Array.from({ length: 20 }, () => ({ ...anAccount(), name: "wanted" as UserName }));
      const answers = await Promise.all(wanted.map((account) => world.backend.directory.register(account)));
      expect(answers.filter((answer) => answer === "registered")).toHaveLength(1);
      expect(answers.filter((answer) => answer === "name-taken")).toHaveLength(19);
    });

    it("D8 invites: a use is taken by a registration that succeeds, and by no other", async () => {
      await using world = await open();
      const { directory } = world.backend;
      const mark = new Uint8Array(randomBytes(16));
      const expires = (world.clock.now() + 60_000) as Time;
      const taken = anAccount();
      await registered(directory, taken);
      expect(await directory.register(anAccount(), mark)).toBe("invite-invalid");
      expect(await directory.putInvite({ mark, uses: 2, expires })).toBe("put");
      const first = anAccount();
      expect(await directory.register({ ...anAccount(), name: taken.name }, mark)).toBe("name-taken");
      expect(await directory.register(first, mark)).toBe("registered");
      expect(await directory.register(first, mark)).toBe("same");
      expect(plain(await directory.invites())).toEqual([{ mark: plain(mark), uses: 1, expires }]);
      const answers = await Promise.all(
        Array.from({ length: 5 }, () => directory.register(anAccount(), mark)),
      );
      expect(answers.toSorted()).toEqual([...Array(4).fill("invite-invalid"), "registered"]);
      expect(await directory.invites()).toEqual([]);
      expect(await directory.count()).toBe(3);
    });

    it("D8 invites: end by their time, by being deleted, and outlive a restart until then", async () => {
      await using world = await open();
      const marks = Array.from({ length: 3 }, () => new Uint8Array(randomBytes(16)));
      const at = (ms: number): Time => (world.clock.now() + ms) as Time;
      const [short, long, gone] = marks as [Uint8Array, Uint8Array, Uint8Array];
      await world.backend.directory.putInvite({ mark: long, uses: 5, expires: at(3_600_000) });
      await world.backend.directory.putInvite({ mark: short, uses: 5, expires: at(1_000) });
      await world.backend.directory.putInvite({ mark: gone, uses: 5, expires: at(7_200_000) });
      const listed = await world.backend.directory.invites();
      expect(plain(listed.map((invite) => invite.mark))).toEqual(plain([short, long, gone]));
      expect(await world.backend.directory.deleteInvite(gone)).toBe("deleted");
      expect(await world.backend.directory.deleteInvite(gone)).toBe("no-invite");
      await world.elapse(1_000);
      if (keeps) await world.restart();
      const { directory } = world.backend;
      expect(await directory.register(anAccount(), short)).toBe("invite-invalid");
      expect(await directory.register(anAccount(), gone)).toBe("invite-invalid");
      expect(await directory.register(anAccount(), long)).toBe("registered");
    });

    it("D1 durable: a person's wish to hide when they were last here is kept, and taken back", async () => {
      await using world = await open();
      const account = anAccount();
      await registered(world.backend.directory, account);
      const read = async () => plain(await world.backend.directory.account(account.account));
      expect(await world.backend.directory.putHidesLastSeen(account.account, true)).toBe("put");
      expect(await world.backend.directory.putHidesLastSeen(anAccount().account, true)).toBe("no-account");
      if (keeps) await world.restart();
      expect(await read()).toEqual({ ...account, hidesLastSeen: true });
      expect(await world.backend.directory.register(account)).toBe("same");
      expect(await world.backend.directory.putHidesLastSeen(account.account, false)).toBe("put");
      expect(await read()).toEqual(account);
    });

    it("D9 idle: who was last used on an earlier day is named, the longest unused first; use counts to the day", async () => {
      await using world = await open();
      const DAY = 86_400_000;
      const ids: AccountId[] = [];
      for (let day = 0; day < 4; day++) {
        const account = anAccount();
        await registered(world.backend.directory, account);
        ids.push(account.account);
        await world.elapse(DAY);
      }
      const idle = (days: number, count = 10) =>
        world.backend.directory.idle((world.clock.now() - days * DAY) as Time, count);
      expect(await idle(1)).toEqual(ids.slice(0, 3));
      expect(await idle(3)).toEqual(ids.slice(0, 1));
      expect(await idle(4)).toEqual([]);
      expect(await idle(1, 2)).toEqual(ids.slice(0, 2));
      await world.backend.directory.used(ids[0] as AccountId);
      await world.backend.directory.used(anAccount().account);
      if (keeps) await world.restart();
      expect(await idle(1)).toEqual(ids.slice(1, 3));
      expect(await idle(0)).toEqual(ids.slice(1));
      await world.backend.directory.deleteAccount(ids[1] as AccountId);
      expect(await idle(0)).toEqual(ids.slice(2));
    });

    it("D9 idle: days on which the relay was away do not count", async () => {
      await using world = await open();
      const DAY = 86_400_000;
      const account = anAccount();
      await registered(world.backend.directory, account);
      const idle = (days: number) =>
        world.backend.directory.idle((world.clock.now() - days * DAY) as Time, 10);
      await world.backend.directory.dayPasses();
      await world.elapse(DAY);
      await world.backend.directory.dayPasses();
      await world.backend.directory.dayPasses();
      expect(await idle(0)).toEqual([account.account]);
      if (keeps) await world.restart();
      await world.elapse(100 * DAY);
      await world.backend.directory.dayPasses();
      expect(await idle(1)).toEqual([account.account]);
      expect(await idle(2)).toEqual([]);
      await world.elapse(DAY);
      await world.backend.directory.dayPasses();
      expect(await idle(2)).toEqual([account.account]);
    });

    it("D3 lists: only the next version replaces a list; who is not in it is removed with its prekeys", async () => {
      await using world = await open();
      const { directory } = world.backend;
      const [one, two, three] = [aDevice(1), aDevice(2), aDevice(3)];
      const account = anAccount([one, two]);
      await registered(directory, account);
      const second = addressOf(account.account, two.device);
      await directory.putPrekeys(second, anUpload());
      const list = {
        version: 2,
        deviceList: randomBytes(99),
        devices: [{ ...one, certificate: randomBytes(9) }, three],
      };
      for (const version of [0, 1, 3]) {
        expect(await directory.putDeviceList(account.account, { ...list, version })).toEqual({
          is: "conflict",
        });
      }
      expect(await directory.putDeviceList(account.account, list)).toEqual({
        is: "put",
        removed: [two.device],
      });
      expect(plain(await directory.account(account.account))).toEqual({
        ...account,
        listVersion: 2,
        deviceList: list.deviceList,
        devices: list.devices,
      });
      expect(await directory.heldPrekeys(second)).toBeUndefined();
      expect(await directory.putPrekeys(second, anUpload())).toBe("no-device");
      expect(
        await directory.takePrekeys({ address: second, requester: randomBytes(32), oneTime: true }),
      ).toBeUndefined();
      expect(await directory.putDeviceList(anAccount().account, list)).toEqual({ is: "no-account" });
    });

    it("D3 lists: of two successors at the same time one is put", async () => {
      await using world = await open();
      const { directory } = world.backend;
      const account = anAccount();
      await registered(directory, account);
      const successor = () => ({ version: 2, deviceList: randomBytes(9), devices: account.devices });
      const answers = await Promise.all(
        [1, 2].map(() => directory.putDeviceList(account.account, successor())),
      );
      expect(answers.map((answer) => answer.is).toSorted()).toEqual(["conflict", "put"]);
    });

    it("puts the hash of the access key", async () => {
      await using world = await open();
      const { directory } = world.backend;
      const account = anAccount();
      await registered(directory, account);
      const accessKeyHash = randomBytes(32);
      expect(await directory.putAccessKeyHash(account.account, accessKeyHash)).toBe("put");
      expect(plain(await directory.account(account.account))).toEqual({ ...account, accessKeyHash });
      expect(await directory.putAccessKeyHash(anAccount().account, accessKeyHash)).toBe("no-account");
    });

    it("D4 prekeys once: each requester gets one-time keys that nobody else got, in order, then none", async () => {
      await using world = await open();
      const { directory } = world.backend;
      const address = await registered(directory);
      const upload = anUpload(3);
      expect(await directory.putPrekeys(address, upload)).toBe("put");
      const bundles = await Promise.all([1, 2, 3, 4].map(() => take(directory, address)));
      const { signed, lastResort } = upload;
      expect(bundles).toEqual([
        ...[0, 1, 2].map((i) => ({
          signed,
          lastResort,
          oneTime: upload.oneTime[i],
          oneTimeKem: upload.oneTimeKem[i],
        })),
        { signed, lastResort, oneTime: undefined, oneTimeKem: undefined },
      ]);
      const held = await directory.heldPrekeys(address);
      expect(plain(held)).toEqual({
        signed: signed?.id,
        lastResort: lastResort?.id,
        oneTime: [],
        oneTimeKem: [],
      });
    });

    it("D4 prekeys once: an upload of ids that are held or were handed out changes nothing", async () => {
      await using world = await open();
      const { directory } = world.backend;
      const address = await registered(directory);
      const upload = anUpload(2);
      await directory.putPrekeys(address, upload);
      await take(directory, address);
      const changed = upload.oneTime.map(({ id }) => ({ id, bytes: randomBytes(10) }));
      expect(
        await directory.putPrekeys(address, { ...NOTHING, oneTime: changed, oneTimeKem: upload.oneTimeKem }),
      ).toBe("put");
      expect(await take(directory, address)).toMatchObject({
        oneTime: upload.oneTime[1],
        oneTimeKem: upload.oneTimeKem[1],
      });
      expect((await take(directory, address)).oneTime).toBeUndefined();
    });

    it("D4 prekeys once: without asking for one-time keys none is used up", async () => {
      await using world = await open();
      const { directory } = world.backend;
      const address = await registered(directory);
      const upload = anUpload(1);
      await directory.putPrekeys(address, upload);
      const requester = randomBytes(32);
      const without = await directory.takePrekeys({ address, requester, oneTime: false });
      expect(plain(without)).toEqual({
        signed: upload.signed,
        lastResort: upload.lastResort,
        oneTime: undefined,
        oneTimeKem: undefined,
      });
      expect((await take(directory, address, requester)).oneTime).toEqual(upload.oneTime[0]);
    });

    it("D4 prekeys once: more than may be held are refused, and the upload changes nothing", async () => {
      await using world = await open();
      const { directory } = world.backend;
      const address = await registered(directory);
      const upload = anUpload(150);
      await directory.putPrekeys(address, upload);
      const more = { ...anUpload(0), oneTime: Array.from({ length: 51 }, aPrekey) };
      expect(await directory.putPrekeys(address, more)).toBe("too-many");
      expect(plain(await directory.heldPrekeys(address))).toEqual({
        signed: upload.signed?.id,
        lastResort: upload.lastResort?.id,
        oneTime: upload.oneTime.map(({ id }) => id),
        oneTimeKem: upload.oneTimeKem.map(({ id }) => id),
      });
      expect(await directory.putPrekeys(address, { ...more, oneTime: more.oneTime.slice(1) })).toBe("put");
    });

    it("replaces the one-time keys where it is told to, and the signed ones where they are given", async () => {
      await using world = await open();
      const { directory } = world.backend;
      const address = await registered(directory);
      const upload = anUpload(3);
      await directory.putPrekeys(address, upload);
      const kept = upload.oneTime[1] as PublicPrekey;
      const added = aPrekey();
      await directory.putPrekeys(address, { ...NOTHING, oneTime: [kept, added], replace: true });
      const held = plain(await directory.heldPrekeys(address));
      expect(held).toEqual({
        signed: upload.signed?.id,
        lastResort: upload.lastResort?.id,
        oneTime: [kept.id, added.id],
        oneTimeKem: [],
      });
      const signed = aPrekey();
      await directory.putPrekeys(address, { ...NOTHING, signed });
      expect((await take(directory, address)).signed).toEqual(signed);
    });

    it("gives no bundle before signed and last-resort keys are there, nor to an unknown device", async () => {
      await using world = await open();
      const { directory } = world.backend;
      const address = await registered(directory);
      const asked = { address, requester: randomBytes(32), oneTime: true };
      await directory.putPrekeys(address, { ...anUpload(2), lastResort: undefined });
      expect(await directory.takePrekeys(asked)).toBeUndefined();
      await directory.putPrekeys(address, { ...NOTHING, lastResort: aPrekey() });
      expect(await directory.takePrekeys(asked)).toBeDefined();
      const unknown = addressOf(anAccount().account, FIRST);
      expect(await directory.takePrekeys({ ...asked, address: unknown })).toBeUndefined();
      expect(await directory.heldPrekeys(unknown)).toBeUndefined();
      expect(await directory.putPrekeys(unknown, NOTHING)).toBe("no-device");
    });

    it("D5 repeat: the same requester gets the same keys for ten minutes, and others after", async () => {
      await using world = await open();
      const { directory } = world.backend;
      const address = await registered(directory);
      await directory.putPrekeys(address, anUpload(3));
      const requester = randomBytes(32);
      const first = await take(directory, address, requester);
      world.clock.pass(SAME_PREKEYS_MS - 1);
      expect(await take(directory, address, requester)).toEqual(first);
      expect((await take(directory, address)).oneTime).not.toEqual(first.oneTime);
      world.clock.pass(1);
      expect((await take(directory, address, requester)).oneTime).not.toEqual(first.oneTime);
    });

    it("D6 deletion: nothing of the account is in any answer; its name is free, its id is not", async () => {
      await using world = await open();
      const { directory } = world.backend;
      const account = anAccount([aDevice(1), aDevice(2)]);
      const address = await registered(directory, account);
      await directory.putPrekeys(address, anUpload());
      const addresses = account.devices.map(({ device }) => addressOf(account.account, device));
      expect(await directory.deleteAccount(account.account)).toEqual(addresses);
      expect(await directory.deleteAccount(account.account)).toBeUndefined();
      expect(await directory.account(account.account)).toBeUndefined();
      expect(await directory.accountOfName(account.name)).toBeUndefined();
      expect(await directory.heldPrekeys(address)).toBeUndefined();
      expect(await directory.count()).toBe(0);
      expect(await directory.register({ ...anAccount(), account: account.account })).toBe("account-exists");
      expect(await directory.register({ ...anAccount(), name: account.name })).toBe("registered");
    });

    it.runIf(keeps)("D6 deletion: nor in any file, one bound later, also where many others are", async () => {
      await using world = await open();
      const { directory } = world.backend;
      const accounts = Array.from({ length: 60 }, () => anAccount([aDevice(1), aDevice(2)]));
      const uploads: PrekeyUpload[] = [];
      for (const account of accounts) {
        const address = await registered(directory, account);
        const upload = anUpload(5);
        uploads.push(upload);
        await directory.putPrekeys(address, upload);
        await take(directory, address);
        await world.backend.mailbox.claim([{ address, owner: { node: "n" as never, session: 1 }, epoch: 1 }]);
      }
      const gone = accounts.flatMap((_, i) => (i % 3 === 0 ? [i] : []));
      for (const i of gone) await directory.deleteAccount(accounts[i]?.account as AccountId);
      await world.forget();
      const left = async (needle: Uint8Array | undefined): Promise<boolean> =>
        world.holds(needle ?? Buffer.alloc(0));
      for (const i of gone) {
        const account = accounts[i] as AccountRecord;
        const upload = uploads[i] as PrekeyUpload;
        const keys = [upload.signed, upload.lastResort, ...upload.oneTime, ...upload.oneTimeKem];
        const needles = [
          Buffer.from(account.account, "latin1"),
          Buffer.from(account.name),
          account.accountKey,
          account.accessKeyHash,
          account.deviceList,
          ...account.devices.flatMap((device) => [device.signingKey, device.certificate]),
          ...keys.flatMap((key) => (key === undefined ? [] : [key.bytes.subarray(20, 60), key.id])),
        ];
        for (const [n, needle] of needles.entries())
          expect([i, n, await left(needle)]).toEqual([i, n, false]);
      }
      expect(await left(accounts[1]?.deviceList)).toBe(true);
    });

    it("D7 closed: what was begun is settled, then every verb rejects, and closing twice is fine", async () => {
      await using world = await open();
      const { backend } = world;
      const { directory } = backend;
      const account = anAccount();
      const begun = directory.register(account);
      const closing = backend.close();
      expect(await begun).toBe("registered");
      await Promise.all([closing, backend.close()]);
      const address = addressOf(account.account, FIRST);
      const verbs = [
        () => directory.register(account),
        () => directory.accountOfName(account.name),
        () => directory.account(account.account),
        () =>
          directory.putDeviceList(account.account, { version: 2, deviceList: randomBytes(1), devices: [] }),
        () => directory.putAccessKeyHash(account.account, randomBytes(32)),
        () => directory.putPrekeys(address, NOTHING),
        () => directory.heldPrekeys(address),
        () => directory.takePrekeys({ address, requester: randomBytes(32), oneTime: true }),
        () => directory.deleteAccount(account.account),
        () => directory.count(),
      ];
      for (const verb of verbs) await expect(verb()).rejects.toBeInstanceOf(StoreClosedError);
    });
  });
}
