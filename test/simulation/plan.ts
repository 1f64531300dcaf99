// What a schedule is made of: the weather (how fast and how small everything is) and the deeds (what people do and what
// goes wrong, and when). Always true: a plan is data, drawn from its seed alone; any subset of its deeds is a plan too.
import { DELIVERY_LIMITS, type DeliveryLimits } from "../../relay/delivery/types.ts";
import { Dice, mix, type Pace } from "./chance.ts";
import type { StoreCaps } from "./store.ts";

export interface Weather {
  readonly network: Pace;
  readonly store: Pace;
  readonly disk: Pace;
  /** A node's store calls are executed in the order in which they were made. */
  readonly ordered: boolean;
  /** A replica follows the store, this far behind, ms; writes are answered once it has them. */
  readonly replica: number | undefined;
  readonly limits: DeliveryLimits;
  readonly caps: StoreCaps;
  /** How long the application takes for a message, ms. */
  readonly reading: number;
  /** Devices take what happens at one moment together. */
  readonly batched: boolean;
  /** Nothing goes wrong and nobody is slow: live mail must touch no store. */
  readonly quiet: boolean;
}

export type SocketKind = "device" | "anonymous";
export type Way = "up" | "down" | "both";
/** At once, or at the next commit: when it was sent, when it is durable and nobody knows, or just after that is known;
 *  or at the next gap: when it is durable and nobody knows, or when the application is told of it. */
export type CrashWhen = "now" | "sent" | "durable" | "confirmed" | "gap" | "gap-told";
export type Trouble = "slow" | "fails" | "fails-executed" | "twice" | "stalls";

export type Deed =
  | {
      readonly do: "say";
      readonly from: number;
      readonly to: number;
      readonly bytes: number;
      readonly ttl: number | undefined;
    }
  | { readonly do: "type"; readonly from: number; readonly to: number }
  | { readonly do: "leave"; readonly client: number; readonly ms: number }
  | { readonly do: "cut"; readonly client: number; readonly socket: SocketKind }
  | { readonly do: "silence"; readonly client: number; readonly socket: SocketKind; readonly way: Way }
  | { readonly do: "crash-client"; readonly client: number; readonly ms: number; readonly when: CrashWhen }
  | { readonly do: "restore-client"; readonly client: number; readonly ms: number; readonly from: number }
  | { readonly do: "slow-disk"; readonly client: number; readonly ms: number }
  | { readonly do: "fail-disk"; readonly client: number }
  | { readonly do: "client-clock"; readonly client: number; readonly by: number }
  | { readonly do: "crash-node"; readonly node: number; readonly ms: number }
  | { readonly do: "pause-node"; readonly node: number; readonly ms: number }
  | { readonly do: "close-node"; readonly node: number; readonly ms: number }
  | { readonly do: "lose-lease"; readonly node: number; readonly noticed: number }
  | { readonly do: "cut-link"; readonly a: number; readonly b: number }
  | {
      readonly do: "silence-link";
      readonly a: number;
      readonly b: number;
      readonly way: Way;
      readonly ms: number;
    }
  | {
      readonly do: "trouble";
      readonly node: number;
      readonly mode: Trouble;
      readonly often: number;
      readonly ms: number;
    }
  | { readonly do: "failover" }
  | { readonly do: "store-clock"; readonly by: number }
  | { readonly do: "retire"; readonly client: number };

/** A deed, its time in ms, and a number of its own that its chances come from. */
export type Timed = Deed & { readonly at: number; readonly number: number };

export interface Plan {
  readonly seed: number;
  readonly nodes: number;
  readonly clients: number;
  readonly weather: Weather;
  readonly deeds: readonly Timed[];
  /** Clients that take no part: left out when a failing plan is made smaller. */
  readonly absent?: readonly number[];
  /** When the last fault is over, ms. */
  readonly calmAt: number;
}

export interface Size {
  readonly nodes: number;
  readonly clients: number;
}

const NETWORKS: readonly Pace[] = [
  { usual: 2, rare: 0, often: 0 },
  { usual: 5, rare: 400, often: 0.03 },
  { usual: 20, rare: 2_000, often: 0.04 },
  { usual: 80, rare: 6_000, often: 0.03 },
];
const STORES: readonly Pace[] = [
  { usual: 1, rare: 0, often: 0 },
  { usual: 3, rare: 400, often: 0.04 },
  { usual: 25, rare: 3_000, often: 0.04 },
];
const DISKS: readonly Pace[] = [
  { usual: 1, rare: 0, often: 0 },
  { usual: 5, rare: 600, often: 0.05 },
  { usual: 10, rare: 5_000, often: 0.05 },
];

