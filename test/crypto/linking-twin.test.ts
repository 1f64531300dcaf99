// Linking against a second implementation of its specification, on other primitives: the same chance gives the same bytes.
import { beforeAll, expect, it } from "vitest";
import { ready } from "../../crypto/index.ts";
import { done, RELAY } from "./linking-support.ts";
import { seededRandom, START } from "./support.ts";
import { linking } from "./twin/linking.ts";

beforeAll(ready);

it("shows and sends what the specification says, byte by byte", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { text, offer, join, grant, comparing } = done(seed);
    const twin = linking(seededRandom(seed), START, { relay: RELAY, name: "anna" });
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
    expect([text, comparing.digits]).toEqual([twin.text, twin.digits]);
    expect([offer, join, grant].map(hex)).toEqual([twin.offer, twin.join, twin.grant].map(hex));
  }
});
