// What people said, and what became of each message: told of it by senders and recipients alike. Always true: a sender's
// word about the end of a message does not change, unless its store went back.
import { accountOf, type DeviceAddress } from "@lethe/protocol";
import type { MessageId } from "../../client-lib/delivery/events.ts";
import { orderKey } from "../../client-lib/delivery/rows.ts";
import type { SimClient } from "./client.ts";
import type { Said } from "./diary.ts";
import { BrokenPromise, type Letter } from "./ledger.ts";
import { indexOf, personAt, type Plain } from "./people.ts";
import type { Timed } from "./plan.ts";
import type { World } from "./world.ts";

export type End = "sent" | "expired" | "refused";

export class Talk {
  readonly #world: World;
  readonly #said = new Map<MessageId, Said>();
  /** Entries of inboxes, by client and row. */
  readonly #entries = new Map<string, Said>();

  constructor(world: World) {
    this.#world = world;
  }

  say(client: SimClient, deed: Timed & { do: "say" }): void {
    const { from, to, number } = deed;
    const label = `${personAt(from)[0]}→${personAt(to)[0]}${number}`;
    const message = `say ${number}`.padEnd(16, ".") as MessageId;
    this.#said.set(message, {
      message,
      label,
      from,
      to,
      queued: false,
      end: undefined,
      endCode: undefined,
      place: undefined,
      forgotten: false,
      handed: false,
      settled: false,
    });
    this.#world.note(client.name, `says ${label}`, false);
    client.say(message, deed);
  }

  find(message: MessageId): Said | undefined {
    return this.#said.get(message);
  }

  of(message: MessageId): Said {
    const said = this.#said.get(message);
    if (said === undefined)
      throw new BrokenPromise("what was sealed is what arrives", "a message that nobody said");
    return said;
  }

  queued(message: MessageId): void {
    this.of(message).queued = true;
  }

  /** The sender's word about a message. */
  ended(message: MessageId, end: End, code?: string): void {
    const said = this.of(message);
    if (said.end !== undefined && said.end !== end && this.#world.isJudged(said.from))
      throw new BrokenPromise("nothing is stuck", `${said.label} is ${end} after it was ${said.end}`);
    said.end = end;
    said.endCode = code;
    const why = code === undefined ? "" : ` (${code})`;
    this.#world.note(personAt(said.from), `${said.label} ${end}${why}`, end !== "sent");
  }

  /** A sender's process ended: what was not kept yet is gone. Its store went back: so may be what was. */
  forget(client: number, which: "not kept" | "all"): void {
    for (const said of this.#said.values())
      if (said.from === client && said.end === undefined && (which === "all" || !said.queued))
        said.forgotten = true;
  }

  handed(client: number, entry: number, said: Said): void {
    this.#entries.set(`${client}/${orderKey(entry)}`, said);
  }

  /** The row of an entry is gone, durably. */
  settled(client: number, key: string): void {
    const said = this.#entries.get(`${client}/${key}`);
    if (said?.handed === true) said.settled = true;
  }

  labelOf(plain: Plain | undefined): string {
    if (plain === undefined) return "?";
    const said = this.#said.get(plain.message);
    if (said !== undefined) return said.label;
    return `${initial(plain.from)}→${initial(plain.to)} ${plain.content.kind}`;
  }

  /** The first message that is not where it has to end up, in words. */
  unrest(): string | undefined {
    for (const said of this.#said.values()) {
      const waits = this.#waitsFor(said);
      if (waits !== undefined) return waits;
    }
    return undefined;
  }

  #waitsFor(said: Said): string | undefined {
    const sender = this.#world.client(said.from);
    if (said.forgotten || sender?.stopped !== undefined) return undefined;
    said.end ??= sender?.endOf(said.message);
    if (said.end === undefined) return `${said.label} has no end at its sender`;
    if (said.end !== "sent" || said.handed || this.#mayBeMissing(said)) return undefined;
    return `${said.label} was sent, and never handed over`;
  }

  /** It expired, its device was removed, or its device forgot what it had. */
  #mayBeMissing(said: Said): boolean {
    const letter = this.#letterOf(said);
    if (letter === undefined || letter.expired || letter.expiry <= this.#world.storeNow) return true;
    if (this.#world.isGone(accountOf(letter.to))) return true;
    return this.#world.client(said.to)?.diary.restored === true && letter.durable;
  }

  #letterOf(said: Said): Letter | undefined {
    for (const letter of this.#world.ledger.letters.values()) if (letter.label === said.label) return letter;
    return undefined;
  }

  /** No message was given up without a reason. */
  endedWell(): void {
    for (const { end, endCode, to, label } of this.#said.values()) {
      if (end === "expired") this.#world.cover.count("expired at the sender");
      if (end !== "refused" || endCode === "expired") continue;
      const recipient = this.#world.client(to);
      if (recipient === undefined || !this.#world.isGone(accountOf(recipient.address)))
        throw new BrokenPromise("nothing is stuck", `${label} was refused: ${endCode}`);
    }
  }
}

function initial(address: DeviceAddress): string | undefined {
  return personAt(indexOf(address))[0];
}
