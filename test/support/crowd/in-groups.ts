// The groups of one person of the crowd: made and changed by their admin, written to by whoever is in them. Always true: a
// note stands in the history before the library is asked, and another when it has answered; a group is known by its tag,
// so that a process that was killed finds what it had made.
import { type Client, ClientError, type Group, type ReceivedMedia, type SentToGroup } from "@lethe/client";
import type { Chance } from "../chance.ts";
import type { GroupChange, Line } from "./history.ts";
import { hashOf, saidIn, textOf } from "./texts.ts";

/** A group that a person is to make; the others are its contacts. */
export interface GroupPlan {
  readonly tag: string;
  readonly members: readonly string[];
}

/** Of the messages of an admin, one in so many has a change beside it. */
const CHANGE_ONE_IN = 12;
/** What is tried again: contacts and their keys are not known yet, or a relay is in trouble. */
const NOT_YET: readonly string[] = [
  "not-a-contact",
  "not-sealable",
  "relay-unreachable",
  "storage-failed",
  "storage-full",
  "not-ready",
];

export interface InGroupsParts {
  readonly client: Client;
  readonly chance: Chance;
  readonly plans: readonly GroupPlan[];
  readonly write: (line: Line) => void;
  readonly tell: (news: "sent" | "handed") => void;
  /** A message has brought a file. */
  readonly file: (id: string, media: ReceivedMedia) => void;
}

export class InGroups {
  readonly #parts: InGroupsParts;
  readonly #next: Map<string, number>;
  #isChanging = false;

  constructor(parts: InGroupsParts, history: readonly Line[]) {
    this.#parts = parts;
    this.#next = new Map(
      history.filter((line) => line.is === "group-sending").map(({ tag, seq }) => [tag, seq + 1]),
    );
    this.#listen();
  }

  #listen(): void {
    const { client, write, tell, file } = this.#parts;
    client.on("group-message", ({ id, account, late, group, media, text = "" }) => {
      if (media !== undefined) return file(id, media);
      const said = saidIn(text);
      const { tag } = namedIn(client.groups.get(group));
      if (said?.how !== "in" || said.to !== tag)
        return write({ is: "trouble", what: "a text that nobody sent to a group" });
      const { from, seq, hash } = said;
      write({ is: "group-handed", from, tag, seq, hash, id, account, late });
      tell("handed");
    });
    client.on("group-sent", ({ id }) => {
      write({ is: "group-sent", id });
      tell("sent");
    });
    client.on("group-receipt", ({ id, user, state }) => {
      if (state === "delivered") write({ is: "group-delivered", id, user });
    });
    client.on("group-refused", ({ group, id, code }) => {
      write({ is: "group-refused", tag: namedIn(client.groups.get(group)).tag, id, code });
    });
    client.on("group", async ({ group, how }) => {
      write({ is: "group", how, ...namedIn(group) });
      if (how === "invited") await client.groups.join(group.id);
    });
  }

  /** Where this person may write. */
  joined(): Group[] {
    return this.#parts.client.groups.list().filter(({ standing }) => standing === "joined");
  }

  /** Undefined: the library would not take it. */
  async say(group: Group, padding: string): Promise<SentToGroup | undefined> {
    const { client, write } = this.#parts;
    const { tag, number } = namedIn(group);
    const seq = this.#next.get(tag) ?? 0;
    this.#next.set(tag, seq + 1);
    const text = textOf({ from: client.user, how: "in", to: tag, seq }, padding);
    const members = group.members.map(({ account }) => account);
    write({ is: "group-sending", tag, seq, hash: hashOf(text), number, members });
    try {
      const message = await client.groups.queue(group.id, `${text} ${hashOf(text)}`);
      write({ is: "group-queued", tag, seq, id: message.id });
      return message;
    } catch (error) {
      write({ is: "group-not-queued", tag, seq, code: codeOf(error) });
      return undefined;
    }
  }

  /** Makes a group that is not there yet, or changes one, now and then. */
  tend(): void {
    const { plans, chance } = this.#parts;
    if (plans.length === 0 || this.#isChanging) return;
    this.#isChanging = true;
    void this.#tend(chance.pick(plans)).finally(() => {
      this.#isChanging = false;
    });
  }

  async #tend({ tag, members }: GroupPlan): Promise<void> {
    const { client, chance } = this.#parts;
    const { groups } = client;
    const group = groups.list().find((each) => namedIn(each).tag === tag);
    if (group === undefined) {
      const change = { tag, change: "create", users: members, number: 0 } as const;
      await this.#change(change, () => groups.create(`${tag} 0`, members));
      return;
    }
    if (!chance.oneIn(CHANGE_ONE_IN)) return;
    const { id } = group;
    const { number } = namedIn(group);
    const inside = members.filter((name) => group.members.some(({ user }) => user === name));
    const outside = members.filter((name) => !inside.includes(name));
    // Of three, two stay in.
    if (outside.length * 3 < members.length && chance.oneIn(2)) {
      const users = [chance.pick(inside)];
      await this.#change({ tag, change: "remove", users, number }, () => groups.remove(id, users));
      return;
    }
    if (outside.length > 0) {
      const users = [chance.pick(outside)];
      if (!(await this.#change({ tag, change: "add", users, number }, () => groups.add(id, users)))) return;
    }
    // A higher number says of whoever knows it that it knows what was changed before.
    const next = { tag, change: "rename", users: [], number: number + 1 } as const;
    await this.#change(next, () => groups.rename(id, `${tag} ${number + 1}`));
  }

  async #change(change: GroupChange, make: () => Promise<Group>): Promise<boolean> {
    const { write } = this.#parts;
    write({ is: "group-changing", ...change });
    try {
      await make();
      write({ is: "group-changed", ...change });
      return true;
    } catch (error) {
      const code = codeOf(error);
      write({ is: "group-unchanged", ...change, code });
      if (!NOT_YET.includes(code))
        write({ is: "trouble", what: `${change.change} of ${change.tag}: ${code}` });
      return false;
    }
  }
}

export function namedIn({ name }: Group): { tag: string; number: number } {
  const [tag = "", number = ""] = name.split(" ");
  return { tag, number: Number(number) };
}

function codeOf(error: unknown): string {
  return error instanceof ClientError ? error.code : String(error);
}
