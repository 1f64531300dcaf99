// A redis backend under test, streams of appends into it, and what must be there afterwards.
import type { DeviceAddress } from "@lethe/protocol";
import type { Envelope, MailboxLimits, RedisConfig, StoreEvent } from "@lethe/queue";
import { expect } from "vitest";
import { openRedis, type RedisBackend } from "../../queue/redis/open.ts";
import { all, anEnvelope, Clock, ROOMY } from "../contracts/world.ts";
import { eventually } from "../support/waiting.ts";

export const PATIENCE_MS = 30_000;
export const clock = new Clock();

export interface Store extends AsyncDisposable {
  readonly backend: RedisBackend;
  readonly events: StoreEvent[];
}

export async function open(url: string, config: Partial<RedisConfig> = {}): Promise<Store> {
  const events: StoreEvent[] = [];
  const limits: MailboxLimits = { ...ROOMY, envelopes: 100_000, bytes: 64_000_000 };
  const report = (event: StoreEvent): void => void events.push(event);
  const backend = await openRedis({
    kind: "redis",
    url,
    replicas: 0,
    limits,
    now: clock.now,
    report,
    ...config,
  });
  return { backend, events, [Symbol.asyncDispose]: () => backend.close() };
}

export function append({ backend }: Store, address: DeviceAddress, ...envelopes: readonly Envelope[]) {
  return backend.mailbox.appendUnlessOwned([{ address, suspect: undefined, envelopes }]);
}

/** Appends one envelope after another until told to stop; returns what was answered `stored`, in order. */
export function stream(on: Store, address: DeviceAddress) {
  const stored: Envelope[] = [];
  let [failed, isOver] = [0, false];
  const over = (async () => {
    while (!isOver) {
      const envelope = anEnvelope(clock);
      const [result] = await append(on, address, envelope);
      if (result?.is === "stored" && typeof result.outcomes[0] === "number") stored.push(envelope);
      else failed++;
    }
  })();
  return {
    stored,
    failures: () => failed,
    atLeast: (count: number) =>
      eventually(PATIENCE_MS, `${count} stored`, () => (stored.length >= count ? true : undefined)),
    async stop() {
      isOver = true;
      await over;
    },
  };
}

/** Everything that was stored is there; in its order by first appearance. */
export async function expectKept(
  on: Store,
  address: DeviceAddress,
  stored: readonly Envelope[],
): Promise<void> {
  const ids = [...new Set((await all(on.backend, address)).map(({ id }) => id))];
  const wanted = new Set(stored.map(({ id }) => id));
  expect(ids.filter((id) => wanted.has(id))).toEqual(stored.map(({ id }) => id));
}
