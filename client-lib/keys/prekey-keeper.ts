// One's own prekeys: made, kept, uploaded, replaced, destroyed (crypto.md 1.3).
// Always true: a private key is durable before its public half is uploaded, and a repeat uploads the same bytes; the
// relay never lists a key that the store does not hold once a round has ended; when one-time keys that were handed out
// are replaced tells nobody when this device is there (Prekey Pogo).
import {
  base64url,
  fromBase64url,
  PATHS,
  type PrekeysHeld,
  type PrekeysRequest,
  type Time,
} from "@lethe/protocol";
import {
  destroyAt,
  encodeIdentity,
  encodePrekey,
  type Identity,
  maintainIdentity,
  type MakingPrekeys,
  makeOneTimePrekeys,
  makeSignedPrekeys,
  ONE_TIME_KEM_PREKEYS,
  ONE_TIME_KEM_PREKEYS_LOW,
  ONE_TIME_PREKEYS,
  ONE_TIME_PREKEYS_LOW,
  type PrekeyId,
  type PrekeyKind,
  type PrekeyRecord,
  publicIdentity,
  type Random,
  signedPrekeysDueAt,
} from "@lethe/crypto";
import type { Write } from "../delivery/events.ts";
import { pause } from "../edge/clock.ts";
import {
  ACCESS_PENDING,
  type KeyState,
  LIST_PENDING,
  OWN,
  putKey,
  putTime,
  removeKey,
  removePrekey,
  REPLACE_PENDING,
} from "./key-rows.ts";
import { publishList } from "./publishing.ts";

/** One-time keys that have only so long to be handed out are replaced, ms. */
const REPLACE_BEFORE_MS = 2 * 86_400_000;

export interface KeeperConfig {
  readonly keys: KeyState;
  readonly random: Random;
  /** How long a refill waits from when it is found to be due, ms: random, drawn anew each time. */
  readonly refillDelay: () => number;
  /** Durable when it resolves. */
  readonly commit: (writes: readonly Write[]) => Promise<void>;
  readonly ask: (method: "GET" | "PUT", path: string, json: unknown) => Promise<unknown>;
}

/** A full first set, to be committed with the identity. */
export function firstPrekeys(identity: Identity, random: Random, now: Time): PrekeyRecord[] {
  const making = { identity, random, now };
  return [
    ...makeSignedPrekeys(making),
    ...makeOneTimePrekeys(making, { curve: ONE_TIME_PREKEYS, kem: ONE_TIME_KEM_PREKEYS }),
  ];
}

/** As many at a stretch as take about 3 ms: a page stays usable meanwhile. */
const PIECE = 8;

/** One-time prekeys, a few at a time. */
async function oneTimeInPieces(
  making: MakingPrekeys,
  { curve, kem }: { readonly curve: number; readonly kem: number },
): Promise<PrekeyRecord[]> {
  const out: PrekeyRecord[] = [];
  for (let at = 0; at < Math.max(curve, kem); at += PIECE) {
    const of = (count: number): number => Math.max(0, Math.min(PIECE, count - at));
    out.push(...makeOneTimePrekeys(making, { curve: of(curve), kem: of(kem) }));
    await pause();
  }
  return out;
}

/** A full first set, made a few at a time. */
export async function firstPrekeysInPieces(making: MakingPrekeys): Promise<PrekeyRecord[]> {
  const counts = { curve: ONE_TIME_PREKEYS, kem: ONE_TIME_KEM_PREKEYS };
  return [...makeSignedPrekeys(making), ...(await oneTimeInPieces(making, counts))];
}

/** The rows of new prekeys: themselves, and that they are to be uploaded. */
export function putPrekeys(records: readonly PrekeyRecord[]): Write[] {
  return records.flatMap((record) => [
    putKey("prekey", record.id, encodePrekey(record)),
    putKey("prekey-pending", record.id, new Uint8Array()),
  ]);
}

export class PrekeyKeeper {
  readonly #config: KeeperConfig;
  #refillAt: Time | undefined;

  constructor(config: KeeperConfig) {
    this.#config = config;
  }

  /** When the next round should be at the latest, if it is known. */
  get refillAt(): Time | undefined {
    return this.#refillAt;
  }

