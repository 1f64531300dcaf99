// The shared store of a simulated cluster: the verbs of `queue/mailbox.ts` as plain functions, each atomic, with one
// rule after another to be left out. It watches its own contents: who asks for copies of an envelope asks here.
import type { DeviceAddress, EnvelopeId, Position, Time } from "@lethe/protocol";
import type {
  Appended,
  AppendUnlessOwned,
  AppendUnlessOwnedResult,
  Claim,
  ClaimResult,
  Entry,
  Envelope,
  LookResult,
  LookUpResult,
  NoDevice,
  NodeId,
  Owner,
  OwnerAppend,
  OwnerAppendResult,
  Read,
  ReadResult,
  Remove,
} from "@lethe/queue";
import type { StoreCall, StoreResult } from "../../relay/delivery/types.ts";

/** The store's rules that can be left out, to see that the checks notice. */
export interface StoreRules {
  /** A claim is refused unless its epoch is above every epoch seen (M5). */
  readonly epoch: boolean;
  /** The owner's calls do nothing once somebody else owns the mailbox (M6). */
  readonly fence: boolean;
  /** An append by a flow does nothing when somebody owns the mailbox (M7). */
  readonly unlessOwned: boolean;
  /** Positions outlive an emptied mailbox (M1). */
  readonly positions: boolean;
  /** A removal names position and id together (M3). */
  readonly removeById: boolean;
  /** What is expired is not read, and goes (M9). */
  readonly expiry: boolean;
}

export const ALL_STORE_RULES: StoreRules = {
  epoch: true,
  fence: true,
  unlessOwned: true,
  positions: true,
  removeById: true,
  expiry: true,
};

export interface StoreCaps {
  readonly envelopes: number;
  readonly bytes: number;
}

/** What the checks want to know of an entry beside what the relay sees. */
export interface Kept extends Entry {
  /** When it was appended, ms of simulated time. */
  readonly since: number;
  /** The call that appended it: what was excused about that call excuses the entry. */
  readonly by: StoreCall;
  /** An owner was on record then and has to be woken for it. */
  readonly wakes: Owner | undefined;
}

interface Box {
  owner: Owner | undefined;
  epoch: number;
  position: number;
  entries: Kept[];
}

export interface StoreWatch {
  appended(address: DeviceAddress, entry: Kept): void;
  /** A copy is gone: removed, expired, its mailbox retired, or forgotten by a failover. */
  gone(address: DeviceAddress, entry: Kept, why: "removed" | "expired" | "retired" | "forgotten"): void;
}

const NO_DEVICE: NoDevice = { is: "no-device" };
const NOBODY: StoreWatch = { appended: () => undefined, gone: () => undefined };

export class SimStore {
  readonly #rules: StoreRules;
  readonly #caps: StoreCaps;
  readonly #boxes = new Map<DeviceAddress, Box>();
  readonly #retired = new Set<DeviceAddress>();
  /** Wakes not taken yet, by node. */
  readonly wakes = new Map<NodeId, Set<DeviceAddress>>();
  watch: StoreWatch = NOBODY;

  constructor(rules: StoreRules, caps: StoreCaps) {
    this.#rules = rules;
    this.#caps = caps;
  }

  /** Executes one call, atomically. `now` is the store's clock, `at` simulated time. */
  execute(on: StoreCall, now: Time, at: number): StoreResult {
    switch (on.verb) {
      case "lookUp":
        return this.#lookUp(on.arg);
      case "claim":
        return this.#claim(on.arg);
      case "appendUnlessOwned":
        return this.#appendUnlessOwned(on, on.arg, now, at);
      case "appendAsOwner":
        return this.#ownerAppend(on, on.arg, now, at);
      case "appendAndRelease":
        return this.#release(on, on.arg, now, at);
      case "read":
        return this.#read(on.arg, now);
      case "remove":
        return this.#remove(on.arg);
      case "look":
        return this.#look(on.arg, now);
      case "wake":
        return this.#wake(on.arg);
    }
  }

