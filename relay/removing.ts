// How devices and accounts leave, by their own wish, the operator's, or because nobody has come for long. Always true: mail goes
// first; whatever fails in between can be asked for again.
import { type AccountId, addressOf, type DeviceNumber, type Time } from "@lethe/protocol";
import type { AccountRecord, Backend } from "@lethe/queue";
import type { Gateway } from "./edge/gateway.ts";

/** Idle accounts asked for at once. */
const IDLE_AT_ONCE = 100;

/** Mail and media first: whoever is told nothing, because the relay ended in between, can still ask again. */
export async function removeAccount(
  backend: Backend,
  gateway: Gateway,
  { account, devices }: AccountRecord,
): Promise<void> {
  await retire(
    backend,
    gateway,
    account,
    devices.map((d) => d.device),
  );
  await backend.media.leave(account);
  await backend.directory.deleteAccount(account);
  gateway.changes.made(account, "access-key");
}

/** Resolves with the number of accounts removed. */
export async function removeIdle(
  backend: Backend,
  idleMs: () => number | undefined,
  remove: (record: AccountRecord) => Promise<void>,
): Promise<number> {
  await backend.directory.dayPasses();
  let removed = 0;
  for (;;) {
    const period = idleMs();
    if (period === undefined) return removed;
    const idle = await backend.directory.idle((Date.now() - period) as Time, IDLE_AT_ONCE);
    for (const account of idle) {
      const record = await backend.directory.account(account);
      if (record !== undefined) await remove(record);
    }
    removed += idle.length;
    if (idle.length < IDLE_AT_ONCE) return removed;
  }
}

export async function retire(
  backend: Backend,
  gateway: Gateway,
  account: AccountId,
  devices: readonly number[],
): Promise<void> {
  for (const device of devices) {
    const address = addressOf(account, device as DeviceNumber);
    const owner = await backend.mailbox.retire(address);
    gateway.changes.retired([address]);
    if (owner !== undefined) await backend.mailbox.wake(owner.node, [address]); // where no link reaches it
  }
}
