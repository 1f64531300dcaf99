// Wakes that others have left for this node, until the store closes or the node has another id. Always true: a store that
// fails is asked again after a pause; what was noted meanwhile is still there.
import type { DeviceAddress } from "@lethe/protocol";
import { type Mailbox, type NodeId, StoreClosedError } from "@lethe/queue";
import type { Log } from "../log.ts";

const AGAIN_MS = 1_000;

export interface FollowWakes {
  readonly mailbox: Mailbox;
  readonly id: NodeId;
  readonly isCurrent: () => boolean;
  readonly woken: (addresses: readonly DeviceAddress[]) => void;
  readonly log: Log;
}

export async function followWakes({ mailbox, id, isCurrent, woken, log }: FollowWakes): Promise<void> {
  while (isCurrent()) {
    try {
      const addresses = await mailbox.takeWakes(id);
      if (addresses.length === 0) return;
      if (isCurrent()) woken(addresses);
    } catch (error) {
      if (error instanceof StoreClosedError) return;
      log.warn({ code: "storage-failed", reason: String(error) }, "wakes cannot be followed now");
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS).unref());
    }
  }
}
