// What was promised for every envelope, and whether it holds. Told of each thing as it happens, it checks each promise of
// delivery.md at the step at which it could break. Always true: a broken promise is thrown at once, with its name.
import type { DeviceAddress, EnvelopeId } from "@lethe/protocol";
import type { Owner } from "@lethe/queue";
import type { DeliveryLimits, StoreCall } from "../../relay/delivery/types.ts";
import type { Coverage } from "./coverage.ts";
import { type Kept, same, type SimStore } from "./store.ts";

export type PromiseName =
  | "1 nothing accepted is lost"
  | "2 once to the application, in order"
  | "3 nothing delivered is kept"
  | "4 a device that is online is pushed to"
  | "5 live mail is never written down"
  | "6 expired mail is never delivered"
  | "nothing is stuck"
  | "caps are respected"
  | "every offer is answered once"
  | "one push of an id at a time"
  | "what was sealed is what arrives"
  | "a retry sends the same bytes"
  | "a flow stores in its order"
  | "a whole store is not taken for an old one"
  | "a node is idle at its end"
  | "the machines do not throw";

export class BrokenPromise extends Error {
  override readonly name = "BrokenPromise";
  readonly promise: PromiseName;

  constructor(promise: PromiseName, detail: string) {
    super(`${promise}: ${detail}`);
    this.promise = promise;
  }
}

export interface Letter {
  readonly id: EnvelopeId;
  /** For people: who to whom, and which. */
  readonly label: string;
  readonly to: DeviceAddress;
  readonly expiry: number;
  readonly ciphertext: Uint8Array;
  /** Copies in the mailbox now. */
  copies: number;
  /** Durably on its device. */
  durable: boolean;
  accepted: boolean;
  /** The store has dropped a copy for its age: its clock may be set back afterwards. */
  expired: boolean;
  /** A node has taken its delivered-ack. */
  acked: boolean;
}

type Sealed = Pick<Letter, "id" | "label" | "to" | "expiry" | "ciphertext">;

/** Offers of one envelope to one session over one link. */
interface Offers {
  offers: number;
  answers: number;
  /** The link that carried them is gone. */
  over: boolean;
}

/** A device's connection at a node, as far as its pushes go. */
interface Line {
  /** Pushed and not acknowledged, with their sizes. */
  readonly unacked: Map<EnvelopeId, number>;
  readonly pushed: Set<EnvelopeId>;
  bytes: number;
}

/** Pushed live after it expired by the relay's clock: at most a stalled look-up and an offer's time-out later. */
const EXPIRY_GRACE_MS = 30_000;

/** Mail this young may have its wake under way still, slow as the store may be. */
const WAKE_MS = 12_000;

export class Ledger {
  readonly letters = new Map<EnvelopeId, Letter>();
  readonly #store: SimStore;
  readonly #limits: DeliveryLimits;
  readonly #quiet: boolean;
  readonly #cover: Coverage;
  readonly #lines = new Map<string, Line>();
  readonly #offers = new Map<string, Map<string, Offers>>();
  readonly #excused = new Set<StoreCall>();
  readonly #wakesLost = new Map<DeviceAddress, number>();
  /** The clock that decides about expiry in the mailbox, and the one that decides when an envelope is submitted. */
  storeNow: () => number = () => 0;
  relayNow: () => number = () => 0;
  /** How many times mail waited for a session's look, excused by what went wrong before. */
  looks = 0;
  /** Where the same letter was pushed again on one connection after its acknowledgement. */
  repeats = 0;

  constructor({
    store,
    limits,
    quiet,
    cover,
  }: { store: SimStore; limits: DeliveryLimits; quiet: boolean; cover: Coverage }) {
    this.#store = store;
    this.#limits = limits;
    this.#quiet = quiet;
    this.#cover = cover;
    store.watch = {
      appended: (address, entry) => this.#appended(address, entry),
      gone: (address, entry, why) => this.#gone(address, entry, why),
    };
  }

  // --- senders -------------------------------------------------------------------------------------------------------

