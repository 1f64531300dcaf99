// Attack 31 from inside: a new or a primary device that holds all secrets of a linking and does not keep to the rules. Each
// part of what it says is held against the others, so nothing is believed that only the seal vouches for.
import { inspect } from "node:util";
import { decodeAll, type DeviceNumber, type Time, toBytes, type UserName } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import { type Certificate, certify, makeCertificate, provePossession } from "../../crypto/certificate.ts";
import { type ListedDevice, makeDeviceList } from "../../crypto/device-list.ts";
import {
  acceptGrant,
  answerOffer,
  certificateHash,
  hearJoining,
  type Identity,
  LABELS,
  LIST_LIFETIME_MS,
  ready,
  Secret,
} from "../../crypto/index.ts";
import { encode } from "../../crypto/layout.ts";
import {
  decodeOffer,
  encodeOffer,
  grantBody,
  linkingContext,
  type OfferBody,
  openAnswer,
  sealAnswer,
} from "../../crypto/linking-messages.ts";
import { ed25519Public, ed25519Sign } from "../../crypto/primitives.ts";
import { makeSealingKey } from "../../crypto/sealing-key.ts";
import { withBytes } from "./attack-tools.ts";
import {
  answered,
  compared,
  type Compared,
  inOffer,
  shown,
  SECOND,
  offerFor,
  offerOf,
  joinWith,
  type Forging,
} from "./linking-support.ts";
import { later, seededRandom, START } from "./support.ts";

beforeAll(ready);

const said = { random: seededRandom(31), now: START };

describe("attack 31: a new device that does not hold what it names", () => {
  it("is refused for each part that is not of its own key, its own number and this linking", () => {
    const one = inOffer(90);
    const { offering, random } = one;
    const { offered } = offering;
    const other = random.bytes(32);
    const third = { ...offered, device: 3 as DeviceNumber };
    const code = (message: Uint8Array): string => hearJoining(offering, { message, now: START }).code;
    const changes: ((forging: Forging) => Forging["front"])[] = [
      ({ front }) => ({ ...front, signingKey: ed25519Public(other) }),
      ({ front }) => ({ ...front, possession: provePossession(offered, other) }),
      ({ front, seed }) => ({ ...front, possession: provePossession(third, seed) }),
      ({ front, seed }) => ({
        ...front,
        possession: provePossession({ ...offered, accountKey: ed25519Public(other) }, seed),
      }),
      // The right words under the label of another purpose.
      ({ front, seed }) => ({
        ...front,
        possession: ed25519Sign(
          seed,
          LABELS.signLinking,
          Uint8Array.of(3, ...offered.accountKey, ...toBytes(offered.account), 0, SECOND),
        ),
      }),
      ({ front }) => ({
        ...front,
        sealing: makeSealingKey(offered, new Secret(other), random, START).record,
      }),
      ({ front, seed }) => ({
        ...front,
        sealing: makeSealingKey(third, new Secret(seed), random, START).record,
      }),
      // As a stolen DS could be used: all of it is the account key's, which the thief does not hold.
      ({ front }) => ({ ...front, signingKey: offered.accountKey }),
    ];
    expect(changes.map((change) => code(joinWith(one, change)))).toEqual(changes.map(() => "bad-signature"));
    expect(code(joinWith(one, ({ front }) => front, inOffer(91).offering.soFar))).toBe("bad-signature");
    expect(code(joinWith(one, ({ front }) => front))).toBe("ok");
  });

  it("is refused for a content that is none, under the right key", () => {
    const { offering, join: genuine } = answered(92);
    const plain = openAnswer("join", offering, genuine);
    if (typeof plain === "string") throw new Error(plain);
    for (const bytes of [
      plain.subarray(1),
      Uint8Array.of(...plain, 0),
      withBytes(plain, 32, Uint8Array.of(1)),
    ]) {
      const message = sealAnswer("join", offering, bytes.slice(), said.random);
      expect(hearJoining(offering, { message, now: START }).code).toBe("malformed");
    }
    expect(hearJoining(offering, { message: genuine, now: START }).code).toBe("ok");
  });
});

