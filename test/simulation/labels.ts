// Words for what goes over sockets and links, as they stand in traces and drawings: who to whom, and which.
import type { ClientFrame, EnvelopeId, RelayFrame } from "@lethe/protocol";
import type { LinkFrame } from "../../relay/delivery/types.ts";

export type LabelOf = (id: EnvelopeId) => string;

function all(ids: readonly EnvelopeId[], label: LabelOf): string {
  return ids.map(label).join(" ");
}

export function framesLabel(frames: readonly (ClientFrame | RelayFrame)[], label: LabelOf): string {
  return frames.map((frame) => frameLabel(frame, label)).join(", ");
}

function frameLabel(frame: ClientFrame | RelayFrame, label: LabelOf): string {
  if (frame.frame === "push") return `push ${label(frame.id)}`;
  if ("ids" in frame) return `${frame.frame} ${all(frame.ids, label)}`;
  if (frame.frame === "submit")
    return `submit ${all(
      frame.envelopes.map((e) => e.id),
      label,
    )}`;
  if (frame.frame === "hello") return `hello ${frame.epoch}`;
  return frame.frame;
}

export function linkLabel(frame: LinkFrame, label: LabelOf): string {
  if (frame.is === "offer")
    return `offer ${all(
      frame.envelopes.map((e) => e.id),
      label,
    )}`;
  if (frame.is === "answer") return `${frame.how} ${all(frame.ids, label)}`;
  return frame.is;
}
