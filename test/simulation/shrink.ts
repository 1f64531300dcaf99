// Makes a failing plan smaller while it still breaks the same promise: fewer deeds (delta debugging), fewer people, fairer
// weather. Always true: what it returns fails in the same way as what it was given.
import { DELIVERY_LIMITS } from "../../relay/delivery/types.ts";
import type { Plan, Timed, Weather } from "./plan.ts";
import { type Failure, type Options, runPlan } from "./runner.ts";

/** Tries: a schedule that ends badly takes up to a tenth of a second. */
const MAX_TRIES = 800;

export interface Shrunk {
  readonly plan: Plan;
  readonly tries: number;
}

export function shrink(plan: Plan, promise: Failure["promise"], options: Options): Shrunk {
  const search = new Search(promise, options);
  let best = search.fewerDeeds(plan);
  best = search.fewerPeople(best);
  best = search.fairerWeather(best);
  best = search.fewerDeeds(best);
  return { plan: best, tries: search.tries };
}

class Search {
  tries = 0;
  readonly #promise: Failure["promise"];
  readonly #options: Options;

  constructor(promise: Failure["promise"], options: Options) {
    this.#promise = promise;
    this.#options = options;
  }

  #fails(plan: Plan): boolean {
    if (this.tries >= MAX_TRIES) return false;
    this.tries++;
    return runPlan(plan, this.#options).failure?.promise === this.#promise;
  }

  /** Zeller and Hildebrandt's ddmin over the deeds, by complements only. */
  fewerDeeds(plan: Plan): Plan {
    let deeds: readonly Timed[] = plan.deeds;
    let chunks = 2;
    while (deeds.length > 0 && chunks <= 2 * deeds.length) {
      const size = Math.max(1, Math.ceil(deeds.length / chunks));
      const smaller = this.#withoutOneChunk(plan, deeds, size);
      if (smaller === undefined) {
        if (size === 1) break;
        chunks *= 2;
      } else {
        deeds = smaller;
        chunks = Math.max(2, chunks - 1);
      }
    }
    return { ...plan, deeds };
  }

  #withoutOneChunk(plan: Plan, deeds: readonly Timed[], size: number): readonly Timed[] | undefined {
    for (let at = 0; at < deeds.length; at += size) {
      const left = [...deeds.slice(0, at), ...deeds.slice(at + size)];
      if (this.#fails({ ...plan, deeds: left })) return left;
    }
    return undefined;
  }

  fewerPeople(plan: Plan): Plan {
    let best = plan;
    for (let client = 0; client < plan.clients; client++) {
      if (plan.deeds.some((deed) => involves(deed, client))) continue;
      const smaller = { ...best, absent: [...(best.absent ?? []), client] };
      if (this.#fails(smaller)) best = smaller;
    }
    return best;
  }

  fairerWeather(plan: Plan): Plan {
    const fairer: Partial<Weather>[] = [
      { network: { usual: 5, rare: 0, often: 0 } },
      { store: { usual: 2, rare: 0, often: 0 } },
      { disk: { usual: 1, rare: 0, often: 0 } },
      { ordered: true },
      { replica: undefined },
      { limits: DELIVERY_LIMITS },
      { caps: { envelopes: 1_000, bytes: 1_000_000 } },
    ];
    let best = plan;
    for (const change of fairer) {
      const tried = { ...best, weather: { ...best.weather, ...change } };
      if (this.#fails(tried)) best = tried;
    }
    return best;
  }
}

function involves(deed: Timed, client: number): boolean {
  if ("client" in deed) return deed.client === client;
  return "from" in deed && "to" in deed && (deed.from === client || deed.to === client);
}
