// Prekeys of devices. One-time keys go by kind and id: `o` or `k` (KEM), then the id; values are ids with bytes behind.
import { type DeviceAddress, MAX_ONE_TIME_PREKEYS } from "@lethe/protocol";
import { accountOf } from "@lethe/protocol";
import {
  type HeldPrekeys,
  type PrekeyBundle,
  type PrekeyUpload,
  type PublicPrekey,
  SAME_PREKEYS_MS,
  type TakePrekeys,
} from "../../directory.ts";
import { fieldOf } from "./keys.ts";
import { buffersOf, type DirectoryStore, unexpected, wordOf } from "./store.ts";

const PREKEY_ID_BYTES = 8;
const ONE_TIME = "o".charCodeAt(0);
/** Ids of used one-time keys of one kind that are remembered for a device: five full uploads, the oldest go first. */
const MAX_USED_IDS = 5 * MAX_ONE_TIME_PREKEYS;

export class Prekeys {
  readonly #store: DirectoryStore;

  constructor(store: DirectoryStore) {
    this.#store = store;
  }

  async put(address: DeviceAddress, upload: PrekeyUpload): Promise<"put" | "too-many" | "no-device"> {
    const { scripts, keys } = this.#store;
    const { signed, lastResort, oneTime, oneTimeKem, replace } = upload;
    const args = [
      fieldOf(address),
      packed(signed),
      packed(lastResort),
      replace ? 1 : 0,
      MAX_ONE_TIME_PREKEYS,
    ];
    const oneTimeKeys = [...oneTime.flatMap(fieldsOf("o")), ...oneTimeKem.flatMap(fieldsOf("k"))];
    const own = [keys.account(accountOf(address)), ...keys.prekeys(address)];
    const put = wordOf(await scripts.run("put-prekeys", own, [...args, ...oneTimeKeys]));
    if (put !== "put" && put !== "too-many" && put !== "no-device") throw unexpected("put-prekeys");
    return put;
  }

  async held(address: DeviceAddress): Promise<HeldPrekeys | undefined> {
    const { scripts, keys } = this.#store;
    const [bytes, order] = keys.prekeys(address);
    const own = [keys.account(accountOf(address)), bytes, order];
    const answer = await scripts.look("held-prekeys", own, [fieldOf(address)]);
    if (answer === null) return undefined;
    if (!Array.isArray(answer)) throw unexpected("held-prekeys");
    const [signed, lastResort] = buffersOf(answer.slice(0, 2), "held-prekeys").map(unpacked);
    const held = buffersOf(answer[2], "held-prekeys");
    const idsOf = (isOneTime: boolean): Buffer[] =>
      held.filter((id) => (id[0] === ONE_TIME) === isOneTime).map((id) => id.subarray(1));
    return { signed: signed?.id, lastResort: lastResort?.id, oneTime: idsOf(true), oneTimeKem: idsOf(false) };
  }

  async take({ address, requester, oneTime }: TakePrekeys): Promise<PrekeyBundle | undefined> {
    const { scripts, keys, now } = this.#store;
    const args = [now(), Buffer.from(requester), oneTime ? 1 : 0, SAME_PREKEYS_MS, MAX_USED_IDS];
    const answer = await scripts.run("take-prekeys", keys.prekeys(address), args);
    if (answer === null) return undefined;
    const [signed, lastResort, ...given] = buffersOf(answer, "take-prekeys").map(unpacked);
    if (signed === undefined || lastResort === undefined) throw unexpected("take-prekeys");
    return { signed, lastResort, oneTime: given[0], oneTimeKem: given[1] };
  }
}

function fieldsOf(kind: "o" | "k"): (key: PublicPrekey) => Buffer[] {
  return ({ id, bytes }) => [Buffer.concat([Buffer.from(kind), id]), Buffer.from(bytes)];
}

function packed(key: PublicPrekey | undefined): Buffer {
  return key === undefined ? Buffer.alloc(0) : Buffer.concat([key.id, key.bytes]);
}

function unpacked(value: Buffer): PublicPrekey | undefined {
  if (value.length === 0) return undefined;
  return { id: value.subarray(0, PREKEY_ID_BYTES), bytes: value.subarray(PREKEY_ID_BYTES) };
}
