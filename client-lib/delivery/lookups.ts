// Questions to the relay: names, device lists, prekeys. Always true: a question is asked again on the next connection
// until it is answered or refused for good; a question for prekeys keeps its request id, so that a lost answer costs
// no keys; a question with an access key is never asked without it.
import {
  type AccountId,
  type ClientFrame,
  type ConnectionKind,
  type DeviceAddress,
  accountOf,
  deviceOf,
  type RelayFrame,
  type Time,
} from "@lethe/protocol";
import { fullJitter, later, refusalOf, soonest } from "./connection-ends.ts";
import type { Chance, Happening, RefusalCode } from "./events.ts";
import { ANSWER_MS, MAX_ASKS, RETRY_BASE_MS, RETRY_CAP_MS } from "./limits.ts";
import type { Turn } from "./turn.ts";

export type Question =
  | { readonly about: "name"; readonly name: string; readonly ask: number; readonly until: Time }
  | { readonly about: "devices"; readonly account: AccountId }
  | { readonly about: "prekeys"; readonly address: DeviceAddress; readonly requestId: Uint8Array };

interface Asked {
  /** For keys of a device whose certificate is still asked for. */
  early?: Answer;
  readonly question: Question;
  readonly accessKey: Uint8Array | undefined;
  /** When it was sent on this connection; or when it may be sent again. */
  state: { readonly at: "to-send"; readonly from: Time } | { readonly at: "sent"; readonly since: Time };
  tries: number;
}

export type Answer = RelayFrame & { readonly frame: "is-account" | "has-devices" | "has-prekeys" };
export type Ended =
  | { readonly how: "answered"; readonly question: Question; readonly answer: Answer }
  | { readonly how: "refused"; readonly question: Question; readonly code: RefusalCode };

export class Lookups {
  readonly #chance: Chance;
  readonly #asked = new Map<number, Asked>();
  #number = 0;

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  /** Asks, unless the same is being asked already. False: too much is being asked. */
  ask(turn: { readonly now: Time }, question: Question, accessKey: Uint8Array | undefined): boolean {
    for (const { question: known } of this.#asked.values()) if (isSame(known, question)) return true;
    if (this.#asked.size >= MAX_ASKS) return false;
    this.#number = (this.#number + 1) % 0x1_0000_0000;
    this.#asked.set(this.#number, {
      question,
      accessKey,
      state: { at: "to-send", from: turn.now },
      tries: 0,
    });
    return true;
  }

  askName(turn: Turn, { ask, name, until }: Happening & { event: "ask-name" }): void {
    if (!this.ask(turn, { about: "name", ask, name, until }, undefined))
      turn.tell({ tell: "name-refused", ask, code: "busy" });
  }

  isAsking(account: AccountId): boolean {
    for (const { question } of this.#asked.values()) if (accountIn(question) === account) return true;
    return false;
  }

  wants(socket: ConnectionKind): boolean {
    for (const asked of this.#asked.values()) if (routeOf(asked) === socket) return true;
    return false;
  }

  pump(now: Time, socket: ConnectionKind): ClientFrame[] {
    const frames: ClientFrame[] = [];
    for (const [request, asked] of this.#asked) {
      if (routeOf(asked) !== socket || asked.state.at === "sent" || asked.state.from > now) continue;
      asked.state = { at: "sent", since: now };
      frames.push(frameOf(request, asked));
    }
    return frames;
  }

  lost(now: Time, socket: ConnectionKind): void {
    for (const asked of this.#asked.values())
      if (routeOf(asked) === socket && asked.state.at === "sent" && asked.early === undefined)
        asked.state = { at: "to-send", from: now };
  }

  /** What has ended by it: keys of a device count when the question for the account's devices has ended. */
  answered(answer: Answer): Ended[] {
    const asked = this.#asked.get(answer.request);
    if (asked === undefined || ANSWERS[asked.question.about] !== answer.frame) return [];
    const { question } = asked;
    if (question.about === "prekeys" && this.#isListing(accountOf(question.address))) {
      asked.early = answer;
      return [];
    }
    this.#asked.delete(answer.request);
    return [{ how: "answered", question, answer }, ...this.#released(question)];
  }

  #isListing(account: AccountId): boolean {
    for (const { question } of this.#asked.values())
      if (question.about === "devices" && question.account === account) return true;
    return false;
  }

  #released(over: Question): Ended[] {
    const ended: Ended[] = [];
    if (over.about !== "devices") return ended;
    for (const [request, { question, early }] of this.#asked)
      if (early !== undefined && accountIn(question) === over.account) {
        this.#asked.delete(request);
        ended.push({ how: "answered", question, answer: early });
      }
    return ended;
  }

  refused(now: Time, request: number, number: number, retryAfter: number): Ended[] {
    const asked = this.#asked.get(request);
    if (asked === undefined) return [];
    const { code, retry } = refusalOf(number);
    if (retry === "later") {
      const wait = retryAfter + fullJitter(this.#chance, RETRY_BASE_MS, RETRY_CAP_MS, asked.tries);
      asked.tries += 1;
      asked.state = { at: "to-send", from: later(now, wait) };
      return [];
    }
    this.#asked.delete(request);
    return [{ how: "refused", question: asked.question, code }, ...this.#released(asked.question)];
  }

  /** Questions without an answer go again; questions that somebody waits for only so long end. */
  tick(now: Time): Ended[] {
    const ended: Ended[] = [];
    for (const [request, asked] of this.#asked) {
      const { early, question, state } = asked;
      if (question.about === "name" && question.until <= now) {
        this.#asked.delete(request);
        ended.push({ how: "refused", question, code: "answer-lost" });
      } else if (early === undefined && state.at === "sent" && now - state.since >= ANSWER_MS)
        asked.state = { at: "to-send", from: now };
    }
    return ended;
  }

  nextAt(now: Time): number {
    let at = Number.POSITIVE_INFINITY;
    for (const { early, question, state } of this.#asked.values()) {
      if (early !== undefined) continue;
      if (question.about === "name") at = soonest(now, at, question.until);
      at = soonest(now, at, state.at === "sent" ? state.since + ANSWER_MS : state.from);
    }
    return at;
  }
}

const ANSWERS = { name: "is-account", devices: "has-devices", prekeys: "has-prekeys" } as const;

function routeOf({ accessKey }: Asked): ConnectionKind {
  return accessKey === undefined ? "device" : "anonymous";
}

function accountIn(question: Question): AccountId | undefined {
  if (question.about === "devices") return question.account;
  return question.about === "prekeys" ? accountOf(question.address) : undefined;
}

function isSame(a: Question, b: Question): boolean {
  if (a.about === "devices") return b.about === "devices" && a.account === b.account;
  return a.about === "prekeys" && b.about === "prekeys" && a.address === b.address;
}

function frameOf(request: number, { question, accessKey }: Asked): ClientFrame {
  switch (question.about) {
    case "name":
      return { frame: "ask-name", request, name: question.name };
    case "devices":
      return { frame: "ask-devices", request, account: question.account, accessKey };
    case "prekeys":
      return {
        frame: "ask-prekeys",
        request,
        account: accountOf(question.address),
        device: deviceOf(question.address),
        accessKey,
        requestId: question.requestId,
      };
  }
}