const ROOMY: StoreCaps = { envelopes: 1_000, bytes: 1_000_000 };
/** A replica this far behind, ms, forgets a whole exchange between a relay and a device. */
const LONG_LAG = 1_000;

export function planOf(seed: number, { nodes, clients }: Size): Plan {
  const dice = new Dice(mix(seed, 1));
  const quiet = dice.happens(0.04);
  // Drawn apart: what is decided here moves nothing else.
  const batched = new Dice(mix(seed, 4)).happens(0.6);
  const drawn = { ...(quiet ? quietWeather(dice) : stormy(dice)), batched };
  const aims = drawn.replica === LONG_LAG && new Dice(mix(seed, 7)).happens(0.8);
  const weather = aims ? clear(drawn) : drawn;
  const span = dice.between(1_500, 9_000);
  const favourite = dice.below(clients);
  const deeds: (Deed & { at: number })[] = [];
  if (!aims) sayThings(dice, deeds, { span, clients, favourite, quiet });
  const stage = { span, clients, favourite, nodes };
  if (aims) slowReplica(new Dice(mix(seed, 8)), deeds, stage);
  else if (!quiet) {
    faults(dice, deeds, stage);
    missing(new Dice(mix(seed, 6)), deeds, { span, clients, favourite, quiet });
    if (weather.replica !== undefined) failovers(new Dice(mix(seed, 5)), deeds, span);
  }
  deeds.sort((a, b) => a.at - b.at);
  const timed = deeds.map((deed, i) => ({ ...deed, number: i + 1 }));
  return { seed, nodes, clients, weather, deeds: timed, calmAt: span + 3_000 };
}

function quietWeather(dice: Dice): Omit<Weather, "batched"> {
  const slowly = dice.pick([1, 5, 20]);
  const pace = { usual: slowly, rare: 0, often: 0 };
  return {
    network: pace,
    store: pace,
    disk: pace,
    ordered: true,
    replica: undefined,
    limits: DELIVERY_LIMITS,
    caps: ROOMY,
    reading: 10,
    quiet: true,
  };
}

function stormy(dice: Dice): Omit<Weather, "batched"> {
  return {
    network: dice.pick(NETWORKS),
    store: dice.pick(STORES),
    disk: dice.pick(DISKS),
    ordered: dice.happens(0.5),
    replica: dice.happens(0.2) ? dice.pick([5, 100, LONG_LAG]) : undefined,
    limits: limitsOf(dice),
    caps: {
      envelopes: dice.pick([1_000, 1_000, 1_000, 3, 6]),
      bytes: dice.pick([1_000_000, 1_000_000, 600]),
    },
    reading: dice.pick([1, 50, 2_000]),
    quiet: false,
  };
}

/** Nothing is slow by itself and no cap is near: what is aimed at falls where it should. */
function clear(weather: Weather): Weather {
  const [network, store, disk] = [NETWORKS[0], STORES[0], DISKS[0]];
  if (network === undefined || store === undefined || disk === undefined) return weather;
  return { ...weather, network, store, disk, limits: DELIVERY_LIMITS, caps: ROOMY };
}

function limitsOf(dice: Dice): DeliveryLimits {
  return {
    ...DELIVERY_LIMITS,
    flowEnvelopes: dice.pick([4_096, 4_096, 4_096, 1, 2]),
    flowBytes: dice.pick([1_000_000, 1_000_000, 1_000_000, 210]),
    nodeBytes: dice.pick([1_000_000, 1_000_000, 1_000_000, 260]),
    pushEnvelopes: dice.pick([64, 64, 2, 4]),
    pushBytes: dice.pick([262_144, 262_144, 300]),
    liveStart: dice.pick([2_000, 2_000, 2_000, 400, 0]),
    liveMin: dice.pick([400, 20]),
    offerTimeout: dice.pick([12_000, 12_000, 2_500]),
  };
}

interface Scene {
  readonly span: number;
  readonly clients: number;
  readonly favourite: number;
  readonly quiet: boolean;
}

