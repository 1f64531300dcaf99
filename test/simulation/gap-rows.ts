// Gaps as the store and the application see them: a row of the inbox, an entry. Always true: what is no row of a gap is
// undefined.
import { decodeAll, type DeviceAddress } from "@lethe/protocol";
import type { MessageId, StreamId, Write } from "../../client-lib/delivery/events.ts";
import { gapBody, inboxRow } from "../../client-lib/delivery/rows.ts";
import type { Gap } from "./diary.ts";

/** A gap's id begins with its stream. */
export function gapOf(from: DeviceAddress, id: MessageId, numbers: { first: number; last: number }): Gap {
  return { from, stream: id.slice(0, 8) as StreamId, ...numbers };
}

/** The gap that is written, if one is. */
export function gapIn({ table, value }: Write): Gap | undefined {
  if (table !== "inbox" || value === undefined) return undefined;
  const { kind, from, message, body } = decodeAll(inboxRow, value);
  return kind === "gap" ? gapOf(from, message, decodeAll(gapBody, body)) : undefined;
}
