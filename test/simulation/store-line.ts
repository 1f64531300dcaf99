// One node process's line to the store: each call is sent, executed and answered at three different times, and what can
// go wrong with it goes wrong here. Always true: a call is answered at most once, and never to a process that is gone.
import type { StoreCall, StoreResult } from "../../relay/delivery/types.ts";
import { type Dice, takes } from "./chance.ts";
import type { Trouble } from "./plan.ts";
import type { Executed } from "./shared-store.ts";
import type { World } from "./world.ts";

const FAILED: StoreResult = { is: "failed", code: "storage-failed" };

interface Flight {
  readonly on: StoreCall;
  readonly call: number;
  state: "sent" | "executed" | "answered" | "dropped";
}

export interface StoreLinePort {
  readonly name: string;
  answer(call: number, on: StoreCall, result: StoreResult): void;
}

export class StoreLine {
  readonly #world: World;
  readonly #dice: Dice;
  readonly #port: StoreLinePort;
  readonly #flights = new Set<Flight>();
  #last = 0;
  #trouble: { mode: Trouble; often: number; until: number } | undefined;
  #dead = false;

  constructor(world: World, dice: Dice, port: StoreLinePort) {
    this.#world = world;
    this.#dice = dice;
    this.#port = port;
  }

  trouble(mode: Trouble, often: number, ms: number): void {
    this.#trouble = { mode, often, until: this.#world.now + ms };
  }

  /** Until when nothing gets through, if it is so. */
  get stalledUntil(): number {
    const trouble = this.#trouble;
    return trouble?.mode === "stalls" ? trouble.until : 0;
  }

  #mode(): Trouble | undefined {
    const trouble = this.#trouble;
    if (trouble === undefined || trouble.until <= this.#world.now) return undefined;
    return this.#dice.happens(trouble.often) ? trouble.mode : undefined;
  }

  make(call: number, on: StoreCall): void {
    const { weather } = this.#world.plan;
    const flight: Flight = { on, call, state: "sent" };
    this.#flights.add(flight);
    const mode = this.#mode();
    let at = this.#world.now + takes(this.#dice, weather.store) / 2;
    if (mode === "slow") at += this.#dice.between(300, 8_000);
    if (mode === "stalls") at = Math.max(at, this.stalledUntil);
    if (weather.ordered) at = Math.max(at, this.#last);
    this.#last = at;
    this.#world.agenda.at(at, () => this.#execute(flight, mode));
  }

  #execute(flight: Flight, mode: Trouble | undefined): void {
    if (flight.state === "dropped") return;
    const { cover, ledger } = this.#world;
    flight.state = "executed";
    if (mode === "fails") {
      cover.count("store call failed");
      return this.#answer(flight, FAILED);
    }
    if (mode === "fails-executed") {
      cover.count("store call executed and failed");
      ledger.excuse(flight.on);
      this.#world.shared.execute(flight.on, this.#port.name);
      return this.#answer(flight, FAILED);
    }
    if (this.#dead) {
      cover.count("store call of a dead node");
      ledger.excuse(flight.on);
    }
    const executed = this.#world.shared.execute(flight.on, this.#port.name);
    if (mode === "twice") this.#again(flight);
    else this.#confirm(flight, executed);
  }

  /** The answer waits for what it says to be durable. */
  #confirm(flight: Flight, { result, durableAt }: Executed): void {
    if (durableAt === undefined) return this.#answer(flight, result);
    this.#world.agenda.at(durableAt, () =>
      this.#answer(flight, this.#world.shared.survived(flight.on) ? result : FAILED),
    );
  }

  /** The connection broke before the answer came, and the client library sends the call again. */
  #again(flight: Flight): void {
    this.#world.cover.count("store call executed twice");
    this.#world.ledger.excuse(flight.on);
    this.#world.agenda.in(takes(this.#dice, this.#world.plan.weather.store), () => {
      if (this.#dead) return;
      this.#confirm(flight, this.#world.shared.execute(flight.on, this.#port.name));
    });
  }

  #answer(flight: Flight, result: StoreResult): void {
    this.#world.agenda.in(takes(this.#dice, this.#world.plan.weather.store) / 2, () => {
      if (this.#dead || flight.state !== "executed") return;
      flight.state = "answered";
      this.#flights.delete(flight);
      if (result.is === "failed" && flight.on.verb === "wake")
        this.#world.ledger.wakeLost(flight.on.arg.address, this.#world.now);
      this.#port.answer(flight.call, flight.on, result);
    });
  }

  /** The process is gone: a part of what it had sent is executed all the same. */
  die(): void {
    this.#dead = true;
    for (const flight of this.#flights) {
      if (flight.state === "sent" && this.#dice.happens(0.5)) {
        flight.state = "dropped";
        if (flight.on.verb === "wake") this.#world.ledger.wakeLost(flight.on.arg.address, this.#world.now);
      } else if (flight.on.verb === "appendUnlessOwned") this.#world.ledger.excuse(flight.on);
    }
    this.#flights.clear();
  }
}
