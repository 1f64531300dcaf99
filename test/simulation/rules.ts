// Every rule that the promises rest on, to be left out one at a time: each must be missed. Those of the store and of the
// client are left out in the simulation, around the real code; those of the node are switches of the node itself.
import { ALL_DELIVERY_RULES, type DeliveryRules } from "../../relay/delivery/types.ts";
import { ALL_STORE_RULES, type StoreRules } from "./store.ts";

export interface ClientRules {
  /** The delivered-ack follows the device's own durable write. */
  readonly acknowledgeAfterCommit: boolean;
  /** What arrives early is held back. */
  readonly holdBack: boolean;
  /** Ids that were seen are remembered across restarts. */
  readonly remember: boolean;
  /** The connection epoch is raised durably before each connection. */
  readonly epochDurable: boolean;
  /** A retry carries the bytes of the first transmission. */
  readonly sameBytes: boolean;
  /** Only `accepted` clears the outbox. */
  readonly clearedByAccepted: boolean;
  /** What follows from one envelope is one transaction. */
  readonly oneTransaction: boolean;
  /** A gap that is given up is an entry of the inbox. */
  readonly gapKept: boolean;
}

export interface Rules {
  readonly store: StoreRules;
  readonly node: DeliveryRules;
  readonly client: ClientRules;
}

export const ALL_RULES: Rules = {
  store: ALL_STORE_RULES,
  node: ALL_DELIVERY_RULES,
  client: {
    acknowledgeAfterCommit: true,
    holdBack: true,
    remember: true,
    epochDurable: true,
    sameBytes: true,
    clearedByAccepted: true,
    oneTransaction: true,
    gapKept: true,
  },
};

/** The names of all rules, as `--rule-off` takes them: `store.epoch`, `node.wake`, `client.holdBack`, ... */
export const RULE_NAMES: readonly string[] = Object.entries(ALL_RULES).flatMap(([part, rules]) =>
  Object.keys(rules as Record<string, boolean>).map((rule) => `${part}.${rule}`),
);

/** All rules but one. @throws RangeError for a name that is no rule. */
export function without(name: string): Rules {
  if (!RULE_NAMES.includes(name))
    throw new RangeError(`no rule is called ${name}; there are ${RULE_NAMES.join(", ")}`);
  const [part, rule] = name.split(".") as [keyof Rules, string];
  return { ...ALL_RULES, [part]: { ...ALL_RULES[part], [rule]: false } };
}

/** All rules, or all but the one that is named. */
export function rulesFor(ruleOff: string | undefined): Rules {
  return ruleOff === undefined ? ALL_RULES : without(ruleOff);
}