  /**
   * One round: what is due by the clock, what the relay has handed out, what it should not have. Gives the number of
   * keys uploaded. Where the store was restored, or the relay lists what it should not, everything is replaced.
   */
  async round(now: Time): Promise<number> {
    await this.#maintain(now);
    if (this.#config.keys.replacePending) return this.#replaceAll(now);
    const held = heldOf(await this.#config.ask("GET", PATHS.prekeys, undefined));
    if (this.#listsUnknown(held) || this.#listsOld(held, now)) return this.#replaceAll(now);
    await this.#noteHandedOut(held, now);
    return this.#topUp(held, now);
  }

  /** Sealing keys and device list by the clock; private halves past their time destroyed. */
  async #maintain(now: Time): Promise<void> {
    const { keys, commit } = this.#config;
    const over = [...keys.prekeys.values()].filter(
      (record) => destroyAt(record, keys.unlisted.get(record.id)) <= now,
    );
    if (over.length > 0) await commit(over.flatMap(({ id }) => removePrekey(id)));
    for (const { id } of over) {
      keys.prekeys.delete(id);
      keys.pending.delete(id);
      keys.unlisted.delete(id);
    }
    // The relay takes one version after the other: the last one first, before the next is made.
    if (keys.listPending) await publishList(this.#config);
    await this.#maintainIdentity(now);
    if (keys.listPending) await publishList(this.#config);
    if (keys.accessPending) await this.#publishAccessKey();
  }

  /** In memory at once: whoever writes the identity meanwhile writes this one, in a commit behind ours. */
  async #maintainIdentity(now: Time): Promise<void> {
    const { keys, random, commit } = this.#config;
    const before = keys.identity;
    const identity = maintainIdentity(before, { random, now });
    if (identity === before) return;
    keys.identity = identity;
    const writes = [putKey("identity", OWN, encodeIdentity(identity))];
    if (identity.list.version !== before.list.version) {
      keys.listPending = true;
      writes.push(putKey("identity", LIST_PENDING, new Uint8Array()));
    }
    await commit(writes);
  }

  /** The relay is told the hash of a new access key until it has taken it: from then on the old one opens nothing. */
  async #publishAccessKey(): Promise<void> {
    const { keys, ask, commit } = this.#config;
    const { profileKey } = keys.identity;
    const { accessKeyHash } = publicIdentity(keys.identity);
    await ask("PUT", PATHS.accessKey, { accessKeyHash: base64url(accessKeyHash) });
    // Changed once more meanwhile: the next round tells that one.
    if (keys.identity.profileKey !== profileKey) return;
    await commit([removeKey("identity", ACCESS_PENDING)]);
    keys.accessPending = keys.identity.profileKey !== profileKey;
  }

  /** An id that the store does not hold: of a store that was lost, or not ours. */
  #listsUnknown(held: Held): boolean {
    const { prekeys } = this.#config.keys;
    const all = [...held.oneTime, ...held.oneTimeKem];
    if (held.signed !== undefined) all.push(held.signed);
    if (held.lastResort !== undefined) all.push(held.lastResort);
    return all.some((id) => !prekeys.has(id));
  }

  /** One-time keys that are handed out past their time, or soon: a bundle with one is refused whole. */
  #listsOld(held: Held, now: Time): boolean {
    const { prekeys } = this.#config.keys;
    return [...held.oneTime, ...held.oneTimeKem].some(
      (id) => (prekeys.get(id)?.expiresAt ?? 0) <= now + REPLACE_BEFORE_MS,
    );
  }

