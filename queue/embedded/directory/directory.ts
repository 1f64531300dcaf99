// The directory, the chore table and the media ledger of the embedded backend: the verbs, asked of the worker.
import { addressOf, type AccountId, type DeviceAddress, type Time } from "@lethe/protocol";
import type { Directory } from "../../directory.ts";
import type { ChoreTable } from "../../local/chores.ts";
import type { MediaLedger } from "../../media.ts";
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

export function embeddedMedia(client: DirectoryClient, now: () => Time): MediaLedger {
  return {
    begin: (upload, quota) => client.call("beginMedia", upload, quota),
    upload: (media, uploadKey) => client.call("uploadedMedia", media, uploadKey, now()),
    finish: (media, uploadKey) => client.call("finishMedia", media, uploadKey, now()),
    tokens: (media, uploadKey, change) => client.call("changeTokens", media, uploadKey, change, now()),
    withdraw: (media, uploadKey) => client.call("withdrawMedia", media, uploadKey, now()),
    download: (media, token) => client.call("downloadMedia", media, token, now()),
    release: (media, token) => client.call("releaseMedia", media, token, now()),
    ended: (count) => client.call("endedMedia", now(), count),
    async forget(media) {
      await client.call("forgetMedia", media, now());
    },
    known: (media) => client.call("knownMedia", media),
    async leave(account) {
      await client.call("leaveMedia", account);
    },
    totals: () => client.call("mediaTotals"),
  };
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
