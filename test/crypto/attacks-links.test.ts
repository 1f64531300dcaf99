// First contact by a link, with a relay that lies: it can refuse, and it cannot put another key in the place of the link's.
import { beforeAll, describe, expect, it } from "vitest";
import { ContactLinks } from "../../client-lib/contact-links.ts";
import { Trust } from "../../client-lib/keys/trust.ts";
import { contactLink, type Identity, publicIdentity, ready } from "../../crypto/index.ts";
import { AttackWorld, type Side } from "./attack-world.ts";
import { impostorOf, replace } from "./impostor.ts";

beforeAll(ready);

const linkOf = (identity: Identity): string => contactLink(identity, "world", "ben");

/** What the library does with a link. */
async function add(world: AttackWorld, side: Side, link: string): Promise<void> {
  const trust = new Trust({
    keys: side.keys,
    cipher: side.cipher,
    commit: async (writes) => side.write(writes),
  });
  const links = new ContactLinks({
    account: side.account,
    user: side.name,
    relay: "world",
    identity: () => side.keys.identity,
    trust,
    view: side.core.view,
    happen: (event) => world.step(side, event),
  });
  await links.add(link);
  world.run();
}

/** Anna has Ben's link or not; for the relay Ben is the impostor. */
async function withAnImpostor(link: "with his link" | "by his name") {
  const world = new AttackWorld("anna", "ben");
  const [anna, ben] = [world.side("anna"), world.side("ben")];
  const genuine = ben.keys.identity;
  if (link === "with his link") await add(world, anna, linkOf(genuine));
  replace(world, ben);
  return { world, anna, ben, genuine };
}

describe("first contact by a link", () => {
  it("a relay that gives another key for the account is refused, and nothing is sealed for that key", async () => {
    const { world, anna, ben } = await withAnImpostor("with his link");
    world.say("anna", "ben", "for Ben alone");
    expect(anna.tellsOf("refused")).toMatchObject([{ code: "account-key-changed" }]);
    expect(world.submitsOf("anna")).toEqual([]);
    expect(anna.cipher.accountKey(ben.account)).toBe(undefined);
    expect(ben.texts).toEqual([]);
  });

  it("mail of another key in the account's name is kept aside, and pins nothing", async () => {
    const { world, anna, ben } = await withAnImpostor("with his link");
    world.say("ben", "anna", "I am Ben");
    expect(anna.codes).toEqual(["account-key-changed"]);
    expect(anna.texts).toEqual([]);
    expect(anna.cipher.accountKey(ben.account)).toBe(undefined);
  });

  it("by name alone the same relay is believed: that is what the link is for", async () => {
    const { world, anna, ben } = await withAnImpostor("by his name");
    world.say("anna", "ben", "for Ben alone");
    expect(ben.texts).toEqual(["for Ben alone"]);
    expect(anna.tellsOf("refused")).toEqual([]);
  });

  it("outlives a restart, and flows once the relay tells the truth", async () => {
    const world = new AttackWorld("anna", "ben");
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    await add(world, anna, linkOf(ben.keys.identity));
    const { certificate, deviceList } = publicIdentity(impostorOf(ben));
    world.lies = (frame) =>
      frame.frame === "has-devices" ? { ...frame, deviceList, certificates: [certificate] } : frame;
    world.start(anna);
    world.say("anna", "ben", "for Ben alone");
    expect(anna.tellsOf("refused")).toMatchObject([{ code: "account-key-changed" }]);
    world.lies = (frame) => frame;
    world.say("anna", "ben", "to Ben");
    expect(ben.texts).toEqual(["to Ben"]);
    const submits = world.frames.filter(({ from, frame }) => from === "anna" && frame.frame === "submit");
    expect(submits.map(({ on }) => on)).toEqual(["anonymous"]);
  });

  it("a link with another key than the one pinned, or than another link's, is refused", async () => {
    const world = new AttackWorld("anna", "ben", "cleo");
    const [anna, ben, cleo] = [world.side("anna"), world.side("ben"), world.side("cleo")];
    world.befriend("anna", "ben");
    const forged = linkOf(impostorOf(ben));
    await expect(add(world, anna, forged)).rejects.toMatchObject({ code: "account-key-changed" });
    await add(world, anna, linkOf(ben.keys.identity));
    await add(world, anna, linkOf(cleo.keys.identity));
    await expect(add(world, anna, linkOf(impostorOf(cleo)))).rejects.toMatchObject({
      code: "account-key-changed",
    });
  });
});
