// Worlds that the cases share: accounts on a relay, recipients online, senders that reach them.
import type { Server } from "../harness/server.ts";
import { type Account, register } from "./account.ts";
import { Recipient } from "./recipient.ts";
import { Sender } from "./sender.ts";
import { Counts } from "./tally.ts";
import { NO_WATCH, type Watch } from "./watch.ts";

/** Logins under way at once. */
const AT_ONCE = 32;

export interface LiveWorld extends Disposable {
  readonly senders: readonly Sender[];
  readonly counts: Counts;
}

/** `pairs` recipients online with empty mailboxes, each with a sender of its own; these may be at another node. */
export async function aLiveWorld(
  relay: Server,
  pairs: number,
  watch: Watch = NO_WATCH,
  sendersAt: Server = relay,
): Promise<LiveWorld> {
  const counts = new Counts();
  const accounts = await register(relay.url, pairs);
  const recipients = await logIn(relay, accounts, counts, watch);
  const senders = await Promise.all(
    accounts.map((account) => Sender.open(sendersAt.url, [account], counts, watch)),
  );
  return {
    senders,
    counts,
    [Symbol.dispose]() {
      for (const end of [...senders, ...recipients]) end.close();
    },
  };
}

/** Logs every device in and waits until each of them has been told that its mailbox is drained. */
export async function logIn(
  relay: Server,
  accounts: readonly Account[],
  counts: Counts,
  watch: Watch = NO_WATCH,
): Promise<Recipient[]> {
  const drained = counts.drained.count + accounts.length;
  const recipients: Recipient[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < accounts.length; at = next++)
      recipients.push(await Recipient.open(relay.url, accounts[at] as Account, counts, watch));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  await counts.drained.reaches(drained);
  return recipients;
}

/** `count` senders that share the accounts among them. */
export function sendersTo(
  relay: Server,
  accounts: readonly Account[],
  count: number,
  counts: Counts,
  bytes?: number,
): Promise<Sender[]> {
  const shares = Array.from({ length: count }, (_, i) => accounts.filter((__, at) => at % count === i));
  return Promise.all(shares.map((share) => Sender.open(relay.url, share, counts, NO_WATCH, bytes)));
}
