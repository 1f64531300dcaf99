// Offers of ciphertexts that envelopes share, gathered over a turn: each ciphertext goes to a node once, with everybody that
// it is for. Always true: what was added for one mailbox goes out in the order in which it was added; a frame names a mailbox
// once at most; what is gathered goes out once it is large, so that it never grows over a message.
import { type DeviceAddress, MAX_IDS } from "@lethe/protocol";
import type { Envelope, PayloadId } from "@lethe/queue";
import type { WireFrameOf } from "./frames.ts";
import { FULL_MESSAGE_BYTES } from "./limits.ts";

type Offer = WireFrameOf<"offer-group">;
type To = Offer["to"][number];

/** What one mailbox takes in a frame, and a frame beside ciphertext and mailboxes, bytes. */
const TO_BYTES = 42;
const OFFER_BYTES = 32;

interface Gathered {
  readonly envelope: Envelope;
  readonly to: To[];
}

export class GatheredOffers {
  #offers: Gathered[] = [];
  /** The offer that takes more mailboxes, by payload; and the last offer that each mailbox is in. */
  #open = new Map<PayloadId, number>();
  #last = new Map<DeviceAddress, number>();
  #bytes = 0;

  /** True once so much is gathered that it must go out. */
  add(payload: PayloadId, envelope: Envelope, to: To): boolean {
    let at = this.#open.get(payload) ?? -1;
    const gathered = this.#offers[at];
    const isLater = at > (this.#last.get(to.address) ?? -1);
    if (gathered === undefined || !isLater || !fits(gathered, envelope)) {
      at = this.#offers.push({ envelope, to: [to] }) - 1;
      this.#open.set(payload, at);
      this.#bytes += OFFER_BYTES + envelope.ciphertext.length;
    } else gathered.to.push(to);
    this.#last.set(to.address, at);
    this.#bytes += TO_BYTES;
    return this.#bytes > FULL_MESSAGE_BYTES;
  }

  flush(write: (frame: Offer) => void): void {
    const offers = this.#offers;
    if (offers.length === 0) return;
    this.#offers = [];
    this.#open = new Map();
    this.#last = new Map();
    this.#bytes = 0;
    for (const { envelope, to } of offers)
      write({ frame: "offer-group", expiry: envelope.expiry, ciphertext: envelope.ciphertext, to });
  }
}

/** Whether one more mailbox can be added for this envelope. */
function fits({ envelope, to }: Gathered, { expiry }: Envelope): boolean {
  return to.length < MAX_IDS && envelope.expiry === expiry;
}
