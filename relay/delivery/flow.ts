// The accepting side: for each recipient device, the envelopes that are not settled yet, in the order they came.
// Always true: an item leaves only by `delivered`, `stored` or a refusal; `accepted` follows the first two and nothing
// else; items that need a route get it together, in order, and only while nothing ahead of them is being stored.
import type { EnvelopeId } from "@lethe/protocol";
import type {
  AppendUnlessOwnedResult,
  Envelope,
  LookUpResult,
  NoDevice,
  Owner,
  StoreFailure,
} from "@lethe/queue";
import { type Flow, type FlowPort, type Item, NONE, type Shared } from "./flow-state.ts";
import { type Answer, type Connection, type Instant, sameOwner } from "./types.ts";

export { newFlow } from "./flow-state.ts";
export type { Flow, FlowPort, Item, Shared } from "./flow-state.ts";

/** Takes one envelope. One that is under way already is not added again: its answer changes its way. */
export function submit(
  flow: Flow,
  envelope: Envelope,
  connection: Connection,
  port: FlowPort,
  shared?: Shared,
): void {
  const underWay = flow.items.get(envelope.id);
  if (underWay !== undefined) {
    underWay.connection = connection;
    return;
  }
  const item: Item = { envelope, shared, connection, at: "new", to: undefined, since: port.now };
  const size = envelope.ciphertext.length;
  if (flow.items.size >= port.limits.flowEnvelopes || flow.bytes + size > port.limits.flowBytes) {
    port.refused(flow, item, "busy");
    return;
  }
  flow.items.add(envelope.id, item);
  flow.bytes += size;
  if (shared !== undefined) {
    shared.items++;
    flow.sharedBytes += size;
  }
  if (!port.rules.acceptedAfterStored) port.settled(flow, item, "stored");
  if (flow.fresh.length === 0) flow.fresh = [item];
  else flow.fresh.push(item);
  route(flow, port);
}

/** Gives waiting items their way, unless something ahead of them is being looked up or stored. */
export function route(flow: Flow, port: FlowPort): void {
  if (flow.busy > 0 || flow.fresh.length === 0) return;
  const items = flow.fresh;
  flow.fresh = NONE;
  if (flow.route !== undefined && port.alive(flow.route)) {
    offer(flow, items, flow.route, port);
    return;
  }
  flow.route = undefined;
  if (port.alone) {
    append(flow, items, undefined, port); // an owner that is on record all the same is named, and gets the offers
    return;
  }
  for (const item of items) item.at = "looking";
  flow.busy++;
  port.lookUp(flow, items);
}

export function found(
  flow: Flow,
  items: Item[],
  result: LookUpResult | NoDevice | StoreFailure,
  port: FlowPort,
): void {
  flow.busy--;
  if (result.is === "no-device") refuseAll(flow, items, "no-device", port);
  else if (result.is === "failed") refuseAll(flow, items, result.code, port);
  else if (result.owner !== undefined && port.alive(result.owner)) offer(flow, items, result.owner, port);
  else append(flow, items, result.owner, port);
  route(flow, port);
}

function offer(flow: Flow, items: Item[], owner: Owner, port: FlowPort): void {
  flow.route = owner;
  for (const item of items) {
    item.at = "offered";
    item.to = owner;
    item.since = port.now;
  }
  port.offer(flow, items, owner);
}

function append(flow: Flow, items: Item[], suspect: Owner | undefined, port: FlowPort): void {
  for (const item of items) {
    item.at = "appending";
    item.to = undefined;
  }
  flow.busy++;
  port.append(flow, items, suspect);
}

export function appended(flow: Flow, items: Item[], result: AppendUnlessOwnedResult, port: FlowPort): void {
  flow.busy--;
  switch (result.is) {
    case "stored":
      storedBy(flow, items, result, port);
      break;
    case "owned":
      if (port.alive(result.owner)) offer(flow, items, result.owner, port);
      else append(flow, items, result.owner, port);
      break;
    case "no-device":
      refuseAll(flow, items, "no-device", port);
      break;
    case "failed":
      refuseAll(flow, items, result.code, port);
      break;
  }
  route(flow, port);
}