// Most mail goes to one or two devices: what can go wrong goes wrong between two messages of one mailbox.
function sayThings(
  dice: Dice,
  deeds: (Deed & { at: number })[],
  { span, clients, favourite, quiet }: Scene,
): void {
  const messages = 3 + dice.below(10);
  let at = quiet ? 3_000 : 0;
  let pair = pairOf(dice, clients, favourite);
  for (let i = 0; i < messages; i++) {
    // Bursts: the next message often comes at once, and then mostly from the same to the same.
    const burst = dice.happens(0.6);
    at += burst ? dice.between(0, 30) : dice.between(0, (2.5 * span) / messages);
    if (!burst || dice.happens(0.3)) pair = pairOf(dice, clients, favourite);
    const { from, to } = pair;
    const ttl = !quiet && dice.happens(0.08) ? Math.floor(dice.between(200, 20_000)) : undefined;
    const bytes = dice.happens(0.1) ? 200 : 10 + dice.below(30);
    deeds.push(
      at < span || quiet
        ? { at, do: "say", from, to, bytes, ttl }
        : { at: at % span, do: "say", from, to, bytes, ttl },
    );
    if (dice.happens(0.05)) deeds.push({ at: at % span, do: "type", from, to });
  }
}

function pairOf(dice: Dice, clients: number, favourite: number): { from: number; to: number } {
  const to = dice.happens(0.7) ? favourite : dice.below(clients);
  return { to, from: (to + 1 + dice.below(clients - 1)) % clients };
}

interface Stage {
  readonly span: number;
  readonly clients: number;
  readonly favourite: number;
  readonly nodes: number;
}

function faults(dice: Dice, deeds: (Deed & { at: number })[], stage: Stage): void {
  const count = 1 + dice.below(8);
  for (let i = 0; i < count; i++) {
    const client = dice.happens(0.5) ? stage.favourite : dice.below(stage.clients);
    deeds.push({ at: dice.between(0, stage.span), ...oneFault(dice, stage, client) });
  }
  for (let client = 0; client < stage.clients; client++)
    if (dice.happens(0.2)) deeds.push({ at: 0, do: "leave", client, ms: dice.between(200, stage.span) });
}

// Somebody is away while a message expires between two others, and may crash where the gap is given up or told.
function missing(dice: Dice, deeds: (Deed & { at: number })[], { span, clients, favourite }: Scene): void {
  if (!dice.happens(0.05)) return;
  const { from, to } = pairOf(dice, clients, favourite);
  const at = dice.between(500, span / 2);
  const away = dice.between(1_500, span);
  deeds.push({ at: at - 100, do: "leave", client: to, ms: away });
  for (const ttl of [undefined, Math.floor(dice.between(100, 1_000)), undefined])
    deeds.push({ at: at + dice.between(0, 1), do: "say", from, to, bytes: 20, ttl });
  if (dice.happens(0.7))
    deeds.push({
      at: span,
      do: "crash-client",
      client: to,
      ms: dice.between(10, 1_000),
      when: dice.pick<CrashWhen>(["gap", "gap-told"]),
    });
}

// A failover harms most where something has just been stored.
function failovers(dice: Dice, deeds: (Deed & { at: number })[], span: number): void {
  const said = deeds.filter((deed) => deed.do === "say");
  for (let i = 1 + dice.below(3); i > 0; i--) {
    const at = dice.pick(said).at + dice.between(0, dice.pick([300, 3_000]));
    deeds.push({ at: Math.min(at, span), do: "failover" });
  }
}

// Where answers of the store wait for a slow replica, what is to fall between two particular steps is aimed at.
function slowReplica(dice: Dice, deeds: (Deed & { at: number })[], stage: Stage): void {
  const at = dice.between(2_300, Math.max(2_400, 0.7 * stage.span));
  if (dice.happens(0.85)) placeGivenTwice(dice, deeds, stage, at);
  else crashBeforeWake(dice, deeds, stage, at);
}

/** All links break: what was offered over them is appended by its accepting nodes some 600 ms later. */
function cutAllLinks(deeds: (Deed & { at: number })[], nodes: number, at: number): void {
  for (let node = 0; node < nodes; node++) deeds.push({ at, do: "cut-link", a: node, b: (node + 1) % nodes });
}

/** What the so manieth of the others says to the favourite. */
function sayToFavourite({ clients, favourite }: Stage, at: number, other: number): Deed & { at: number } {
  const from = (favourite + 1 + (other % (clients - 1))) % clients;
  return { at, do: "say", from, to: favourite, bytes: 20, ttl: undefined };
}

