// Attacks on the linking of a device: 31, and 5 for the keys in its code and its offer. Against a relay that has every
// message, and a thief who has seen the code.
import { type UserName } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import { HpkeContext } from "../../crypto/hpke.ts";
import {
  abandonLinking,
  acceptGrant,
  answerOffer,
  blake2b,
  confirmLinking,
  createIdentity,
  endLinking,
  hearJoining,
  LABELS,
  linkingText,
  MAX_LINKING_MESSAGE_BYTES,
  readLinkingText,
  ready,
  Secret,
  showLinkingCode,
} from "../../crypto/index.ts";
import { encodeLinkingCode } from "../../crypto/linking-code.ts";
import { linkingContext, sealAnswer, secretOf } from "../../crypto/linking-messages.ts";
import { BAD_POINTS, withBytes } from "./attack-tools.ts";
import {
  answered,
  compared,
  done,
  flips,
  good,
  inOffer,
  RELAY,
  scan,
  shown,
  watched,
  offerFor,
  offerOf,
  joinWith,
} from "./linking-support.ts";
import { seededRandom, START } from "./support.ts";

beforeAll(ready);

const said = { random: seededRandom(31), now: START };

describe("attack 5: X25519 keys of small order and non-canonical keys, in a linking", () => {
  it("refuses them as the key in a code, although its check is right", () => {
    const { showing } = shown(50);
    const bytes = encodeLinkingCode(showing.code);
    const codes = [showing.code.key, ...BAD_POINTS].map((point) => {
      const changed = withBytes(bytes, 1 + 16 + 1, point);
      const check = blake2b(32, LABELS.linkingCheck, changed).subarray(0, 4);
      return readLinkingText(Buffer.from([...changed, ...check]).toString("base64url"), RELAY).code;
    });
    expect(codes).toEqual(["ok", ...BAD_POINTS.map(() => "malformed")]);
  });

  it("refuses them as the encapsulated key of an offer", () => {
    const { showing, offer } = inOffer(51);
    for (const point of BAD_POINTS)
      expect(answerOffer(showing, { ...said, message: withBytes(offer, 1, point) }).code).toBe("malformed");
    expect(answerOffer(showing, { ...said, message: offer }).code).toBe("ok");
  });
});

