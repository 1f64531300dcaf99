// Who may submit, and how much: permission, list versions, rates, sizes; what goes to a group is judged here too and taken
// apart in submitting-group.ts. Always true: what passes becomes an event, what does not is refused by id with a code; a wrong
// key, an unknown account and a blocked sender are refused alike.
import {
  type AccountId,
  accountOf,
  addressOf,
  type DeviceNumber,
  type EnvelopeId,
  type FrameOf,
  type ProblemCode,
  type SealedFor,
  type Time,
} from "@lethe/protocol";
import type { NodeEvent } from "../delivery/types.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { type Accounts, type Cached, compareDevices, deviceIn } from "./accounts.ts";
import type { ClientSocket } from "./client-socket.ts";
import type { RequestQuota } from "./request-quota.ts";

export interface SubmittingOptions {
  readonly accounts: Accounts;
  /** What may come without an access key. */
  readonly requests: RequestQuota;
  readonly limits: { readonly envelopeBytes: number; readonly ttlMs: number };
  readonly metrics: Metrics;
  readonly log: Log;
  /** Wall clock, ms. */
  readonly now: () => number;
  readonly step: (event: NodeEvent) => void;
}

/** An account that is written to, with the key that was shown for it. */
interface To {
  readonly recipient: AccountId;
  readonly accessKey: Uint8Array | undefined;
}

export class Submitting {
  readonly #o: SubmittingOptions;
  #limits: SubmittingOptions["limits"];

  constructor(options: SubmittingOptions) {
    this.#o = options;
    this.#limits = options.limits;
  }

  relimit(limits: SubmittingOptions["limits"]): void {
    this.#limits = limits;
  }

  // The way of every message: nothing is allocated for checks that pass.
  submit(socket: ClientSocket, frame: FrameOf<"submit">, cached: Cached | undefined): void {
    const { envelopes } = frame;
    if (cached === undefined) return this.refuse(socket, idsOf(envelopes), "not-permitted");
    if (envelopes.length > 1 && (repeats(devicesOf(envelopes)) || repeats(idsOf(envelopes))))
      return this.refuse(socket, idsOf(envelopes), "repeated-id");
    if (frame.listVersion !== cached.record.listVersion) {
      const { missing, extra } = compareDevices(cached.record, devicesOf(envelopes));
      socket.send({
        frame: "stale-list",
        account: frame.recipient,
        version: cached.record.listVersion,
        missing,
        extra,
        ids: idsOf(envelopes),
      });
      this.#o.metrics.refused("stale-list");
      return;
    }
    const wait = this.overLimits(socket, cached, frame, envelopes.length);
    if (wait > 0) return this.refuse(socket, idsOf(envelopes), "rate-limited", wait);
    for (const e of envelopes) this.#submitOne(socket, cached, e, frame.expiry);
  }

  /** Within what the relay keeps for; undefined where it has passed. */
  expiryOf(wanted: Time): Time | undefined {
    const now = this.#o.now();
    const expiry = Math.min(wanted, now + this.#limits.ttlMs) as Time;
    return expiry > now ? expiry : undefined;
  }

  isTooLarge(ciphertext: Uint8Array): boolean {
    return ciphertext.length > this.#limits.envelopeBytes;
  }

  /** Every rate that the envelopes count in, and for a first contact its quota; ms to wait where one is used up. */
  overLimits(socket: ClientSocket, cached: Cached, to: To, count: number): number {
    const wait = this.#overRate(socket, cached, count);
    if (wait > 0 || to.accessKey !== undefined) return wait;
    const { greeting, address } = socket;
    // Without a key only a device that has proved itself is admitted.
    if (greeting.at !== "open" || greeting.address === undefined) return 0;
    const from = accountOf(greeting.address);
    return this.#o.requests.take({ from, to: to.recipient, count, remote: address.remote });
  }

  /** Takes `count` envelopes from every bucket that they count in; ms to wait where one is empty. */
  #overRate(socket: ClientSocket, cached: Cached, count: number): number {
    const at = socket.lastHeard;
    const own = socket.envelopes.take(count, at);
    if (own > 0) return own;
    const from = socket.address.envelopes.take(count, at);
    return from > 0 ? from : cached.envelopes.take(count, at);
  }

  #submitOne(
    socket: ClientSocket,
    cached: Cached,
    { device, id, ciphertext }: FrameOf<"submit">["envelopes"][number],
    wantedExpiry: Time,
  ): void {
    const expiry = this.expiryOf(wantedExpiry);
    const address = deviceIn(cached.record, device)?.address;
    if (address === undefined) return this.refuse(socket, [id], "no-device");
    if (this.isTooLarge(ciphertext)) return this.refuse(socket, [id], "envelope-too-large");
    if (expiry === undefined) return this.refuse(socket, [id], "expired");
    this.#o.step({
      is: "submitted",
      connection: socket.number,
      address,
      // Copied: a view would keep the whole chunk that it was read from.
      envelope: { id, kind: "pairwise", expiry, ciphertext: Buffer.from(ciphertext) },
    });
  }

  refuse(socket: ClientSocket, ids: readonly EnvelopeId[], code: ProblemCode, wait?: number): void {
    this.#o.metrics.refused(code);
    for (const id of ids) socket.refuse(id, code, wait);
  }

  /** Online-only: pushed if the device is connected, else dropped without a word. */
  signal(socket: ClientSocket, frame: FrameOf<"signal">, cached: Cached | undefined): void {
    if (cached === undefined || this.overLimits(socket, cached, frame, frame.envelopes.length) > 0) return;
    for (const e of frame.envelopes) {
      const address = addressOf(frame.recipient, e.device);
      this.#o.step({ is: "signalled", address, id: e.id, ciphertext: Buffer.from(e.ciphertext) });
    }
  }
}

function idsOf(envelopes: readonly SealedFor[]): EnvelopeId[] {
  return envelopes.map((e) => e.id);
}

function devicesOf(envelopes: readonly { readonly device: DeviceNumber }[]): DeviceNumber[] {
  return envelopes.map((e) => e.device);
}

export function repeats(items: readonly (string | number)[]): boolean {
  return items.length > 1 && new Set(items).size < items.length;
}
