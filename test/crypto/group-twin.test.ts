// Groups against a second implementation of their specification, on other primitives: with the same chance and clock, both
// make the same states, tell the same keys, send the same envelopes, and read the same messages.
import { beforeAll, expect, it } from "vitest";
import { ready } from "../../crypto/index.ts";
import { seedOf } from "./support.ts";
import { compareGroups } from "./twin/compare-groups.ts";

beforeAll(ready);

it("makes, tells and reads the same bytes in 20 random groups", () => {
  const tally = compareGroups(seedOf("groups of the twin", 1), 20);
  expect(tally.read).toBeGreaterThan(80);
  const { changes, told, repeats, refused, corrupted } = tally;
  expect(Math.min(changes, told, repeats, refused, corrupted)).toBeGreaterThan(8);
});
