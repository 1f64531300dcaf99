// The golden vectors of the cryptography, held against both implementations.
import { readFileSync } from "node:fs";
import { type DeviceAddress, fromHex } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import { capabilityMark, makeMediaKey, ready, releaseToken } from "../../crypto/index.ts";
import {
  CONVERSATIONS,
  goldenConversations,
  goldenFile,
  goldenGroup,
  goldenLinkings,
  goldenMedia,
  GROUP_SEEDS,
  livedByGroup,
  livedIn,
} from "./golden.ts";
import { done } from "./linking-support.ts";
import { openFile, sealFile } from "./media-support.ts";
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

describe("the golden files", () => {
  const media = JSON.parse(read("media")) as ReturnType<typeof goldenMedia>;

  it("are what the second implementation makes", () => {
    expect(media).toEqual(JSON.parse(JSON.stringify(goldenMedia())));
    expect(read("media").length).toBeLessThan(30_000);
  });

  it.each(media.files)("of $size bytes is sealed and opened by this one, byte by byte", async (golden) => {
    const chance = chanceOf(golden.seed);
    const key = makeMediaKey(chance);
    const file = await sealFile(goldenFile(golden.size), chance, key);
    const token = releaseToken(key, fromHex<DeviceAddress>(golden.address, 18));
    const bytes = file.parts.reduce((sum, part) => sum + part.length, 0);
    expect([bytes, hex(file.shape.digest), hex(key.id)]).toEqual([golden.bytes, golden.digest, golden.id]);
    expect([hex(token), hex(capabilityMark(token))]).toEqual([golden.token, golden.mark]);
    if (golden.blob !== undefined) expect(file.parts.map(hex).join("")).toBe(golden.blob);
    expect((await openFile(file, file.parts)).done).toBe(true);
  });
});