describe("attack 31: a primary device that does not keep to what it offered", () => {
  it("is refused for an offer of another relay, a name that is none, or more behind it", () => {
    const one = inOffer(93);
    const { showing, random } = one;
    const context = linkingContext(showing.code);
    const code = (offer: OfferBody): string => {
      const message = offerFor(showing.code, offer, context, random);
      return answerOffer(showing, { ...said, message }).code;
    };
    const offer = offerOf(one);
    expect(code({ ...offer, relay: "other.example" })).toBe("other-relay");
    expect(code({ ...offer, name: "Anna \u202e" as UserName })).toBe("malformed");
    expect(decodeOffer(encodeOffer(offer))).toEqual(offer);
    expect(code(offer)).toBe("ok");
  });

  interface Granting {
    readonly certificate: Certificate;
    /** Signs the certificate, and the list. */
    readonly certificateSeed: Uint8Array;
    readonly listSeed: Uint8Array;
    /** Undefined: that of the new device's own key for whatever the certificate says. */
    readonly possession: Uint8Array | undefined;
    readonly issuedAt: Time;
    readonly listed: boolean;
  }

  /** The code of a grant with another content than the genuine one, consistent in all but what is changed. */
  function granting(one: Compared, change: (said: Granting) => Partial<Granting>): string {
    const { comparing, primary, random, awaiting } = one;
    const seed = (primary.accountSeed as Secret).reveal();
    const base: Granting = {
      certificate: { ...comparing.offered, ...comparing.joining, createdAt: START },
      certificateSeed: seed,
      listSeed: seed,
      possession: undefined,
      issuedAt: START,
      listed: true,
    };
    const { certificate, certificateSeed, listSeed, ...granted } = { ...base, ...change(base) };
    const proof = granted.possession ?? provePossession(certificate, awaiting.own.signingSeed.reveal());
    const bytes = certify(certificate, certificateSeed, proof);
    const { account, device } = certificate;
    const [first] = primary.list.devices as [ListedDevice];
    const devices = granted.listed ? [first, { device, certificateHash: certificateHash(bytes) }] : [first];
    const next = {
      account,
      version: 2,
      previousHash: primary.list.hash,
      issuedAt: granted.issuedAt,
      devices,
    };
    const deviceList = makeDeviceList(next, listSeed).bytes;
    const content = { certificate: bytes, deviceList, profileKey: primary.profileKey };
    const message = sealAnswer("grant", comparing, encode(grantBody, content, 2_048), random);
    return acceptGrant(awaiting, { message, now: START }).code;
  }

  it("is refused for a grant that makes this device none of the account that was offered", () => {
    const one = compared(94);
    const { comparing, random } = one;
    const other = random.bytes(32);
    const accountKey = ed25519Public(other);
    const { account } = shown(95).primary.certificate;
    const dhKey = shown(96).showing.code.key;
    const changes: ((said: Granting) => Partial<Granting>)[] = [
      ({ certificate }) => ({ certificate: { ...certificate, account } }),
      ({ certificate }) => ({ certificate: { ...certificate, device: 3 as DeviceNumber } }),
      ({ certificate }) => ({ certificate: { ...certificate, accountKey }, certificateSeed: other }),
      ({ certificate }) => ({
        certificate: { ...certificate, signingKey: ed25519Public(other) },
        possession: provePossession(comparing.offered, other),
      }),
      ({ certificate }) => ({ certificate: { ...certificate, dhKey } }),
      () => ({ certificateSeed: other }),
      () => ({ listSeed: other }),
      () => ({ possession: new Uint8Array(64) }),
      () => ({ listed: false }),
      () => ({ issuedAt: later(START, -LIST_LIFETIME_MS) }),
    ];
    expect(changes.map((change) => granting(one, change))).toEqual(changes.map(() => "bad-grant"));
    expect(granting(one, () => ({}))).toBe("ok");
  });

  it("is refused for a list of another account of the same key, and for bytes that are no grant", () => {
    const { comparing, primary, random, awaiting } = compared(97);
    const accountSeed = (primary.accountSeed as Secret).reveal();
    const { offered, joining } = comparing;
    const bytes = certify({ ...offered, ...joining, createdAt: START }, accountSeed, joining.possession);
    const { account } = shown(98).primary.certificate;
    const devices = [{ device: offered.device, certificateHash: certificateHash(bytes) }];
    const body = { account, version: 2, previousHash: primary.list.hash, issuedAt: START, devices };
    const deviceList = makeDeviceList(body, accountSeed).bytes;
    const granted = { certificate: bytes, deviceList, profileKey: primary.profileKey };
    const plain = encode(grantBody, granted, 2_048);
    const code = (content: Uint8Array): string =>
      acceptGrant(awaiting, { message: sealAnswer("grant", comparing, content, random), now: START }).code;
    expect(code(plain.slice())).toBe("bad-grant");
    expect(code(Uint8Array.of(...plain, 0))).toBe("malformed");
    expect(code(plain.slice(0, -1))).toBe("malformed");
    expect(decodeAll(grantBody, plain).certificate).toEqual(bytes);
  });
});

describe("the states of a linking", () => {
  it("tell no secret to logs or JSON", () => {
    const { showing, offering, comparing, awaiting } = compared(40);
    const { showing: fresh } = shown(41);
    const states = [showing, offering, comparing, awaiting, fresh];
    const flat = (of: string): string => of.replaceAll(/\s+/g, " ");
    const printed = flat(inspect(states, { depth: 9 }) + JSON.stringify(states));
    expect(printed).toContain("[secret]");
    for (const held of [fresh.code.secret, fresh.key, fresh.opening, awaiting.own.signingSeed]) {
      const bytes = held.reveal();
      expect(printed).not.toContain([...bytes.subarray(0, 6)].join(", "));
      expect(flat(inspect(bytes))).toContain([...bytes.subarray(0, 6)].join(", "));
    }
  });

  it("hold one certificate between the two halves: made by both keys it is the one made by one hand", () => {
    const { primary, comparing } = compared(42);
    const account = (primary.accountSeed as NonNullable<Identity["accountSeed"]>).reveal();
    const signing = new Uint8Array(32).fill(7);
    const of = { ...comparing.offered, ...comparing.joining, createdAt: START };
    const certificate = { ...of, signingKey: ed25519Public(signing) };
    expect(certify(certificate, account, provePossession(certificate, signing))).toEqual(
      makeCertificate(certificate, { account, signing }),
    );
  });
});