  #box(address: DeviceAddress): Box | undefined {
    if (this.#retired.has(address)) return undefined;
    let box = this.#boxes.get(address);
    if (box === undefined) {
      box = { owner: undefined, epoch: 0, position: 0, entries: [] };
      this.#boxes.set(address, box);
    }
    return box;
  }

  #lookUp(address: DeviceAddress): LookUpResult | NoDevice {
    const box = this.#box(address);
    return box === undefined ? NO_DEVICE : { is: "found", owner: box.owner, lastSeen: 0 as Time };
  }

  #claim({ address, owner, epoch }: Claim): ClaimResult {
    const box = this.#box(address);
    if (box === undefined) return NO_DEVICE;
    const repeated = same(box.owner, owner) && epoch === box.epoch;
    if (this.#rules.epoch && !repeated && epoch <= box.epoch) return { is: "behind", last: box.epoch };
    const previous = same(box.owner, owner) ? undefined : box.owner;
    box.owner = owner;
    box.epoch = Math.max(box.epoch, epoch);
    return { is: "claimed", previous };
  }

  #appendUnlessOwned(
    by: StoreCall,
    arg: AppendUnlessOwned,
    now: Time,
    at: number,
  ): AppendUnlessOwnedResult | NoDevice {
    const box = this.#box(arg.address);
    if (box === undefined) return NO_DEVICE;
    if (this.#rules.unlessOwned && box.owner !== undefined && !same(box.owner, arg.suspect))
      return { is: "owned", owner: box.owner };
    const wake = same(box.owner, arg.suspect) ? box.owner : undefined;
    return { is: "stored", outcomes: this.#append(box, { by, arg, wakes: wake, now, at }), wake };
  }

  #ownerAppend(by: StoreCall, arg: OwnerAppend, now: Time, at: number): OwnerAppendResult {
    const box = this.#box(arg.address);
    if (box === undefined) return NO_DEVICE;
    if (this.#rules.fence && !same(box.owner, arg.owner)) return { is: "fenced", owner: box.owner };
    return { is: "stored", outcomes: this.#append(box, { by, arg, wakes: undefined, now, at }) };
  }

  #release(by: StoreCall, arg: OwnerAppend, now: Time, at: number): OwnerAppendResult {
    const result = this.#ownerAppend(by, arg, now, at);
    const box = this.#box(arg.address);
    if (result.is === "stored" && box !== undefined) box.owner = undefined;
    return result;
  }

  #append(
    box: Box,
    {
      by,
      arg,
      wakes,
      now,
      at,
    }: {
      by: StoreCall;
      arg: { address: DeviceAddress; envelopes: readonly Envelope[] };
      wakes: Owner | undefined;
      now: Time;
      at: number;
    },
  ): Appended[] {
    if (arg.envelopes.length === 0) return [];
    this.#sweepBox(arg.address, box, now);
    let full = false;
    return arg.envelopes.map((envelope) => {
      if (envelope.expiry <= now) return "expired";
      full ||= this.#full(box, envelope.ciphertext.length);
      if (full) return "mailbox-full";
      if (!this.#rules.positions && box.entries.length === 0) box.position = 0;
      const position = ++box.position as Position;
      const entry: Kept = { ...envelope, position, since: at, by, wakes };
      box.entries.push(entry);
      this.watch.appended(arg.address, entry);
      return position;
    });
  }

  #full(box: Box, more: number): boolean {
    if (box.entries.length >= this.#caps.envelopes) return true;
    let bytes = more;
    for (const entry of box.entries) bytes += entry.ciphertext.length;
    return bytes > this.#caps.bytes;
  }

  #read({ address, after, maxEntries, maxBytes }: Read, now: Time): ReadResult {
    const box = this.#box(address);
    if (box === undefined) return NO_DEVICE;
    const entries: Entry[] = [];
    let bytes = 0;
    for (const entry of box.entries) {
      if (entry.position <= after || this.#expired(entry, now)) continue;
      bytes += entry.ciphertext.length;
      if (entries.length > 0 && (entries.length >= maxEntries || bytes > maxBytes)) break;
      entries.push(entry);
    }
    return { is: "page", entries, owner: box.owner };
  }

  #remove({ address, entries }: Remove): { is: "done" } {
    const box = this.#boxes.get(address);
    if (box === undefined) return { is: "done" };
    const gone = (kept: Kept): boolean =>
      entries.some((e) => e.position === kept.position && (!this.#rules.removeById || e.id === kept.id));
    this.#drop(address, box, gone, "removed");
    return { is: "done" };
  }

  #drop(
    address: DeviceAddress,
    box: Box,
    which: (kept: Kept) => boolean,
    why: "removed" | "expired" | "retired",
  ): void {
    let dropped: Kept[] | undefined;
    for (const kept of box.entries) if (which(kept)) (dropped ??= []).push(kept);
    if (dropped === undefined) return;
    box.entries = box.entries.filter((kept) => !which(kept));
    for (const kept of dropped) this.watch.gone(address, kept, why);
  }

  #expired(entry: Entry, now: Time): boolean {
    return this.#rules.expiry && entry.expiry <= now;
  }

  #sweepBox(address: DeviceAddress, box: Box, now: Time): void {
    this.#drop(address, box, (kept) => this.#expired(kept, now), "expired");
  }

  #look(address: DeviceAddress, now: Time): LookResult {
    const box = this.#box(address);
    if (box === undefined) return NO_DEVICE;
    return {
      is: "seen",
      owner: box.owner,
      waiting: box.entries.filter((e) => !this.#expired(e, now)).length,
    };
  }

  #wake({ node, address }: { node: NodeId; address: DeviceAddress }): { is: "done" } {
    const waiting = this.wakes.get(node);
    if (waiting === undefined) this.wakes.set(node, new Set([address]));
    else waiting.add(address);
    return { is: "done" };
  }

  takeWakes(node: NodeId): DeviceAddress[] {
    const waiting = this.wakes.get(node);
    this.wakes.delete(node);
    return waiting === undefined ? [] : [...waiting];
  }

  isRetired(address: DeviceAddress): boolean {
    return this.#retired.has(address);
  }

  retire(address: DeviceAddress): Owner | undefined {
    const box = this.#boxes.get(address);
    this.#retired.add(address);
    if (box !== undefined) this.#drop(address, box, () => true, "retired");
    return box?.owner;
  }

  sweep(now: Time): void {
    for (const [address, box] of this.#boxes) this.#sweepBox(address, box, now);
  }

  // --- what the checks and the diagram see ---------------------------------------------------------------------------

  entries(address: DeviceAddress): readonly Kept[] {
    return this.#boxes.get(address)?.entries ?? [];
  }

  owner(address: DeviceAddress): Owner | undefined {
    return this.#boxes.get(address)?.owner;
  }

  holds(address: DeviceAddress, id: EnvelopeId): boolean {
    return this.entries(address).some((entry) => entry.id === id);
  }

  /** Takes over another store's contents, as a replica that is promoted: what only this one knew is forgotten. */
  become(replica: SimStore): void {
    const before = [...this.#boxes].map(([address, box]) => [address, box.entries] as const);
    this.#boxes.clear();
    for (const [address, box] of replica.#boxes)
      this.#boxes.set(address, { ...box, entries: [...box.entries] });
    for (const [address, entries] of before) {
      const now = this.entries(address);
      for (const kept of entries) if (!has(now, kept)) this.watch.gone(address, kept, "forgotten");
      for (const kept of now) if (!has(entries, kept)) this.watch.appended(address, kept);
    }
    this.wakes.clear();
    for (const [node, waiting] of replica.wakes) this.wakes.set(node, new Set(waiting));
  }
}

function has(entries: readonly Kept[], wanted: Kept): boolean {
  return entries.some((kept) => kept.position === wanted.position && kept.id === wanted.id);
}

export function same(a: Owner | undefined, b: Owner | undefined): boolean {
  return a !== undefined && b !== undefined && a.session === b.session && a.node === b.node;
}
