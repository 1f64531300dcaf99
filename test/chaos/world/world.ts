// Everything that a run strikes at: relays, their store, the links, the people. Always true: what is being struck at is
// taken, so that two faults of one round never meet on the same thing; disposing of it ends all that was started.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Chance } from "../../support/chance.ts";
import { People } from "../../support/crowd/people.ts";
import { contentsOf } from "../../support/folder.ts";
import { aQuietPort } from "../../support/ports.ts";
import { aSmallDisk } from "../../support/small-disk.ts";
import type { LinkHandle } from "../proxy/shape.ts";
import { fakedClock } from "./clock.ts";
import { RelayNode } from "./node.ts";
import { embeddedPlace, FillableDisk, type Place, redisPlace } from "./place.ts";
import { ProxyProcess } from "./proxy-process.ts";

/** Silence after which an end of a connection is given up, ms: shorter than the relay's default, so that runs see it. */
const PING_MS = 5_000;
/** Everybody is at one address, and members of a group meet there all at once: what one address may ask is for thousands. */
const ONE_ADDRESS = ["--prekey-fetches", "1000"];
/** Between two collections of files that have ended. */
const COLLECT_S = 1;
const DISK_MB = { embedded: 192, redis: 2_048 } as const;
const CLUSTER_SECRET = "a secret that only the relays of this run know";
const RECEIPT_JITTER_MS = 3_000;

export interface WorldOptions {
  /** For histories and clocks: it is left behind. */
  readonly folder: string;
  readonly storeFolder: string;
  readonly chance: Chance;
  readonly seed: number;
  readonly nodes: number;
  readonly store: "embedded" | "redis";
  readonly people: number;
  readonly processes: number;
  readonly groups: number;
  /** Beside one in so many messages a file is sent; 0: none are. */
  readonly fileOneIn: number;
  /** The wall clocks of relays and store can be moved. */
  readonly clocks: boolean;
  /** The store's disk can be full. */
  readonly smallDisk: boolean;
  /** A rule of delivery that the relays leave out. */
  readonly ruleOff: string | undefined;
}

/** Links by what they are between. */
export interface Links {
  /** From a person to a node, one for each two. */
  readonly people: readonly LinkHandle[];
  /** From a node to the store. */
  readonly store: readonly LinkHandle[];
  /** To a node from the others. */
  readonly nodes: readonly LinkHandle[];
}

export class World implements AsyncDisposable {
  readonly nodes: readonly RelayNode[];
  readonly place: Place;
  readonly people: People;
  readonly links: Links;
  /** What could not be had here, and why. */
  readonly lacks: readonly string[];
  readonly #proxy: ProxyProcess;
  readonly #taken = new Set<string>();

  private constructor(parts: {
    nodes: readonly RelayNode[];
    place: Place;
    people: People;
    links: Links;
    lacks: readonly string[];
    proxy: ProxyProcess;
  }) {
    this.nodes = parts.nodes;
    this.place = parts.place;
    this.people = parts.people;
    this.links = parts.links;
    this.lacks = parts.lacks;
    this.#proxy = parts.proxy;
  }

  /** All relays listen, everybody is registered. */
  static async build(options: WorldOptions): Promise<World> {
    const { folder, chance, seed } = options;
    const lacks: string[] = [];
    const proxy = await ProxyProcess.start(seed);
    const clock = options.clocks ? fakedClock() : undefined;
    if (typeof clock === "string") lacks.push(clock);
    const place = await aPlace(options, lacks);
    const links = { people: [] as LinkHandle[], store: [] as LinkHandle[], nodes: [] as LinkHandle[] };
    const nodes: RelayNode[] = [];
    for (let i = 1; i <= options.nodes; i++) {
      const name = `relay-${i}`;
      const clockFile = typeof clock === "object" ? join(folder, `${name}.clock`) : undefined;
      if (clockFile !== undefined) await writeFile(clockFile, "+0s\n");
      nodes.push(
        new RelayNode({
          name,
          data: join(place.kind === "embedded" ? place.folder : options.storeFolder, name),
          port: await aQuietPort(chance),
          flags: [
            "--ping",
            String(PING_MS),
            ...ONE_ADDRESS,
            ...mediaFlags(options),
            ...(await clusterFlags(name, { place, proxy, chance, links })),
          ],
          env: {
            ...(typeof clock === "object" && clockFile !== undefined ? clock.env(clockFile) : {}),
            ...(options.ruleOff === undefined ? {} : { LETHE_RULE_OFF: options.ruleOff }),
          },
          clock: clockFile,
        }),
      );
    }
    const ways = new Map<string, LinkHandle[]>();
    for (let at = 0; at < options.people; at++) {
      const name = `person-${at}`;
      const own: LinkHandle[] = [];
      for (const node of nodes) own.push(await proxy.open(`${name}>${node.name}`, { target: node.port }));
      ways.set(name, own);
      links.people.push(...own);
    }
    const people = new People({
      folder: join(folder, "people"),
      people: options.people,
      processes: options.processes,
      peers: Math.min(5, options.people - 1),
      chance,
      groups: options.groups,
      fileOneIn: options.fileOneIn,
      wire: true,
      receiptJitterMs: RECEIPT_JITTER_MS,
      patienceMs: 180_000,
      relays: (name, at) => turned(ways.get(name) ?? [], at).map(({ port }) => `http://127.0.0.1:${port}`),
    });
    const world = new World({ nodes, place, people, links, lacks, proxy });
    await Promise.all(nodes.map((node) => node.start()));
    await people.start();
    return world;
  }

