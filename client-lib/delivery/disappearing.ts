// Messages that are to go by themselves: how long those of each conversation stay, and when each is over. Always true: a
// deadline is durable in the commit in which the message was found sent or read, and gone in the one that makes it an entry of
// the inbox, which comes until it is settled; of two timers of a conversation the one that was set later stands.
import { type AccountId, accountOf, type DeviceAddress, encode, joined } from "@lethe/protocol";
import type { GroupId } from "@lethe/crypto";
import { isMessage, type ReadBody, readBody, staysFor } from "../content/content.ts";
import type { Entry, MessageId, StoredRows, Where } from "./events.ts";
import type { Inbox } from "./inbox.ts";
import { MAX_CLOCK_AHEAD_MS, MAX_DISAPPEARED_IDS, MAX_DISAPPEARING, MAX_TIMERS } from "./limits.ts";
import type { NotedTimer } from "./own-notes.ts";
import {
  disappearBody,
  type DisappearRow,
  disappearRow,
  put,
  readTable,
  remove,
  type TimerRow,
  timerRow,
} from "./rows.ts";
import type { Turn } from "./turn.ts";

const NOWHERE = { conversation: undefined, group: undefined };
const NO_TIMER: TimerRow = { ms: 0, setAt: 0, by: "" as AccountId };

export class Disappearing {
  readonly #self: DeviceAddress;
  readonly #timers = new Map<string, TimerRow>();
  /** By author and id. Those that were not read, or sent, have no deadline. */
  readonly #rows = new Map<string, DisappearRow>();
  #nextAt: number;

  constructor(self: DeviceAddress, rows: StoredRows) {
    this.#self = self;
    for (const [key, row] of readTable(rows, "timer", timerRow)) this.#timers.set(key, row);
    const sorted = readTable(rows, "disappear", disappearRow).sort(([, a], [, b]) => a.since - b.since);
    for (const [key, row] of sorted) this.#rows.set(key, row);
    this.#nextAt = this.#firstDeadline();
  }

  timer(where: Where): Readonly<TimerRow> {
    return this.#timers.get(keyOf(where)) ?? NO_TIMER;
  }

