// Linking mailboxes where there is one process: in its memory, by the store's clock. Always true: they stand in the order
// in which they end, since all live equally long; nothing of them is ever written down.
import { LINKING_MAILBOX_MS, type Time } from "@lethe/protocol";
import {
  type LinkingGet,
  type LinkingMailboxes,
  type LinkingMailboxId,
  type LinkingPut,
  type LinkingSlot,
  MAX_LINKING_MAILBOXES,
  slotBefore,
} from "../linking.ts";
import { StoreClosedError } from "../mailbox.ts";

interface Box {
  readonly until: number;
  ended: boolean;
  readonly slots: Map<LinkingSlot, Uint8Array>;
}

export class LocalLinkingMailboxes implements LinkingMailboxes {
  readonly #now: () => Time;
  readonly #boxes = new Map<LinkingMailboxId, Box>();
  #closed = false;

  constructor(now: () => Time) {
    this.#now = now;
  }

  async put(mailbox: LinkingMailboxId, slot: LinkingSlot, message: Uint8Array): Promise<LinkingPut> {
    this.#expire();
    const before = slotBefore(slot);
    const box = this.#boxes.get(mailbox) ?? (before === undefined ? this.#make(mailbox) : undefined);
    if (box === undefined) return before === undefined ? "full" : "ended";
    if (box.ended) return "ended";
    if (before !== undefined && !box.slots.has(before)) return "early";
    const known = box.slots.get(slot);
    if (known !== undefined) return Buffer.compare(known, message) === 0 ? "kept" : "taken";
    box.slots.set(slot, message.slice());
    return "kept";
  }

  #make(mailbox: LinkingMailboxId): Box | undefined {
    if (this.#boxes.size >= MAX_LINKING_MAILBOXES) return undefined;
    const box: Box = { until: this.#now() + LINKING_MAILBOX_MS, ended: false, slots: new Map() };
    this.#boxes.set(mailbox, box);
    return box;
  }

  async get(mailbox: LinkingMailboxId, slot: LinkingSlot): Promise<LinkingGet> {
    this.#expire();
    const box = this.#boxes.get(mailbox);
    if (box === undefined) return { is: "none" };
    if (box.ended) return { is: "ended" };
    const message = box.slots.get(slot);
    return message === undefined ? { is: "empty" } : { is: "message", message };
  }

  async end(mailbox: LinkingMailboxId): Promise<void> {
    this.#expire();
    const box = this.#boxes.get(mailbox);
    if (box === undefined) return;
    box.ended = true;
    box.slots.clear();
  }

  close(): void {
    this.#closed = true;
    this.#boxes.clear();
  }

  #expire(): void {
    if (this.#closed) throw new StoreClosedError("the store is closed");
    const now = this.#now();
    for (const [mailbox, { until }] of this.#boxes) {
      if (until > now) return;
      this.#boxes.delete(mailbox);
    }
  }
}
