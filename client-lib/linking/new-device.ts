// A new device becomes one of an account: it shows a code, answers the one offer that comes, and stores what it is granted.
// Always true: nothing of it is in the store before it is a device of the account; identity and prekeys are one commit.
import { isUserName, type Time } from "@lethe/protocol";
import {
  acceptGrant,
  answerOffer,
  type AwaitingGrant,
  endLinking,
  type Identity,
  LINKING_LIFETIME_MS,
  linkingText,
  type NewDevice,
  type ShowingCode,
  showLinkingCode,
} from "@lethe/crypto";
import type { Opened } from "../client-options.ts";
import { beginLinked, ownerOf } from "../enrol.ts";
import { ClientError } from "../errors.ts";
import { refusedBy } from "./codes.ts";
import { endMailbox, linkingBody, linkingPath, sleep, takeMessage, triedAgain } from "./mailbox.ts";

/** What a person sees of it on the new device. */
export interface LinkingView {
  /** The code as text, to be shown as a QR code and to be copied. It is good for 120 s, and for one linking. */
  show(code: string): void;
  /** Six digits, which the other device shows too, and the name of the account that is offered. */
  compare(digits: string, user: string): void;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

type Joining = Pick<Opened, "store" | "http" | "clock" | "random">;

/**
 * Resolves with the name of the account, which the store is of then. @param user the account that it is to be, if that is known.
 * @throws ClientError linking-expired, linking-cancelled, linking-refused, linking-other-account, store-of-another,
 *   relay-unreachable
 */
export async function joinAccount(
  parts: Joining,
  { view, user }: { readonly view: LinkingView; readonly user: string | undefined },
): Promise<string> {
  const { store, http, clock, random } = parts;
  const before = await ownerOf(store);
  if (before !== undefined) throw new ClientError("store-of-another", before);
  const signal = view.signal ?? new AbortController().signal;
  const showing = showLinkingCode({ relay: await http.name(), random, now: clock.now() });
  const { mailbox, relay } = showing.code;
  let state: NewDevice = showing;
  try {
    view.show(linkingText(showing.code));
    const awaiting = await answer(parts, showing, { user, signal });
    state = awaiting;
    view.compare(awaiting.digits, awaiting.offered.name);
    const identity = await granted(parts, awaiting, { mailbox, signal });
    await beginLinked({ store, clock, random }, { identity, name: awaiting.offered.name, relay });
    return awaiting.offered.name;
  } finally {
    endLinking(state);
    await endMailbox(parts, mailbox);
  }
}

async function answer(
  parts: Joining,
  showing: ShowingCode,
  { user, signal }: { readonly user: string | undefined; readonly signal: AbortSignal },
): Promise<AwaitingGrant> {
  const { http, clock, random } = parts;
  const { mailbox } = showing.code;
  const until = (showing.startedAt + LINKING_LIFETIME_MS) as Time;
  const message = await takeMessage(parts, { mailbox, slot: "offer", until, signal });
  const answered = answerOffer(showing, { message, random, now: clock.now() });
  if (answered.code !== "ok") throw refusedBy(answered.code);
  const { state } = answered;
  const { name } = state.offered;
  if (!isUserName(name) || (user !== undefined && name !== user)) {
    endLinking(state);
    throw new ClientError("linking-other-account", name);
  }
  const body = linkingBody(answered.message);
  for (;;) {
    const put = await http.unsigned("PUT", linkingPath(mailbox, "join"), body, signal).catch(triedAgain);
    if (put !== undefined) return state;
    await sleep(clock, 1_000, signal);
    if (clock.now() < until && !signal.aborted) continue;
    endLinking(state);
    throw new ClientError(signal.aborted ? "linking-cancelled" : "linking-expired");
  }
}

async function granted(
  parts: Joining,
  awaiting: AwaitingGrant,
  { mailbox, signal }: Pick<Parameters<typeof takeMessage>[1], "mailbox" | "signal">,
): Promise<Identity> {
  const until = (awaiting.startedAt + LINKING_LIFETIME_MS) as Time;
  const message = await takeMessage(parts, { mailbox, slot: "grant", until, signal });
  const linked = acceptGrant(awaiting, { message, now: parts.clock.now() });
  if (linked.code !== "ok") throw refusedBy(linked.code);
  return linked.identity;
}
