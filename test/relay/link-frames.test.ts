// The frames between nodes: every one comes back as it went, in one encoding only; everything else is refused with a
// code; what a node says is about its own sessions and ours, never about a third one's.
import type { DeviceAddress, EnvelopeId, Time } from "@lethe/protocol";
import { MAX_IDS, Writer } from "@lethe/protocol";
import type { Envelope, NodeId } from "@lethe/queue";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { payloadIdOf } from "../../relay/blake2b.ts";
import type { LinkFrame } from "../../relay/delivery/types.ts";
import {
  type DeliveryWireFrame,
  gatherDelivery,
  readDelivery,
  readGroup,
  writeDelivery,
} from "../../relay/link/delivery-frames.ts";
import {
  decodeLinkFrames,
  LINK_FRAMES,
  LinkError,
  type LinkFrameName,
  type WireFrame,
  writeLinkFrame,
} from "../../relay/link/frames.ts";
import { GatheredOffers } from "../../relay/link/gathered-offers.ts";
import { FULL_MESSAGE_BYTES, MAX_LINK_FRAME_BYTES, MAX_LINK_MESSAGE_BYTES } from "../../relay/link/limits.ts";

const names = Object.keys(LINK_FRAMES) as LinkFrameName[];
const binary = (bytes: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((b) => String.fromCharCode(...b));
const fixed = (bytes: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes });
const node = fixed(16).map((b) => Buffer.from(b).toString("hex"));
const id = binary(16);
const address = binary(18);
const u8 = fc.integer({ min: 0, max: 255 });
const u64 = fc.oneof(fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER));
const ciphertext = fc.uint8Array({ maxLength: 300 });
const text = fc.string({ unit: "binary", maxLength: 60 });
const some = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(of, { minLength: 1, maxLength: 9 });
const kind = fc.constantFrom("pairwise", "group");

/** A generator of the fields of each frame. A frame without one is a type error. */
const FIELDS: { readonly [N in LinkFrameName]: fc.Arbitrary<Record<string, unknown>> } = {
  hello: fc.record({ min: u8, max: u8, from: node, to: node, address: text, nonce: fixed(32) }),
  challenge: fc.record({ version: u8, nonce: fixed(32) }),
  proof: fc.record({ mac: fixed(32) }),
  ready: fc.constant({}),
  heartbeat: fc.record({ clock: u64, sessions: fc.integer({ min: 0, max: 0xffff_ffff }) }),
  offer: fc.record({
    address,
    session: u64,
    envelopes: some(fc.record({ id, kind, expiry: u64, ciphertext })),
  }),
  "offer-group": fc.record({
    expiry: u64,
    ciphertext,
    to: some(fc.record({ address, session: u64, id })),
  }),
  answer: fc.record({
    address,
    session: u64,
    how: fc.constantFrom(
      "delivered",
      "stored",
      "not-owner",
      "mailbox-full",
      "expired",
      "storage-full",
      "storage-failed",
      "no-device",
    ),
    ids: some(id),
  }),
  displace: fc.record({ address, session: u64 }),
  signal: fc.record({ address, id, ciphertext }),
  changed: fc.record({
    account: id,
    what: fc.constantFrom("record", "access-key", "shows-last-seen", "hides-last-seen"),
  }),
  retired: fc.record({ addresses: some(address) }),
  presence: fc.record({ moved: some(fc.record({ address, online: fc.boolean() })) }),
  present: fc.record({ last: fc.boolean(), addresses: fc.array(address, { maxLength: 9 }) }),
};

const frameOf = (name: LinkFrameName): fc.Arbitrary<WireFrame> =>
  FIELDS[name].map((fields) => ({ ...fields, frame: name }) as WireFrame);

function encoded(...frames: WireFrame[]): Uint8Array {
  const writer = new Writer();
  for (const frame of frames) writeLinkFrame(writer, frame);
  return writer.take();
}

const decoded = (bytes: Uint8Array, name: LinkFrameName): WireFrame[] =>
  decodeLinkFrames(bytes, { when: LINK_FRAMES[name].when, version: LINK_FRAMES[name].since });

