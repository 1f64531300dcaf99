// The mailbox in memory: the slow, readable twin. It keeps nothing and so promises neither M2 nor M11, but gives the
// same answers as every other backend: the oracle of their tests, and a quick store for tests of the relay.
import type { DeviceAddress, Position, Time } from "@lethe/protocol";
import type { MailboxLimits } from "../backend.ts";
import { judgeClaim, minuteOf, sameOwner } from "../local/owners.ts";
import { Wakes } from "../local/wakes.ts";
import {
  type Appended,
  type AppendUnlessOwned,
  type AppendUnlessOwnedResult,
  type Claim,
  type ClaimResult,
  type Entry,
  type Envelope,
  type Fenced,
  type LookResult,
  type LookUpResult,
  type Mailbox,
  type MailboxStats,
  type NoDevice,
  type NodeId,
  type Owner,
  type OwnerAppend,
  type OwnerAppendResult,
  type PayloadId,
  type Read,
  type ReadResult,
  type Remove,
  StoreClosedError,
} from "../mailbox.ts";

interface Kept extends Entry {
  readonly appended: Time;
}

/** A ciphertext that many entries share, and how many do. */
interface Payload {
  readonly ciphertext: Uint8Array;
  held: number;
}

interface Box {
  owner: Owner | undefined;
  epoch: number;
  lastSeen: Time;
  entries: Kept[];
}

const NO_DEVICE: NoDevice = { is: "no-device" };

export class MemoryMailbox implements Mailbox {
  readonly #now: () => Time;
  readonly #limits: MailboxLimits;
  readonly #boxes = new Map<DeviceAddress, Box>();
  readonly #retired = new Set<DeviceAddress>();
  readonly #payloads = new Map<PayloadId, Payload>();
  readonly #wakes = new Wakes();
  #position = 0;
  #closed = false;
  #expired = 0;

  constructor(now: () => Time, limits: MailboxLimits) {
    this.#now = now;
    this.#limits = limits;
  }

