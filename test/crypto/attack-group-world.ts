// A world of attacks in which a group is: changes and messages in it, and what is said past a library's own deciding.
import type { AccountId } from "@lethe/protocol";
import { bodyOf } from "../../client-lib/content/content.ts";
import type { MessageId } from "../../client-lib/delivery/events.ts";
import type { KnownGroup } from "../../client-lib/groups/group-store.ts";
import type { Change } from "../../client-lib/groups/rows.ts";
import { encodeTelling } from "../../client-lib/groups/told.ts";
import { accessKey, type ChangedGroup, type GroupId, tellState } from "../../crypto/index.ts";
import { AttackWorld, type Side } from "./attack-world.ts";

export const NO_CHANGE: Omit<Change, "kind"> = { accounts: [], name: "", writers: "members" };

/** A world in which a group is. The first named has made it. */
export class GroupWorld extends AttackWorld {
  group: GroupId | "" = "";
  #asks = 0;

  found(name: string, ...members: string[]): this {
    const [first = "", ...rest] = members;
    for (const other of rest) this.befriend(first, other);
    const accounts = rest.map((other) => this.side(other).account);
    this.change(first, { kind: "add", accounts, name });
    this.group = [...this.side(first).core.view.groups()][0]?.id as GroupId;
    return this;
  }

  /** Without a group there is to be one. */
  change(who: string, change: Partial<Change> & Pick<Change, "kind">): string {
    const side = this.side(who);
    this.#asks += 1;
    const ask = this.#asks;
    const group = this.group === "" ? undefined : this.group;
    this.step(side, { event: "group-change", ask, group, change: { ...NO_CHANGE, ...change } });
    this.pass(3_000);
    return side.tellsOf("group-done").find((told) => told.ask === ask)?.code ?? "no answer";
  }

  tell(from: string, text: string, group = this.group as GroupId): MessageId {
    const message = text.padEnd(16, "\0").slice(0, 16) as MessageId;
    const body = bodyOf({ is: "text", text });
    this.step(this.side(from), { event: "group-send", message, group, body });
    this.pass(3_000);
    return message;
  }

  known(who: string): KnownGroup {
    return this.side(who).core.view.group(this.group as GroupId) as KnownGroup;
  }

  hash(who: string): string {
    return Buffer.from(this.known(who).view.state.hash).toString("hex");
  }

  /** The ciphertexts that somebody has uploaded for a group, one each. */
  uploads(from: string) {
    return this.frames.flatMap(({ from: who, frame }) =>
      who === from && frame.frame === "submit-group" ? [frame] : [],
    );
  }
}

export const texts = (side: Side): string[] =>
  side.texts.filter((text) => !text.startsWith("hello") && !text.startsWith("so,"));

export function stateTelling(by: Side, made: ChangedGroup, to: AccountId): Uint8Array {
  if (made.code !== "ok") throw new Error("no state");
  const told = tellState(made.state, made.sealKey, to);
  return encodeTelling({ kind: "state", accessKey: accessKey(by.keys.identity), name: by.user, told });
}

/** A control message past the library's own deciding. */
export function sendControl(world: AttackWorld, from: string, to: string, told: Uint8Array, name = ""): void {
  const side = world.side(from);
  const id = `forged ${name}`.padEnd(16, ".") as never;
  const sealed = side.cipher.sealControl({
    to: world.deviceOf(to),
    id,
    control: { kind: "group", told },
    now: world.now,
  });
  if (sealed.ciphertext === undefined) throw new Error(sealed.code);
  side.write(sealed.writes);
  world.inject(world.side(to), id, sealed.ciphertext, "pairwise");
}