describe("attack 31: a code that somebody else has seen", () => {
  it("is answered once: a second offer is refused, also by a state kept from before", () => {
    const { showing, awaiting, text, random } = answered(60);
    const thief = createIdentity({ random, now: START });
    const theirs = good(scan({ identity: thief, random, text }));
    expect(answerOffer(awaiting, { ...said, message: theirs.message }).code).toBe("used");
    expect(answerOffer(showing, { ...said, message: theirs.message }).code).toBe("used");
  });

  it("that a thief answers first links to the thief's account, by its name and digits that no other screen has", () => {
    const { showing, text, random, offering, offer } = inOffer(61);
    const thief = createIdentity({ random, now: START });
    const theirs = good(scan({ identity: thief, random, text, name: "mallory" as UserName }));
    const { state, message } = good(answerOffer(showing, { ...said, message: theirs.message }));
    expect(state.offered).toMatchObject({ name: "mallory", account: thief.certificate.account });
    expect(answerOffer(state, { ...said, message: offer }).code).toBe("used");
    expect(hearJoining(offering, { message, now: START }).code).toBe("not-authentic");
  });

  it("each of the later messages is taken once, also by a state kept from before", () => {
    const { offering, comparing, awaiting, join, grant, primary, random } = done(62);
    expect(hearJoining(comparing, { message: join, now: START }).code).toBe("used");
    expect(hearJoining(offering, { message: join, now: START }).code).toBe("used");
    expect(confirmLinking(comparing, { identity: primary, random, now: START }).code).toBe("used");
    expect(confirmLinking(offering, { identity: primary, random, now: START }).code).toBe("used");
    expect(acceptGrant(awaiting, { message: grant, now: START }).code).toBe("used");
    const over = { at: "over" } as const;
    expect(answerOffer(over, { ...said, message: join }).code).toBe("used");
    expect(acceptGrant(over, { message: grant, now: START }).code).toBe("used");
    expect(hearJoining(over, { message: join, now: START }).code).toBe("used");
    expect(confirmLinking(over, { identity: primary, random, now: START }).code).toBe("used");
  });

  it("a yes before the new device has answered signs nothing", () => {
    const { offering, primary, random } = inOffer(63);
    const { identity, account, signing } = watched(primary);
    expect(confirmLinking(offering, { identity, random, now: START }).code).toBe("used");
    expect([account.reveals, signing.reveals]).toEqual([0, 0]);
  });

  it("nothing is signed before the yes, and only by the account key then", () => {
    const { primary, random, showing, text } = shown(64);
    const { identity, account, signing } = watched(primary);
    const { state, message } = good(scan({ identity, random, text }));
    const joined = good(answerOffer(showing, { ...said, message }));
    const heard = good(hearJoining(state, { message: joined.message, now: START }));
    expect([account.reveals, signing.reveals]).toEqual([0, 0]);
    expect(confirmLinking(heard.state, { identity, random, now: START }).code).toBe("ok");
    expect([account.reveals > 0, signing.reveals]).toEqual([true, 0]);
  });

  it("digits that differ end it: nothing was signed, and a later yes is refused on both sides", () => {
    const { comparing, offering, awaiting, showing, join, primary, random, grant } = {
      ...compared(65),
      grant: done(65).grant,
    };
    const { identity, account, signing } = watched(primary);
    expect(abandonLinking(comparing)).toEqual({ at: "over" });
    expect(confirmLinking(comparing, { identity, random, now: START }).code).toBe("used");
    expect(hearJoining(offering, { message: join, now: START }).code).toBe("used");
    expect([account.reveals, signing.reveals]).toEqual([0, 0]);
    expect(endLinking(awaiting)).toEqual({ at: "over" });
    expect(acceptGrant(awaiting, { message: grant, now: START }).code).toBe("used");
    expect(awaiting.own.signingSeed.wiped && awaiting.own.dhSecret.wiped).toBe(true);
    const other = shown(66).showing;
    endLinking(other);
    expect([other.key.wiped, other.opening.wiped, other.code.secret.wiped]).toEqual([true, true, true]);
    expect(showing.code.secret.wiped).toBe(true);
    const { offering: early } = inOffer(67);
    abandonLinking(early);
    expect([early.secret.wiped, early.exporter.wiped]).toEqual([true, true]);
  });

  it("a relay without S makes no offer, whatever else it knows, and the genuine one is taken after it", () => {
    const one = inOffer(68);
    const { showing, offer, random } = one;
    const { code } = showing;
    const guess = { ...code, secret: new Secret(random.bytes(32)) };
    const otherName = new HpkeContext(LABELS.linking, { key: code.secret.reveal(), id: random.bytes(16) });
    const contexts = [linkingContext(guess), new HpkeContext(LABELS.linking), otherName];
    const forged = contexts.map((context) => offerFor(code, offerOf(one), context, random));
    // S is known, but another relay's name was in the code.
    forged.push(offerFor({ ...code, relay: "other" }, offerOf(one), linkingContext(code), random));
    const refused = forged.map((message) => answerOffer(showing, { ...said, message }).code);
    expect(refused).toEqual(["not-authentic", "not-authentic", "not-authentic", "not-authentic"]);
    expect(answerOffer(showing, { ...said, message: offer }).code).toBe("ok");
  });

  it("a relay, and a thief with S, cannot answer in the new device's name", () => {
    const { offering, join, random } = answered(69);
    const forged = [
      answered(70).join,
      sealAnswer(
        "join",
        { exporter: inOffer(71).offering.exporter, soFar: offering.soFar },
        random.bytes(300),
        random,
      ),
      withBytes(join, 1, random.bytes(join.length - 1)),
    ];
    const codes = forged.map((message) => hearJoining(offering, { message, now: START }).code);
    expect(codes).toEqual(["not-authentic", "not-authentic", "not-authentic"]);
    expect(hearJoining(offering, { message: join, now: START }).code).toBe("ok");
  });

  it("a thief in the middle, who shows a code of its own to the primary device, has other digits on the two screens", () => {
    const random = seededRandom(72);
    const equal = Array.from({ length: 40 }, () => {
      const victim = showLinkingCode({ relay: RELAY, random, now: START });
      const primary = createIdentity({ random, now: START });
      const thief = createIdentity({ random, now: START });
      const thiefs = showLinkingCode({ relay: RELAY, random, now: START });
      const toThief = good(scan({ identity: primary, random, text: linkingText(thiefs.code) }));
      const toVictim = good(scan({ identity: thief, random, text: linkingText(victim.code) }));
      const byVictim = good(answerOffer(victim, { message: toVictim.message, random, now: START }));
      const byThief = good(answerOffer(thiefs, { message: toThief.message, random, now: START }));
      const seen = good(hearJoining(toThief.state, { message: byThief.message, now: START }));
      return seen.state.digits === byVictim.state.digits;
    });
    expect(equal).toEqual(equal.map(() => false));
  });

  it("the digits need r, which the new device tells only after the offer is fixed, and can tell in one way alone", () => {
    const one = inOffer(73);
    const { showing, offering, random } = one;
    expect(secretOf(showing.opening.reveal())).toEqual(showing.code.secret.reveal());
    const other = joinWith(one, ({ front }) => ({ ...front, opening: random.bytes(32) }));
    expect(hearJoining(offering, { message: other, now: START }).code).toBe("bad-opening");
  });
});

