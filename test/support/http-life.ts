// One hostile HTTP connection from its beginning to its end: draws requests, sends them, and compares what becomes of them
// with what the oracle has said beforehand. Throws where they differ, with the request that did it.
import { HTTP_STATUSES, type ProblemCode } from "@lethe/protocol";
import { type BareAnswer, type BareExchange, BareHttp } from "./bare-http.ts";
import type { Chance } from "./chance.ts";
import { drawRequest, type HttpInput } from "./hostile-http.ts";
import type { Person } from "./person.ts";
import { within } from "./waiting.ts";

const PATIENCE_MS = 20_000;

export interface HttpStage {
  readonly port: number;
  /** Accounts that sign requests; each is taken by one life at a time. */
  readonly callers: Person[];
}

export interface HttpTally {
  inputs: number;
  connections: number;
  /** How often each kind of request was sent. */
  readonly kinds: Map<string, number>;
  /** How often each status and code came back. */
  readonly answers: Map<string, number>;
}

export function anHttpTally(): HttpTally {
  return { inputs: 0, connections: 0, kinds: new Map(), answers: new Map() };
}

/** Requests on one connection until one ends it or there have been enough. */
export async function liveHttp(
  { port, callers }: HttpStage,
  chance: Chance,
  tally: HttpTally,
): Promise<void> {
  const caller = callers.pop() as Person; // nobody else changes this account meanwhile
  const http = new BareHttp(port);
  tally.connections++;
  try {
    for (let left = chance.between(5, 60); left > 0; left--) {
      const input = drawRequest(chance, caller);
      count(tally.kinds, input.what);
      tally.inputs++;
      if (await request(http, input, tally)) return;
    }
  } finally {
    http.destroy();
    callers.unshift(caller);
  }
}

/** Whether the connection has ended with it. */
async function request(http: BareHttp, input: HttpInput, tally: HttpTally): Promise<boolean> {
  const { bytes, due, head = false, halfClosed: endAfter = false, again } = input;
  const wrong = (why: string): Error =>
    new Error(`${why} (${input.what}: ${JSON.stringify(bytes.subarray(0, 2_000).toString("latin1"))})`);
  const exchange = async (): Promise<BareExchange> => {
    const asked = http.exchange(bytes, due.length, { head, endAfter }).catch((error: unknown) => {
      throw wrong((error as Error).message);
    });
    return within(PATIENCE_MS, () => wrong("an answer").message, asked);
  };
  const { answers, ended } = await exchange();
  for (const answer of answers) note(tally, answer, head, wrong);
  if (answers.length < due.length && !(input.mayBeMute === true && ended))
    throw wrong(`${answers.length} answers of ${due.length} came`);
  due.forEach((right, i) => {
    const status = answers[i]?.status;
    if (status !== undefined && !right.includes(status))
      throw wrong(`${right.join(" or ")} was due, ${status} came`);
  });
  if (input.ends === false && ended) throw wrong("the connection ended");
  if (again !== undefined && !ended) {
    tally.inputs++;
    const second = await exchange();
    if (second.answers[0]?.status !== again) throw wrong(`a second time ${second.answers[0]?.status} came`);
    for (const answer of second.answers) note(tally, answer, head, wrong);
  }
  return ended || input.ends !== false;
}

/** Every answer that is not a success is a problem of the table, and never a fault of the relay's. */
function note(
  tally: HttpTally,
  { status, body }: BareAnswer,
  head: boolean,
  wrong: (why: string) => Error,
): void {
  if (status < 400 || head) {
    count(tally.answers, String(status));
    if (status >= 500) throw wrong(`${status} came`);
    return;
  }
  let code: ProblemCode;
  try {
    ({ code } = JSON.parse(body) as { code: ProblemCode });
  } catch {
    throw wrong(`${status} came with a body that is no problem: ${body.slice(0, 100)}`);
  }
  if (HTTP_STATUSES[code] !== status || code === "internal") throw wrong(`${status} came with ${code}`);
  count(tally.answers, `${status} ${code}`);
}

function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}