function codeOf(act: () => unknown): string {
  try {
    act();
    return "taken";
  } catch (error) {
    if (error instanceof LinkError) return error.code;
    throw error;
  }
}

describe("a frame between nodes", () => {
  it.each(names)("%s comes back as it went, and is the only encoding of itself", (name) => {
    fc.assert(
      fc.property(frameOf(name), (frame) => {
        const bytes = encoded(frame);
        const back = decoded(bytes, name);
        expect(back).toEqual([frame]);
        expect(encoded(...back)).toEqual(bytes);
      }),
      { numRuns: 60 },
    );
  });

  it.each(names)("%s cut short, too long or with a byte too many is malformed", (name) => {
    const [frame] = fc.sample(frameOf(name), { numRuns: 1, seed: 7 });
    const bytes = encoded(frame as WireFrame);
    for (let length = 0; length < bytes.length; length++)
      expect(codeOf(() => decoded(bytes.subarray(0, length), name))).toBe("malformed");
    const longer = Uint8Array.from([...bytes, 0]);
    const length = bytes.length - 3;
    longer.set([length >>> 16, (length >>> 8) & 0xff, length & 0xff], 1);
    expect(codeOf(() => decoded(longer, name))).toBe("malformed");
  });

  it("is a value or a LinkError, whatever the bytes are", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, standing) => {
        codeOf(() => decodeLinkFrames(bytes, { when: standing ? "standing" : "opening", version: 1 }));
      }),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(fc.constantFrom(...names).chain(frameOf), fc.nat(), u8, (frame, at, value) => {
        const bytes = encoded(frame);
        bytes[at % bytes.length] = value;
        codeOf(() => decoded(bytes, frame.frame));
      }),
      { numRuns: 2_000 },
    );
  });

  it("is refused at the wrong time, over its limits and where nobody knows it", () => {
    const offer = encoded({ frame: "heartbeat", clock: 1 as Time, sessions: 0 });
    expect(codeOf(() => decodeLinkFrames(offer, { when: "opening", version: 1 }))).toBe("unexpected");
    expect(
      codeOf(() => decodeLinkFrames(encoded({ frame: "ready" }), { when: "standing", version: 1 })),
    ).toBe("unexpected");
    const standing = { when: "standing", version: 1 } as const;
    expect(codeOf(() => decodeLinkFrames(Uint8Array.of(0xee, 0, 0, 0), standing))).toBe("malformed");
    const over = MAX_LINK_FRAME_BYTES + 1;
    const large = Uint8Array.of(0x10, over >>> 16, (over >>> 8) & 0xff, over & 0xff);
    expect(codeOf(() => decodeLinkFrames(large, standing))).toBe("too-large");
    expect(codeOf(() => decodeLinkFrames(new Uint8Array(MAX_LINK_MESSAGE_BYTES + 1), standing))).toBe(
      "too-large",
    );
    expect(codeOf(() => decodeLinkFrames(new Uint8Array(0), standing))).toBe("malformed");
  });

  it("stands in these bytes", () => {
    const hex = (frame: WireFrame): string => Buffer.from(encoded(frame)).toString("hex");
    const at = "A".repeat(18) as DeviceAddress;
    const named = "i".repeat(16) as EnvelopeId;
    const ciphertext = Uint8Array.of(1, 2, 3);
    const envelope = { id: named, kind: "pairwise", expiry: 5 as Time, ciphertext } as const;
    expect({
      ready: hex({ frame: "ready" }),
      heartbeat: hex({ frame: "heartbeat", clock: 1_700_000_000_000 as Time, sessions: 3 }),
      offer: hex({ frame: "offer", address: at, session: 9, envelopes: [envelope] }),
      "offer-group": hex({
        frame: "offer-group",
        expiry: 5 as Time,
        ciphertext,
        to: [{ address: at, session: 9, id: named }],
      }),
      answer: hex({ frame: "answer", address: at, session: 9, how: "stored", ids: [named] }),
      presence: hex({ frame: "presence", moved: [{ address: at, online: true }] }),
    }).toEqual({
      ready: "04000000",
      heartbeat: "0800000c0000018bcfe5680000000003",
      offer: `1000003c${"41".repeat(18)}00000000000000090001${"69".repeat(16)}01000000000000000500000003010203`,
      "offer-group": `1400003b000000000000000500000003010203${"0001"}${"41".repeat(18)}0000000000000009${"69".repeat(16)}`,
      answer: `1100002d${"41".repeat(18)}0000000000000009020001${"69".repeat(16)}`,
      presence: `220000150001${"41".repeat(18)}01`,
    });
  });
});

