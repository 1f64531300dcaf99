// What the directory promises about who may come and who is here: invites, wishes, use. One part of its contract.
import { randomBytes } from "node:crypto";
import type { AccountId, Time } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { anAccount, plain, registered } from "./accounts.ts";
import type { BackendUnderTest } from "./world.ts";

export function directoryPeopleContract({ name, keeps, open }: BackendUnderTest): void {
  describe(`directory contract, people: ${name}`, () => {
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
  });
}