// Two failovers. The first makes the owner read its mailbox anew: it finds mail that an accepting node has just appended
// and that the replica does not have. The device acknowledges it, and the second failover forgets both the mail and its
// removal: its place is given to the next before the removal is tried again.
function placeGivenTwice(dice: Dice, deeds: (Deed & { at: number })[], stage: Stage, at: number): void {
  const { favourite, nodes, clients } = stage;
  const acknowledged = at + dice.between(1_000, 1_600);
  const forgets = acknowledged + dice.between(10, 450);
  const next = at + dice.between(50, 1_500);
  // From two senders: mail of one node for one device keeps its order, and would not take the other's place.
  const first = dice.below(clients - 1);
  deeds.push(sayToFavourite(stage, at, first), sayToFavourite(stage, next, first + 1));
  deeds.push({ at, do: "slow-disk", client: favourite, ms: acknowledged - at });
  deeds.push({ at: acknowledged, do: "slow-disk", client: favourite, ms: 3_000 });
  deeds.push({ at: at + dice.between(400, 700), do: "failover" }, { at: forgets, do: "failover" });
  cutAllLinks(deeds, nodes, at + dice.between(30, 100));
  cutAllLinks(deeds, nodes, Math.max(next + 30, forgets - dice.between(50, 600)));
}

// An accepting node appends past an owner that it lost sight of, and is gone before it has woken it.
function crashBeforeWake(dice: Dice, deeds: (Deed & { at: number })[], stage: Stage, at: number): void {
  const { favourite, nodes, clients } = stage;
  deeds.push({ at, do: "slow-disk", client: favourite, ms: dice.between(100, 1_000) });
  deeds.push(sayToFavourite(stage, at, dice.below(clients - 1)));
  cutAllLinks(deeds, nodes, at + dice.between(30, 100));
  const crash = at + dice.between(700, 1_600);
  deeds.push({ at: crash, do: "crash-node", node: dice.below(nodes), ms: dice.between(100, 2_000) });
}

function oneFault(dice: Dice, { span, nodes }: Stage, client: number): Deed {
  const node = dice.below(nodes);
  const socket = dice.pick<SocketKind>(["device", "device", "anonymous"]);
  const ms = dice.happens(0.5) ? dice.between(10, 1_000) : dice.between(500, span);
  const way = dice.pick<Way>(["up", "down", "both"]);
  const roll = dice.below(100);
  if (roll < 20) return { do: "cut", client, socket };
  if (roll < 28) return { do: "silence", client, socket, way };
  if (roll < 36) return { do: "leave", client, ms };
  if (roll < 44)
    return {
      do: "crash-client",
      client,
      ms,
      when: dice.pick<CrashWhen>(["now", "sent", "durable", "confirmed"]),
    };
  if (roll < 46) return { do: "restore-client", client, ms, from: dice.between(0, span) };
  if (roll < 49) return { do: "slow-disk", client, ms };
  if (roll < 50) return { do: "fail-disk", client };
  if (roll < 52)
    return { do: "client-clock", client, by: dice.pick([-86_400_000, -3_600_000, -5_000, 5_000, 3_600_000]) };
  if (roll < 59) return { do: "crash-node", node, ms };
  if (roll < 61) return { do: "pause-node", node, ms: dice.happens(0.5) ? ms : dice.between(8_000, 14_000) };
  if (roll < 64) return { do: "close-node", node, ms };
  if (roll < 70) return { do: "lose-lease", node, noticed: dice.between(0, 6_000) };
  if (roll < 77) return { do: "cut-link", a: node, b: (node + 1) % nodes };
  if (roll < 82)
    return { do: "silence-link", a: node, b: (node + 1) % nodes, way, ms: dice.between(500, 15_000) };
  if (roll < 97) return troubleOf(dice, node, ms);
  if (roll < 99) return { do: "store-clock", by: dice.pick([-2_000, 2_000, 30_000]) };
  return { do: "retire", client };
}

function troubleOf(dice: Dice, node: number, ms: number): Deed {
  const mode = dice.pick<Trouble>(["slow", "fails", "fails-executed", "twice", "stalls"]);
  return { do: "trouble", node, mode, often: dice.pick([0.2, 0.5, 1]), ms };
}

/** The same weather for envelopes that are so much larger. */
export function forBulk(weather: Weather, bulk: number): Weather {
  const { limits, caps } = weather;
  const grow = (bytes: number): number => bytes * bulk;
  return {
    ...weather,
    caps: { ...caps, bytes: grow(caps.bytes) },
    limits: {
      ...limits,
      flowBytes: grow(limits.flowBytes),
      nodeBytes: grow(limits.nodeBytes),
      pushBytes: grow(limits.pushBytes),
    },
  };
}
