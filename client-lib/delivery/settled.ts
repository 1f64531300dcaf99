// What becomes of a message by what became of its envelopes. Always true: each message that the application is told of
// is told once as sent, expired or refused.
import type { Disappearing } from "./disappearing.ts";
import type { Outbox, Settled } from "./outbox.ts";
import type { SentLog } from "./sent-log.ts";
import type { Turn } from "./turn.ts";

interface SettledParts {
  readonly sent: SentLog;
  readonly outbox: Outbox;
  readonly disappearing: Disappearing;
}

/** A message is sent once the relay holds it for every device that it can be held for. */
export function tellSettled(
  turn: Turn,
  settled: readonly Settled[],
  { sent, outbox, disappearing }: SettledParts,
): void {
  for (const { message, to, told, how } of settled) {
    if (!told) continue;
    if (how.end === "sent") sent.reach(turn, message, to, "sent");
    if (outbox.has(message)) continue;
    const state = sent.of(message)?.state;
    if (how.end === "sent" || (state !== "queued" && state !== undefined)) {
      disappearing.sent(turn, message);
      turn.tellAfter({ tell: "sent", message, to });
      continue;
    }
    sent.reach(turn, message, to, how.end);
    turn.tellAfter(
      how.end === "expired"
        ? { tell: "expired", message, to }
        : { tell: "refused", message, to, code: how.code },
    );
  }
}