  /** One-time keys that the relay lists no more have been handed out: their time runs from now. */
  async #noteHandedOut(held: Held, now: Time): Promise<void> {
    const { keys, commit } = this.#config;
    const listed = new Set([...held.oneTime, ...held.oneTimeKem]);
    const out = [...keys.prekeys.values()].filter(
      ({ id, kind }) => isOneTime(kind) && !listed.has(id) && !keys.unlisted.has(id) && !keys.pending.has(id),
    );
    if (out.length === 0) return;
    await commit(out.map(({ id }) => putTime("prekey-unlisted", id, now)));
    for (const { id } of out) keys.unlisted.set(id, now);
  }

  /** Makes what is missing, and uploads whatever is not known to be there. */
  async #topUp(held: Held, now: Time): Promise<number> {
    const { keys, random } = this.#config;
    const making = { identity: keys.identity, random, now };
    const waiting = this.#waiting();
    const fresh: PrekeyRecord[] = [];
    if (this.#signedIsDue(now)) fresh.push(...makeSignedPrekeys(making));
    const count = (kind: PrekeyKind, listed: readonly PrekeyId[]): number =>
      listed.length + waiting.filter((record) => record.kind === kind).length;
    const curve = count("oneTime", held.oneTime);
    const kem = count("oneTimeKem", held.oneTimeKem);
    const low = { curve: curve < ONE_TIME_PREKEYS_LOW, kem: kem < ONE_TIME_KEM_PREKEYS_LOW };
    if (this.#mayRefill(low.curve || low.kem, now))
      fresh.push(
        ...(await oneTimeInPieces(making, {
          curve: low.curve ? ONE_TIME_PREKEYS - curve : 0,
          kem: low.kem ? ONE_TIME_KEM_PREKEYS - kem : 0,
        })),
      );
    await this.#keep(fresh);
    return this.#upload([...waiting, ...fresh], false);
  }

  /** A refill that is due waits, at random, from when it was found to be due. */
  #mayRefill(isLow: boolean, now: Time): boolean {
    if (!isLow) {
      this.#refillAt = undefined;
      return false;
    }
    this.#refillAt ??= (now + this.#config.refillDelay()) as Time;
    if (now < this.#refillAt) return false;
    this.#refillAt = undefined;
    return true;
  }

  #waiting(): PrekeyRecord[] {
    const { prekeys, pending } = this.#config.keys;
    return [...prekeys.values()].filter(({ id }) => pending.has(id));
  }

  /** 48 hours old, give or take 6 by its own id; or made before the current sealing key, which it carries. */
  #signedIsDue(now: Time): boolean {
    const { identity, prekeys } = this.#config.keys;
    const sealedAt = identity.sealing.at(-1)?.record.createdAt ?? 0;
    const newest = newestOf([...prekeys.values()], "signed");
    if (newest === undefined || sealedAt > newest.createdAt) return true;
    // An id is a hash: as good as chance, and the same at every start.
    const chance = { bytes: (length: number) => idBytes(newest.id).slice(0, length) };
    return now >= signedPrekeysDueAt(newest.createdAt, chance);
  }

  /** What was replaced may have been handed out: its private halves live on until their time is over. */
  async #replaceAll(now: Time): Promise<number> {
    const { keys, random, commit } = this.#config;
    const old = this.#waiting();
    const fresh = await firstPrekeysInPieces({ identity: keys.identity, random, now });
    await this.#keep(fresh);
    const uploaded = await this.#upload(fresh, true);
    await commit([
      removeKey("identity", REPLACE_PENDING),
      ...old.map(({ id }) => removeKey("prekey-pending", id)),
    ]);
    for (const { id } of old) keys.pending.delete(id);
    keys.replacePending = false;
    this.#refillAt = undefined;
    return uploaded;
  }

  async #keep(fresh: readonly PrekeyRecord[]): Promise<void> {
    if (fresh.length === 0) return;
    await this.#config.commit(putPrekeys(fresh));
    for (const record of fresh) {
      this.#config.keys.prekeys.set(record.id, record);
      this.#config.keys.pending.add(record.id);
    }
  }

  async #upload(records: readonly PrekeyRecord[], replace: boolean): Promise<number> {
    if (records.length === 0) return 0;
    const of = (kind: PrekeyKind) => records.filter((record) => record.kind === kind).map(jsonOf);
    const signed = newestOf(records, "signed");
    const lastResort = newestOf(records, "lastResort");
    const request: PrekeysRequest = {
      ...(signed === undefined ? {} : { signed: jsonOf(signed) }),
      ...(lastResort === undefined ? {} : { lastResort: jsonOf(lastResort) }),
      oneTime: of("oneTime"),
      oneTimeKem: of("oneTimeKem"),
      replace,
    };
    await this.#config.ask("PUT", PATHS.prekeys, request);
    await this.#config.commit(records.map(({ id }) => removeKey("prekey-pending", id)));
    for (const { id } of records) this.#config.keys.pending.delete(id);
    return records.length;
  }
}

interface Held {
  readonly signed: PrekeyId | undefined;
  readonly lastResort: PrekeyId | undefined;
  readonly oneTime: readonly PrekeyId[];
  readonly oneTimeKem: readonly PrekeyId[];
}

function heldOf(answer: unknown): Held {
  const held = answer as Partial<PrekeysHeld> | undefined;
  const id = (text: unknown): PrekeyId | undefined =>
    typeof text === "string" ? (fromBase64url(text) as PrekeyId | undefined) : undefined;
  const ids = (list: unknown): PrekeyId[] =>
    Array.isArray(list) ? list.map(id).filter((found) => found !== undefined) : [];
  return {
    signed: id(held?.signed),
    lastResort: id(held?.lastResort),
    oneTime: ids(held?.oneTime),
    oneTimeKem: ids(held?.oneTimeKem),
  };
}

function newestOf(records: readonly PrekeyRecord[], kind: PrekeyKind): PrekeyRecord | undefined {
  let newest: PrekeyRecord | undefined;
  for (const record of records)
    if (record.kind === kind && (newest === undefined || record.createdAt >= newest.createdAt))
      newest = record;
  return newest;
}

function jsonOf({ id, upload }: PrekeyRecord): { id: string; bytes: string } {
  return { id: base64url(idBytes(id)), bytes: base64url(upload) };
}

function isOneTime(kind: PrekeyKind): boolean {
  return kind === "oneTime" || kind === "oneTimeKem";
}

function idBytes(id: PrekeyId): Uint8Array {
  return Uint8Array.from(id, (character) => character.charCodeAt(0));
}
