// The main thread's side of the directory's worker: requests that come while a batch is under way are the next batch.
// Always true: one batch at a time, answered in order; a worker that died fails everything, then and later.
import { Worker } from "node:worker_threads";
import { StoreClosedError, StoreFailedError, StoreOpenError } from "../../mailbox.ts";
import {
  type Calls,
  DELETING,
  type ForgottenUpTo,
  type FromWorker,
  type Reply,
  type Request,
  type ToWorker,
  type Verb,
} from "./calls.ts";

interface Waiting {
  readonly request: Request;
  readonly settle: (reply: Reply) => void;
}

/** Requests of one batch: more would keep those behind them waiting for long. */
const MAX_BATCH = 1_024;

type ClientState = "open" | "closing" | "dead" | "closed";

export class DirectoryClient {
  readonly #worker: Worker;
  #state: ClientState = "open";
  #waiting: Waiting[] = [];
  #underWay: Waiting[] | undefined = undefined;
  #isScheduled = false;
  #onForgotten: ((upTo: ForgottenUpTo) => void)[] = [];
  #onIdle: (() => void) | undefined = undefined;
  #onClosed: (() => void) | undefined = undefined;
  /** True at first: the process before may have ended between deleting and forgetting. */
  #hasDeleted = true;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on("message", (message: FromWorker) => this.#hear(message));
    worker.on("error", () => this.#die());
    worker.on("exit", () => this.#die());
  }

  /** @throws StoreOpenError */
  static async open(path: string): Promise<DirectoryClient> {
    // The file keeps its ending where the package has been compiled.
    const file = new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url);
    const worker = new Worker(file, {
      workerData: { path },
      execArgv: ["--disable-warning=ExperimentalWarning"],
    });
    const first = await new Promise<FromWorker>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    if (first.is === "fault") {
      await worker.terminate();
      throw new StoreOpenError(first.fault.code, first.fault.message);
    }
    return new DirectoryClient(worker);
  }

  /** Runs the verb; its answer is durable. @throws StoreFailedError, StoreClosedError */
  call<V extends Verb>(verb: V, ...args: Calls[V]["args"]): Promise<Calls[V]["result"]> {
    if (this.#state !== "open") return Promise.reject(this.#refusal());
    if (DELETING.has(verb)) this.#hasDeleted = true;
    return new Promise((resolve, reject) => {
      const settle = (reply: Reply): void => {
        if (reply.is === "ok") resolve(reply.value as Calls[V]["result"]);
        else reject(new StoreFailedError(reply.code, reply.message));
      };
      this.#waiting.push({ request: { verb, args } as Request, settle });
      this.#sendSoon();
    });
  }

  /** Overwrites what was deleted since this was last done, a slice at a time, with requests in between. */
  async forget(): Promise<void> {
    if (!this.#hasDeleted) return;
    this.#hasDeleted = false;
    let upTo: ForgottenUpTo = 0;
    while (typeof upTo === "number" && this.#state === "open") upTo = await this.#forgetFrom(upTo);
    if (upTo !== "end") this.#hasDeleted = true;
  }

  /** Settles what was asked for, then ends the thread. */
  async close(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "closing";
    if (this.#underWay !== undefined || this.#waiting.length > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    if (this.#isDead()) return;
    await new Promise<void>((resolve) => {
      this.#onClosed = resolve;
      this.#post({ is: "close" });
    });
    this.#state = "closed";
    await this.#worker.terminate();
  }

  #forgetFrom(from: number): Promise<ForgottenUpTo> {
    return new Promise((resolve) => {
      this.#onForgotten.push(resolve);
      this.#post({ is: "forget", from });
    });
  }

  #isDead(): boolean {
    return this.#state === "dead";
  }

  /** Once a turn, so that what comes in one turn is one batch. */
  #sendSoon(): void {
    if (this.#isScheduled || this.#underWay !== undefined) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#send();
    });
  }

  #send(): void {
    if (this.#underWay !== undefined) return;
    if (this.#waiting.length === 0) {
      this.#onIdle?.();
      return;
    }
    this.#underWay = this.#waiting.splice(0, MAX_BATCH);
    this.#post({ is: "batch", requests: this.#underWay.map((waiting) => waiting.request) });
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #hear(message: FromWorker): void {
    switch (message.is) {
      case "replies": {
        const batch = this.#underWay ?? [];
        this.#underWay = undefined;
        for (const [i, { settle }] of batch.entries()) settle(message.replies[i] ?? NO_REPLY);
        this.#send();
        break;
      }
      case "forgotten":
        this.#onForgotten.shift()?.(message.upTo);
        break;
      case "closed":
        this.#onClosed?.();
        break;
      case "open":
      case "fault":
        break;
    }
  }

  #die(): void {
    if (this.#state === "closed") return;
    this.#state = "dead";
    for (const { settle } of [...(this.#underWay ?? []), ...this.#waiting]) settle(NO_REPLY);
    this.#underWay = undefined;
    this.#waiting = [];
    for (const resolve of this.#onForgotten.splice(0)) resolve("failed");
    this.#onIdle?.();
    this.#onClosed?.();
  }

  #refusal(): Error {
    if (this.#state === "dead")
      return new StoreFailedError("storage-failed", "the directory's thread has ended");
    return new StoreClosedError("the store is closed");
  }
}

const NO_REPLY: Reply = {
  is: "failed",
  code: "storage-failed",
  message: "the directory's thread gave no answer",
};