  /** A client hands an envelope to its connection. */
  submitted(letter: Sealed): void {
    const known = this.letters.get(letter.id);
    if (known === undefined) {
      this.letters.set(letter.id, {
        ...letter,
        copies: 0,
        durable: false,
        accepted: false,
        expired: false,
        acked: false,
      });
      return;
    }
    this.#cover.count("resent");
    if (
      !sameBytes(known.ciphertext, letter.ciphertext) ||
      known.to !== letter.to ||
      known.expiry !== letter.expiry
    )
      throw new BrokenPromise("a retry sends the same bytes", known.label);
  }

  accepted(id: EnvelopeId): void {
    const letter = this.#letter(id);
    letter.accepted = true;
    this.#cover.count("accepted");
    this.#notLost(letter, "was accepted, and is neither stored nor on its device");
  }

  #notLost(letter: Letter, what: string): void {
    if (letter.durable || letter.copies > 0 || letter.expired || letter.expiry <= this.storeNow()) return;
    if (this.#store.isRetired(letter.to)) return;
    throw new BrokenPromise("1 nothing accepted is lost", `${letter.label} ${what}`);
  }

  // --- the store -----------------------------------------------------------------------------------------------------

  #appended(address: DeviceAddress, entry: Kept): void {
    const letter = this.#letter(entry.id);
    if (letter.to !== address)
      throw new BrokenPromise("what was sealed is what arrives", `${letter.label} in another's mailbox`);
    letter.copies++;
    this.#cover.count("stored");
    if (letter.copies > 1) this.#cover.count("stored twice");
    if (entry.wakes !== undefined) this.#cover.count("stored past an owner");
    if (this.#quiet)
      throw new BrokenPromise("5 live mail is never written down", `${letter.label} was stored`);
  }

