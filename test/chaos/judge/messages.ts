// The life of each message over all histories, in the order in which they were begun; times are monotonic, ms.
import type { Histories, Stamped } from "../../support/crowd/history.ts";

export interface Message {
  readonly from: string;
  readonly to: string;
  readonly seq: number;
  readonly sending: number;
  readonly id: string | undefined;
  readonly queued: number | undefined;
  readonly sent: number | undefined;
  readonly handed: number | undefined;
}

type Growing = { -readonly [N in keyof Message]: Message[N] };

export function messagesOf(histories: Histories<Stamped>): readonly Message[] {
  const all = new Map<string, Growing>();
  const byId = new Map<string, Growing>();
  const keyOf = (from: string, to: string, seq: number): string => `${from} ${to} ${seq}`;
  for (const [from, lines] of histories)
    for (const line of lines) {
      if (line.is === "sending") {
        const { to, seq, mono } = line;
        const fresh = {
          from,
          to,
          seq,
          sending: mono,
          id: undefined,
          queued: undefined,
          sent: undefined,
          handed: undefined,
        };
        all.set(keyOf(from, to, seq), fresh);
      }
      if (line.is !== "queued") continue;
      const message = all.get(keyOf(from, line.to, line.seq));
      if (message === undefined) continue;
      message.id = line.id;
      message.queued = line.mono;
      byId.set(line.id, message);
    }
  for (const lines of histories.values())
    for (const line of lines) {
      if (line.is === "sent") {
        const message = byId.get(line.id);
        if (message !== undefined) message.sent ??= line.mono;
      }
      if (line.is !== "handed") continue;
      const message = all.get(keyOf(line.from, line.to, line.seq));
      if (message !== undefined) message.handed ??= line.mono;
    }
  return [...all.values()].sort((a, b) => a.sending - b.sending);
}
