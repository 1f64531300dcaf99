// Judges what a crowd's groups have seen. Always true: only what two histories together leave no doubt about is a fault; a
// group has one admin for its life, so that the order of its changes is that of one history.
import type { GroupChange, Histories, Stamped } from "./history.ts";
import { type Fault, type Handed, handedIn, once, order, type Say } from "./judge.ts";

export interface GroupVerdict {
  readonly faults: readonly Fault[];
  readonly groups: number;
  /** Changes after a group was made. */
  readonly changes: number;
  readonly sending: number;
  readonly queued: number;
  readonly sent: number;
  /** Hand-overs, one for each message and member, repeats not counted. */
  readonly handed: number;
  readonly repeated: number;
  /** Hand-overs that had to be. */
  readonly owed: number;
  /** Of these, those that have not been: what a run that is not over waits for. */
  readonly missing: number;
}

/** One that was begun, as its admin's history has it. */
export interface Change extends GroupChange {
  readonly by: string;
  readonly begun: number;
  /** Infinite where its answer was never heard: it may be made or not. */
  done: number;
}

interface Message {
  readonly from: string;
  readonly tag: string;
  readonly hash: string;
  readonly sending: number;
  /** The group as its sender knew it. */
  readonly number: number;
  readonly members: readonly string[];
  id: string | undefined;
  /** When the relay held it for everybody; infinite where it did not say so. */
  sent: number;
  refusal: string | undefined;
}

type Got = Handed<Extract<Stamped, { is: "group-handed" }>>;

export function judgeGroups(histories: Histories<Stamped>): GroupVerdict {
  const faults: Fault[] = [];
  const say: Say = (kind, says, about) => void faults.push({ kind, says, about });
  const accounts = namesIn(histories);
  const changes = changesIn(histories);
  const messages = messagesIn(histories, accounts);
  const { first, repeated } = once(
    handedIn(histories, "group-handed", ({ from, tag }, at) => `${from} in ${tag} at ${at}`),
    say,
  );
  /** What somebody says who was taken out and has not heard of it is not opened, so that what is behind it waits in vain. */
  const wasOut = (names: readonly string[], { tag, mono }: { tag: string; mono: number }): boolean =>
    names.some((name) => removals(changes.get(tag), name).some(({ begun }) => begun < mono));
  order(first, say, ({ at, line }) => wasOut([at, line.from], line));
  origin(first, { messages, accounts, changes }, say);
  receipts(histories, { first, accounts }, say);
  refusals(histories, { messages, changes }, say);
  for (const [at, lines] of histories)
    for (const line of lines)
      if (line.is === "group-gap" && !wasOut([at, line.from], line))
        say("gap", `${line.missing} of ${line.from} in ${line.tag} at ${at}`, { person: at });
  const all = [...messages.values()];
  const made = [...changes.values()].flat().filter(({ done }) => done !== Number.POSITIVE_INFINITY);
  return {
    groups: made.filter(({ change }) => change === "create").length,
    changes: made.filter(({ change }) => change !== "create").length,
    sending: all.length,
    queued: all.filter(({ id }) => id !== undefined).length,
    sent: all.filter(({ sent }) => sent !== Number.POSITIVE_INFINITY).length,
    handed: first.length,
    repeated,
    ...arrival(all, { first, changes }, say),
    faults,
  };
}

const keyOf = (from: string, tag: string, seq: number): string => `${from} in ${tag} #${seq}`;

/** By account. */
export function namesIn(histories: Histories): Map<string, string> {
  const names = new Map<string, string>();
  for (const [name, lines] of histories)
    for (const line of lines) if (line.is === "started") names.set(line.account, name);
  return names;
}

/** Of each group, in the order in which they were made. */
export function changesIn(histories: Histories<Stamped>): Map<string, Change[]> {
  const all = new Map<string, Change[]>();
  for (const [by, lines] of histories)
    for (const line of lines) {
      if (line.is !== "group-changing" && line.is !== "group-changed" && line.is !== "group-unchanged")
        continue;
      const { tag, mono, is } = line;
      const list = all.get(tag) ?? [];
      all.set(tag, list);
      if (is === "group-changing") list.push({ ...line, by, begun: mono, done: Number.POSITIVE_INFINITY });
      else if (is === "group-unchanged") list.pop();
      else (list.at(-1) as Change).done = mono;
    }
  return all;
}

function removals(changes: readonly Change[] | undefined, name: string): Change[] {
  return (changes ?? []).filter(({ change, users }) => change === "remove" && users.includes(name));
}

function additions(changes: readonly Change[] | undefined, name: string): Change[] {
  return (changes ?? []).filter(
    ({ change, users, by }) => users.concat(by).includes(name) && (change === "add" || change === "create"),
  );
}

function messagesIn(
  histories: Histories<Stamped>,
  accounts: ReadonlyMap<string, string>,
): Map<string, Message> {
  const all = new Map<string, Message>();
  const byId = new Map<string, Message>();
  for (const [from, lines] of histories)
    for (const line of lines) {
      if (line.is === "group-sending") {
        const { tag, seq, hash, number, mono } = line;
        const members = line.members.map((account) => accounts.get(account) ?? account);
        const fresh = { id: undefined, sent: Number.POSITIVE_INFINITY, refusal: undefined };
        all.set(keyOf(from, tag, seq), { from, tag, hash, number, members, sending: mono, ...fresh });
      } else if (line.is === "group-queued") {
        const message = all.get(keyOf(from, line.tag, line.seq));
        if (message === undefined) continue;
        message.id = line.id;
        byId.set(line.id, message);
      } else if (line.is === "group-not-queued") {
        const message = all.get(keyOf(from, line.tag, line.seq));
        if (message !== undefined) message.refusal = line.code;
      } else if (line.is === "group-sent" || line.is === "group-refused") {
        const message = byId.get(line.id);
        if (message === undefined) continue;
        if (line.is === "group-sent") message.sent = line.mono;
        else message.refusal = line.code;
      }
    }
  return all;
}

