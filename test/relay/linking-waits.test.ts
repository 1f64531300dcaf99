// Who may wait for a message of a linking mailbox, and rates by whom they are for.
import type { LinkingGet } from "@lethe/queue";
import { describe, expect, it } from "vitest";
import { Rates } from "../../relay/edge/rates.ts";
import {
  LinkingWaits,
  MAX_LINKING_WAITS,
  MAX_LINKING_WAITS_OF_ADDRESS,
} from "../../relay/http/linking-waits.ts";

const EMPTY: LinkingGet = { is: "empty" };
const goesOn = ({ is }: LinkingGet): boolean => is === "empty";

/** Waits until they are told to go; `waiting` counts those that are not answered. */
function crowd() {
  const [waits, gone] = [new LinkingWaits(() => 0), new AbortController()];
  let waiting = 0;
  const come = async (remote: string | undefined): Promise<void> => {
    waiting++;
    await waits.wait({ remote, look: () => Promise.resolve(EMPTY), goesOn, gone: gone.signal });
    waiting--;
  };
  /** Those above a cap are answered within a few turns. */
  const turns = async (): Promise<number> => {
    for (let i = 0; i < 10; i++) await Promise.resolve();
    return waiting;
  };
  return { come, turns, leave: () => gone.abort() };
}

describe("whoever waits for a linking message", () => {
  it("is answered at once above the cap of their address, and others wait on", async () => {
    const { come, turns, leave } = crowd();
    const all = Array.from({ length: MAX_LINKING_WAITS_OF_ADDRESS + 5 }, () => come("10.0.0.1"));
    expect(await turns()).toBe(MAX_LINKING_WAITS_OF_ADDRESS);
    all.push(come("10.0.0.2"));
    expect(await turns()).toBe(MAX_LINKING_WAITS_OF_ADDRESS + 1);
    leave();
    await Promise.all(all);
    expect(await turns()).toBe(0);
  });

  it("is answered at once above the cap of all, and has room again when others have gone", async () => {
    const { come, turns, leave } = crowd();
    const all = Array.from({ length: MAX_LINKING_WAITS + 5 }, () => come(undefined));
    expect(await turns()).toBe(MAX_LINKING_WAITS);
    leave();
    await Promise.all(all);
    expect(await turns()).toBe(0);
  });

  it("has its message as soon as it is looked for, or what ends the wait", async () => {
    const waits = new LinkingWaits(() => 0);
    const answers: LinkingGet[] = [EMPTY, { is: "message", message: Buffer.from("m") }];
    const gone = new AbortController().signal;
    const look = (): Promise<LinkingGet> => Promise.resolve(answers.shift() ?? { is: "ended" });
    expect((await waits.wait({ remote: undefined, look, goesOn, gone })).is).toBe("message");
    expect((await waits.wait({ remote: undefined, look, goesOn, gone })).is).toBe("ended");
  });
});

describe("rates by whom they are for", () => {
  it("are each their own", () => {
    const rates = new Rates(1, 2, () => 0);
    expect([rates.take("a"), rates.take("a"), rates.take("a"), rates.take("b")]).toEqual([0, 0, 1_000, 0]);
  });

  it("forget the longest unused first, where there are too many", () => {
    const rates = new Rates(1, 1, () => 0);
    expect(rates.take("a")).toBe(0);
    expect(rates.take("kept")).toBe(0);
    for (let i = 0; i < 9_998; i++) rates.take(`other ${i}`);
    expect(rates.take("kept")).toBe(1_000);
    rates.take("one more");
    expect([rates.take("a"), rates.take("kept")]).toEqual([0, 1_000]);
  });
});
