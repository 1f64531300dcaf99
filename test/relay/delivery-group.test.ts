// One ciphertext for many devices, on the machines themselves: each device's envelope goes its own way, and the bytes that
// they share are counted once.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { appended, ben, envelope, owner, Story } from "./delivery-story.ts";

const elsewhere = owner("B1", 4);
const nobody = { is: "found", owner: undefined, lastSeen: 0 as never } as const;
const FOUR = [1, 2, 3, 4];

describe("a group's upload", () => {
  it("goes to each device by its own way, and each is accepted alone", () => {
    const a = new Story().live();
    a.linkUp("B1");
    expect(a.upload("hi", ["ben", "cleo", "dave"], FOUR)).toEqual([
      "push hi-ben 01020304 to 1",
      "lookUp",
      "lookUp",
    ]);
    expect(a.answer("lookUp", nobody)).toEqual(["append hi-cleo unless owned, suspect nobody"]);
    expect(a.answer("lookUp", { ...nobody, owner: elsewhere })).toEqual(["to B1: offer hi-dave to B1/4"]);
    expect(a.answer("appendUnlessOwned", appended([7]))).toEqual(["accepted hi-cleo to 9"]);
    expect(a.ack("hi-ben")).toEqual(["accepted hi-ben to 9"]);
    expect(a.node.sizes().unsettledBytes).toBe(4);
    a.linkDown("B1");
    expect(a.answer("appendUnlessOwned", { is: "no-device" })).toEqual(["refused hi-dave to 9: no-device"]);
    expect(a.node.sizes().unsettledBytes).toBe(0);
  });

  it("keeps the payload's name on every way into the store", () => {
    const a = new Story().live();
    const named = (verb: "appendUnlessOwned" | "appendAndRelease"): unknown =>
      a.callsOf(verb).flatMap(({ arg }) => arg.envelopes.map(({ payload }) => payload));
    a.upload("hi", ["ben", "cleo"], FOUR);
    a.answer("lookUp", nobody);
    expect(named("appendUnlessOwned")).toEqual(["01020304"]);
    a.gone();
    expect(named("appendAndRelease")).toEqual(["01020304"]);
  });

  it("keeps its place in a device's flow, behind what came before it and before what comes after", () => {
    const a = new Story().live();
    a.submit("one");
    a.upload("two", ["ben", "cleo"]);
    a.submit("three");
    expect(a.gone()).toEqual(["append (one two-ben three) and release as A1/1", "ben is offline"]);
  });

  it("counts once for the node while any device's is not settled, and in full for each flow", () => {
    const a = new Story("A1", { nodeBytes: 6, flowBytes: 7 });
    a.upload("hi", ["cleo", "dave", "erin"], FOUR);
    expect(a.node.sizes().unsettledBytes).toBe(4);
    expect(a.upload("ho", ["frank"], [5, 6, 7])).toEqual(["refused ho-frank to 9: busy"]);
    // Other envelopes of the bytes that are here already cost the node nothing; a flow they fill up.
    expect(a.upload("again", ["frank"], FOUR)).toEqual(["lookUp"]);
    expect(a.upload("again", ["cleo"], FOUR)).toEqual(["refused again-cleo to 9: busy"]);
    for (const left of [3, 2, 1, 0]) {
      a.answer("lookUp", nobody);
      a.answer("appendUnlessOwned", appended([9 - left]));
      expect(a.node.sizes().unsettledBytes).toBe(left === 0 ? 0 : 4);
    }
    expect(a.upload("ho", ["frank"], [5, 6, 7])).toEqual(["lookUp"]);
  });

  it("that is tried again while it is under way is not added again, and has its answers where it was asked last", () => {
    const a = new Story();
    a.upload("hi", ["cleo"], FOUR);
    expect(a.upload("hi", ["cleo", "dave"], FOUR, 10)).toEqual(["lookUp"]);
    a.answer("lookUp", nobody);
    expect(a.answer("appendUnlessOwned", appended([1]))).toEqual(["accepted hi-cleo to 10"]);
    a.answer("lookUp", nobody);
    expect(a.answer("appendUnlessOwned", appended([2]))).toEqual(["accepted hi-dave to 10"]);
    expect(a.node.sizes().unsettledBytes).toBe(0);
  });

  it("is counted to the byte, whatever is uploaded, sent alone, answered and refused meanwhile", () => {
    const devices = ["cleo", "dave", "erin"];
    const step = fc.oneof(
      fc.record({
        is: fc.constant("upload" as const),
        what: fc.nat(2),
        to: fc.subarray(devices, { minLength: 1 }),
      }),
      fc.record({ is: fc.constant("alone" as const), bytes: fc.nat(3) }),
      fc.record({ is: fc.constant("answer" as const), well: fc.boolean() }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const a = new Story("A1", { nodeBytes: 20, flowBytes: 24 });
        /** Bytes by id that are neither accepted nor refused. */
        const due = new Map<string, { bytes: number; payload: number | undefined }>();
        const settle = (lines: string[]): void => {
          for (const line of lines) {
            const name = /^(?:accepted|refused) (\S+)/.exec(line)?.[1];
            if (name !== undefined) due.delete(name);
          }
        };
        steps.forEach((each, i) => {
          if (each.is === "upload") {
            const bytes = Array.from({ length: 3 + each.what * 2 }, () => each.what);
            for (const to of each.to) due.set(`${i}-${to}`, { bytes: bytes.length, payload: each.what });
            settle(a.upload(`${i}`, each.to, bytes));
          } else if (each.is === "alone") {
            due.set(`${i}`, { bytes: each.bytes, payload: undefined });
            settle(
              a.submit(
                `${i}`,
                9,
                Array.from({ length: each.bytes }, () => 0),
              ),
            );
          } else {
            const verb = a.asked[0];
            if (verb === "lookUp") settle(a.answer(verb, nobody));
            else if (verb !== undefined) {
              const many = a.callsOf("appendUnlessOwned")[0]?.arg.envelopes ?? [];
              settle(
                a.answer(
                  verb,
                  each.well ? appended(many.map((_, at) => at + 1)) : { is: "failed", code: "storage-full" },
                ),
              );
            }
          }
          const left = [...due.values()];
          const alone = left
            .filter(({ payload }) => payload === undefined)
            .reduce((sum, { bytes }) => sum + bytes, 0);
          const payloads = new Map(
            left.filter(({ payload }) => payload !== undefined).map((it) => [it.payload, it.bytes]),
          );
          const expected = [...payloads.values()].reduce((sum, bytes) => sum + bytes, alone);
          expect(a.node.sizes().unsettledBytes).toBe(expected);
          expect(expected).toBeLessThanOrEqual(20);
        });
      }),
      { numRuns: 300 },
    );
  });

  it("offered by another node is stored under its payload's name where its device does not take it", () => {
    const a = new Story().live();
    a.linkUp();
    const shared = { ...envelope("hi", FOUR), kind: "group", payload: "p".repeat(32) as never } as const;
    a.link({ is: "offer", owner: owner("A1", 1), address: ben, envelopes: [shared] });
    a.after(2_000);
    expect(a.callsOf("appendAsOwner")).toMatchObject([{ arg: { envelopes: [{ payload: shared.payload }] } }]);
  });
});
