// The directory's contract as tests, for every backend: each name begins with the promise of queue/directory.ts.
import { randomBytes } from "node:crypto";
import { type AccountId, addressOf, type UserName } from "@lethe/protocol";
import {
  type AccountRecord,
  type PrekeyUpload,
  type PublicPrekey,
  SAME_PREKEYS_MS,
  StoreClosedError,
} from "@lethe/queue";
import { describe, expect, it } from "vitest";
import {
  aDevice,
  FIRST,
  anAccount,
  anUpload,
  aPrekey,
  NOTHING,
  plain,
  registered,
  take,
} from "./accounts.ts";
import type { BackendUnderTest } from "./world.ts";

/**
 * What a mailbox's record, and the tombstone that comes after it, is found by: "hashed", a digest of the device's address; or
 * "named", the address itself, where records are keys that every verb of every mailbox must find in one look. Then the
 * account's id, which is random and says nothing, is the one thing of a deleted account that its files still hold.
 */
export type Tombstones = "hashed" | "named";

export function directoryContract(
  { name, keeps, open }: BackendUnderTest,
  tombstones: Tombstones = "hashed",
): void {
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
        const id = Buffer.from(account.account, "latin1");
        expect([i, await left(id)]).toEqual([i, tombstones === "named"]);
        const needles = [
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