const ENDS = { me: "a".repeat(32) as NodeId, peer: "b".repeat(32) as NodeId };
const there = { me: ENDS.peer, peer: ENDS.me };
const A = "A".repeat(18) as DeviceAddress;

function carried(frame: LinkFrame): LinkFrame[] {
  const out: LinkFrame[] = [];
  writeDelivery(frame, ENDS, (wire) => {
    for (const back of decoded(encoded(wire), wire.frame))
      out.push(readDelivery(back as DeliveryWireFrame, there));
  });
  return out;
}

function envelopes(count: number, bytes: number): Envelope[] {
  return Array.from({ length: count }, (_, i) => ({
    id: String(i).padStart(16, "0") as EnvelopeId,
    kind: "pairwise",
    expiry: 1 as Time,
    ciphertext: Buffer.alloc(bytes, i),
  }));
}

describe("a frame of delivery", () => {
  it("arrives as it was given, larger than a frame may be or not, in order", () => {
    const owner = { node: ENDS.peer, session: 3 };
    for (const all of [envelopes(1, 10), envelopes(3_000, 10), envelopes(12, 73_728)]) {
      const parts = carried({ is: "offer", owner, address: A, envelopes: all });
      const arrived = parts.flatMap((part) =>
        part.is === "offer" && part.owner.session === 3 ? part.envelopes : [],
      );
      expect(arrived).toEqual(all);
      expect(parts.every((part) => "owner" in part && part.owner.node === ENDS.peer)).toBe(true);
    }
    const ids = envelopes(MAX_IDS + 5, 0).map((envelope) => envelope.id);
    const mine = { node: ENDS.me, session: 4 };
    const answers = carried({ is: "answer", owner: mine, address: A, ids, how: "delivered" });
    expect(answers.flatMap((part) => (part.is === "answer" ? part.ids : []))).toEqual(ids);
    expect(answers.map((part) => part.is === "answer" && part.owner)).toEqual([mine, mine]);
    const displace: LinkFrame = { is: "displace", owner, address: A };
    expect(carried(displace)).toEqual([displace]);
    const signal: LinkFrame = {
      is: "signal",
      address: A,
      id: ids[0] as EnvelopeId,
      ciphertext: Buffer.from("x"),
    };
    expect(carried(signal)).toEqual([signal]);
  });

  it("is not sent where it names a node that is not at the link's end any more", () => {
    const old = { node: "c".repeat(32) as NodeId, session: 3 };
    expect(carried({ is: "offer", owner: old, address: A, envelopes: envelopes(1, 1) })).toEqual([]);
    expect(carried({ is: "answer", owner: old, address: A, ids: [], how: "stored" })).toEqual([]);
    expect(carried({ is: "displace", owner: old, address: A })).toEqual([]);
  });
});

interface Turn {
  readonly frames: WireFrame[];
  /** What arrives of it, as offers of one mailbox each. */
  readonly offers: Extract<LinkFrame, { is: "offer" }>[];
}

/** Sends the frames in one turn of a link of version 2. */
function inOneTurn(frames: readonly LinkFrame[]): Turn {
  const offers = new GatheredOffers();
  const sent: WireFrame[] = [];
  const write = (wire: WireFrame): void => void sent.push(...decoded(encoded(wire), wire.frame));
  for (const frame of frames) gatherDelivery(frame, ENDS, { offers, write });
  offers.flush(write);
  const arrived = sent.flatMap((wire) =>
    wire.frame === "offer-group" ? readGroup(wire, there) : [readDelivery(wire as DeliveryWireFrame, there)],
  );
  return { frames: sent, offers: arrived.filter((frame) => frame.is === "offer") };
}

function mailbox(i: number): DeviceAddress {
  return String(i).padStart(18, "0") as DeviceAddress;
}

