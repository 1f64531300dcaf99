// The order of one connection's uploads where an account has to be fetched: later frames wait, other accounts do not.
import {
  type AccountId,
  type DeviceNumber,
  type FrameOf,
  type GroupEnvelopeId,
  type Time,
} from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import type { NodeEvent } from "../../relay/delivery/types.ts";
import { type Accounts, type Cached, knownOf } from "../../relay/edge/accounts.ts";
import type { ClientSocket } from "../../relay/edge/client-socket.ts";
import type { Submitting } from "../../relay/edge/submitting.ts";
import { SubmittingGroup } from "../../relay/edge/submitting-group.ts";
import { openLog } from "../../relay/log.ts";

const [ben, cleo, dave] = ["ben", "cleo", "dave"].map((name) => name.padEnd(16, ".") as AccountId) as [
  AccountId,
  AccountId,
  AccountId,
];
const device = 1 as DeviceNumber;

function cachedOf(account: AccountId): Cached {
  const devices = [{ device, signingKey: new Uint8Array(), certificate: new Uint8Array() }];
  return { record: knownOf({ account, listVersion: 1, devices } as never) } as Cached;
}

describe("an upload for accounts that are not at hand", () => {
  it("goes to the others at once, holds back what comes behind it, and lets go when all are through", async () => {
    const events: NodeEvent[] = [];
    const fetched = new Map<AccountId, (cached: Cached | undefined) => void>();
    let holds = 0;
    const socket = { kind: "anonymous", number: 9, ended: false, hold: () => holds++, resume: () => holds-- };
    const refused: string[] = [];
    const submitting = {
      overLimits: () => 0,
      isTooLarge: () => false,
      expiryOf: (wanted: Time) => wanted,
      refuse: (_socket: unknown, ids: readonly string[], code: string) =>
        refused.push(`${ids.length} ${code}`),
    };
    const accounts = {
      admitted: (account: AccountId) => (account === ben ? cachedOf(ben) : undefined),
      admit: ({ account }: { account: AccountId }) =>
        new Promise<Cached | undefined>((resolve) => fetched.set(account, resolve)),
    };
    const group = new SubmittingGroup({
      accounts: accounts as unknown as Accounts,
      submitting: submitting as unknown as Submitting,
      log: openLog("error"),
      step: (event) => events.push(event),
    });
    const frame: FrameOf<"submit-group"> = {
      frame: "submit-group",
      groupEnvelope: "g".repeat(16) as GroupEnvelopeId,
      expiry: 1 as Time,
      ciphertext: Uint8Array.of(1, 2, 3),
      recipients: [ben, cleo, dave].map((account) => ({
        account,
        accessKey: undefined,
        listVersion: 1,
        devices: [device],
      })),
    };
    group.submit(socket as unknown as ClientSocket, frame);
    expect([events.length, holds]).toEqual([1, 2]);
    fetched.get(dave)?.(cachedOf(dave));
    await Promise.resolve();
    await Promise.resolve();
    expect([events.length, holds]).toEqual([2, 1]);
    fetched.get(cleo)?.(undefined);
    await Promise.resolve();
    await Promise.resolve();
    expect([events.length, holds, refused]).toEqual([2, 0, ["1 not-permitted"]]);
    const shared = events.map((event) => (event.is === "submitted-group" ? event.shared : undefined));
    expect(shared[0]?.ciphertext).toBe(shared[1]?.ciphertext); // one copy, also for who came later
    expect(shared[0]?.payload).toBe(shared[1]?.payload);
  });
});
