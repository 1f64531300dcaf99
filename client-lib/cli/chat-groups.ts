// Groups in the chat: `/group NAME USER…` makes one, `/to #NAME` writes to it, and what an admin does with it. Always true: a group is
// called by its name with # before it, and by the first digits of its id as well where two have the same name.
import type { Client } from "../client.ts";
import { ClientError } from "../errors.ts";
import type { Group } from "../groups/group-api.ts";

export interface ChatGroupsConfig {
  readonly client: Client;
  readonly note: (text: string) => void;
  /** Carried out after what was entered before. */
  readonly after: (what: () => Promise<void>) => void;
  /** One writes to this group from now on. */
  readonly turnTo: (tag: string) => void;
}

const HELP =
  "/group NAME USER…  /groups  /members  /invite USER…  /remove USER…  /promote USER  /rename NAME  /join #NAME  /leave";
const DIGITS = 6;

export class ChatGroups {
  readonly #config: ChatGroupsConfig;

  constructor(config: ChatGroupsConfig) {
    this.#config = config;
  }

  static get help(): string {
    return HELP;
  }

  /** How a group is called. */
  tag({ id, name }: Pick<Group, "id" | "name">): string {
    const word = `#${name.trim().replaceAll(/\s+/g, "_")}`;
    const same = this.#config.client.groups.list().filter((group) => group.name === name);
    return same.length > 1 ? `${word}~${id.slice(0, DIGITS)}` : word;
  }

  tagOf(id: string): string {
    return this.tag(this.#config.client.groups.get(id));
  }

  /** @throws ClientError unknown-group */
  find(tag: string): Group {
    const found = this.#config.client.groups.list().find((group) => this.tag(group) === tag);
    if (found === undefined) throw new ClientError("unknown-group", tag);
    return found;
  }

  typing(tag: string): void {
    this.#config.client.groups.typing(this.find(tag).id);
  }

  /** False: the command is none of these. `peer`: whom one writes to. */
  takes(name: string, words: readonly string[], peer: string | undefined): boolean {
    const { after } = this.#config;
    const { groups } = this.#config.client;
    const here = (): string => {
      if (peer?.startsWith("#") !== true) throw new Error("You are not in a group now.");
      return this.find(peer).id;
    };
    const [first = "", ...rest] = words;
    switch (name) {
      case "groups":
        after(() => this.#list());
        return true;
      case "group":
        if (first === "" || rest.length === 0) return false;
        after(() => this.#create(first, rest));
        return true;
      case "members":
        after(async () => this.#members(groups.get(here())));
        return true;
      case "invite":
        after(async () => this.#did(await groups.add(here(), words), `${words.join(", ")} invited`));
        return true;
      case "remove":
        after(async () => this.#did(await groups.remove(here(), words), `${words.join(", ")} removed`));
        return true;
      case "promote":
        after(async () => this.#did(await groups.promote(here(), first), `${first} is an admin`));
        return true;
      case "rename":
        after(async () => this.#turnTo(await groups.rename(here(), words.join(" "))));
        return true;
      case "leave":
        after(async () => this.#did(await groups.leave(first === "" ? here() : this.find(first).id), "left"));
        return true;
      case "join":
        if (first === "") return false;
        after(async () => this.#turnTo(await groups.join(this.find(first).id)));
        return true;
      default:
        return false;
    }
  }

  async #create(name: string, users: readonly string[]): Promise<void> {
    this.#turnTo(await this.#config.client.groups.create(name, users));
  }

  #turnTo(group: Group): void {
    this.#config.turnTo(this.tag(group));
  }

  #did(group: Group, what: string): void {
    this.#config.note(`${this.tag(group)}: ${what}.`);
  }

  #list(): Promise<void> {
    const all = this.#config.client.groups.list();
    if (all.length === 0) this.#config.note(`No groups. ${HELP}`);
    for (const group of all)
      this.#config.note(
        `${this.tag(group)}  ${group.members.length} members${group.standing === "joined" ? "" : `  (${group.standing})`}`,
      );
    return Promise.resolve();
  }

  #members(group: Group): void {
    for (const { user, role } of group.members)
      this.#config.note(`${this.tag(group)}  ${user}${role === "admin" ? "  (admin)" : ""}`);
  }
}
