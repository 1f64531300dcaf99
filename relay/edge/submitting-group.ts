// One upload for many accounts: taken apart into devices and handed on together. Always true: each account stands alone, so
// that what is refused for one touches no other; the ciphertext is copied and named once, and only if any device gets it.
import {
  type AccountId,
  addressOf,
  type DeviceAddress,
  type EnvelopeId,
  type FrameOf,
  type ProblemCode,
} from "@lethe/protocol";
import type { Addressed, NodeEvent, SharedEnvelope } from "../delivery/types.ts";
import type { Log } from "../log.ts";
import { type Accounts, type Cached, compareDevices, deviceIn } from "./accounts.ts";
import { groupIdOf, payloadIdOf } from "../blake2b.ts";
import type { ClientSocket } from "./client-socket.ts";
import { repeats, type Submitting } from "./submitting.ts";

type Frame = FrameOf<"submit-group">;
type Recipient = Frame["recipients"][number];

export interface SubmittingGroupOptions {
  readonly accounts: Accounts;
  readonly submitting: Submitting;
  readonly log: Log;
  readonly step: (event: NodeEvent) => void;
}

/** A frame on its way through the checks, some of which may come after others are through. */
interface Upload {
  readonly socket: ClientSocket;
  readonly frame: Frame;
  /** Whether it is for more devices than one. */
  readonly isShared: boolean;
  /** Made for the first device that gets it. */
  bytes: Pick<SharedEnvelope, "ciphertext" | "payload"> | undefined;
}

export class SubmittingGroup {
  readonly #o: SubmittingGroupOptions;

  constructor(options: SubmittingGroupOptions) {
    this.#o = options;
  }

  submit(socket: ClientSocket, frame: Frame): void {
    const { recipients } = frame;
    const isShared = recipients.length > 1 || (recipients[0]?.devices.length ?? 0) > 1;
    const upload: Upload = { socket, frame, isShared, bytes: undefined };
    const repeated = repeatedIn(recipients);
    const to: Addressed[] = [];
    for (const recipient of recipients) {
      if (repeated?.has(recipient.account) === true) this.#refuse(upload, recipient, "repeated-id");
      else this.#admit(upload, recipient, to);
    }
    this.#send(upload, to);
  }

  /** An account at hand joins those of its frame; one that has to be fetched follows alone: later frames wait, no other account. */
  #admit(upload: Upload, recipient: Recipient, to: Addressed[]): void {
    const { accounts, log } = this.#o;
    const { socket } = upload;
    const { account, accessKey } = recipient;
    const identified = socket.kind === "device";
    const cached = accounts.admitted(account, accessKey, identified);
    if (cached !== undefined) return this.#judge(upload, recipient, cached, to);
    socket.hold();
    const later = (admitted: Cached | undefined): void => {
      if (socket.ended) return;
      const own: Addressed[] = [];
      this.#judge(upload, recipient, admitted, own);
      this.#send(upload, own);
      socket.resume();
    };
    accounts.admit({ account, accessKey, identified }).then(later, (error: unknown) => {
      log.error({ code: "internal", reason: String(error) }, "an account could not be read");
      socket.end("internal");
    });
  }

  /** Adds the account's devices to those that get it, or refuses. */
  #judge(upload: Upload, recipient: Recipient, cached: Cached | undefined, to: Addressed[]): void {
    const { socket, frame } = upload;
    const { submitting } = this.#o;
    const { devices, listVersion } = recipient;
    if (cached === undefined) return this.#refuse(upload, recipient, "not-permitted");
    if (repeats(devices)) return this.#refuse(upload, recipient, "repeated-id");
    if (listVersion !== cached.record.listVersion) return this.#stale(upload, recipient, cached);
    const { account, accessKey } = recipient;
    const wait = submitting.overLimits(socket, cached, { recipient: account, accessKey }, devices.length);
    if (wait > 0) return this.#refuse(upload, recipient, "rate-limited", wait);
    const isTooLarge = submitting.isTooLarge(frame.ciphertext);
    for (const device of devices) {
      const address = deviceIn(cached.record, device)?.address;
      const id = groupIdOf(frame.groupEnvelope, address ?? addressOf(recipient.account, device));
      if (address === undefined) submitting.refuse(socket, [id], "no-device");
      else if (isTooLarge) submitting.refuse(socket, [id], "envelope-too-large");
      else to.push({ address, id });
    }
  }

  #stale({ socket, frame }: Upload, recipient: Recipient, { record }: Cached): void {
    const { account, devices } = recipient;
    const { missing, extra } = compareDevices(record, devices);
    const ids = idsOf(frame, recipient);
    socket.send({ frame: "stale-list", account, version: record.listVersion, missing, extra, ids });
  }

  #refuse({ socket, frame }: Upload, recipient: Recipient, code: ProblemCode, wait?: number): void {
    this.#o.submitting.refuse(socket, idsOf(frame, recipient), code, wait);
  }

  #send(upload: Upload, to: readonly Addressed[]): void {
    const { socket, frame } = upload;
    if (to.length === 0) return;
    const { submitting, step } = this.#o;
    const expiry = submitting.expiryOf(frame.expiry);
    if (expiry === undefined) {
      const ids = to.map(({ id }) => id);
      return submitting.refuse(socket, ids, "expired");
    }
    const connection = socket.number;
    // Copied: a view would keep the whole chunk that it was read from.
    const ciphertext = upload.bytes?.ciphertext ?? Buffer.from(frame.ciphertext);
    const [only] = to;
    if (!upload.isShared && only !== undefined) {
      const envelope = { id: only.id, kind: "group", expiry, ciphertext } as const;
      return step({ is: "submitted", connection, address: only.address, envelope });
    }
    upload.bytes ??= { ciphertext, payload: payloadIdOf(ciphertext) };
    step({ is: "submitted-group", connection, shared: { kind: "group", expiry, ...upload.bytes }, to });
  }
}

/** The derived ids of a recipient's devices, clause D-GROUP-ID. */
function idsOf({ groupEnvelope }: Frame, { account, devices }: Recipient): EnvelopeId[] {
  const addresses: DeviceAddress[] = devices.map((device) => addressOf(account, device));
  return addresses.map((address) => groupIdOf(groupEnvelope, address));
}

/** Accounts that stand in the frame more than once; undefined where there are none. */
function repeatedIn(recipients: readonly Recipient[]): ReadonlySet<AccountId> | undefined {
  const seen = new Set<AccountId>();
  let repeated: Set<AccountId> | undefined;
  for (const { account } of recipients) {
    if (seen.has(account)) (repeated ??= new Set()).add(account);
    seen.add(account);
  }
  return repeated;
}
