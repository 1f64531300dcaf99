// The ledger as nodes reach it: the real one of the memory backend behind calls that take time, and its failovers. Always true:
// after a failover it is what the verbs that were not forgotten make of it; a write that was answered is not forgotten, nor
// anything before it. What was only read may be.
import type { MediaId, MediaLedger, MediaUpload, TokenChange } from "@lethe/queue";
import type { Time } from "@lethe/protocol";
import { MemoryMediaLedger } from "../../../queue/memory/media.ts";
import type { Dice } from "../chance.ts";
import type { Coverage } from "../coverage.ts";
import type { Caller, Calls } from "./calls.ts";
import type { MediaEvent } from "./events.ts";
import type { Executed } from "./facts.ts";
import type { Judge } from "./judge.ts";
import type { MediaRule } from "./rules.ts";

/** Verbs that write, or wait for what was written before them. */
const DURABLE = ["begin", "finish", "tokens", "withdraw", "release", "ended", "forget", "leave"] as const;
const READS = ["upload", "download", "known", "totals"] as const;
type Verb = (typeof DURABLE)[number] | (typeof READS)[number];

interface Entry extends Executed {
  readonly verb: Verb;
  at: number;
  result: unknown;
  isAnswered: boolean;
  isForgotten: boolean;
}

export interface LedgerPort {
  readonly wall: () => number;
  readonly calls: Calls;
  readonly judge: Judge;
  readonly dice: Dice;
  readonly cover: Coverage<MediaEvent>;
  readonly off: MediaRule | undefined;
}

const FAR_MS = 1e12;

export class LedgerLine {
  readonly #port: LedgerPort;
  #log: Entry[] = [];
  #ledger: MemoryMediaLedger;

  constructor(port: LedgerPort) {
    this.#port = port;
    this.#ledger = new MemoryMediaLedger(() => port.wall() as Time);
  }

  /** The ledger itself, at once: for what is looked at when all is over. */
  get here(): MediaLedger {
    return this.#ledger;
  }

  /** The ledger as a node has it. */
  for(caller: Caller): MediaLedger {
    const verbs = [...DURABLE, ...READS].map((verb) => [
      verb,
      (...args: readonly unknown[]) => this.#call(caller, verb, args),
    ]);
    return Object.fromEntries(verbs) as MediaLedger;
  }

  async #call(caller: Caller, verb: Verb, args: readonly unknown[]): Promise<unknown> {
    const entry: Entry = {
      at: 0,
      verb,
      args: this.#asked(verb, args),
      result: undefined,
      isAnswered: false,
      isForgotten: false,
    };
    const mayAnswer = (): boolean => {
      if (isDurable(entry) && entry.isForgotten) return false;
      entry.isAnswered = true;
      return true;
    };
    return this.#port.calls.make(caller, () => this.#execute(entry), mayAnswer);
  }

  async #execute(entry: Entry): Promise<unknown> {
    const { verb, args } = entry;
    entry.at = this.#port.wall();
    this.#log.push(entry);
    entry.result = await this.#do(verb, args);
    this.#port.judge.executed(entry);
    if (verb === "release") await this.#wronglyEnded(args[0] as MediaId);
    return entry.result;
  }

  #do(verb: Verb, args: readonly unknown[]): Promise<unknown> {
    const call = this.#ledger[verb] as (...args: readonly unknown[]) => Promise<unknown>;
    return call.call(this.#ledger, ...args);
  }

  #asked(verb: Verb, args: readonly unknown[]): readonly unknown[] {
    const { off } = this.#port;
    if (verb !== "begin" || (off !== "ledger.expiry" && off !== "ledger.unfinished")) return args;
    const upload = args[0] as MediaUpload;
    const field = off === "ledger.expiry" ? "expires" : "unfinished";
    return [{ ...upload, [field]: upload[field] + FAR_MS }, args[1]];
  }

  /** What a ledger would do that ends blobs by releases before their lists are closed, or strikes more than was shown. */
  async #wronglyEnded(media: MediaId): Promise<void> {
    const { off, judge } = this.#port;
    const facts = judge.facts.get(media);
    if (facts === undefined) return;
    const { uploadKey } = facts.upload;
    const { marks } = facts;
    if (off === "ledger.openList" && [...marks.values()].every((isStruck) => isStruck))
      await this.#ledger.tokens(media, uploadKey, { add: [], strike: [], close: true });
    if (off !== "ledger.ownToken") return;
    const change: TokenChange = { add: [], strike: [...marks.keys()], close: false };
    await this.#ledger.tokens(media, uploadKey, change);
  }

  /** A replica takes over that has not got everything. */
  failover(): void {
    const { dice, cover, off, wall, judge } = this.#port;
    cover.count("failover");
    const isKept = (entry: Entry): boolean => entry.isAnswered && isDurable(entry);
    const kept = off === "ledger.durable" ? -1 : this.#log.findLastIndex(isKept);
    const end = kept + 1 + dice.below(this.#log.length - kept);
    cover.count("forgotten by a failover", this.#log.length - end);
    for (const entry of this.#log.splice(end)) entry.isForgotten = true;
    let at: number | undefined;
    this.#ledger = new MemoryMediaLedger(() => (at ?? wall()) as Time);
    for (const entry of this.#log) {
      at = entry.at;
      void this.#do(entry.verb, entry.args);
    }
    at = undefined;
    judge.failedOver(this.#log);
  }
}

function isDurable({ verb }: Entry): boolean {
  return (DURABLE as readonly string[]).includes(verb);
}
