// The directory and the chore table of the embedded backend: the verbs, asked of the worker.
import { addressOf, type AccountId, type DeviceAddress, type Time } from "@lethe/protocol";
import type { Directory } from "../../directory.ts";
import type { ChoreTable } from "../../local/chores.ts";
import type { DirectoryClient } from "./client.ts";

export function embeddedDirectory(client: DirectoryClient, now: () => Time): Directory {
  return {
    register: (account, invite) => client.call("register", account, invite, now()),
    accountOfName: (name) => client.call("accountOfName", name),
    async account(account) {
      const { isKnown, record } = await client.call("account", account);
      return isKnown ? record : undefined;
    },
    putDeviceList: (account, list) => client.call("putDeviceList", account, list),
    putAccessKeyHash: (account, hash) => client.call("putAccessKeyHash", account, hash),
    putHidesLastSeen: (account, hides) => client.call("putHidesLastSeen", account, hides),
    putPrekeys: (address, upload) => client.call("putPrekeys", address, upload),
    heldPrekeys: (address) => client.call("heldPrekeys", address),
    takePrekeys: (take) => client.call("takePrekeys", take, now()),
    deleteAccount: (account) => deleteAccount(client, account),
    putInvite: (invite) => client.call("putInvite", invite, now()),
    invites: () => client.call("invites", now()),
    deleteInvite: (mark) => client.call("deleteInvite", mark),
    async used(account) {
      await client.call("used", account, now());
    },
    async dayPasses() {
      await client.call("dayPasses", now());
    },
    idle: (before, count) => client.call("idle", before, count),
    count: () => client.call("count"),
  };
}

async function deleteAccount(
  client: DirectoryClient,
  account: AccountId,
): Promise<readonly DeviceAddress[] | undefined> {
  const devices = await client.call("deleteAccount", account);
  return devices?.map((device) => addressOf(account, device));
}

export function embeddedChores(client: DirectoryClient): ChoreTable {
  return {
    async put(chore) {
      await client.call("putChore", chore);
    },
    earliest: (names, count) => client.call("earliestChores", names, count),
    async finish(chore) {
      await client.call("finishChore", chore);
    },
    async postpone(chore, at) {
      await client.call("postponeChore", chore, at);
    },
  };
}
