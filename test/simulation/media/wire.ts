// Between devices and nodes: requests that come late, twice, cut or not at all. Always true: whoever is alive and has asked is
// answered or told that the line is gone; what a request does it may do when nobody waits for it any more.
import { RelayHttp } from "../../../client-lib/edge/relay-http.ts";
import type { Clock } from "../../../client-lib/edge/clock.ts";
import { ClientError } from "../../../client-lib/errors.ts";
import type { Random } from "@lethe/crypto";
import type { Agenda } from "../agenda.ts";
import { type Dice, type Pace, takes } from "../chance.ts";
import type { Coverage } from "../coverage.ts";
import type { Process } from "./disk.ts";
import { ACCOUNT_HEADER, type Answered, type Asked } from "./door.ts";
import type { MediaEvent } from "./events.ts";
import type { Node } from "./node.ts";
import type { RequestFate } from "./plan.ts";

export interface WirePort {
  readonly agenda: Agenda;
  readonly dice: Dice;
  readonly pace: Pace;
  readonly cover: Coverage<MediaEvent>;
  readonly nodes: () => readonly Node[];
}

/** A line that is dead is given up after so long, ms. */
const PATIENCE_MS = 30_000;
/** What is late, or comes a second time, does so within, ms. */
const LATE_MS = 200_000;
/** What a device has signed is taken so long, and once (clause H-SIGN). */
const SIGNED_MS = 60_000;

interface Waiting {
  readonly answer: (answered: Answered, isCut: boolean) => void;
  readonly fail: () => void;
}

export class Wire {
  readonly #port: WirePort;
  #trouble: { readonly fate: RequestFate; readonly often: number; readonly until: number } | undefined;

  constructor(port: WirePort) {
    this.#port = port;
  }

  trouble(fate: RequestFate, often: number, ms: number): void {
    this.#trouble = { fate, often, until: this.#port.agenda.now + ms };
  }

  heal(): void {
    this.#trouble = undefined;
  }

  send(asked: Asked, { answer, fail }: Waiting): void {
    const { agenda, dice, cover } = this.#port;
    const fate = this.#fate(asked);
    const isSigned = ACCOUNT_HEADER in asked.headers;
    const later = (): number => dice.between(1_000, isSigned ? SIGNED_MS : LATE_MS);
    const given = (): void => void agenda.in(dice.between(10, PATIENCE_MS), fail);
    switch (fate) {
      case undefined:
        return this.#carry(asked, this.#way(), { answer, fail });
      case "unheard":
      case "lost":
        cover.count("request lost");
        return given();
      case "unanswered":
        cover.count("request unanswered");
        given();
        return this.#carry(asked, this.#way(), NOBODY);
      case "twice":
        cover.count("request twice");
        this.#carry(asked, this.#way(), { answer, fail });
        return isSigned ? undefined : this.#carry(asked, later(), NOBODY);
      case "late":
        cover.count("request late");
        given();
        return this.#carry(asked, later(), NOBODY);
      case "cut":
        cover.count("request cut");
        return this.#cut(asked, { answer, fail });
    }
  }

  /** A body is cut on its way; where there is none, the answer is. */
  #cut(asked: Asked, { answer, fail }: Waiting): void {
    const isPart = asked.method === "PUT" && asked.path.includes("/parts/");
    if (isPart) return this.#carry({ ...asked, isCut: true }, this.#way(), { answer: fail, fail });
    this.#carry(asked, this.#way(), { answer: (answered) => answer(answered, true), fail });
  }

  #fate({ method, path }: Asked): RequestFate | undefined {
    const { agenda, dice } = this.#port;
    const trouble = this.#trouble;
    if (trouble === undefined || agenda.now >= trouble.until) return undefined;
    if (trouble.fate === "unheard" && method !== "DELETE" && !path.endsWith("/release")) return undefined;
    return dice.happens(trouble.often) ? trouble.fate : undefined;
  }

  #way(): number {
    return takes(this.#port.dice, this.#port.pace) / 2;
  }

  #carry(asked: Asked, ms: number, { answer, fail }: Waiting): void {
    const { agenda, dice, nodes } = this.#port;
    agenda.in(ms, () => {
      const up = nodes().filter((node) => node.isUp);
      if (up.length === 0) return void agenda.in(5, fail);
      const cut = (): void => void agenda.in(5, fail);
      const serving = dice.pick(up).serve(asked, cut);
      void serving.then((answered) => agenda.in(this.#way(), () => answer(answered, false)));
    });
  }
}

/** Whoever asked does not wait for it. */
export const NOBODY: Waiting = { answer: () => undefined, fail: () => undefined };

export interface LinePort {
  readonly wire: Wire;
  readonly process: Process;
  readonly isOnline: () => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly agenda: Agenda;
  /** Sees each request before it goes; what it gives is the answer, and nothing is sent. */
  readonly asks: (asked: Asked) => Answered | undefined;
}

/** How a device's library reaches the relay: its own HTTP, with the wire in place of `fetch`. */
export class Line extends RelayHttp {
  readonly #port: LinePort;

  constructor(port: LinePort) {
    super({ urls: ["https://relay.example"], clock: port.clock, random: port.random });
    this.#port = port;
  }

  override first(path: string, request: () => RequestInit): Promise<Response> {
    const { wire, process, isOnline, agenda, asks } = this.#port;
    const { method = "GET", headers, body, signal } = request();
    const bytes = typeof body === "string" ? Buffer.from(body) : (body as Uint8Array | undefined);
    const asked = { method, path, headers: headers as Record<string, string>, body: bytes, isCut: false };
    return new Promise((resolve, reject) => {
      const end = (then: () => void): void => {
        if (process.isAlive) then();
      };
      const fail = (): void => end(() => reject(new ClientError("relay-unreachable", path)));
      if (signal?.aborted === true) return fail();
      signal?.addEventListener("abort", fail, { once: true });
      if (!isOnline()) return void agenda.in(20, fail);
      const known = asks(asked);
      if (known !== undefined) return resolve(responseOf(known, false));
      wire.send(asked, {
        answer: (answered, isCut) => end(() => resolve(responseOf(answered, isCut))),
        fail,
      });
    });
  }
}

/** As much of a Response as the library uses. */
function responseOf({ status, headers, bytes }: Answered, isCut: boolean): Response {
  const chunks = isCut ? [bytes.subarray(0, bytes.length >> 1)] : [bytes];
  const read = async (): Promise<{ value: Uint8Array | undefined }> => {
    const value = chunks.shift();
    if (value === undefined && isCut) throw new Error("the line was cut");
    return { value };
  };
  const text = async (): Promise<string> => {
    if (isCut) throw new Error("the line was cut");
    return Buffer.from(bytes).toString();
  };
  const response = {
    ...{ status, ok: status < 300, text },
    headers: { get: (name: string) => headers[name] ?? null },
    body: { getReader: () => ({ read }) },
  };
  return response as unknown as Response;
}
