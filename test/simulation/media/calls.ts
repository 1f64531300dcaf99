// Calls of a relay node to ledger and blobs: each takes its time there and back, may fail, and may be the last thing that its node
// does. Always true: a call is executed once at most; what a dead node asked for is executed, or is not, but never answered.
import { StoreFailedError } from "@lethe/queue";
import type { Agenda } from "../agenda.ts";
import { type Dice, type Pace, takes } from "../chance.ts";
import type { Coverage } from "../coverage.ts";
import type { MediaEvent } from "./events.ts";
import type { CallFate } from "./plan.ts";
import { never } from "./platform.ts";

/** One run of a node's process. */
export interface Caller {
  readonly isAlive: boolean;
  /** It makes a call: whether it crashes now, or when the call was executed. */
  steps(): "before" | "after" | undefined;
  crash(): void;
}

export interface CallsPort {
  readonly agenda: Agenda;
  readonly dice: Dice;
  readonly pace: Pace;
  readonly cover: Coverage<MediaEvent>;
}

/** No call takes longer when everything is well again, ms. */
const SLOW_MS = 8_000;

export class Calls {
  readonly #port: CallsPort;
  #trouble: { readonly fate: CallFate; readonly often: number; readonly until: number } | undefined;

  constructor(port: CallsPort) {
    this.#port = port;
  }

  trouble(fate: CallFate, often: number, ms: number): void {
    this.#trouble = { fate, often, until: this.#port.agenda.now + ms };
  }

  heal(): void {
    this.#trouble = undefined;
  }

  /** @param mayAnswer is asked when the caller is to be told: whether what was executed stands. */
  make<T>(caller: Caller, execute: () => Promise<T>, mayAnswer: () => boolean = () => true): Promise<T> {
    const { agenda, dice, cover } = this.#port;
    if (!caller.isAlive) return never();
    const end = caller.steps();
    if (end === "before") {
      caller.crash();
      return never();
    }
    const fate = this.#fate();
    return new Promise((resolve, reject) => {
      agenda.in(this.#takes(fate), () => {
        if (!caller.isAlive && dice.happens(0.5)) return;
        if (!caller.isAlive) cover.count("call of a dead node");
        if (fate === "fails") {
          cover.count("call failed");
          this.#back(caller, () => reject(new StoreFailedError("storage-failed", "as the weather is")));
          return;
        }
        const executing = execute();
        executing.catch(() => undefined);
        if (end === "after" && caller.isAlive) caller.crash();
        this.#back(caller, () => {
          if (fate === "fails-executed") cover.count("call executed and failed");
          if (fate !== "fails-executed" && mayAnswer()) executing.then(resolve, reject);
          else reject(new StoreFailedError("storage-failed", "as the weather is"));
        });
      });
    });
  }

  #fate(): CallFate | undefined {
    const { agenda, dice } = this.#port;
    const trouble = this.#trouble;
    return trouble !== undefined && agenda.now < trouble.until && dice.happens(trouble.often)
      ? trouble.fate
      : undefined;
  }

  #takes(fate: CallFate | undefined): number {
    const { dice, pace } = this.#port;
    return fate === "slow" ? dice.between(50, SLOW_MS) : takes(dice, pace) / 2;
  }

  #back(caller: Caller, tell: () => void): void {
    this.#port.agenda.in(this.#takes(undefined), () => {
      if (caller.isAlive) tell();
    });
  }
}