interface Known {
  readonly messages: ReadonlyMap<string, Message>;
  readonly accounts: ReadonlyMap<string, string>;
  readonly changes: ReadonlyMap<string, readonly Change[]>;
}

/** Whatever came was said by the one who is said to have said it, to somebody who was in the group. */
function origin(first: readonly Got[], { messages, accounts, changes }: Known, say: Say): void {
  for (const { line, at } of first) {
    const key = keyOf(line.from, line.tag, line.seq);
    const message = messages.get(key);
    if (message === undefined) {
      say("phantom", `${key} was never sent`, line);
      continue;
    }
    if (message.hash !== line.hash) say("phantom", `${key} came with another text`, line);
    if (message.id !== undefined && message.id !== line.id)
      say("phantom", `${key} came under another id`, line);
    if (accounts.get(line.account) !== line.from) say("forged", `${key} came from another account`, line);
    const list = changes.get(line.tag);
    const entries = additions(list, at);
    if (!entries.some(({ begun }) => begun < line.mono)) say("not-a-member", `${key} came to ${at}`, line);
    const left = removals(list, at).findLast(({ by, done }) => by === line.from && done < message.sending);
    if (left !== undefined && !entries.some(({ begun }) => begun > left.done && begun < line.mono))
      say("not-a-member", `${key} came to ${at}, whom ${line.from} had removed before`, line);
  }
}

/** A receipt says nothing that is not so. Its user may go by the account's first digits, where the directory was not asked yet. */
function receipts(
  histories: Histories,
  { first, accounts }: { first: readonly Got[]; accounts: ReadonlyMap<string, string> },
  say: Say,
): void {
  const names = new Map([...accounts].map(([account, name]) => [`~${account.slice(0, 12)}`, name]));
  const arrived = new Set(first.map(({ line, at }) => `${line.id} ${at}`));
  for (const [at, lines] of histories)
    for (const line of lines) if (line.is === "file-shown") arrived.add(`${line.id} ${at}`);
  for (const [name, lines] of histories)
    for (const line of lines)
      if (line.is === "group-delivered" && !arrived.has(`${line.id} ${names.get(line.user) ?? line.user}`))
        say("receipt-without-delivery", `${line.id} of ${name} at ${line.user}`, line);
}

/** Refused is only what somebody says who was taken out. */
function refusals(
  histories: Histories,
  { messages, changes }: Pick<Known, "messages" | "changes">,
  say: Say,
): void {
  for (const [key, { from, tag, refusal }] of messages) {
    if (refusal === undefined) continue;
    if (refusal === "not-a-member" && removals(changes.get(tag), from).length > 0) continue;
    say("trouble", `${key} was refused: ${refusal}`, { person: from });
  }
  const wasTakenOut = [...changes.values()].flat().some(({ change }) => change === "remove");
  for (const [name, lines] of histories)
    for (const line of lines) {
      if (line.is === "group-refused" && line.code !== "not-a-member")
        say("trouble", `${line.id} of ${name} was refused: ${line.code}`, line);
      // Of somebody who was taken out and had not heard of it.
      if (line.is === "quarantined" && !(line.code === "not-a-member" && wasTakenOut))
        say("trouble", `${name}: quarantined ${line.code}`, { person: name });
    }
}

/** Every message that was sent came to everybody who was in its group from before it was begun until the end. */
function arrival(
  messages: readonly Message[],
  { first, changes }: { first: readonly Got[]; changes: ReadonlyMap<string, readonly Change[]> },
  say: Say,
): { owed: number; missing: number } {
  const arrived = new Set(first.map(({ line, at }) => `${line.id} ${at}`));
  let owed = 0;
  let missing = 0;
  for (const message of messages) {
    const { id, sent, from, tag } = message;
    if (id === undefined) continue;
    for (const name of owedOf(message, changes.get(tag))) {
      owed++;
      if (arrived.has(`${id} ${name}`)) continue;
      missing++;
      const what = sent === Number.POSITIVE_INFINITY ? "taken" : "accepted";
      say("lost", `${id} of ${from} in ${tag} was ${what} and never came to ${name}`, { id });
    }
  }
  return { owed, missing };
}

/** The names of those to whom something has to come that was sent to a group. */
export function owedOf(
  { from, sending, sent, number, members }: Omit<Message, "tag" | "hash" | "id" | "refusal">,
  list: readonly Change[] | undefined,
): string[] {
  // Whoever was taken out meanwhile may not send it, and it is not believed if it does.
  if (!wasIn(list, from, { sending, number, until: sent })) return [];
  // Whoever takes somebody out does not believe them from then on, whatever is still on its way.
  const remover = removals(list, from).find(({ begun }) => begun > sending)?.by;
  const until = Number.POSITIVE_INFINITY;
  return members.filter(
    (name) => name !== from && name !== remover && wasIn(list, name, { sending, number, until }),
  );
}

/** In the group from before the message was begun until then, and the sender knew of it. */
function wasIn(
  list: readonly Change[] | undefined,
  name: string,
  { sending, number, until }: { sending: number; number: number; until: number },
): boolean {
  const left = removals(list, name).findLast(({ begun }) => begun < until);
  if (left === undefined) return true;
  if (left.begun > sending) return false;
  const back = additions(list, name).find(({ begun }) => begun > left.begun);
  if (back === undefined) return false;
  const known = (list ?? []).find(
    ({ change, begun, done }) =>
      change === "rename" && begun > back.done && done !== Number.POSITIVE_INFINITY,
  );
  return known !== undefined && number >= known.number;
}
