// Faults of relay processes: killed, also at named points, stopped, stalled, restarted in turn, with a moved clock.
import { within } from "../../support/waiting.ts";
import { CRASH_POINTS } from "../relay/crash-points.ts";
import { type RelayNode, STALL_MS } from "../world/node.ts";
import { anywhere, type Blow, type FaultKind, lasting } from "./fault.ts";

const LEASE_MS = 10_000;
/** A crash point that was not reached in this time is given up, ms, and the relay killed all the same. */
const CRASH_PATIENCE_MS = 20_000;

const takeNode = ({ world, chance }: Blow): RelayNode | undefined =>
  world.take(
    world.nodes.filter(({ isRunning }) => isRunning),
    ({ name }) => name,
    chance,
  );

const kill: FaultKind = {
  name: "relay-kill",
  group: "relay",
  says: "SIGKILL of a relay, started again after the hold or at once",
  fits: anywhere,
  async strike(blow) {
    const node = takeNode(blow);
    if (node === undefined) return undefined;
    await node.kill();
    const over = blow.chance.oneIn(3) ? node.start() : undefined;
    over?.catch(() => undefined); // heal tells
    return { says: node.name, heal: () => over ?? node.start() };
  },
};

const killAll: FaultKind = {
  name: "relay-kill-all",
  group: "relay",
  says: "SIGKILL of all relays at once",
  fits: (_, nodes) => nodes > 1,
  async strike({ world, chance }) {
    const nodes = world.nodes.filter((node) => world.take([node], ({ name }) => name, chance) !== undefined);
    if (nodes.length === 0) return undefined;
    await Promise.all(nodes.map((node) => node.kill()));
    return {
      says: nodes.map(({ name }) => name).join(" "),
      heal: async () => void (await Promise.all(nodes.map((node) => node.start()))),
    };
  },
};

const crash: FaultKind = {
  name: "relay-crash",
  group: "relay",
  says: "a relay ends itself before or after a verb of its store",
  fits: anywhere,
  async strike(blow) {
    const node = takeNode(blow);
    if (node === undefined) return undefined;
    const at = `${blow.chance.pick(CRASH_POINTS)}:${blow.chance.below(4)}`;
    // Armed from its start it meets those who come back; armed as it runs, those who are there.
    const isNew = blow.chance.oneIn(3);
    if (isNew) await node.kill();
    else node.arm(at);
    const over = (async () => {
      if (isNew) await node.start({ LETHE_CRASH_AT: at });
      await within(CRASH_PATIENCE_MS, at, node.exited).catch(() => node.kill());
      await node.start();
    })();
    over.catch(() => undefined); // heal tells
    return { says: `${node.name} ${at}`, heal: () => over };
  },
};

const pause: FaultKind = {
  name: "relay-pause",
  group: "relay",
  says: "SIGSTOP of a relay for a part of its lease or several, then SIGCONT",
  fits: anywhere,
  async strike(blow) {
    const node = takeNode(blow);
    if (node === undefined) return undefined;
    const leases = blow.chance.pick(blow.isLong ? [0.5, 0.5, 1.5, 1.5, 1.5, 5] : [0.2, 0.4]);
    node.signal("SIGSTOP");
    const over = lasting(leases * LEASE_MS);
    return {
      says: `${node.name} for ${leases} leases`,
      heal: async () => {
        await over;
        node.signal("SIGCONT");
      },
    };
  },
};

const stall: FaultKind = {
  name: "relay-stall",
  group: "relay",
  says: "a relay's event loop stops",
  fits: anywhere,
  async strike(blow) {
    const node = takeNode(blow);
    if (node === undefined) return undefined;
    node.signal("SIGUSR2");
    const over = lasting(STALL_MS);
    return { says: `${node.name} for ${STALL_MS / 1_000} s`, heal: () => over };
  },
};

const rolling: FaultKind = {
  name: "relay-rolling",
  group: "relay",
  says: "SIGTERM of each relay in turn, each started again before the next",
  fits: anywhere,
  async strike({ world, chance }) {
    const nodes = world.nodes.filter((node) => world.take([node], ({ name }) => name, chance) !== undefined);
    if (nodes.length === 0) return undefined;
    const over = (async () => {
      for (const node of nodes) {
        await node.stop();
        await node.start();
      }
    })();
    over.catch(() => undefined); // heal tells
    return { says: nodes.map(({ name }) => name).join(" "), heal: () => over };
  },
};

const clock: FaultKind = {
  name: "relay-clock",
  group: "machine",
  says: "a relay's wall clock steps by an hour or a day, and back",
  fits: anywhere,
  async strike(blow) {
    const node = takeNode(blow);
    if (node === undefined) return undefined;
    const seconds = blow.chance.pick([3_600, -3_600, 86_400, -86_400, 30, -30]);
    node.setClock(seconds);
    return {
      says: `${node.name} by ${seconds} s`,
      heal: () => {
        node.setClock(0);
        return Promise.resolve();
      },
    };
  },
};

export const RELAY_FAULTS: readonly FaultKind[] = [kill, killAll, crash, pause, stall, rolling, clock];
