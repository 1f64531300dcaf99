// The flows of the outbox, one for each recipient device, and what may go of them: pure functions of its state.
// Always true: what may go of a flow is in its order; a frame carries one message's envelopes for the devices of one
// account, and no device gets a later message in an earlier frame.
import {
  accountOf,
  type ClientFrame,
  type ConnectionKind,
  type DeviceAddress,
  deviceOf,
  type FrameOf,
  MAX_DEVICES,
  MAX_FRAME_BYTES,
  type Time,
} from "@lethe/protocol";
import type { OutboxRow } from "./rows.ts";

export type Progress =
  /** Its row is being written. */
  | { readonly at: "staged" }
  | { readonly at: "ready" }
  | { readonly at: "under-way"; readonly socket: ConnectionKind; readonly since: Time };

export interface Item extends OutboxRow {
  readonly order: number;
  progress: Progress;
  tries: number;
  /** Whether a relay may have seen it. */
  shown: boolean;
}

/** What keeps a flow from going on. */
export type Block =
  /** `behind`: until an item of that order is durable, which is to go together with what is blocked. */
  | { readonly order: number; readonly waits: "time"; readonly until: Time; behind?: number | undefined }
  | { readonly order: number; readonly waits: "device-list" }
  /** Its access key was refused: the recipient may be about to tell us another one, or to tell the relay this one. */
  | { readonly order: number; readonly waits: "key"; readonly until: Time; readonly again: Time };

export interface Flow {
  readonly to: DeviceAddress;
  readonly items: Item[];
  block: Block | undefined;
}

export function routeOf(item: OutboxRow): ConnectionKind {
  return item.accessKey === undefined ? "device" : "anonymous";
}

/** When something is to be done about a block: tried again, or given up. */
export function dueOf(block: Block | undefined, now: Time): number {
  if (block === undefined || block.waits === "device-list") return Number.NEGATIVE_INFINITY;
  if (block.waits === "time") return block.until;
  return now < block.again ? block.again : block.until;
}

export interface Going {
  readonly now: Time;
  readonly socket: ConnectionKind;
  /** Requests go one at a time: relays take few, and what was not sent yet may still go with a key. */
  readonly alone: boolean;
}

/** The items of a flow that may go now on this kind of connection, in order. */
export function* sendable(flow: Flow, { now, socket, alone }: Going): Generator<Item> {
  const block = flow.block;
  if (block?.waits === "device-list") return;
  if (block?.waits === "time" && (now < block.until || block.behind !== undefined)) return;
  if (block?.waits === "key" && now < block.again) return;
  if (flow.items.some((item) => item.progress.at === "under-way" && item.progress.socket !== socket)) return;
  for (const item of flow.items) {
    if (item.progress.at === "staged" || routeOf(item) !== socket) return;
    if (block !== undefined && item.order > block.order) return;
    if (item.progress.at === "ready") yield item;
    if (alone) return;
  }
}

/** What a frame holds beside its ciphertexts at most, and each envelope beside its own, bytes. */
const FRONT_BYTES = 64;
const BESIDE_BYTES = 24;

interface Open {
  readonly submit: FrameOf<"submit"> & { readonly frame: "submit" };
  readonly at: number;
  bytes: number;
}

/** One submit for each message and account, its devices side by side, as long as it is under the frame's limit. */
export function submits(items: readonly Item[]): ClientFrame[] {
  const frames: ClientFrame[] = [];
  const open = new Map<string, Open>();
  /** The last frame that each device stands in. */
  const last = new Map<DeviceAddress, number>();
  for (const item of items) {
    const recipient = accountOf(item.to);
    const { listVersion, expiry, accessKey } = item;
    const key = `${item.message}${recipient}${listVersion}/${expiry}/${accessKey?.join() ?? ""}`;
    const envelope = { device: deviceOf(item.to), id: item.id, ciphertext: item.ciphertext };
    const bytes = item.ciphertext.length + BESIDE_BYTES;
    const found = open.get(key);
    const before = last.get(item.to) ?? -1;
    if (found !== undefined && before < found.at && fits(found, bytes)) {
      found.submit.envelopes.push(envelope);
      found.bytes += bytes;
      last.set(item.to, found.at);
      continue;
    }
    const submit = {
      frame: "submit" as const,
      recipient,
      accessKey,
      listVersion,
      expiry,
      envelopes: [envelope],
    };
    open.set(key, { submit, at: frames.length, bytes: FRONT_BYTES + bytes });
    last.set(item.to, frames.length);
    frames.push(submit);
  }
  return frames;
}

function fits({ submit, bytes }: Open, more: number): boolean {
  return submit.envelopes.length < MAX_DEVICES && bytes + more <= MAX_FRAME_BYTES;
}
