// The fault proxy: links by name, in this process. Always true: the seed decides everything that chance decides here.
import { Chance } from "../../support/chance.ts";
import { Link } from "./link.ts";
import type { LinkPorts, ProxyHandle } from "./shape.ts";

export class FaultProxy implements ProxyHandle {
  readonly #links = new Map<string, Link>();
  readonly #chance: Chance;

  constructor(seed: number) {
    this.#chance = new Chance(seed);
  }

  async open(name: string, ports: LinkPorts): Promise<Link> {
    if (this.#links.has(name)) throw new Error(`there is a link called ${name}`);
    const link = await Link.open(name, ports, new Chance(this.#chance.u32()));
    this.#links.set(name, link);
    return link;
  }

  link(name: string): Link {
    const link = this.#links.get(name);
    if (link === undefined) throw new Error(`no link is called ${name}`);
    return link;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link[Symbol.asyncDispose]()));
    this.#links.clear();
  }
}
