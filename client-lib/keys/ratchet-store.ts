// The ratchets with each peer device, in memory and as rows. Always true: every change of one stands in the writes that
// are given back; a row whose ratchet is not kept any more is removed in the same commit.
import type { DeviceAddress, Time } from "@lethe/protocol";
import { encodeRatchet, expireArchived, type KeptRatchets, NO_RATCHETS, ratchetsOf } from "@lethe/crypto";
import type { Write } from "../delivery/events.ts";
import { type KeyState, putKey, putOrder, removeKey } from "./key-rows.ts";

export class RatchetStore {
  readonly #keys: Pick<KeyState, "ratchets">;

  constructor(keys: Pick<KeyState, "ratchets">) {
    this.#keys = keys;
  }

  of(address: DeviceAddress): KeptRatchets {
    return this.#keys.ratchets.get(address) ?? NO_RATCHETS;
  }

  /** Puts what is kept with a device from now on; what is left out is destroyed. */
  set(address: DeviceAddress, next: KeptRatchets): Write[] {
    const before = this.of(address);
    if (next === before) return [];
    this.#keys.ratchets.set(address, next);
    const [known, kept] = [ratchetsOf(before), ratchetsOf(next)];
    const gone = known.filter(({ id }) => !kept.some((ratchet) => ratchet.id === id));
    const changed = kept.filter((ratchet) => !known.includes(ratchet));
    return [
      ...gone.map(({ id }) => removeKey("ratchet", address + id)),
      ...changed.map((ratchet) => putKey("ratchet", address + ratchet.id, encodeRatchet(ratchet))),
      ...(sameOrder(before, next) ? [] : [putOrder(address, next)]),
    ];
  }

  /** Nothing is kept with a device that is gone. */
  drop(address: DeviceAddress): Write[] {
    const kept = ratchetsOf(this.of(address));
    if (!this.#keys.ratchets.delete(address)) return [];
    return [...kept.map(({ id }) => removeKey("ratchet", address + id)), removeKey("ratchet-order", address)];
  }

  /** Changes what is kept with every device. */
  setAll(change: (kept: KeptRatchets) => KeptRatchets): Write[] {
    return [...this.#keys.ratchets].flatMap(([address, kept]) => this.set(address, change(kept)));
  }

  sweep(now: Time): Write[] {
    return this.setAll((kept) => expireArchived(kept, now));
  }
}

function sameOrder(a: KeptRatchets, b: KeptRatchets): boolean {
  if (a.sending?.id !== b.sending?.id || a.archived.length !== b.archived.length) return false;
  return a.archived.every((each, i) => {
    const other = b.archived[i];
    return (
      each.ratchet.id === other?.ratchet.id && each.since === other.since && each.trusted === other.trusted
    );
  });
}
