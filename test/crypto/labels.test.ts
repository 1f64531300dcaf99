// Labels separate what every key, hash, tag and signature is for: they are distinct, and none is the prefix of another.
import { readFileSync } from "node:fs";
import { SIGNATURE_LABELS, signedBytes } from "@lethe/protocol";
import { expect, it } from "vitest";
import { LABELS, PROTOCOL } from "../../crypto/index.ts";

const all = [
  ...Object.values(LABELS).map((label) => Buffer.from(label).toString("latin1")),
  ...(Object.keys(SIGNATURE_LABELS) as (keyof typeof SIGNATURE_LABELS)[]).map((purpose) =>
    Buffer.from(signedBytes(purpose, new Uint8Array(0))).toString("latin1"),
  ),
];

it("has no label twice, and none that begins with another", () => {
  expect(all.length).toBeGreaterThan(15);
  for (const [i, one] of all.entries())
    for (const [j, other] of all.entries()) if (i !== j) expect(other.startsWith(one)).toBe(false);
});

it("has only labels of this protocol and version, each ended by one byte 0", () => {
  for (const label of all) expect(label).toMatch(/^Lethe\/E2EE\/v1\/[a-z0-9/-]+\0$/);
  expect(PROTOCOL.length).toBeGreaterThanOrEqual(8);
});

it("names each of them in the specification, and no other", () => {
  const page = readFileSync(new URL("../../crypto/README.md", import.meta.url), "utf8");
  const table = page.slice(page.indexOf("| label | for |"), page.indexOf("A signature for purpose"));
  const named = [...table.matchAll(/`([a-z0-9/-]+)`/g)].map((match) => match[1]);
  const own = all.map((label) => label.slice(PROTOCOL.length + 1, -1));
  expect(new Set(named)).toEqual(new Set(own));
  expect(named.length).toBe(own.length);
});
