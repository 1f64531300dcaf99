// The page: finds its elements once, draws the log, says what state things are in. It decides nothing.
import type { Entry, State } from "./history.ts";

function element<T extends Element>(selector: string, type: new () => T): T {
  const found = document.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`the page has no ${selector}`);
  return found;
}

export const begin = element("#begin", HTMLFormElement);
export const write = element("#write", HTMLFormElement);
const text = element("#write input", HTMLInputElement);
const chat = element("#chat", HTMLElement);
const peer = element("#peer", HTMLElement);
const presence = element("#presence", HTMLElement);
const state = element("#state", HTMLElement);
const notice = element("#notice", HTMLElement);
const log = element("#log", HTMLOListElement);

const TICKS: Record<State, { sign: string; says: string }> = {
  waiting: { sign: "◷", says: "waiting" },
  sent: { sign: "✓", says: "sent" },
  delivered: { sign: "✓✓", says: "delivered" },
  read: { sign: "✓✓", says: "read" },
};

export function showChat(user: string, other: string): void {
  document.title = `${user} → ${other}`;
  peer.textContent = other;
  begin.hidden = true;
  chat.hidden = false;
  write.inert = true;
}

/** There is a client now that takes what is written. */
export function letWrite(): void {
  write.inert = false;
  text.focus();
}

export function showState(now: string): void {
  state.textContent = now;
  state.dataset["state"] = now;
}

/** Whether the other person is there, by a dot and words; nothing where it is not known. */
export function showPresence(now: string, lastSeen: number | undefined): void {
  const time = lastSeen === undefined ? undefined : new Date(lastSeen);
  const minute = { dateStyle: "short", timeStyle: "short" } as const;
  const seen = time === undefined ? now : `last seen ${time.toLocaleString(undefined, minute)}`;
  presence.textContent = now === "unknown" ? "" : seen;
  presence.dataset["state"] = now;
}

export function showNotice(says: string | undefined): void {
  notice.hidden = says === undefined;
  notice.textContent = says ?? "";
}

export function showLog(entries: readonly Entry[]): void {
  log.replaceChildren(...entries.map(lineOf));
  log.scrollTop = log.scrollHeight;
}

function lineOf(entry: Entry): HTMLLIElement {
  const line = document.createElement("li");
  line.className = entry.is;
  if (entry.is === "gap") line.textContent = `${entry.missing} missing`;
  else line.textContent = entry.text;
  if (entry.is === "own") line.append(tickOf(entry.state));
  return line;
}

function tickOf(reached: State): HTMLSpanElement {
  const tick = document.createElement("span");
  const { sign, says } = TICKS[reached];
  tick.className = "tick";
  tick.dataset["state"] = reached;
  tick.textContent = sign;
  tick.role = "img";
  tick.ariaLabel = says;
  return tick;
}

/** What was written, taken out of the field. */
export function takeText(): string {
  const written = text.value.trim();
  text.value = "";
  return written;
}
