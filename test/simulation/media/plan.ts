// What a schedule of media is made of: the weather, and the deeds of people and of chance. Always true: a plan is data, drawn
// from its seed alone; any subset of its deeds is a plan too.
import { Dice, mix, type Pace } from "../chance.ts";

export interface MediaWeather {
  readonly network: Pace;
  /** Calls of ledger and blobs. */
  readonly store: Pace;
  readonly disk: Pace;
  readonly keepMs: number;
  readonly unfinishedMs: number;
  /** Blobs of one account. */
  readonly quota: number;
  /** Devices learn of others' changed lists after so long, ms, if nothing tells them sooner. */
  readonly rumour: number;
}

/** At once; or at the next commit, before or after it is durable. */
export type ClientCrash = "now" | "lost" | "durable";
/**
 * What becomes of a request: lost before or after it was done, done twice, done after nobody waits for it, cut in its body; or lost
 * if it is one that lets the relay remove something.
 */
export type RequestFate = "lost" | "unanswered" | "twice" | "late" | "cut" | "unheard";
/** What becomes of a call of ledger or blobs. */
export type CallFate = "fails" | "fails-executed" | "slow";

export type MediaDeed =
  | {
      readonly do: "send";
      readonly from: number;
      readonly to: number | "group";
      readonly size: number;
      readonly file: number;
    }
  | { readonly do: "refuse"; readonly file: number }
  | { readonly do: "withdraw"; readonly file: number }
  | { readonly do: "change-source"; readonly file: number }
  | { readonly do: "crash-client"; readonly device: number; readonly ms: number; readonly when: ClientCrash }
  | { readonly do: "crash-node"; readonly node: number; readonly ms: number; readonly steps: number }
  | { readonly do: "offline"; readonly device: number; readonly ms: number }
  | { readonly do: "trouble"; readonly fate: RequestFate; readonly often: number; readonly ms: number }
  | { readonly do: "store-trouble"; readonly fate: CallFate; readonly often: number; readonly ms: number }
  | { readonly do: "failover" }
  | { readonly do: "add-device"; readonly account: number }
  | { readonly do: "remove-device"; readonly device: number };

export type TimedDeed = MediaDeed & { readonly at: number };

export interface MediaSize {
  /** Relay nodes. */
  readonly nodes: number;
  /** Accounts. */
  readonly clients: number;
}

export interface MediaPlan extends MediaSize {
  readonly seed: number;
  /** Faults happen within so long, ms. */
  readonly span: number;
  readonly weather: MediaWeather;
  readonly deeds: readonly TimedDeed[];
}

const HOUR_MS = 3_600_000;
/** Files of more than one part are dear: so many schedules have one. */
const BULKY = 0.02;

export function mediaPlanOf(seed: number, { nodes, clients }: MediaSize): MediaPlan {
  const dice = new Dice(mix(seed, 1_001));
  const span = dice.between(10_000, dice.happens(0.3) ? 240_000 : 60_000);
  const files = 1 + dice.below(3);
  const isBulky = dice.happens(BULKY);
  const deeds: TimedDeed[] = [];
  for (let file = 0; file < files; file++) deeds.push(...sending(dice, { span, clients, file, isBulky }));
  const faults = dice.below(isBulky ? 5 : 10);
  for (let i = 0; i < faults; i++)
    deeds.push({ at: dice.between(0, span), ...fault(dice, { span, nodes, clients, files }) });
  if (dice.happens(0.1)) deeds.push(...aimed(dice, deeds, { span, nodes, clients, files }));
  const weather = weatherOf(dice);
  const left = leftAlone(new Dice(mix(seed, 1_002)), deeds, span);
  const all = [...deeds, ...left].sort((a, b) => a.at - b.at);
  const { unfinishedMs } = weather;
  return {
    ...{ seed, nodes, clients, span, deeds: all },
    weather:
      left.length === 0
        ? weather
        : { ...weather, unfinishedMs: Math.min(unfinishedMs, Math.round(span / 4)) },
  };
}

/** In one schedule in thirty a sender ends while its file is on its way, and is back only once the relay has given it up. */
function leftAlone(dice: Dice, deeds: readonly TimedDeed[], span: number): TimedDeed[] {
  const sent = deeds.find((deed) => deed.do === "send");
  if (sent?.do !== "send" || !dice.happens(1 / 30)) return [];
  const at = sent.at + dice.between(50, 2_000);
  return [
    { at: sent.at, do: "trouble", fate: "unanswered", often: 0.5, ms: 2_000 },
    { at, do: "crash-client", device: sent.from, ms: span, when: "now" },
  ];
}

function weatherOf(dice: Dice): MediaWeather {
  const pace = (usual: number): Pace => ({
    usual: dice.between(1, usual),
    rare: usual * 20,
    often: dice.pick([0, 0.02, 0.2]),
  });
  return {
    network: pace(100),
    store: pace(40),
    disk: pace(20),
    keepMs: dice.happens(0.15) ? dice.between(20_000, 300_000) : 4 * HOUR_MS,
    unfinishedMs: dice.happens(0.2) ? dice.between(10_000, 120_000) : HOUR_MS,
    quota: dice.happens(0.1) ? 1 : 1_000,
    rumour: dice.between(100, 20_000),
  };
}

