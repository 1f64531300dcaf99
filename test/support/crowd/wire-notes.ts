// Sockets of a client that note what passes on them: envelopes that go, come and are acknowledged. Always true: they
// change nothing, and a note is written before the client sees what it is about.
import type { OpenSocket } from "@lethe/client";
import { envelopeIdFor } from "@lethe/crypto";
import {
  addressOf,
  type ClientFrame,
  type ConnectionKind,
  decodeFrames,
  type EnvelopeId,
  MAX_VERSION,
  PATHS,
  type RelayFrame,
  toHex,
} from "@lethe/protocol";
import { openNodeSocket } from "../../../client-lib/edge/socket.ts";
import type { WireLine } from "./history.ts";

/** Bytes of a ciphertext's middle that it is known by in files. */
export const MARK_BYTES = 16;

export function notedSockets(write: (line: WireLine) => void): OpenSocket {
  let connections = 0;
  return (url, events) => {
    const connection = ++connections;
    const on: ConnectionKind = url.endsWith(PATHS.deviceSocket) ? "device" : "anonymous";
    const socket = openNodeSocket(url, {
      opened() {
        if (on === "device") write({ is: "socket", state: "opened", connection });
        events.opened();
      },
      message(bytes) {
        for (const frame of decodeFrames(bytes, { from: "relay", on, version: MAX_VERSION }))
          for (const line of linesIn(frame, connection)) write(line);
        events.message(bytes);
      },
      closed(status) {
        if (on === "device") write({ is: "socket", state: "closed", connection, status });
        events.closed(status);
      },
    });
    return {
      send(bytes) {
        for (const frame of decodeFrames(bytes, { from: "client", on, version: MAX_VERSION }))
          for (const line of linesOut(frame, connection)) write(line);
        socket.send(bytes);
      },
      close: () => socket.close(),
    };
  };
}

const idsIn = (ids: readonly EnvelopeId[]): string[] => ids.map((id) => toHex(id));

function linesIn(frame: RelayFrame, connection: number): WireLine[] {
  switch (frame.frame) {
    case "push":
      return frame.kind === "signal" ? [] : [{ is: "received", id: toHex(frame.id), connection }];
    case "accepted":
      return [{ is: "accepted", ids: idsIn(frame.ids) }];
    case "refused":
      return [{ is: "refused", ids: idsIn(frame.ids), code: frame.code }];
    default:
      return [];
  }
}

function linesOut(frame: ClientFrame, connection: number): WireLine[] {
  switch (frame.frame) {
    case "submit": {
      const account = toHex(frame.recipient);
      return frame.envelopes.map(({ id, ciphertext }) => ({
        is: "submitted",
        id: toHex(id),
        account,
        mark: markOf(ciphertext),
      }));
    }
    case "submit-group": {
      const { groupEnvelope, ciphertext, recipients } = frame;
      const mark = markOf(ciphertext);
      return recipients.flatMap(({ account, devices }) =>
        devices.map((device) => ({
          is: "submitted",
          id: toHex(envelopeIdFor(groupEnvelope, addressOf(account, device))),
          account: toHex(account),
          mark,
        })),
      );
    }
    case "delivered":
      return [{ is: "acknowledged", ids: idsIn(frame.ids), connection }];
    default:
      return [];
  }
}

function markOf(ciphertext: Uint8Array): string {
  const at = Math.max(0, (ciphertext.length - MARK_BYTES) >> 1);
  return Buffer.from(ciphertext.subarray(at, at + MARK_BYTES)).toString("hex");
}