  /** One of the things that nobody has taken yet, taken until the round is over. */
  take<T>(things: readonly T[], nameOf: (thing: T) => string, chance: Chance): T | undefined {
    const free = things.filter((thing) => !this.#taken.has(nameOf(thing)));
    if (free.length === 0) return undefined;
    const found = chance.pick(free);
    this.#taken.add(nameOf(found));
    return found;
  }

  roundOver(): void {
    this.#taken.clear();
  }

  /** Whatever fell over by itself stands again: the verdict has it from the counts of ends. */
  async mend(): Promise<void> {
    await this.place.redis?.mend();
    await Promise.all(this.nodes.filter((node) => !node.isRunning).map((node) => node.start()));
  }

  /** Whether this machine can have a fault of this name. */
  can(fault: string): boolean {
    if (fault === "disk-full") return this.place.disk !== undefined;
    if (fault === "relay-clock") return this.nodes.every(({ hasClock }) => hasClock);
    return true;
  }

  /** Envelopes in all mailboxes. */
  async held(): Promise<number> {
    return this.place.held(this.nodes);
  }

  /** Parts of files that relays have, by their paths. */
  async filesLeft(): Promise<readonly string[]> {
    const found = await Promise.all(this.nodes.map(({ data }) => contentsOf(join(data, "media"))));
    return found.flat().map(({ path }) => path);
  }

  /** Ends of processes that nobody asked for. */
  get ends(): readonly string[] {
    return [...this.nodes.flatMap(({ ends }) => ends), ...(this.place.redis?.ends ?? [])];
  }

  /** Named points at which relays ended themselves. */
  get crashes(): number {
    return this.nodes.reduce((sum, node) => sum + node.crashes, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.people[Symbol.asyncDispose]();
    await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()));
    await this.#proxy[Symbol.asyncDispose]();
    await this.place[Symbol.asyncDispose]();
  }
}

async function aPlace({ storeFolder, smallDisk, store }: WorldOptions, lacks: string[]): Promise<Place> {
  const disk = smallDisk ? await aSmallDisk(DISK_MB[store]) : undefined;
  if (typeof disk === "string") lacks.push(disk);
  const fillable = typeof disk === "object" ? new FillableDisk(disk) : undefined;
  if (store === "embedded") return embeddedPlace(storeFolder, fillable);
  return redisPlace(join(storeFolder, "redis"), fillable);
}

/** Several relays on one store share no folder. */
function mediaFlags({ nodes, fileOneIn }: WorldOptions): readonly string[] {
  if (nodes > 1 || fileOneIn === 0) return ["--media", "off"];
  return ["--media", "files", "--media-collect", String(COLLECT_S)];
}

interface Among {
  readonly place: Place;
  readonly proxy: ProxyProcess;
  readonly chance: Chance;
  readonly links: { readonly store: LinkHandle[]; readonly nodes: LinkHandle[] };
}

/** What a relay needs to be one of several: both its ways, to the store and from the others, lead through the proxy. */
async function clusterFlags(
  name: string,
  { place, proxy, chance, links }: Among,
): Promise<readonly string[]> {
  if (place.redis === undefined) return [];
  const port = await aQuietPort(chance);
  const toStore = await proxy.open(`${name}>redis`, { target: place.redis.port });
  const toNode = await proxy.open(`others>${name}`, { target: port });
  links.store.push(toStore);
  links.nodes.push(toNode);
  return [
    ...["--store", `redis://127.0.0.1:${toStore.port}`],
    ...["--link-port", String(port), "--link-address", `ws://127.0.0.1:${toNode.port}`],
    ...["--cluster-secret", CLUSTER_SECRET],
  ];
}

/** Everybody begins with another relay. */
function turned<T>(items: readonly T[], by: number): T[] {
  const at = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}
