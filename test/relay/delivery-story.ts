// One delivery node as a story: events go in by name, what comes out is read as short lines, store calls are answered by
// hand. Ciphertexts are shown as their bytes in hexadecimal.
import {
  accountOf,
  addressOf,
  type AccountId,
  type DeviceAddress,
  type DeviceNumber,
  type EnvelopeId,
  type Position,
  type Time,
} from "@lethe/protocol";
import type { Entry, Envelope, NodeId, Owner, PayloadId } from "@lethe/queue";
import { DeliveryNode } from "../../relay/delivery/node.ts";
import {
  DELIVERY_LIMITS,
  type DeliveryLimits,
  type Effect,
  type LinkFrame,
  type NodeEvent,
  type StoreCall,
  type StoreResult,
  type Verb,
} from "../../relay/delivery/types.ts";

export const ben: DeviceAddress = addressOf(
  "ben.............".padEnd(16, ".") as AccountId,
  1 as DeviceNumber,
);
export function deviceOf(name: string): DeviceAddress {
  return addressOf(name.padEnd(16, ".") as AccountId, 1 as DeviceNumber);
}

export const FAR = 4_000_000_000_000 as Time;

export function id(name: string): EnvelopeId {
  return name.padEnd(16, "-") as EnvelopeId;
}

export function envelope(name: string, bytes: readonly number[] = [0xca, 0xfe]): Envelope {
  return { id: id(name), kind: "pairwise", expiry: FAR, ciphertext: Uint8Array.from(bytes) };
}

export function entry(position: number, name: string, bytes?: readonly number[]): Entry {
  return { ...envelope(name, bytes), position: position as Position };
}

export function owner(node: string, session: number): Owner {
  return { node: node as NodeId, session };
}

/** `stored` at these positions, or refused one by one. */
export function stored(...outcomes: readonly (number | "mailbox-full" | "expired")[]): StoreResult {
  return { is: "stored", outcomes: outcomes as readonly Position[] };
}

/** The same from an append by a flow; `wake` is the owner that is on record all the same. */
export function appended(positions: readonly number[], wake?: Owner): StoreResult {
  return { is: "stored", outcomes: positions as readonly Position[], wake };
}

export class Story {
  readonly node: DeliveryNode;
  now = 1_000;
  #open: { call: number; on: StoreCall }[] = [];

  constructor(name = "A1", limits: Partial<DeliveryLimits> = {}) {
    this.node = new DeliveryNode({ node: name as NodeId, limits: { ...DELIVERY_LIMITS, ...limits } });
    this.leases("A1", "B1", "C1");
  }

  step(event: NodeEvent): string[] {
    return this.node.step(event, this.now).flatMap((effect) => this.#line(effect));
  }

  #line(effect: Effect): string[] {
    if (effect.do === "call") this.#open.push({ call: effect.call, on: effect.on });
    return said(effect);
  }

  leases(...alive: readonly string[]): void {
    this.step({ is: "leases", alive: new Set(alive as readonly NodeId[]) });
  }

  connect(connection: number, epoch = 1): string[] {
    return this.step({ is: "connected", connection, address: ben, epoch });
  }

  /** Ben's device at this node, its mailbox drained. */
  live(connection = 1, epoch = 1): this {
    this.connect(connection, epoch);
    this.answer("claim", { is: "claimed", previous: undefined });
    this.answer("read", this.page([]));
    return this;
  }

  page(entries: readonly Entry[], by: Owner = this.me): StoreResult {
    return { is: "page", entries, owner: by };
  }

  /** The owner that this node's last session is. */
  me: Owner = owner("A1", 1);

  gone(connection = 1): string[] {
    return this.step({ is: "gone", connection });
  }

  submit(name: string, connection = 9, bytes?: readonly number[]): string[] {
    return this.step({ is: "submitted", connection, address: ben, envelope: envelope(name, bytes) });
  }

  /** One ciphertext for these devices, under their names with the group's before them. */
  upload(
    name: string,
    to: readonly string[],
    bytes: readonly number[] = [0xca, 0xfe],
    connection = 9,
  ): string[] {
    const ciphertext = Uint8Array.from(bytes);
    const payload = Buffer.from(ciphertext).toString("hex") as PayloadId;
    return this.step({
      is: "submitted-group",
      connection,
      shared: { kind: "group", expiry: FAR, ciphertext, payload },
      to: to.map((device) => ({ address: deviceOf(device), id: id(`${name}-${device}`) })),
    });
  }

  ack(...names: readonly string[]): string[] {
    return this.step({ is: "acked", connection: 1, ids: names.map(id) });
  }

