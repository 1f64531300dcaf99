// What follows from a commit that is durable, beside acknowledgements. Always true: in the order in which it was staged.
import type { Groups } from "../groups/groups.ts";
import type { Connection } from "./connection.ts";
import type { Outbox } from "./outbox.ts";
import type { Signals } from "./signals.ts";
import type { After, Turn } from "./turn.ts";

export interface Followers {
  /** Undefined: no connection is opened any more. */
  readonly opens: Connection | undefined;
  readonly outbox: Outbox;
  readonly groups: Groups | undefined;
  readonly signals: Signals;
}

export function follow(
  turn: Turn,
  after: readonly After[],
  { opens, outbox, groups, signals }: Followers,
): void {
  for (const each of after) {
    switch (each.next) {
      case "acknowledge":
        break;
      case "open":
        opens?.raised(turn, each.epoch);
        break;
      case "transmit":
        outbox.durable(each.orders);
        break;
      case "upload":
        groups?.durable(each.order);
        break;
      case "hand":
        turn.emit({ do: "hand", entry: each.entry });
        break;
      case "signal":
        signals.sealed(each.frame);
        break;
      case "tell":
        turn.tell(each.told);
        break;
    }
  }
}