  /** What this device says, as it is to be sealed: a message carries how long it stays. */
  goes(turn: Turn, where: Where, message: MessageId, body: Uint8Array): Uint8Array {
    const said = whole(body);
    const self = accountOf(this.#self);
    if (said?.kind?.is === "timer") this.set(turn, where, { ...said.kind, by: self });
    const { ms } = this.timer(where);
    if (ms === 0 || !isMessage(said?.kind)) return body;
    this.#keep(turn, self + message, { ...NOWHERE, ...where, ms, since: turn.now, at: 0 });
    return joined(body, staysFor(ms));
  }

  /** What has come, on its way to the application. False: it is a timer that changes nothing. */
  comes(turn: Turn, { content, from, message, sentAt }: Entry): boolean {
    if (!("body" in content)) return true;
    const author = accountOf(from);
    const where: Where =
      "group" in content
        ? { group: content.group }
        : { conversation: "conversation" in content ? content.conversation : author };
    const said = whole(content.body);
    if (said?.kind?.is === "timer") return this.set(turn, where, { ...said.kind, by: author });
    const ms = said?.disappearsMs ?? 0;
    if (ms === 0 || !isMessage(said?.kind)) return true;
    const at = author === accountOf(this.#self) ? Math.min(sentAt, turn.now) + ms : 0;
    this.#keep(turn, author + message, { ...NOWHERE, ...where, ms, since: turn.now, at });
    return true;
  }

  /** A person has read messages of an account, on whichever device: their time runs. */
  read(turn: Turn, author: AccountId, messages: readonly MessageId[]): void {
    for (const message of messages) {
      const row = this.#rows.get(author + message);
      if (row?.at === 0) this.#keep(turn, author + message, { ...row, at: turn.now + row.ms });
    }
  }

  /** The relay holds a message of this device's: its time runs. */
  sent(turn: Turn, message: MessageId): void {
    this.read(turn, accountOf(this.#self), [message]);
  }

  /** Of every conversation that has one. */
  timers(): NotedTimer[] {
    return [...this.#timers].map(([key, timer]) => ({ ...whereOf(key), timer }));
  }

  /** False: it changes nothing. A clock that is far ahead must not keep everybody else from ever setting a later one. */
  set(turn: Turn, where: Where, { ms, setAt, by }: TimerRow): boolean {
    const known = this.timer(where);
    const isLater = setAt !== known.setAt ? setAt > known.setAt : by > known.by && ms !== known.ms;
    if (!isLater || setAt > turn.now + MAX_CLOCK_AHEAD_MS) return false;
    const [key, row] = [keyOf(where), { ms, setAt, by }];
    this.#timers.delete(key);
    this.#timers.set(key, row);
    turn.stage(put("timer", key, timerRow, row));
    for (const oldest of this.#timers.keys()) {
      if (this.#timers.size <= MAX_TIMERS) break;
      this.#timers.delete(oldest);
      turn.stage(remove("timer", oldest));
    }
    return true;
  }

  /** Over the cap the oldest of the conversation that has most is over at once: nothing stays longer than was said, and who
   *  sends many shortens nobody else's. */
  #keep(turn: Turn, key: string, row: DisappearRow): void {
    this.#put(turn, key, row);
    if (this.#rows.size <= MAX_DISAPPEARING) return;
    const waiting = [...this.#rows].filter(([of, { at }]) => of !== key && (at === 0 || at > turn.now));
    const byConversation = [...Map.groupBy(waiting, ([, each]) => keyOf(each)).values()];
    const [oldest, other] = byConversation.sort((a, b) => b.length - a.length)[0]?.[0] ?? [];
    if (oldest !== undefined && other !== undefined) this.#put(turn, oldest, { ...other, at: turn.now });
  }

  #put(turn: Turn, key: string, row: DisappearRow): void {
    this.#rows.set(key, row);
    if (row.at !== 0) this.#nextAt = Math.min(this.#nextAt, row.at);
    turn.stage(put("disappear", key, disappearRow, row));
  }

  /** What is over becomes entries, while the inbox has room. */
  tick(turn: Turn, inbox: Inbox): void {
    if (turn.now < this.#nextAt || !inbox.hasRoom) return;
    const due = new Map<string, { readonly where: Where; readonly messages: MessageId[] }>();
    for (const [key, { at, conversation, group }] of this.#rows) {
      if (at === 0 || at > turn.now) continue;
      const where = { conversation, group };
      const author = key.slice(0, 16);
      const known = due.get(author + keyOf(where)) ?? { where, messages: [] };
      due.set(author + keyOf(where), known);
      if (known.messages.length < MAX_DISAPPEARED_IDS) known.messages.push(key.slice(16) as MessageId);
    }
    for (const [key, { where, messages }] of due) {
      if (!inbox.hasRoom) break;
      const author = key.slice(0, 16) as AccountId;
      const body = encode(disappearBody, {
        conversation: undefined,
        group: undefined,
        ...where,
        author,
        messages,
      });
      inbox.tell(turn, this.#self, { kind: "disappear", body });
      for (const message of messages) {
        this.#rows.delete(author + message);
        turn.stage(remove("disappear", author + message));
      }
    }
    this.#nextAt = this.#firstDeadline();
  }

  /** The first deadline; what is over waits for room in the inbox. */
  get nextAt(): number {
    return this.#nextAt;
  }

  #firstDeadline(): number {
    let at = Number.POSITIVE_INFINITY;
    for (const row of this.#rows.values()) if (row.at !== 0) at = Math.min(at, row.at);
    return at;
  }
}

/** Undefined: it is no content. */
function whole(body: Uint8Array): ReadBody | undefined {
  try {
    return readBody(body);
  } catch {
    return undefined;
  }
}

function keyOf({ conversation, group }: Where): string {
  return group === undefined ? `1${conversation}` : `g${group}`;
}

function whereOf(key: string): Omit<NotedTimer, "timer"> {
  const id = key.slice(1);
  return key.startsWith("g")
    ? { conversation: undefined, group: id as GroupId }
    : { conversation: id as AccountId, group: undefined };
}