  #gone(_address: DeviceAddress, entry: Kept, why: string): void {
    const letter = this.#letter(entry.id);
    letter.copies--;
    if (why === "expired") {
      letter.expired = true;
      this.#cover.count("expired in the mailbox");
    }
    if (why === "forgotten") this.#cover.count("forgotten by a failover");
    if (letter.accepted) this.#notLost(letter, `was accepted, and its last copy is ${why}`);
  }

  /** What a call did is not what its caller was told: its entries may wait for a look. */
  excuse(call: StoreCall): void {
    this.#excused.add(call);
  }

  /** A wake for this device did not get through. */
  wakeLost(address: DeviceAddress, at: number): void {
    this.#wakesLost.set(address, at);
  }

  /** A live session's look found mail: all of it was known to the session, or something excuses it. */
  looked(line: string, address: DeviceAddress, now: number): void {
    for (const entry of this.#store.entries(address)) {
      if (this.#line(line).pushed.has(entry.id) || entry.expiry <= this.storeNow()) continue;
      this.looks++;
      this.#cover.count("found by a look");
      const lostAt = this.#wakesLost.get(address) ?? Number.NEGATIVE_INFINITY;
      if (this.#excused.has(entry.by) || entry.since <= lostAt || now - entry.since < WAKE_MS) continue;
      throw new BrokenPromise(
        "4 a device that is online is pushed to",
        `${this.#letter(entry.id).label} waited ${Math.round(now - entry.since)} ms for a look`,
      );
    }
  }

  // --- pushes and acknowledgements -----------------------------------------------------------------------------------

  pushed(
    line: string,
    address: DeviceAddress,
    { id, ciphertext }: { id: EnvelopeId; ciphertext: Uint8Array },
  ): void {
    const letter = this.#letter(id);
    if (letter.to !== address || !sameBytes(letter.ciphertext, ciphertext))
      throw new BrokenPromise("what was sealed is what arrives", letter.label);
    if (this.relayNow() > letter.expiry + EXPIRY_GRACE_MS)
      throw new BrokenPromise("6 expired mail is never delivered", letter.label);
    const on = this.#line(line);
    if (on.unacked.has(id)) throw new BrokenPromise("one push of an id at a time", letter.label);
    if (on.pushed.has(id)) this.repeats++;
    on.pushed.add(id);
    const { pushEnvelopes, pushBytes } = this.#limits;
    // One more may always go, however large, while there is any room.
    if (on.unacked.size > 0 && (on.unacked.size >= pushEnvelopes || on.bytes >= pushBytes))
      throw new BrokenPromise(
        "caps are respected",
        `the push window: ${on.unacked.size} and ${on.bytes} bytes before ${letter.label}`,
      );
    on.unacked.set(id, ciphertext.length);
    on.bytes += ciphertext.length;
    this.#cover.count("pushed");
  }

  acked(line: string, ids: readonly EnvelopeId[]): void {
    const on = this.#line(line);
    for (const id of ids) {
      const letter = this.letters.get(id);
      if (letter === undefined) continue;
      letter.acked = true;
      on.bytes -= on.unacked.get(id) ?? 0;
      on.unacked.delete(id);
    }
  }

  /** The letter is in the device's store, and synced. */
  durable(id: EnvelopeId): void {
    this.#letter(id).durable = true;
  }

  /** The connection has ended at its node. */
  ended(line: string): void {
    this.#lines.delete(line);
  }

  #line(name: string): Line {
    let line = this.#lines.get(name);
    if (line === undefined) {
      line = { unacked: new Map(), pushed: new Set(), bytes: 0 };
      this.#lines.set(name, line);
    }
    return line;
  }

  #letter(id: EnvelopeId): Letter {
    const letter = this.letters.get(id);
    if (letter === undefined)
      throw new BrokenPromise("what was sealed is what arrives", "an id that nobody sent");
    return letter;
  }

  // --- offers over links ---------------------------------------------------------------------------------------------

  /** An offer has arrived at the node that it names. */
  offered(link: string, owner: Owner, ids: readonly EnvelopeId[]): void {
    const open = this.#offersOn(link);
    for (const id of ids) {
      const known = open.get(offerOf(owner, id));
      if (known === undefined) open.set(offerOf(owner, id), { offers: 1, answers: 0, over: false });
      else known.offers++;
    }
  }

  #offersOn(link: string): Map<string, Offers> {
    let open = this.#offers.get(link);
    if (open === undefined) {
      open = new Map();
      this.#offers.set(link, open);
    }
    return open;
  }

  /** Offers of one envelope to one session may share an answer, and each has one at most. */
  answered(link: string, owner: Owner, ids: readonly EnvelopeId[]): void {
    const open = this.#offersOn(link);
    for (const id of ids) {
      const known = open.get(offerOf(owner, id));
      if (known === undefined || ++known.answers > known.offers)
        throw new BrokenPromise(
          "every offer is answered once",
          `${this.#letter(id).label} to session ${owner.session}`,
        );
    }
  }

  /** The link is gone at the answering side: what was not answered need not be, but may over the next one. */
  linkEnded(link: string): void {
    for (const offers of this.#offersOn(link).values()) offers.over = true;
  }

  // --- the end -------------------------------------------------------------------------------------------------------

  /** Nothing is left of what was delivered, of a device that was online at the end. */
  nothingKept(): void {
    for (const letter of this.letters.values())
      if (letter.acked && letter.copies > 0)
        throw new BrokenPromise(
          "3 nothing delivered is kept",
          `${letter.label} has ${letter.copies} copies left`,
        );
  }

  /** Every offer that reached one of these processes over a link that stands has been answered. */
  everyOfferAnswered(processes: ReadonlySet<string>): void {
    for (const [link, open] of this.#offers) {
      if (!processes.has(link.split(">")[1] ?? "")) continue;
      for (const [offer, { answers, over }] of open)
        if (answers === 0 && !over)
          throw new BrokenPromise(
            "every offer is answered once",
            `${this.#words(offer)} on ${link} never was`,
          );
    }
  }

  #words(offer: string): string {
    const [node, session, id] = offer.split("/", 3);
    return `${this.letters.get(id as EnvelopeId)?.label} to ${node}/${session}`;
  }
}

function offerOf(owner: Owner, id: EnvelopeId): string {
  return `${owner.node}/${owner.session}/${id}`;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export { same };