// An owner that is still on record is woken before anything is said to be accepted: else its mail waits for the look.
function storedBy(
  flow: Flow,
  items: Item[],
  result: Extract<AppendUnlessOwnedResult, { is: "stored" }>,
  port: FlowPort,
): void {
  flow.route = undefined;
  const stored =
    items.length === result.outcomes.length && result.outcomes.every(isPosition)
      ? items
      : items.filter((item, i) => {
          const outcome = result.outcomes[i];
          if (typeof outcome !== "number") refuse(flow, item, outcome ?? "storage-failed", port);
          return typeof outcome === "number";
        });
  if (result.wake === undefined || !port.rules.wake || stored.length === 0)
    settleAll(flow, stored, "stored", port);
  else {
    flow.busy++;
    port.wake(flow, stored, result.wake);
  }
}

function isPosition(outcome: number | string): outcome is number {
  return typeof outcome === "number";
}

/** The wake is written; a wake that could not be written leaves the mail stored, for the owner's next look. */
export function woken(flow: Flow, items: Item[], port: FlowPort): void {
  flow.busy--;
  settleAll(flow, items, "stored", port);
  route(flow, port);
}

/** An owner has answered for ids that were offered to it. */
export function answered(
  flow: Flow,
  owner: Owner,
  ids: readonly EnvelopeId[],
  how: Answer,
  port: FlowPort,
): void {
  if (how === "not-owner") {
    if (ids.some((id) => isOffered(flow.items.get(id), owner))) comeBack(flow, owner, port);
    return;
  }
  for (const id of ids) {
    const item = flow.items.get(id);
    if (item === undefined || !isOffered(item, owner)) continue;
    if (how === "delivered" || how === "stored") settle(flow, item, how, port);
    else refuse(flow, item, how, port);
  }
}

function isOffered(item: Item | undefined, owner: Owner): item is Item {
  return item !== undefined && item.at === "offered" && sameOwner(item.to, owner);
}

/** Everything offered to this owner is stored, in order, with the owner as suspect: it does not answer for it. */
export function comeBack(flow: Flow, owner: Owner, port: FlowPort): void {
  const back = flow.items.values().filter((item) => isOffered(item, owner));
  if (sameOwner(flow.route, owner)) flow.route = undefined;
  if (!port.rules.appendInOrder) back.reverse();
  if (back.length > 0) append(flow, back, owner, port);
}

/** The link to a node broke: what its owners had been offered comes back. */
export function linkLost(flow: Flow, node: string, port: FlowPort): void {
  const owners: Owner[] = [];
  for (const item of flow.items.values()) {
    const to = item.to;
    if (
      item.at === "offered" &&
      to !== undefined &&
      to.node === node &&
      !owners.some((o) => sameOwner(o, to))
    )
      owners.push(to);
  }
  for (const owner of owners) comeBack(flow, owner, port);
}

/** Offers that nobody answered in time come back. */
export function overdue(flow: Flow, port: FlowPort): void {
  for (const item of flow.items.values()) {
    if (item.at !== "offered" || item.to === undefined) continue;
    if (port.now - item.since < port.limits.offerTimeout) return;
    comeBack(flow, item.to, port);
  }
}

/** When `overdue` has something to do. */
export function dueAt(flow: Flow, offerTimeout: number): Instant {
  if (flow.items.size === 0) return Number.POSITIVE_INFINITY;
  for (const item of flow.items.values()) if (item.at === "offered") return item.since + offerTimeout;
  return Number.POSITIVE_INFINITY;
}

/** False where it has been settled already. */
function take(flow: Flow, { envelope, shared }: Item, port: FlowPort): boolean {
  if (flow.items.take(envelope.id) === undefined) return false;
  const size = envelope.ciphertext.length;
  flow.bytes -= size;
  if (shared === undefined) return true;
  flow.sharedBytes -= size;
  shared.items--;
  if (shared.items === 0) port.unshared(shared);
  return true;
}

function settle(flow: Flow, item: Item, how: "delivered" | "stored", port: FlowPort): void {
  if (!take(flow, item, port)) return;
  if (port.rules.acceptedAfterStored) port.settled(flow, item, how);
}

function settleAll(flow: Flow, items: Item[], how: "delivered" | "stored", port: FlowPort): void {
  for (const item of items) settle(flow, item, how, port);
}

type Refused = Exclude<Answer, "delivered" | "stored" | "not-owner">;

function refuse(flow: Flow, item: Item, code: Refused, port: FlowPort): void {
  if (!take(flow, item, port)) return;
  port.refused(flow, item, code);
}

function refuseAll(flow: Flow, items: Item[], code: Refused, port: FlowPort): void {
  for (const item of items) refuse(flow, item, code, port);
}
