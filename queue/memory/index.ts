// A whole backend in memory: nothing is kept, everything else is promised. For tests, simulations and oracles.
import type { Time } from "@lethe/protocol";
import type { Backend, MailboxLimits } from "../backend.ts";
import { LocalChores } from "../local/chores.ts";
import { LocalLeases } from "../local/leases.ts";
import { LocalLinkingMailboxes } from "../local/linking.ts";
import { realTimers, type Timers } from "../timers.ts";
import { MemoryChoreTable } from "./chores.ts";
import { MemoryDirectory } from "./directory.ts";
import { MemoryMailbox } from "./mailbox.ts";
import { MemoryMediaLedger } from "./media.ts";

export interface MemoryConfig {
  readonly now: () => Time;
  readonly limits: MailboxLimits;
  /** Real timers where it is left out. */
  readonly timers?: Timers;
}

export interface MemoryBackend extends Backend {
  readonly mailbox: MemoryMailbox;
}

export function openMemoryBackend(config: MemoryConfig): MemoryBackend {
  const mailbox = new MemoryMailbox(config.now, config.limits);
  const directory = new MemoryDirectory(config.now);
  const leases = new LocalLeases(config.now);
  const linking = new LocalLinkingMailboxes(config.now);
  const media = new MemoryMediaLedger(config.now);
  const chores = new LocalChores(new MemoryChoreTable(), config.now, config.timers ?? realTimers);
  return {
    mailbox,
    directory,
    leases,
    linking,
    media,
    chores,
    doubts: () => Promise.resolve([]),
    clock: () => Promise.resolve(config.now()),
    async close() {
      await chores.close();
      leases.close();
      linking.close();
      media.close();
      mailbox.close();
      directory.close();
    },
  };
}
