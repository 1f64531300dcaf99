// One relay node: the real routes and the real collection over ledger and blobs that it shares with the others. Always true: a run
// that has crashed does nothing more, whatever it was in the middle of.
import type { CapabilityMark, MediaId, MediaLedger } from "@lethe/queue";
import type { HttpOptions } from "../../../relay/http/options.ts";
import { Collecting } from "../../../relay/media/collecting.ts";
import type { RelayMedia } from "../../../relay/media/media.ts";
import { Transfers } from "../../../relay/media/transfers.ts";
import type { Agenda } from "../agenda.ts";
import type { Coverage } from "../coverage.ts";
import type { BlobLine } from "./blob-line.ts";
import type { Caller } from "./calls.ts";
import { type Answered, type Asked, Door } from "./door.ts";
import type { MediaEvent } from "./events.ts";
import { type Judge, mediaIn } from "./judge.ts";
import type { LedgerLine } from "./ledger-line.ts";
import type { MediaWeather } from "./plan.ts";
import { never } from "./platform.ts";
import type { MediaRule } from "./rules.ts";

export interface NodePort {
  readonly agenda: Agenda;
  readonly wall: () => number;
  readonly cover: Coverage<MediaEvent>;
  readonly weather: MediaWeather;
  readonly ledger: LedgerLine;
  readonly blobs: BlobLine;
  readonly off: MediaRule | undefined;
  readonly judge: Judge;
  readonly note: (text: string) => void;
  readonly failed: (error: unknown) => void;
}

const MAX_BYTES = 2 ** 40;
const COLLECT_MS = 60_000;
/** When all is over nobody is in a hurry, and many hours pass. */
const COLLECT_SLOWLY_MS = 900_000;

class Run implements Caller {
  isAlive = true;
  /** What is told when it crashes. */
  readonly cut = new Set<() => void>();
  readonly #crashed: () => void;
  #stepsLeft: number | undefined;

  constructor(crashed: () => void) {
    this.#crashed = crashed;
  }

  crashAfter(steps: number): void {
    this.#stepsLeft = steps;
  }

  steps(): "before" | "after" | undefined {
    if (this.#stepsLeft === undefined) return undefined;
    this.#stepsLeft -= 1;
    if (this.#stepsLeft >= 0) return undefined;
    return this.#stepsLeft === -1 ? "after" : "before";
  }

  crash(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    for (const cut of this.cut) cut();
    this.#crashed();
  }
}

export class Node {
  readonly #port: NodePort;
  #run: Run | undefined;
  #collecting: Collecting | undefined;
  #door: Door | undefined;
  #downMs = 0;
  isOver = false;

  constructor(port: NodePort) {
    this.#port = port;
    this.start();
  }

  get isUp(): boolean {
    return this.#run !== undefined;
  }

  start(): void {
    if (this.#run !== undefined) return;
    const { agenda, cover } = this.#port;
    const run = new Run(() => {
      this.#run = undefined;
      cover.count("node crashed");
      agenda.in(this.#downMs, () => this.start());
    });
    this.#run = run;
    this.#collecting = this.#collectingOf(run);
    this.#door = new Door(this.#options(run));
    this.#tick(run);
  }

  /** @param steps calls of its stores that it makes until then; 0: none, it is now. */
  crash(ms: number, steps: number): void {
    this.#downMs = ms;
    if (this.#run === undefined) return;
    if (steps === 0) return this.#run.crash();
    this.#port.cover.count("node crashed between two steps");
    this.#run.crashAfter(steps);
  }

  /** Resolves with the answer; `cut` is called where there will be none. */
  async serve(asked: Asked, cut: () => void): Promise<Answered> {
    const [run, door] = [this.#run, this.#door];
    if (run === undefined || door === undefined) {
      cut();
      return never();
    }
    run.cut.add(cut);
    const part = asked.method === "PUT" ? /\/parts\/(\d+)$/.exec(asked.path)?.[1] : undefined;
    const { judge } = this.#port;
    if (part !== undefined) judge.putBegins(mediaIn(asked.path));
    try {
      const answered = await door.ask(asked);
      if (part !== undefined) judge.putEnds(mediaIn(asked.path), Number(part), answered.status);
      return answered;
    } finally {
      run.cut.delete(cut);
    }
  }

  #tick(run: Run): void {
    const { agenda, off, failed } = this.#port;
    const ms = this.isOver ? COLLECT_SLOWLY_MS : COLLECT_MS;
    agenda.in(ms, () => {
      if (!run.isAlive) return;
      if (off !== "relay.chore") this.#collecting?.run().catch(isExpected(failed));
      this.#tick(run);
    });
  }

  #collectingOf(run: Run): Collecting {
    const { agenda, ledger, blobs, off, failed } = this.#port;
    const [line, bytes] = [ledger.for(run), blobs.for(run)];
    const remove = async (media: MediaId): Promise<void> => {
      if (off === "relay.forgetAfterRemove") await line.forget([media]);
      await bytes.remove(media);
    };
    return new Collecting({
      ledger: line,
      blobs: { ...bytes, remove },
      instant: () => agenda.now,
      removed: () => undefined,
      failed: isExpected(failed),
    });
  }

  #options(run: Run): HttpOptions {
    const { wall, weather } = this.#port;
    const { keepMs, unfinishedMs, quota: blobs } = weather;
    const terms = {
      trustProxy: false,
      media: { bytes: MAX_BYTES, quota: { bytes: MAX_BYTES, blobs }, keepMs, unfinishedMs, direct: false },
    };
    const mediaOf = this.#mediaOf(run);
    const options = {
      /** Each request has its own. */
      get media() {
        return mediaOf();
      },
      now: wall,
      terms: () => terms,
      backend: { clock: async () => wall() },
      gateway: { addresses: { isLimited: () => false } },
      metrics: { mediaPart: () => undefined, refused: () => undefined },
      log: { error: ({ reason }: { reason: string }) => this.#port.failed(new Error(reason)) },
    };
    return options as unknown as HttpOptions;
  }

  /** For one request after the other. */
  #mediaOf(run: Run): () => RelayMedia {
    const { agenda, ledger, blobs, off } = this.#port;
    const instant = (): number => agenda.now;
    const line = ledger.for(run);
    const shared = {
      blobs: blobs.for(run),
      collecting: this.#collecting,
      coming: new Transfers(instant),
      going: new Transfers(instant),
    };
    const one = { ...shared, ledger: line } as unknown as RelayMedia;
    if (off !== "relay.lookAgain") return () => one;
    return () => ({ ...shared, ledger: lookingOnce(line) }) as unknown as RelayMedia;
  }
}

/** Within one request the ledger is asked once for an upload. */
function lookingOnce(ledger: MediaLedger): MediaLedger {
  let looked: ReturnType<MediaLedger["upload"]> | undefined;
  const upload = (media: MediaId, key: CapabilityMark) => (looked ??= ledger.upload(media, key));
  return { ...ledger, upload };
}

/** Stores that fail are part of the weather. */
function isExpected(failed: (error: unknown) => void): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof Error) || !["StoreFailedError", "BlobError"].includes(error.name)) failed(error);
  };
}
