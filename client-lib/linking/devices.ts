// The account's devices, from the primary one: linking another, removing one, and what was begun before a crash.
// Always true: a number is given out once; nothing is signed before the person has said yes; the list that names a device is at
// the relay before its grant is; a device that has not come in its time is taken out of the list again.
import { type DeviceNumber, PATHS, type Time, type UserName } from "@lethe/protocol";
import {
  abandonLinking,
  type Comparing,
  confirmLinking,
  encodeIdentity,
  hearJoining,
  type Identity,
  LINKING_LIFETIME_MS,
  offerAccount,
  type Offering,
  parseCertificate,
  type PrimaryDevice,
  type Random,
  removeDevice,
} from "@lethe/crypto";
import type { Write } from "../delivery/events.ts";
import type { Clock } from "../edge/clock.ts";
import type { RelayHttp } from "../edge/relay-http.ts";
import { ClientError } from "../errors.ts";
import { type KeyState, LIST_PENDING, OWN, putKey } from "../keys/key-rows.ts";
import {
  putCertificate,
  putHighest,
  putLinking,
  putLockOut,
  removeCertificate,
} from "../keys/own-devices.ts";
import type { KeeperConfig } from "../keys/prekey-keeper.ts";
import { publishList } from "../keys/publishing.ts";
import { refusedBy } from "./codes.ts";
import {
  endMailbox,
  linkingBody,
  linkingPath,
  isPassing,
  sleep,
  takeMessage,
  triedAgain,
} from "./mailbox.ts";

/** A linking whose digits are on the screen. */
export interface Linking {
  /** Six digits: the person compares them with those of the new device. */
  readonly digits: string;
  /** They are the same: resolves when the new device has come. @throws ClientError linking-expired, linking-unfinished */
  confirm(): Promise<void>;
  /** They are not, or the person thinks better of it: nothing was signed, and nothing is left. */
  cancel(): Promise<void>;
}

/** A device of the account. */
export interface Device {
  readonly number: number;
  /** ms since 1970; undefined where this device has not learned it. */
  readonly createdAt: number | undefined;
  /** It holds the account key. */
  readonly isPrimary: boolean;
  readonly isThis: boolean;
}

/** `client.devices`. Links and removes are of the account's first device alone; every other is refused with `primary-only`. */
export interface OwnDevices {
  /** The first one first. */
  list(): Device[];
  /**
   * Answers what a new device shows, scanned or pasted by the person for this very purpose: a code that came in a link or a
   * message is never to be given here. Resolves when there are digits to compare. @throws ClientError
   */
  link(code: string, options?: { readonly signal?: AbortSignal }): Promise<Linking>;
  /**
   * Removes a linked device: it gets nothing any more, and contacts get a new access key, for it knew the old one. Once it
   * is in the store it goes on by itself where the relay does not answer. @throws ClientError
   */
  remove(number: number): Promise<void>;
}

export interface DevicesConfig {
  readonly keys: KeyState;
  readonly http: RelayHttp;
  readonly clock: Clock;
  readonly random: Random;
  readonly name: string;
  /** The relay's name, pinned. */
  readonly relay: string;
  readonly ask: KeeperConfig["ask"];
  /** Durable when it resolves. */
  readonly commit: (writes: readonly Write[]) => Promise<void>;
  /** Contacts are to get a new access key. */
  readonly lockOut: () => void;
}

/** How much longer than the new device waits, ms: what it has stored has time to reach the relay. */
const SLACK_MS = 30_000;
const LOOK_EVERY_MS = 1_000;
/** After a failure, ms. */
const RETRY_MS = 5_000;
const MAX_NUMBER = 65_535;

export class Devices implements OwnDevices {
  readonly #config: DevicesConfig;
  readonly #end = new AbortController();
  /** The one linking that may be under way, from its scan on. */
  #linking: AbortController | undefined;
  #settling: Promise<boolean> | undefined;

  constructor(config: DevicesConfig) {
    this.#config = config;
  }

