// The golden vectors of the cryptography, held against both implementations.
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { ready } from "../../crypto/index.ts";
import {
  CONVERSATIONS,
  goldenConversations,
  goldenGroup,
  goldenLinkings,
  GROUP_SEEDS,
  livedByGroup,
  livedIn,
} from "./golden.ts";
import { done } from "./linking-support.ts";
import { hex } from "./twin/bytes.ts";
import { chanceOf } from "./twin/chance.ts";
import { LetheGroup } from "./twin/lethe-group.ts";
import { letheWorld } from "./twin/worlds.ts";

beforeAll(ready);

const read = (name: string): string =>
  readFileSync(new URL(`../../crypto/vectors/${name}.json`, import.meta.url), "utf8");
const file = read("conversations");
const golden = JSON.parse(file) as ReturnType<typeof goldenConversations>;

describe("golden conversations", () => {
  it("are what the second implementation makes", () => {
    expect(golden).toEqual(JSON.parse(JSON.stringify(goldenConversations())));
  });

  it.each(CONVERSATIONS.map((each) => [each.name, each] as const))("%s", (name, each) => {
    const frozen = golden.conversations.find((conversation) => conversation.name === name);
    expect(livedIn(letheWorld, each)).toEqual(frozen?.steps);
    const texts = frozen?.steps
      .filter((step) => step.do === "arrive")
      .map(({ gives }) => gives["read"] ?? "");
    const sent = each.actions.filter((action) => action.do === "send").map(({ text }) => text);
    expect(new Set(texts?.filter((text) => text !== "!duplicate"))).toEqual(new Set(sent));
  });

  it("are small", () => {
    expect(file.length).toBeLessThan(100_000);
  });
});

describe("the golden group", () => {
  const group = JSON.parse(read("group")) as ReturnType<typeof goldenGroup>;

  it("is what the second implementation makes", () => {
    expect(group).toEqual(JSON.parse(JSON.stringify(goldenGroup())));
  });

  it("is lived through by this one, byte by byte", () => {
    expect(livedByGroup(new LetheGroup(GROUP_SEEDS))).toEqual(group.steps);
    const texts = group.steps.filter((step) => step.do === "arrive").map(({ gives }) => gives["read"]);
    expect(texts.filter((text) => text === "!duplicate")).toHaveLength(1);
    expect(
      texts.filter((text) => text === "!refused"),
      "before joining, after removal, after leaving",
    ).toHaveLength(3);
    expect(read("group").length).toBeLessThan(60_000);
  });
});

describe("the golden linkings", () => {
  const linkings = JSON.parse(read("linkings")) as ReturnType<typeof goldenLinkings>;

  it("are what the second implementation makes", () => {
    expect(linkings).toEqual(JSON.parse(JSON.stringify(goldenLinkings())));
  });

  it("are gone through by this one, byte by byte", () => {
    for (const { seed, text, digits, ...messages } of linkings.linkings) {
      const linked = done({ ...chanceOf(seed), below: () => 0 });
      expect([linked.text, linked.comparing.digits]).toEqual([text, digits]);
      const { offer, join, grant } = linked;
      expect([offer, join, grant].map(hex)).toEqual([messages.offer, messages.join, messages.grant]);
    }
  });
});
