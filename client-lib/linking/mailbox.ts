// The linking mailbox at the relay, from either device's side. Always true: what is waited for is waited for until its time
// is over, whatever fails meanwhile; what the relay says no to ends the wait.
import {
  base64url,
  fromBase64url,
  type LinkingMessage,
  PATHS,
  type Time,
  toBytes,
  toHex,
} from "@lethe/protocol";
import type { LinkingMailbox } from "@lethe/crypto";
import type { Clock } from "../edge/clock.ts";
import type { RelayHttp } from "../edge/relay-http.ts";
import { ClientError } from "../errors.ts";

export type Slot = "offer" | "join" | "grant";

/** Between two questions that were answered at once, or failed, ms. */
const AGAIN_MS = 1_000;

export function linkingPath(mailbox: LinkingMailbox, slot?: Slot): string {
  const path = `${PATHS.linking}/${toHex(mailbox)}`;
  return slot === undefined ? path : `${path}/${slot}`;
}

export function linkingBody(message: Uint8Array): LinkingMessage {
  return { message: base64url(message) };
}

export interface Waiting {
  readonly mailbox: LinkingMailbox;
  readonly slot: Slot;
  readonly until: Time;
  readonly signal: AbortSignal;
}

interface Parts {
  readonly http: RelayHttp;
  readonly clock: Clock;
}

/** The message of a slot, once it is there. @throws ClientError linking-expired, linking-cancelled, or the relay's code */
export async function takeMessage({ http, clock }: Parts, waiting: Waiting): Promise<Uint8Array> {
  const { mailbox, slot, until, signal } = waiting;
  const path = linkingPath(mailbox, slot);
  while (!signal.aborted && clock.now() < until) {
    const began = clock.now();
    const found = await http.unsigned("GET", path, undefined, signal).catch(triedAgain);
    const message = messageIn(found);
    if (message !== undefined) return message;
    if (clock.now() - began < AGAIN_MS) await sleep(clock, AGAIN_MS, signal);
  }
  throw new ClientError(signal.aborted ? "linking-cancelled" : "linking-expired");
}

/** Both have what they need, or have given up. The relay ends it by itself where it does not hear of this. */
export async function endMailbox({ http }: Parts, mailbox: LinkingMailbox): Promise<void> {
  await http.unsigned("DELETE", linkingPath(mailbox), undefined).catch(() => undefined);
}

/** Resolves after so long, or with the signal. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, done);
    function done(): void {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    }
    if (signal.aborted) done();
    else signal.addEventListener("abort", done);
  });
}

/** What may be otherwise in a second. */
export function isPassing(error: unknown): boolean {
  return error instanceof ClientError && AGAIN.has(error.code);
}

/** @throws what does not pass. */
export function triedAgain(error: unknown): undefined {
  if (!isPassing(error)) throw error;
}

const AGAIN: ReadonlySet<string> = new Set([
  "relay-unreachable",
  "rate-limited",
  "not-ready",
  "storage-failed",
  "storage-full",
  "internal",
]);

function messageIn(found: unknown): Uint8Array | undefined {
  if (typeof found !== "object" || found === null || !("message" in found)) return undefined;
  if (typeof found.message !== "string") return undefined;
  const bytes = fromBase64url(found.message);
  return bytes === undefined ? undefined : toBytes(bytes);
}
