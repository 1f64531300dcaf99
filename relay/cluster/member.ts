// A relay as a node: its id and lease, and its place among others where there are others. Always true: a node without a
// lease owns nothing; its links are the old id's, and end with it.
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Backend, NodeId, Owner } from "@lethe/queue";
import { noPeers, type Peers } from "../edge/peers.ts";
import type { Gateway } from "../edge/gateway.ts";
import type { NodeEvent } from "../delivery/types.ts";
import type { Links, Standing } from "../link/links.ts";
import { type OpenedLinks, openLinks } from "../link/open.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Settings } from "../settings.ts";
import { Cluster } from "./cluster.ts";
import { Lease } from "./lease.ts";
import { followWakes } from "./wakes.ts";

const NOBODY: Standing = { alive: 0, links: [] };

export interface MemberOptions {
  readonly backend: Backend;
  readonly settings: Settings;
  readonly log: Log;
}

/** What of the relay is there only once the member is. */
export interface Joined {
  readonly gateway: Gateway;
  readonly metrics: Metrics;
  readonly sessions: () => number;
}

export class Member {
  readonly peers: Peers;
  readonly #o: MemberOptions;
  readonly #lease: Lease;
  readonly #cluster: Cluster | undefined;
  #opened: OpenedLinks | undefined;
  #joined: Joined | undefined;
  #ended = false;

  constructor(options: MemberOptions) {
    this.#o = options;
    const { backend, settings } = options;
    const isCluster = settings.clusterSecret !== "";
    const instant = (): number => performance.now();
    this.#lease = new Lease({
      leases: backend.leases,
      address: () => this.#opened?.address ?? "",
      newId: () => randomBytes(16).toString("hex") as NodeId,
      instant,
      alone: !isCluster,
      lost: (next) => this.#lost(next),
      regained: (id) => this.#regained(id),
      failed: (error) => this.#failed(error, "the lease could not be renewed"),
    });
    this.#cluster = isCluster
      ? new Cluster({
          leases: backend.leases,
          instant,
          me: () => this.#lease.id,
          ended: (why) => this.#joined?.metrics.linkEnded(why),
          failed: (error) => this.#failed(error, "the living nodes could not be read"),
        })
      : undefined;
    this.peers = this.#cluster ?? noPeers((peer) => this.#step({ is: "link-down", peer }));
  }

  get id(): NodeId {
    return this.#lease.id;
  }

  /** Whether this node may own anything. */
  get holds(): boolean {
    return this.#lease.held;
  }

  standing(): Standing {
    return this.#cluster?.standing() ?? NOBODY;
  }

  /** `here`, the address of another node's link, or `gone`. @throws StoreFailedError */
  async nodeOf(owner: Owner): Promise<string> {
    if (owner.node === this.id) return "here";
    return (await this.#o.backend.leases.addresses()).get(owner.node) ?? "gone";
  }

  /** Takes the first lease, and its place among the others. @throws Error */
  async join(joined: Joined): Promise<void> {
    this.#joined = joined;
    if (this.#cluster !== undefined) this.#opened = await this.#openLinks(this.#cluster, joined);
    await this.#lease.take();
    this.#follow(this.#lease.id);
    if (this.#cluster === undefined || this.#opened === undefined) return;
    this.#meet(this.#cluster, this.#opened.links, joined);
    await this.#cluster.ask();
  }

  async #openLinks(cluster: Cluster, { sessions }: Joined): Promise<OpenedLinks> {
    const { settings, backend } = this.#o;
    const { linkHost: host, linkPort: port, linkCert, linkKey, linkCa } = settings;
    const tls =
      linkCert === "" ? undefined : { cert: await readFile(linkCert), key: await readFile(linkKey) };
    return openLinks({
      id: this.#lease.id,
      secret: settings.clusterSecret,
      address: settings.linkAddress,
      listen: { host, port, tls },
      ca: linkCa === "" ? undefined : await readFile(linkCa),
      port: cluster.port,
      addresses: () => backend.leases.addresses(),
      instant: () => performance.now(),
      now: () => Date.now(),
      sessions,
    });
  }

  #meet(cluster: Cluster, links: Links, { gateway }: Joined): void {
    cluster.join(links, {
      step: (event) => gateway.step(event),
      turn: () => gateway.turn(),
      changes: gateway.changes,
      presence: gateway.presence,
      present: () => gateway.present(),
    });
  }

  #step(event: NodeEvent): void {
    this.#joined?.gateway.step(event);
  }

  /** Time passes. */
  tick(): void {
    this.#lease.tick();
    this.#cluster?.tick();
  }

  #lost(next: NodeId): void {
    this.#o.log.warn(
      { code: "fenced" },
      "the lease was lost: every session is closed and the node takes a new id",
    );
    this.#step({ is: "fenced" });
    this.peers.flush();
    const links = this.#opened?.links;
    links?.rename({ ...links.self, id: next });
  }

  #regained(id: NodeId): void {
    this.#step({ is: "renamed", node: id });
    this.#step({ is: "leases", alive: new Set([id]) });
    this.#follow(id);
    this.#cluster?.ask().catch((error: unknown) => this.#failed(error, "the living nodes could not be read"));
  }

  #follow(id: NodeId): void {
    const { backend, log } = this.#o;
    void followWakes({
      mailbox: backend.mailbox,
      id,
      isCurrent: () => !this.#ended && id === this.#lease.id,
      woken: (addresses) => this.#step({ is: "wakes", addresses }),
      log,
    });
  }

  #failed(error: unknown, says: string): void {
    this.#o.log.warn({ code: "storage-failed", reason: String(error) }, says);
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#opened?.close();
    await this.#lease.end();
  }
}
