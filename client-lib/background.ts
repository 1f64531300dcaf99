// Work that no message waits for: prekeys looked after, old tags swept. Always true: one round runs at a time; a round
// that fails is told as an error and comes again; its time after a use of keys is jittered, so that it tells nobody.
import { PATHS } from "@lethe/protocol";
import type { Random } from "@lethe/crypto";
import type { Emitter } from "./client-events.ts";
import type { Chance } from "./delivery/events.ts";
import type { Clock } from "./edge/clock.ts";
import { ClientError } from "./errors.ts";
import type { KeyState } from "./keys/key-rows.ts";
import type { PairwiseCipher } from "./keys/pairwise-cipher.ts";
import { type KeeperConfig, PrekeyKeeper } from "./keys/prekey-keeper.ts";
import type { ClientStore } from "./store/store.ts";

export interface BackgroundConfig {
  readonly keys: KeyState;
  readonly cipher: PairwiseCipher;
  readonly store: ClientStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly chance: Chance;
  readonly ask: KeeperConfig["ask"];
  readonly emitter: Emitter;
  /** A refill of one-time keys waits at random up to this long, ms. */
  readonly refillJitterMs: number;
}

/** A round every hour, and up to as long again. */
const ROUND_MS = 3_600_000;
/** After a failure: in half a minute, and up to as long again. */
const RETRY_MS = 30_000;

export class Background {
  readonly #config: BackgroundConfig;
  readonly #keeper: PrekeyKeeper;
  #wantedAt = Number.POSITIVE_INFINITY;
  #running: Promise<void> | undefined;
  #stopped = false;
  #done = false;
  #cancel: () => void = () => undefined;
  /** The relay has asked to wait until then. */
  #notBefore = Number.NEGATIVE_INFINITY;

  constructor(config: BackgroundConfig) {
    this.#config = config;
    const { keys, random, store, ask, chance, refillJitterMs } = config;
    this.#keeper = new PrekeyKeeper({
      keys,
      random,
      ask,
      refillDelay: () => chance.fraction() * refillJitterMs,
      commit: (writes) => store.commit(writes),
    });
  }

  /** A new account's first upload: once it resolves, others can write to this device. @throws ClientError */
  async first(): Promise<void> {
    await this.#keeper.round(this.#config.clock.now());
  }

  /** The connection is up. The first round of a run begins at once: keys may have been used while it was away. */
  online(): void {
    const { listPending, replacePending, accessPending } = this.#config.keys;
    if (!this.#done || listPending || replacePending || accessPending) this.#start();
  }

  /** A round no later than after so long: the relay is to be told something. */
  soon(ms: number): void {
    this.#wantedAt = Math.min(this.#wantedAt, this.#config.clock.now() + ms);
    if (this.#running === undefined) this.#later(ms);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await this.#running;
  }

  #start(): void {
    if (this.#running !== undefined || this.#stopped) return;
    if (this.#config.clock.now() < this.#notBefore) return this.#later(0);
    this.#cancel();
    this.#wantedAt = Number.POSITIVE_INFINITY;
    this.#running = this.#round().finally(() => {
      this.#running = undefined;
    });
  }

  async #round(): Promise<void> {
    const { emitter, store, cipher, clock } = this.#config;
    try {
      const uploaded = await this.#keeper.round(clock.now());
      const swept = cipher.sweep(clock.now());
      if (swept.length > 0) await store.commit(swept);
      this.#done = true;
      emitter.tell("prekeys", { uploaded });
      const { refillAt } = this.#keeper;
      this.#later(ROUND_MS, refillAt === undefined ? undefined : refillAt - clock.now());
    } catch (error) {
      const unreachable = error instanceof ClientError && error.code === "relay-unreachable";
      if (!unreachable && !this.#stopped)
        emitter.tell("error", { error: error instanceof Error ? error : new Error(PATHS.prekeys) });
      const asked = error instanceof ClientError ? (error.retryAfter ?? 0) : 0;
      this.#notBefore = clock.now() + asked;
      this.#later(Math.max(RETRY_MS, asked));
    }
  }

  #later(ms: number, refillMs = Number.POSITIVE_INFINITY): void {
    if (this.#stopped) return;
    const { chance, clock } = this.#config;
    const soonest = Math.min(refillMs, this.#wantedAt - clock.now());
    const told = this.#notBefore - clock.now();
    const wait = Math.max(Math.min(ms + chance.fraction() * ms, Math.max(0, soonest)), told);
    this.#cancel();
    this.#cancel = this.#config.clock.after(wait, () => this.#start());
  }
}