  /** Ends what waits. A linking that was confirmed goes on at the next start. */
  async stop(): Promise<void> {
    this.#end.abort();
    this.#linking?.abort();
    await this.#settling?.catch(() => undefined);
  }

  /** What an earlier run has left. */
  resume(): void {
    const { keys, lockOut } = this.#config;
    if (keys.own.lockOut) lockOut();
    if (keys.own.linking !== undefined) void this.#settle().catch(() => undefined);
  }

  /** Contacts have been told, durably. */
  async lockedOut(): Promise<void> {
    const { keys, commit } = this.#config;
    if (keys.own.lockOut) await commit([putLockOut(keys.own, false)]);
  }

  list(): Device[] {
    const { identity, own } = this.#config.keys;
    const { certificate, list } = identity;
    return list.devices.map(({ device }, i) => {
      const bytes = own.certificates.get(device);
      const known = bytes === undefined ? undefined : parseCertificate(bytes);
      const isOwn = device === certificate.device;
      const createdAt = isOwn ? certificate.createdAt : known?.createdAt;
      return { number: device, createdAt, isPrimary: i === 0, isThis: isOwn };
    });
  }

  async link(code: string, { signal: given }: { readonly signal?: AbortSignal } = {}): Promise<Linking> {
    this.#mustBePrimary();
    const { own } = this.#config.keys;
    if (this.#linking !== undefined || own.linking !== undefined) throw new ClientError("linking-under-way");
    const run = new AbortController();
    this.#linking = run;
    const signal = given === undefined ? run.signal : AbortSignal.any([run.signal, given]);
    let state: PrimaryDevice = { at: "over" };
    const end = async (): Promise<void> => {
      const was = state;
      state = abandonLinking(was);
      if (this.#linking === run) this.#linking = undefined;
      if (was.at !== "over") await endMailbox(this.#config, was.mailbox);
    };
    try {
      const offering = await this.#offer(code);
      state = offering;
      const comparing = await this.#joined(offering, signal);
      state = comparing;
      const confirm = async (): Promise<void> => {
        try {
          await this.#confirm(comparing, () => {
            state = { at: "over" }; // its mailbox is the new device's to end from here on
          });
        } finally {
          await end();
        }
      };
      return { digits: comparing.digits, confirm, cancel: end };
    } catch (error) {
      await end();
      throw error;
    }
  }

  /** The number is used up, durably, before anybody hears of it. */
  async #offer(text: string): Promise<Offering> {
    const { keys, clock, random, relay, commit, ask } = this.#config;
    await this.#publishPending();
    const numbers = keys.identity.list.devices.map(({ device }) => device);
    const next = Math.max(keys.own.highest, ...numbers) + 1;
    if (next > MAX_NUMBER) throw new ClientError("too-many-devices");
    const device = next as DeviceNumber;
    const name = this.#config.name as UserName;
    const scanned = { identity: keys.identity, text, relay, name, device, random, now: clock.now() };
    const offered = offerAccount(scanned);
    if (offered.code !== "ok") throw refusedBy(offered.code);
    await commit([putHighest(keys.own, device)]);
    const { state, message } = offered;
    try {
      await ask("PUT", linkingPath(state.mailbox, "offer"), linkingBody(message));
    } catch (error) {
      abandonLinking(state);
      throw error;
    }
    return state;
  }

