// Everybody with real keys: the client library's cipher on the real cryptography, and a directory that hands out real
// prekeys. Identities are made once a process, for they take longer than a schedule; everything else is of one world.
import { type EnvelopeId, type FrameOf, type Time, toBytes } from "@lethe/protocol";
import {
  accessKey,
  createIdentity,
  encodeIdentity,
  type Identity,
  makeOneTimePrekeys,
  makeSignedPrekeys,
  type PrekeyRecord,
  publicIdentity,
  type Random,
  ready,
} from "@lethe/crypto";
import { bodyOf, typingBody } from "../../client-lib/content/content.ts";
import type { Cipher, Write } from "../../client-lib/delivery/events.ts";
import { KEY_TABLES, loadKeys, OWN, putKey } from "../../client-lib/keys/key-rows.ts";
import { PairwiseCipher } from "../../client-lib/keys/pairwise-cipher.ts";
import { putPrekeys } from "../../client-lib/keys/prekey-keeper.ts";
import { Dice, mix } from "./chance.ts";
import {
  accountAt,
  addressAt,
  type Cast,
  type CipherPort,
  type DevicesAnswer,
  openedMark,
  personAt,
  type Plain,
  type PrekeysAnswer,
} from "./people.ts";

/** Identities and prekeys are made two days before the world begins. */
const MADE = (1_800_000_000_000 - 2 * 86_400_000) as Time;
const ONE_TIME = { curve: 6, kem: 3 };

interface Person {
  readonly identity: Identity;
  readonly prekeys: readonly PrekeyRecord[];
  readonly rows: readonly Write[];
}

/** Gives the account id that is wanted as the first 16 bytes, then chance. */
function chanceFor(index: number): Random {
  const dice = new Dice(mix(7, index));
  let first = true;
  return {
    bytes(length) {
      const account = first && length === 16;
      first = false;
      return account ? toBytes(accountAt(index)) : dice.bytes(length);
    },
  };
}

function makePerson(index: number): Person {
  const random = chanceFor(index);
  const identity = createIdentity({ random, now: MADE });
  const making = { identity, random, now: MADE };
  const prekeys = [...makeSignedPrekeys(making), ...makeOneTimePrekeys(making, ONE_TIME)];
  const kept = putPrekeys(prekeys).filter(({ table }) => table === "prekey");
  return { identity, prekeys, rows: [putKey("identity", OWN, encodeIdentity(identity)), ...kept] };
}

/** Makes people of this many; what it gives makes one world's cast after another. */
export async function realCast(clients: number): Promise<(seed: number) => Cast> {
  await ready();
  const people = Array.from({ length: clients }, (_, index) => makePerson(index));
  return (seed) => new RealCast(people, seed);
}

class RealCast implements Cast {
  #hasGoneBack = false;
  readonly #people: readonly Person[];
  readonly #handedOut = new Map<number, number>();
  readonly #plains = new Map<EnvelopeId, Plain>();
  readonly #world: number;
  /** Each process draws its own chance. */
  #ciphers = 0;

  constructor(people: readonly Person[], world: number) {
    this.#people = people;
    this.#world = world;
  }

  #person(index: number): Person {
    const person = this.#people[index];
    if (person === undefined) throw new RangeError("nobody is there");
    return person;
  }

  accessKey(index: number): Uint8Array {
    return accessKey(this.#person(index).identity);
  }

  rows(index: number): readonly Write[] {
    return this.#person(index).rows;
  }

  devices(index: number): DevicesAnswer {
    const { deviceList, certificate, listVersion } = publicIdentity(this.#person(index).identity);
    return { version: listVersion, deviceList, certificates: [certificate] };
  }

  /** One-time keys once each, as far as they go. */
  prekeys(index: number): PrekeysAnswer {
    const { prekeys } = this.#person(index);
    const turn = this.#handedOut.get(index) ?? 0;
    this.#handedOut.set(index, turn + 1);
    const all = (kind: PrekeyRecord["kind"]): PrekeyRecord[] =>
      prekeys.filter((record) => record.kind === kind);
    const one = (kind: PrekeyRecord["kind"], at: number): FrameOf<"has-prekeys">["oneTime"] => {
      const record = all(kind)[at];
      return record === undefined ? undefined : { id: toBytes(record.id), bytes: record.upload };
    };
    const signed = one("signed", 0);
    const lastResort = one("lastResort", 0);
    if (signed === undefined || lastResort === undefined) throw new Error("signed prekeys are always there");
    return { signed, lastResort, oneTime: one("oneTime", turn), oneTimeKem: one("oneTimeKem", turn) };
  }

  wentBack(): void {
    this.#hasGoneBack = true;
  }

  readonly bulk = 60;

  body(bytes: number): Uint8Array {
    return bodyOf({ is: "bytes", bytes: new Uint8Array(bytes), type: "" });
  }

  typing(): Uint8Array {
    return typingBody();
  }

  plain(id: EnvelopeId): Plain | undefined {
    return this.#plains.get(id);
  }

  cipher({ index, rows }: CipherPort): Cipher {
    const keys = loadKeys(Object.fromEntries(KEY_TABLES.map((table) => [table, rows[table] ?? []])));
    if (keys === undefined) throw new Error("a person without an identity");
    const random = new Dice(mix(8, index, this.#world, this.#ciphers++));
    const real = new PairwiseCipher({
      keys,
      random,
      name: personAt(index),
      relay: "relay.example",
      alarm: (code) => {
        if (code === "store-copied" && this.#hasGoneBack) return;
        throw new Error(`the cipher raised ${code}`);
      },
    });
    return this.#watched(real, index);
  }

  /** Remembers what was sealed, and leaves the mark of what was opened in the same commit. */
  #watched(real: Cipher, index: number): Cipher {
    const from = addressAt(index);
    return {
      peer: (account, now) => real.peer(account, now),
      learnDevices: (account, answer, now) => real.learnDevices(account, answer, now),
      forgetUnlisted: (account) => real.forgetUnlisted(account),
      learnPrekeys: (address, answer, now) => real.learnPrekeys(address, answer, now),
      sealControl: (request) => real.sealControl(request),
      newAccessKey: (now) => real.newAccessKey(now),
      adoptProfileKey: (theirs) => real.adoptProfileKey(theirs),
      verified: (account) => real.verified(account),
      verify: (account, key) => real.verify(account, key),
      renew: (address, now) => real.renew(address, now),
      goOn: (address, now) => real.goOn(address, now),
      suspect: (now) => real.suspect(now),
      prove: (proof) => real.prove(proof),
      seal: (request) => {
        const { id, to, message, place, content, sentAt } = request;
        const sealed = real.seal(request);
        if (sealed.ciphertext !== undefined)
          this.#plains.set(id, { id, from, to, message, place, content, sentAt });
        return sealed;
      },
      open: (request) => {
        const outcome = real.open(request);
        if (outcome.outcome === "duplicate" || request.kind === "signal") return outcome;
        return { ...outcome, writes: [...outcome.writes, openedMark(request.id)] };
      },
    };
  }
}
