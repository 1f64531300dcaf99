// What the client's media code stands in, at one device: time, and what it may see of the core.
import type { AccountId, DeviceAddress, Time } from "@lethe/protocol";
import type { CoreView } from "../../../client-lib/delivery/core.ts";
import type { MessageId } from "../../../client-lib/delivery/events.ts";
import type { Clock } from "../../../client-lib/edge/clock.ts";
import type { Agenda } from "../agenda.ts";
import type { Process } from "./disk.ts";
import type { Mail } from "./mail.ts";

/** Time as a process has it: what it has planned does not happen when it has ended. */
export function clockOf(process: Process, agenda: Agenda, wall: () => number): Clock {
  return {
    now: () => wall() as Time,
    after: (ms, call) => {
      const planned = agenda.in(Math.max(0, ms), () => process.isAlive && call());
      return () => {
        planned.act = undefined;
      };
    },
    soon: (call) => void agenda.in(0, () => process.isAlive && call()),
  };
}

/** As much of the core as media look at: a message's state and carriers, and the devices that are known. */
export function viewOf(mail: Mail, device: DeviceAddress, group: readonly AccountId[]): CoreView {
  const stateOf = (message: MessageId) => {
    const state = mail.messages.get(message)?.state;
    return state === undefined ? undefined : { state };
  };
  const view: Partial<Record<keyof CoreView, unknown>> = {
    sent: stateOf,
    groupSent: stateOf,
    group: () => ({ view: { state: { members: group.map((account) => ({ account })) } } }),
    devices: (account: AccountId) => mail.known(device, account),
    carriers: (message: MessageId) => [...(mail.messages.get(message)?.carriers ?? [])],
    isPending: (message: MessageId) => mail.messages.get(message)?.state === "queued",
  };
  return view as CoreView;
}