  async #joined(offering: Offering, signal: AbortSignal): Promise<Comparing> {
    const { mailbox, startedAt } = offering;
    const until = (startedAt + LINKING_LIFETIME_MS) as Time;
    const message = await takeMessage(this.#config, { mailbox, slot: "join", until, signal });
    const heard = hearJoining(offering, { message, now: this.#config.clock.now() });
    if (heard.code !== "ok") throw refusedBy(heard.code);
    return heard.state;
  }

  async #confirm(comparing: Comparing, signed: () => void): Promise<void> {
    const { keys, clock, random, commit, ask } = this.#config;
    await this.#publishPending();
    const now = clock.now();
    const confirmed = confirmLinking(comparing, { identity: keys.identity, random, now });
    if (confirmed.code !== "ok") throw refusedBy(confirmed.code);
    signed();
    const { device } = comparing.offered;
    const until = (now + LINKING_LIFETIME_MS + SLACK_MS) as Time;
    await commit([
      ...this.#issued(confirmed.identity),
      putCertificate(keys.own, device, confirmed.certificate),
      putLinking(keys.own, { device, until, granted: false }),
    ]);
    const grant = async (): Promise<void> => {
      await commit([putLinking(keys.own, { device, until, granted: true })]);
      const path = linkingPath(comparing.mailbox, "grant");
      await ask("PUT", path, linkingBody(confirmed.message));
    };
    if (!(await this.#settle(grant))) throw new ClientError("linking-unfinished");
  }

  /** Whether the device that is in the list and was not here yet has come; it is not in the list any more where not. */
  #settle(grant?: () => Promise<void>): Promise<boolean> {
    this.#settling ??= this.#untilSettled(grant).finally(() => {
      this.#settling = undefined;
    });
    return this.#settling;
  }

  async #untilSettled(grant: (() => Promise<void>) | undefined): Promise<boolean> {
    const { keys, clock } = this.#config;
    const { signal } = this.#end;
    let toGrant = grant;
    while (!signal.aborted && keys.own.linking !== undefined) {
      const { device, until } = keys.own.linking;
      try {
        await this.#publishPending();
        const isLost = toGrant !== undefined && !(await isHandedOver(toGrant));
        toGrant = undefined;
        if (await this.#hasCome(device)) {
          await this.#config.commit([putLinking(keys.own, undefined)]);
          return true;
        }
        // Read again: it is granted meanwhile, unless an earlier run has ended before that.
        if (isLost || !keys.own.linking.granted || clock.now() >= until) {
          await this.#takeOut(device);
          return false;
        }
        await sleep(clock, LOOK_EVERY_MS, signal);
      } catch (error) {
        triedAgain(error);
        await sleep(clock, RETRY_MS, signal);
      }
    }
    if (signal.aborted) throw new ClientError("closed");
    return false; // it was removed meanwhile
  }

  async #hasCome(device: DeviceNumber): Promise<boolean> {
    const held = await this.#config.ask("GET", `${PATHS.prekeys}/${device}`, undefined);
    return typeof held === "object" && held !== null && "signed" in held && typeof held.signed === "string";
  }

  async remove(number: number): Promise<void> {
    this.#mustBePrimary();
    await this.#publishPending();
    await this.#takeOut(number as DeviceNumber, [putLockOut(this.#config.keys.own, true)]);
    this.#config.lockOut();
  }

  async #takeOut(device: DeviceNumber, more: readonly Write[] = []): Promise<void> {
    const { keys, clock, commit } = this.#config;
    const removed = removeDevice(keys.identity, device, clock.now());
    if (removed.code !== "ok") throw new ClientError(removed.code);
    const writes = [...this.#issued(removed.identity), removeCertificate(keys.own, device), ...more];
    if (keys.own.linking?.device === device) writes.push(putLinking(keys.own, undefined));
    await commit(writes);
    await this.#publishPending();
  }

  /** In memory at once: whoever writes the identity meanwhile writes this one. */
  #issued(identity: Identity): Write[] {
    const { keys } = this.#config;
    keys.identity = identity;
    keys.listPending = true;
    return [
      putKey("identity", OWN, encodeIdentity(identity)),
      putKey("identity", LIST_PENDING, new Uint8Array()),
    ];
  }

  async #publishPending(): Promise<void> {
    if (this.#config.keys.listPending) await publishList(this.#config);
  }

  #mustBePrimary(): void {
    if (this.#end.signal.aborted) throw new ClientError("closed");
    if (this.#config.keys.identity.accountSeed === undefined) throw new ClientError("primary-only");
  }
}

/** False: the relay says no to it for good. @throws ClientError what may pass */
async function isHandedOver(grant: () => Promise<void>): Promise<boolean> {
  try {
    await grant();
    return true;
  } catch (error) {
    if (isPassing(error)) throw error;
    return false;
  }
}
