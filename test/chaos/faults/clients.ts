// Faults of people's processes: killed and started from disk, and frozen, which leaves their sockets open and unread.
import { anywhere, type Blow, type FaultKind } from "./fault.ts";

const takeProcess = ({ world, chance }: Blow): number | undefined =>
  world.take(
    Array.from({ length: world.people.processes }, (_, i) => i),
    (i) => `clients-${i}`,
    chance,
  );

const kill: FaultKind = {
  name: "client-kill",
  group: "client",
  says: "SIGKILL of people's process, started again from its disk",
  fits: anywhere,
  async strike(blow) {
    const i = takeProcess(blow);
    if (i === undefined) return undefined;
    await blow.world.people.killWorker(i);
    return { says: `process ${i}`, heal: () => blow.world.people.startWorker(i) };
  },
};

const pause: FaultKind = {
  name: "client-pause",
  group: "client",
  says: "SIGSTOP of people's process: readers that do not read",
  fits: anywhere,
  async strike(blow) {
    const i = takeProcess(blow);
    if (i === undefined) return undefined;
    blow.world.people.signalWorker(i, "SIGSTOP");
    return {
      says: `process ${i}`,
      heal: () => {
        blow.world.people.signalWorker(i, "SIGCONT");
        return Promise.resolve();
      },
    };
  },
};

export const CLIENT_FAULTS: readonly FaultKind[] = [kill, pause];
