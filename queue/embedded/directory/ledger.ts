// What the embedded mailbox keeps in the database: the mark that positions start above, each device's connection epoch
// and the minute it was last connected, and which devices are retired.
import type { DatabaseSync } from "node:sqlite";
import { ADDRESS_BYTES, type DeviceAddress, type Time } from "@lethe/protocol";
import { retiredMark } from "../boxes.ts";
import type { LedgerContents, Verbs } from "./calls.ts";
import { blob, bytesOf, idOf, numberOf } from "./rows.ts";

type LedgerVerbs = Pick<Verbs, "ledger" | "raisePositionMark" | "claim" | "noteSeen" | "retire">;

const POSITION = "position";
const CONNECTION_BYTES = ADDRESS_BYTES + 16;

export function ledgerVerbs(db: DatabaseSync): LedgerVerbs {
  const mark = db.prepare("SELECT value FROM mark WHERE name = ?");
  const raiseMark = db.prepare(
    "INSERT INTO mark VALUES (?, ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
  );
  const connections = db.prepare("SELECT address, epoch, last_seen FROM connection");
  const countConnections = db.prepare("SELECT count(*) AS n FROM connection");
  const retired = db.prepare("SELECT mark FROM retired");
  const isRetired = db.prepare("SELECT 1 FROM retired WHERE mark = ?");
  const retire = db.prepare("INSERT OR IGNORE INTO retired VALUES (?)");
  const deleteConnection = db.prepare("DELETE FROM connection WHERE address = ?");
  const raiseEpoch = db.prepare(
    "INSERT INTO connection VALUES (?, ?, 0) ON CONFLICT DO UPDATE SET epoch = max(epoch, excluded.epoch)",
  );
  const setSeen = db.prepare("UPDATE connection SET last_seen = ? WHERE address = ?");

  function packedConnections(): Uint8Array {
    const packed = Buffer.alloc(numberOf(countConnections.get() ?? {}, "n") * CONNECTION_BYTES);
    let at = 0;
    for (const row of connections.iterate()) {
      packed.set(bytesOf(row, "address"), at);
      packed.writeDoubleBE(numberOf(row, "epoch"), at + ADDRESS_BYTES);
      packed.writeDoubleBE(numberOf(row, "last_seen"), at + ADDRESS_BYTES + 8);
      at += CONNECTION_BYTES;
    }
    return packed;
  }

  return {
    ledger: () => ({
      positionMark: numberOf(mark.get(POSITION) ?? { value: 0 }, "value"),
      retired: retired.all().map((row) => idOf<string>(bytesOf(row, "mark"))),
      connections: packedConnections(),
    }),

    raisePositionMark(value) {
      raiseMark.run(POSITION, value);
      return undefined;
    },

    claim: (claims) =>
      claims.map(({ address, epoch }) => {
        if (isRetired.get(blob(retiredMark(address))) !== undefined) return false;
        raiseEpoch.run(blob(address), epoch);
        return true;
      }),

    noteSeen(seen) {
      for (const { address, at } of seen) setSeen.run(at, blob(address));
      return undefined;
    },

    retire(address) {
      retire.run(blob(retiredMark(address)));
      deleteConnection.run(blob(address));
      return undefined;
    },
  };
}

/** Calls `visit` for each connection of the ledger. */
export function eachConnection(
  contents: LedgerContents,
  visit: (address: DeviceAddress, epoch: number, lastSeen: Time) => void,
): void {
  const { buffer, byteOffset, byteLength } = contents.connections;
  const packed = Buffer.from(buffer, byteOffset, byteLength);
  for (let at = 0; at < packed.length; at += CONNECTION_BYTES) {
    const address = packed.toString("latin1", at, at + ADDRESS_BYTES) as DeviceAddress;
    visit(
      address,
      packed.readDoubleBE(at + ADDRESS_BYTES),
      packed.readDoubleBE(at + ADDRESS_BYTES + 8) as Time,
    );
  }
}
