// A thousand random conversations in both implementations, byte by byte: twin.test.ts says what that is.
import { beforeAll, expect, it } from "vitest";
import { ready } from "../../crypto/index.ts";
import { seedOf } from "./support.ts";
import { compare } from "./twin/compare.ts";
import { compareGroups } from "./twin/compare-groups.ts";

beforeAll(ready);

const seed = seedOf("twin, thorough", 1_000);
const hundreds = Array.from({ length: 10 }, (_, i) => [100 * i, 100 * i + 99]);

it.each(hundreds)("makes and reads the same bytes in conversations %i to %i", (from = 0) => {
  const tally = compare(seed + from, 100);
  expect(tally.read).toBeGreaterThan(600);
  const { starts, crossed, passes, repeats } = tally;
  expect(Math.min(starts - 100, crossed, passes, repeats)).toBeGreaterThan(10);
});

it.each(hundreds)("makes, tells and reads the same bytes in groups %i to %i", (from = 0) => {
  const { read, changes, told, repeats, refused, corrupted } = compareGroups(seed + from, 100);
  expect(read).toBeGreaterThan(400);
  expect(Math.min(changes, told, repeats, refused, corrupted)).toBeGreaterThan(40);
});
