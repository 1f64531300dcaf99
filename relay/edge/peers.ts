// What a node asks of the others, and what it is where there are none. Always true: where there are none, nothing is done.
import type { AccountId, DeviceAddress } from "@lethe/protocol";
import type { NodeId } from "@lethe/queue";
import type { LinkFrame } from "../delivery/types.ts";
import type { AccountChange } from "../link/frames.ts";

export interface Peers {
  /** How long an account's record may be used without asking again, ms: what others change must hold by then. */
  readonly accountCacheMs: number;
  /** Whether this node is known to live; where there are no others, whoever is on record is this one. */
  isAlive(node: NodeId): boolean;
  open(peer: NodeId): void;
  send(peer: NodeId, frame: LinkFrame): void;
  /** A device has come to this node, or gone from it. */
  moved(address: DeviceAddress, online: boolean): void;
  changed(account: AccountId, what: AccountChange): void;
  retired(addresses: readonly DeviceAddress[]): void;
  flush(): void;
}

/** @param gone whoever is named where there is nobody else is gone. */
export function noPeers(gone: (peer: NodeId) => void): Peers {
  return {
    accountCacheMs: 60_000,
    isAlive: () => true,
    open: gone,
    send: () => undefined,
    moved: () => undefined,
    changed: () => undefined,
    retired: () => undefined,
    flush: () => undefined,
  };
}