interface Sending {
  readonly span: number;
  readonly clients: number;
  readonly file: number;
  readonly isBulky: boolean;
}

function sending(dice: Dice, { span, clients, file, isBulky }: Sending): TimedDeed[] {
  const from = dice.below(clients);
  const to = dice.happens(0.3) ? "group" : dice.below(clients);
  const size =
    isBulky && file === 0 ? 2_097_000 + dice.below(2_400_000) : dice.below(dice.pick([1, 300, 9_000]));
  const at = dice.between(0, span / 2);
  const deeds: TimedDeed[] = [{ at, do: "send", from, to, size, file }];
  if (dice.happens(0.06)) deeds.push({ at: at + dice.between(0, span / 2), do: "withdraw", file });
  if (dice.happens(0.05)) deeds.push({ at: 0, do: "refuse", file });
  if (dice.happens(0.06)) deeds.push({ at: at + dice.between(0, 4_000), do: "change-source", file });
  return deeds;
}

interface Stage extends MediaSize {
  readonly span: number;
  readonly files: number;
}

function fault(dice: Dice, { span, nodes, clients }: Stage): MediaDeed {
  const roll = dice.below(100);
  const ms = dice.happens(0.5) ? dice.between(10, 2_000) : dice.between(500, span);
  // One account more devices than accounts: the first has two from the beginning.
  const device = dice.below(clients + 2);
  if (roll < 22)
    return { do: "crash-client", device, ms, when: dice.pick<ClientCrash>(["now", "lost", "durable"]) };
  if (roll < 44) return { do: "crash-node", node: dice.below(nodes), ms, steps: dice.below(8) };
  if (roll < 50) return { do: "offline", device, ms };
  if (roll < 70) {
    const fate = dice.pick<RequestFate>(["lost", "unanswered", "twice", "late", "cut"]);
    return { do: "trouble", fate, often: dice.pick([0.1, 0.4, 0.9]), ms };
  }
  if (roll < 80) {
    const fate = dice.pick<CallFate>(["fails", "fails-executed", "slow"]);
    return { do: "store-trouble", fate, often: dice.pick([0.1, 0.5, 1]), ms };
  }
  if (roll < 86) return { do: "failover" };
  if (roll < 94) return { do: "add-device", account: dice.below(clients) };
  return { do: "remove-device", device: 1 + dice.below(clients + 1) };
}

/** What random faults meet seldom: what falls between two particular steps. */
function aimed(dice: Dice, deeds: readonly TimedDeed[], { nodes, clients }: Stage): TimedDeed[] {
  const sent = deeds.find((deed) => deed.do === "send");
  if (sent?.do !== "send") return [];
  const roll = dice.below(3);
  if (roll === 0) return takenBack(dice, sent, nodes);
  return roll === 1 ? unheardReleases(dice, sent, clients) : rewritten(dice, sent);
}

/** An upload is taken back while a part is on its way, and devices and nodes end then. */
function takenBack(dice: Dice, { at, file, from }: Sent, nodes: number): TimedDeed[] {
  const then = at + dice.between(200, 2_000);
  const aims: TimedDeed[] = [{ at: then, do: "withdraw", file }];
  aims.push({
    at: at + dice.between(0, 1_200),
    do: "store-trouble",
    fate: "slow",
    often: dice.pick([0.2, 0.5]),
    ms: 600,
  });
  if (dice.happens(0.5)) {
    aims.push({ at: then, do: "trouble", fate: "unheard", often: 1, ms: 6_000 });
    aims.push({
      at: then + dice.between(100, 5_000),
      do: "crash-client",
      device: from,
      ms: 2_000,
      when: "now",
    });
  }
  const crash = then + dice.between(0, 4_000);
  if (dice.happens(0.7))
    for (let node = 0; node < nodes; node++)
      aims.push({ at: crash, do: "crash-node", node, ms: 500, steps: 0 });
  return aims;
}

/** Devices end while the relay cannot hear that they have the file. */
function unheardReleases(dice: Dice, { at }: Sent, clients: number): TimedDeed[] {
  const aims: TimedDeed[] = [{ at, do: "trouble", fate: "unheard", often: 1, ms: 40_000 }];
  for (let device = 0; device <= clients; device++)
    aims.push({ at: at + dice.between(2_000, 25_000), do: "crash-client", device, ms: 3_000, when: "now" });
  return aims;
}

/** A device ends while a part is on its way, and goes on from a file that has changed. */
function rewritten(dice: Dice, { at, file, from }: Sent): TimedDeed[] {
  const crash = at + dice.between(100, 1_500);
  return [
    { at, do: "trouble", fate: dice.pick(["lost", "unanswered", "cut"]), often: 0.3, ms: 3_000 },
    { at: crash, do: "change-source", file },
    { at: crash, do: "crash-client", device: from, ms: 1_000, when: "now" },
  ];
}

type Sent = TimedDeed & { readonly do: "send" };