  async lookUp(addresses: readonly DeviceAddress[]): Promise<readonly (LookUpResult | NoDevice)[]> {
    return this.#each(addresses, (address) => {
      const box = this.#box(address);
      return box === undefined ? NO_DEVICE : { is: "found", owner: box.owner, lastSeen: box.lastSeen };
    });
  }

  async claim(batch: readonly Claim[]): Promise<readonly ClaimResult[]> {
    return this.#each(batch, (claim) => {
      const box = this.#box(claim.address);
      if (box === undefined) return NO_DEVICE;
      const judged = judgeClaim(box, claim);
      if (judged !== undefined) return judged;
      const previous = sameOwner(box.owner, claim.owner) ? undefined : box.owner;
      box.owner = claim.owner;
      box.epoch = claim.epoch;
      return { is: "claimed", previous };
    });
  }

  async appendUnlessOwned(batch: readonly AppendUnlessOwned[]): Promise<readonly AppendUnlessOwnedResult[]> {
    return this.#each(batch, ({ address, suspect, envelopes }) => {
      const box = this.#box(address);
      if (box === undefined) return NO_DEVICE;
      if (box.owner !== undefined && !sameOwner(box.owner, suspect)) return { is: "owned", owner: box.owner };
      return { is: "stored", outcomes: this.#append(box, envelopes), wake: box.owner };
    });
  }

  async appendAsOwner(batch: readonly OwnerAppend[]): Promise<readonly OwnerAppendResult[]> {
    return this.#each(batch, (item) => this.#ownerAppend(item));
  }

  async appendAndRelease(batch: readonly OwnerAppend[]): Promise<readonly OwnerAppendResult[]> {
    return this.#each(batch, (item) => {
      const result = this.#ownerAppend(item);
      const box = this.#box(item.address);
      if (result.is !== "stored" || box === undefined) return result;
      box.owner = undefined;
      box.lastSeen = minuteOf(this.#now());
      return result;
    });
  }

  async read(batch: readonly Read[]): Promise<readonly ReadResult[]> {
    return this.#each(batch, ({ address, after, maxEntries, maxBytes }) => {
      const box = this.#box(address);
      if (box === undefined) return NO_DEVICE;
      const entries: Entry[] = [];
      let bytes = 0;
      for (const entry of this.#unexpired(box)) {
        if (entry.position <= after) continue;
        bytes += entry.ciphertext.length;
        if (entries.length > 0 && (entries.length >= maxEntries || bytes > maxBytes)) break;
        const { position, id, kind, expiry, ciphertext } = entry;
        entries.push({ position, id, kind, expiry, ciphertext: ciphertext.slice() });
      }
      return { is: "page", entries, owner: box.owner };
    });
  }

  async remove(batch: readonly Remove[]): Promise<readonly { readonly is: "done" }[]> {
    return this.#each(batch, ({ address, entries }) => {
      const box = this.#boxes.get(address);
      if (box === undefined) return { is: "done" };
      const fits = (kept: Kept): boolean =>
        entries.some((e) => e.position === kept.position && e.id === kept.id);
      this.#letGo(box, fits);
      return { is: "done" };
    });
  }

  async look(addresses: readonly DeviceAddress[]): Promise<readonly LookResult[]> {
    return this.#each(addresses, (address) => {
      const box = this.#box(address);
      if (box === undefined) return NO_DEVICE;
      return { is: "seen", owner: box.owner, waiting: this.#unexpired(box).length };
    });
  }

  async wake(node: NodeId, addresses: readonly DeviceAddress[]): Promise<void> {
    this.#open();
    this.#wakes.add(node, addresses, this.#now());
  }

  async takeWakes(node: NodeId): Promise<readonly DeviceAddress[]> {
    this.#open();
    return this.#wakes.take(node);
  }

  async retire(address: DeviceAddress): Promise<Owner | undefined> {
    this.#open();
    const box = this.#boxes.get(address);
    const owner = box?.owner;
    if (box !== undefined) this.#letGo(box, () => true);
    this.#retired.add(address);
    this.#boxes.delete(address);
    return owner;
  }

  async sweep(): Promise<number> {
    this.#open();
    let swept = 0;
    const now = this.#now();
    for (const box of this.#boxes.values()) swept += this.#letGo(box, ({ expiry }) => expiry <= now);
    this.#expired += swept;
    return swept;
  }

  stats(): MailboxStats {
    const kept = [...this.#boxes.values()].flatMap((box) => box.entries);
    return {
      mailboxes: [...this.#boxes.values()].filter((box) => box.entries.length > 0).length,
      envelopes: kept.length,
      bytes: kept.reduce((sum, entry) => sum + entry.ciphertext.length, 0),
      oldest: kept.map((entry) => entry.appended).sort((a, b) => a - b)[0],
      expired: this.#expired,
      forgetLag: 0,
    };
  }

  /** How many ciphertexts kept are these bytes: what entries share counts once. */
  copies(bytes: Uint8Array): number {
    const kept = [...this.#boxes.values()].flatMap((box) => box.entries.map(({ ciphertext }) => ciphertext));
    for (const { ciphertext } of this.#payloads.values()) kept.push(ciphertext);
    return [...new Set(kept)].filter((each) => Buffer.compare(each, bytes) === 0).length;
  }

  close(): void {
    this.#closed = true;
    this.#wakes.close();
  }

  #open(): void {
    if (this.#closed) throw new StoreClosedError("the store is closed");
  }

  #each<Item, Result>(batch: readonly Item[], verb: (item: Item) => Result): Result[] {
    this.#open();
    return batch.map(verb);
  }

  #box(address: DeviceAddress): Box | undefined {
    if (this.#retired.has(address)) return undefined;
    let box = this.#boxes.get(address);
    if (box === undefined) {
      box = { owner: undefined, epoch: 0, lastSeen: 0 as Time, entries: [] };
      this.#boxes.set(address, box);
    }
    return box;
  }

  /** Removes what `goes` names, and each payload that nothing shares any more; returns how many entries went. */
  #letGo(box: Box, goes: (kept: Kept) => boolean): number {
    const gone = box.entries.filter(goes);
    box.entries = box.entries.filter((kept) => !goes(kept));
    for (const { payload } of gone) {
      const shared = payload === undefined ? undefined : this.#payloads.get(payload);
      if (payload === undefined || shared === undefined) continue;
      if (--shared.held === 0) this.#payloads.delete(payload);
    }
    return gone.length;
  }

  #ciphertextOf({ ciphertext, payload }: Envelope): Uint8Array {
    if (payload === undefined) return ciphertext.slice();
    const shared = this.#payloads.get(payload) ?? { ciphertext: ciphertext.slice(), held: 0 };
    this.#payloads.set(payload, shared);
    shared.held++;
    return shared.ciphertext;
  }

  #unexpired(box: Box): Kept[] {
    const now = this.#now();
    return box.entries.filter((entry) => entry.expiry > now);
  }

  #ownerAppend({ address, owner, envelopes }: OwnerAppend): OwnerAppendResult {
    const box = this.#box(address);
    if (box === undefined) return NO_DEVICE;
    if (!sameOwner(box.owner, owner)) return { is: "fenced", owner: box.owner } satisfies Fenced;
    return { is: "stored", outcomes: this.#append(box, envelopes) };
  }

  #append(box: Box, envelopes: readonly Envelope[]): Appended[] {
    const now = this.#now();
    let full = false;
    return envelopes.map((envelope) => {
      if (!full && envelope.expiry <= now) return "expired";
      full ||= this.#isFull(box, envelope);
      if (full) return "mailbox-full";
      const position = ++this.#position as Position;
      box.entries.push({ ...envelope, ciphertext: this.#ciphertextOf(envelope), position, appended: now });
      return position;
    });
  }

  #isFull(box: Box, envelope: Envelope): boolean {
    const held = this.#unexpired(box);
    const bytes = held.reduce((sum, entry) => sum + entry.ciphertext.length, envelope.ciphertext.length);
    return held.length >= this.#limits.envelopes || bytes > this.#limits.bytes;
  }
}
