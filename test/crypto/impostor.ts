// Mallory in Ben's place: the same account id and device number, and keys of her own, the account key with them. What only
// somebody who is the relay, or owns it, can put there.
import { OWN, putKey } from "../../client-lib/keys/key-rows.ts";
import { firstPrekeys, putPrekeys } from "../../client-lib/keys/prekey-keeper.ts";
import { createIdentity, encodeIdentity, type Identity } from "../../crypto/index.ts";
import type { AttackWorld, Side } from "./attack-world.ts";
import { seededRandom, START } from "./support.ts";

export function impostorOf(side: Pick<Side, "account">): Identity {
  const random = seededRandom(666);
  let first = true;
  return createIdentity({
    random: {
      bytes(length) {
        const own = first && length === 16;
        first = false;
        return own ? Uint8Array.from(side.account, (c) => c.charCodeAt(0)) : random.bytes(length);
      },
    },
    now: START,
  });
}

/** From now on the relay gives the impostor's list and prekeys for somebody, and who writes in that name is the impostor. */
export function replace(world: AttackWorld, side: Side): void {
  const identity = impostorOf(side);
  for (const table of ["prekey", "prekey-pending", "peer", "ratchet", "ratchet-order"])
    side.tables.delete(table);
  side.write([
    putKey("identity", OWN, encodeIdentity(identity)),
    ...putPrekeys(firstPrekeys(identity, seededRandom(667), world.now)),
  ]);
  world.start(side);
  world.run();
}
