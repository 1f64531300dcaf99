// The golden vectors of the cryptography, held against both implementations.
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { ready } from "../../crypto/index.ts";
import { CONVERSATIONS, goldenConversations, livedIn } from "./golden.ts";
import { letheWorld } from "./twin/worlds.ts";

beforeAll(ready);

const file = readFileSync(new URL("../../crypto/vectors/conversations.json", import.meta.url), "utf8");
const golden = JSON.parse(file) as ReturnType<typeof goldenConversations>;

describe("golden conversations", () => {
  it("are what the second implementation makes", () => {
    expect(golden).toEqual(JSON.parse(JSON.stringify(goldenConversations())));
  });

  it.each(CONVERSATIONS.map((each) => [each.name, each] as const))("%s", (name, each) => {
    const frozen = golden.conversations.find((conversation) => conversation.name === name);
    expect(livedIn(letheWorld, each)).toEqual(frozen?.steps);
    const read = frozen?.steps.filter((step) => step.do === "arrive").map(({ gives }) => gives["read"] ?? "");
    const sent = each.actions.filter((action) => action.do === "send").map(({ text }) => text);
    expect(new Set(read?.filter((text) => text !== "!duplicate"))).toEqual(new Set(sent));
  });

  it("are small", () => {
    expect(file.length).toBeLessThan(100_000);
  });
});
