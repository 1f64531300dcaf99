// Between the frames of delivery and those of the wire. Always true: what another node says is about its own sessions or
// ours, whatever it says; what is no longer true of the link's two ends is not sent, for its end has given it back.
import { MAX_IDS } from "@lethe/protocol";
import type { Envelope, NodeId } from "@lethe/queue";
import type { LinkFrame } from "../delivery/types.ts";
import { payloadIdOf } from "../blake2b.ts";
import type { WireFrame, WireFrameOf } from "./frames.ts";
import type { GatheredOffers } from "./gathered-offers.ts";
import { MAX_LINK_FRAME_BYTES } from "./limits.ts";

/** The two ends of a link, as they have proved themselves. */
export interface Ends {
  readonly me: NodeId;
  readonly peer: NodeId;
}

/** What an envelope takes beside its ciphertext, and a frame beside its envelopes, bytes. */
const ENVELOPE_BYTES = 32;
const OFFER_BYTES = 64;

/** What a link of version 2 gathers its offers in; a link of version 1 has none. */
export interface Gathering {
  readonly offers: GatheredOffers;
  readonly write: (frame: WireFrame) => void;
}

/** Writes a frame, with what it gathers for the turn's end: what shares its ciphertext with others goes out with them. */
export function gatherDelivery(frame: LinkFrame, ends: Ends, { offers, write }: Gathering): void {
  if (frame.is !== "offer") return writeDelivery(frame, ends, write);
  if (frame.envelopes.every(({ payload }) => payload === undefined)) {
    offers.flush(write); // a mailbox's own are not overtaken
    return writeDelivery(frame, ends, write);
  }
  const { owner, address, envelopes } = frame;
  if (owner.node !== ends.peer) return;
  const { session } = owner;
  for (const envelope of envelopes) {
    const { id, payload } = envelope;
    if (payload === undefined) {
      offers.flush(write);
      write({ frame: "offer", address, session, envelopes: [envelope] });
    } else if (offers.add(payload, envelope, { address, session, id })) offers.flush(write);
  }
}

/** Writes a frame as one or more: an offer of a whole flow is larger than a frame may be. */
export function writeDelivery(frame: LinkFrame, ends: Ends, write: (frame: WireFrame) => void): void {
  switch (frame.is) {
    case "offer":
      if (frame.owner.node === ends.peer) writeOffer(frame, write);
      return;
    case "answer":
      if (frame.owner.node === ends.me) writeAnswer(frame, write);
      return;
    case "displace":
      if (frame.owner.node === ends.peer)
        write({ frame: "displace", address: frame.address, session: frame.owner.session });
      return;
    case "signal":
      return write({
        frame: "signal",
        address: frame.address,
        id: frame.id,
        ciphertext: frame.ciphertext,
      });
  }
}

function writeOffer(
  { address, owner: { session }, envelopes }: Extract<LinkFrame, { is: "offer" }>,
  write: (frame: WireFrame) => void,
): void {
  if (envelopes.length === 1) return write({ frame: "offer", address, session, envelopes: [...envelopes] });
  let part: Envelope[] = [];
  let bytes = OFFER_BYTES;
  for (const envelope of envelopes) {
    const size = ENVELOPE_BYTES + envelope.ciphertext.length;
    if (part.length === MAX_IDS || (part.length > 0 && bytes + size > MAX_LINK_FRAME_BYTES)) {
      write({ frame: "offer", address, session, envelopes: part });
      part = [];
      bytes = OFFER_BYTES;
    }
    part.push(envelope);
    bytes += size;
  }
  if (part.length > 0) write({ frame: "offer", address, session, envelopes: part });
}

function writeAnswer(
  { address, owner: { session }, ids, how }: Extract<LinkFrame, { is: "answer" }>,
  write: (frame: WireFrame) => void,
): void {
  for (let i = 0; i < ids.length; i += MAX_IDS)
    write({ frame: "answer", address, session, how, ids: ids.slice(i, i + MAX_IDS) });
}

export type DeliveryWireFrame = WireFrameOf<"offer" | "answer" | "displace" | "signal">;

/** An offer for each mailbox, all with the one copy of the ciphertext, under the name that these bytes have here. */
export function readGroup({ expiry, ciphertext, to }: WireFrameOf<"offer-group">, { me }: Ends): LinkFrame[] {
  const kept = Buffer.from(ciphertext);
  const payload = payloadIdOf(kept);
  return to.map(({ address, session, id }) => ({
    is: "offer",
    owner: { node: me, session },
    address,
    envelopes: [{ id, kind: "group", expiry, ciphertext: kept, payload }],
  }));
}

/** Ciphertexts are copied: a view would keep the whole message that it came in. */
export function readDelivery(frame: DeliveryWireFrame, { me, peer }: Ends): LinkFrame {
  switch (frame.frame) {
    case "offer": {
      const owner = { node: me, session: frame.session };
      return { is: "offer", owner, address: frame.address, envelopes: frame.envelopes.map(kept) };
    }
    case "answer": {
      const owner = { node: peer, session: frame.session };
      return { is: "answer", owner, address: frame.address, ids: frame.ids, how: frame.how };
    }
    case "displace":
      return { is: "displace", owner: { node: me, session: frame.session }, address: frame.address };
    case "signal":
      return {
        is: "signal",
        address: frame.address,
        id: frame.id,
        ciphertext: Buffer.from(frame.ciphertext),
      };
  }
}

function kept({ id, kind, expiry, ciphertext }: Envelope): Envelope {
  return { id, kind, expiry, ciphertext: Buffer.from(ciphertext) };
}