  /** Answers the oldest call of this verb that is not answered. */
  answer(verb: Verb, result: StoreResult): string[] {
    const at = this.#open.findIndex(({ on }) => on.verb === verb);
    const [open] = this.#open.splice(at, 1);
    if (at < 0 || open === undefined) throw new Error(`nobody has called ${verb}`);
    return this.step({ is: "result", call: open.call, result });
  }

  /** What has been asked of the store and not been answered. */
  get asked(): Verb[] {
    return this.#open.map(({ on }) => on.verb);
  }

  /** The calls of this verb that are not answered. */
  callsOf<V extends Verb>(verb: V): Extract<StoreCall, { verb: V }>[] {
    return this.#open.flatMap(({ on }) => (on.verb === verb ? [on as Extract<StoreCall, { verb: V }>] : []));
  }

  after(ms: number): string[] {
    this.now += ms;
    return this.step({ is: "tick" });
  }

  link(frame: LinkFrame, peer = "B1"): string[] {
    return this.step({ is: "link-frame", peer: peer as NodeId, frame });
  }

  linkUp(peer = "B1"): string[] {
    return this.step({ is: "link-up", peer: peer as NodeId });
  }

  linkDown(peer = "B1"): string[] {
    return this.step({ is: "link-down", peer: peer as NodeId });
  }

  offer(to: Owner, names: readonly string[], peer = "B1"): string[] {
    return this.link(
      { is: "offer", owner: to, address: ben, envelopes: names.map((name) => envelope(name)) },
      peer,
    );
  }

  answered(
    by: Owner,
    names: readonly string[],
    how: "delivered" | "stored" | "not-owner",
    peer = "B1",
  ): string[] {
    return this.link({ is: "answer", owner: by, address: ben, ids: names.map(id), how }, peer);
  }
}

function nameOf(of: EnvelopeId): string {
  return of.replace(/-+$/, "");
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function said(effect: Effect): string[] {
  switch (effect.do) {
    case "call":
      return [asked(effect.on)];
    case "push":
      return [
        `push ${nameOf(effect.id)} ${hex(effect.ciphertext)} to ${effect.connection}${effect.kind === "signal" ? " as a signal" : ""}`,
      ];
    case "accepted":
      return [`accepted ${nameOf(effect.id)} to ${effect.connection}`];
    case "refused":
      return [`refused ${nameOf(effect.id)} to ${effect.connection}: ${effect.code}`];
    case "welcome":
    case "drained":
      return [`${effect.do} to ${effect.connection}`];
    case "epoch-behind":
      return [`epoch-behind ${effect.last} to ${effect.connection}`];
    case "end":
      return [`end ${effect.connection}: ${effect.code}`];
    case "link-open":
      return [`open a link to ${effect.peer}`];
    case "link-send":
      return [`to ${effect.peer}: ${frameLine(effect.frame)}`];
    case "presence":
      return [`${nameOfAccount(effect.address)} is ${effect.online ? "online" : "offline"}`];
    case "count":
      return [];
  }
}

function nameOfAccount(address: DeviceAddress): string {
  return accountOf(address).replace(/\.+$/, "");
}

function frameLine(frame: LinkFrame): string {
  switch (frame.is) {
    case "offer":
      return `offer ${frame.envelopes.map((e) => nameOf(e.id)).join(" ")} to ${ownerLine(frame.owner)}`;
    case "answer":
      return `${frame.how} ${frame.ids.map(nameOf).join(" ")}`;
    case "displace":
      return `displace ${ownerLine(frame.owner)}`;
    case "signal":
      return `signal ${nameOf(frame.id)} ${hex(frame.ciphertext)}`;
  }
}

function ownerLine(of: Owner | undefined): string {
  return of === undefined ? "nobody" : `${of.node}/${of.session}`;
}

function asked(on: StoreCall): string {
  switch (on.verb) {
    case "lookUp":
    case "look":
      return on.verb;
    case "claim":
      return `claim as ${ownerLine(on.arg.owner)} with epoch ${on.arg.epoch}`;
    case "appendUnlessOwned":
      return `append ${on.arg.envelopes.map((e) => nameOf(e.id)).join(" ")} unless owned, suspect ${ownerLine(on.arg.suspect)}`;
    case "appendAsOwner":
    case "appendAndRelease": {
      const names = on.arg.envelopes.map((e) => nameOf(e.id)).join(" ");
      const what = on.verb === "appendAsOwner" ? `append ${names}` : `append (${names}) and release`;
      return `${what} as ${ownerLine(on.arg.owner)}`;
    }
    case "read":
      return `read ${on.arg.maxEntries} after ${on.arg.after}`;
    case "remove":
      return `remove ${on.arg.entries.map((e) => `${e.position} ${nameOf(e.id)}`).join(", ")}`;
    case "wake":
      return `wake ${on.arg.node}`;
  }
}
