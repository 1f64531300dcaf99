// A second implementation of handshake, ratchet and sealing, written from crypto/README.md on other people's primitives:
// with the same chance and clock, both must make the same bytes and read the same messages.
import { beforeAll, expect, it } from "vitest";
import { ready } from "../../crypto/index.ts";
import { seedOf } from "./support.ts";
import { compare } from "./twin/compare.ts";

beforeAll(ready);

it("makes and reads the same bytes in 50 random conversations", () => {
  const tally = compare(seedOf("twin", 1), 50);
  expect(tally.read).toBeGreaterThan(300);
});