describe("attack 31: changed on the way", () => {
  it("every flip of every bit of an offer is refused, and the genuine one taken after it", () => {
    const { showing, offer } = inOffer(80);
    const codes = flips(offer).map((message) => answerOffer(showing, { ...said, message }).code);
    expect(new Set(codes)).toEqual(new Set(["malformed", "not-authentic"]));
    expect(answerOffer(showing, { ...said, message: offer }).code).toBe("ok");
  });

  it("every flip of every bit of the new device's answer is refused, and the genuine one taken after it", () => {
    const { offering, awaiting, join: genuine } = answered(81);
    const codes = flips(genuine).map((message) => hearJoining(offering, { message, now: START }).code);
    expect(new Set(codes)).toEqual(new Set(["malformed", "not-authentic"]));
    const heard = good(hearJoining(offering, { message: genuine, now: START }));
    expect(heard.state.digits).toBe(awaiting.digits);
  });

  it("every flip of every bit of the grant is refused, and the genuine one taken after it", () => {
    const { awaiting, comparing, primary, random } = compared(82);
    const { message: grant } = good(confirmLinking(comparing, { identity: primary, random, now: START }));
    const codes = flips(grant).map((message) => acceptGrant(awaiting, { message, now: START }).code);
    expect(new Set(codes)).toEqual(new Set(["malformed", "not-authentic"]));
    expect(acceptGrant(awaiting, { message: grant, now: START }).code).toBe("ok");
  });

  it("every flip of every bit of a code is refused", () => {
    const { text } = shown(83);
    const bytes = Uint8Array.from(Buffer.from(text, "base64url"));
    const codes = flips(bytes).map(
      (to) => readLinkingText(Buffer.from(to).toString("base64url"), RELAY).code,
    );
    expect(new Set(codes)).toEqual(new Set(["malformed"]));
  });

  it("messages of one kind or linking where another belongs are refused, cut and lengthened ones too", () => {
    const a = compared(84);
    const { offer, join: joined, offering, awaiting, showing, random, primary } = a;
    const { message: grant } = good(confirmLinking(a.comparing, { identity: primary, random, now: START }));
    const b = answered(85);
    for (const message of [joined, grant, new Uint8Array(0)])
      expect(answerOffer(shown(84).showing, { ...said, message }).code).toBe("malformed");
    for (const message of [offer, grant, new Uint8Array(0)])
      expect(hearJoining(answered(84).offering, { message, now: START }).code).toBe("malformed");
    for (const message of [offer, joined, new Uint8Array(0)])
      expect(acceptGrant(awaiting, { message, now: START }).code).toBe("malformed");
    // The kind alone is changed: the keys differ.
    expect(acceptGrant(awaiting, { message: withBytes(joined, 0, Uint8Array.of(3)), now: START }).code).toBe(
      "not-authentic",
    );
    expect(acceptGrant(b.awaiting, { message: grant, now: START }).code).toBe("not-authentic");
    expect([showing.at, offering.at]).toEqual(["showing", "offering"]);
    const longest = Uint8Array.of(3, ...new Uint8Array(MAX_LINKING_MESSAGE_BYTES - 1));
    expect(acceptGrant(awaiting, { message: longest, now: START }).code).toBe("not-authentic");
    expect(acceptGrant(awaiting, { message: Uint8Array.of(...longest, 0), now: START }).code).toBe(
      "malformed",
    );
    const enc = withBytes(longest, 0, offer.subarray(0, 33));
    expect(answerOffer(shown(84).showing, { ...said, message: enc }).code).toBe("not-authentic");
    expect(answerOffer(shown(84).showing, { ...said, message: Uint8Array.of(...enc, 0) }).code).toBe(
      "malformed",
    );
    for (let length = 0; length < grant.length; length++)
      expect(acceptGrant(awaiting, { message: grant.subarray(0, length), now: START }).code).not.toBe("ok");
    expect(acceptGrant(awaiting, { message: grant, now: START }).code).toBe("ok");
  });
});