/** A group's envelope for one mailbox; `what` is its ciphertext's. */
function shared(what: string, i: number, bytes = 20): LinkFrame {
  const ciphertext = Buffer.alloc(bytes, what);
  const id = `${what}${i}`.padStart(16, "0") as EnvelopeId;
  const envelope = {
    id,
    kind: "group",
    expiry: 7 as Time,
    ciphertext,
    payload: payloadIdOf(ciphertext),
  } as const;
  return { is: "offer", owner: { node: ENDS.peer, session: i }, address: mailbox(i), envelopes: [envelope] };
}

describe("offers of one ciphertext in one turn", () => {
  it("carry it once, however many mailboxes they are for, and arrive as they were given", () => {
    const given = Array.from({ length: 1_000 }, (_, i) => shared("x", i));
    const { frames, offers } = inOneTurn(given);
    expect(frames.map(({ frame }) => frame)).toEqual(["offer-group"]);
    expect(offers).toEqual(given);
    expect(new Set(offers.map(({ envelopes: [envelope] }) => envelope?.ciphertext)).size).toBe(1);
  });

  it("keep the order of each mailbox, whatever is mixed", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ what: fc.constantFrom("a", "b", "c", ""), box: fc.nat(3) }), { maxLength: 60 }),
        (said) => {
          const given = said.map(({ what, box }, i): LinkFrame => {
            const alone = envelopes(1, i);
            const owner = { node: ENDS.peer, session: box };
            return what === ""
              ? { is: "offer", owner, address: mailbox(box), envelopes: alone }
              : shared(what, box);
          });
          const { offers } = inOneTurn(given);
          for (let box = 0; box < 4; box++) {
            const of = (all: readonly LinkFrame[]): LinkFrame[] =>
              all.filter((frame) => frame.is === "offer" && frame.address === mailbox(box));
            expect(of(offers)).toEqual(of(given));
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("of a flow are taken apart, and what does not share its ciphertext keeps its place among them", () => {
    const [one, two] = [shared("a", 1), shared("b", 1)] as Extract<LinkFrame, { is: "offer" }>[];
    const alone = envelopes(1, 9);
    const flow: LinkFrame = {
      is: "offer",
      owner: { node: ENDS.peer, session: 1 },
      address: mailbox(1),
      envelopes: [...(one?.envelopes ?? []), ...alone, ...(two?.envelopes ?? [])],
    };
    const { frames, offers } = inOneTurn([flow, shared("b", 2)]);
    expect(frames.map(({ frame }) => frame)).toEqual(["offer-group", "offer", "offer-group"]);
    expect(offers.flatMap((offer) => offer.envelopes.map(({ id }) => id))).toEqual(
      [...flow.envelopes, ...(shared("b", 2) as typeof flow).envelopes].map(({ id }) => id),
    );
  });

  it("stay within a message: what is gathered goes out once it is large, and a frame names few enough", () => {
    const many = Array.from({ length: MAX_IDS + 1 }, (_, i) => shared("a", i));
    expect(inOneTurn(many).frames.map((wire) => wire.frame === "offer-group" && wire.to.length)).toEqual([
      MAX_IDS,
      1,
    ]);
    const offers = new GatheredOffers();
    const sizes: number[] = [];
    const write = (wire: WireFrame): void => void sizes.push(encoded(wire).length);
    let flushes = 0;
    for (let i = 0; i < 40; i++) {
      const before = sizes.length;
      gatherDelivery(shared(String(i), i, 73_728 - i), ENDS, { offers, write });
      if (sizes.length === before) continue;
      flushes++;
      const bytes = sizes.slice(before).reduce((sum, size) => sum + size, 0);
      expect(bytes).toBeGreaterThan(FULL_MESSAGE_BYTES);
      expect(bytes).toBeLessThan(MAX_LINK_MESSAGE_BYTES);
    }
    expect(flushes).toBeGreaterThan(3);
  });

  it("are not sent to a node that is not at the link's end any more", () => {
    const old = {
      ...(shared("a", 1) as Extract<LinkFrame, { is: "offer" }>),
      owner: { node: "c".repeat(32) as NodeId, session: 3 },
    };
    expect(inOneTurn([old]).frames).toEqual([]);
  });
});
