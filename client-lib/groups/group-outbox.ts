// Uploads to groups that the relay has not settled for every device: one ciphertext each, answered device by device under
// derived ids. Always true: an upload is durable before it is transmitted, and carries the same ciphertext for whoever is
// left; an account that refuses, or has other devices, holds up nobody but itself.
import {
  type AccountId,
  accountOf,
  addressOf,
  type ClientFrame,
  type DeviceAddress,
  deviceOf,
  type EnvelopeId,
  type FrameOf,
  type Time,
} from "@lethe/protocol";
import { envelopeIdFor, equal } from "@lethe/crypto";
import { fullJitter, later, refusalOf, soonest } from "../delivery/connection-ends.ts";
import type { Chance, MessageId, RefusalCode, StoredRows } from "../delivery/events.ts";
import { ANSWER_MS, KEY_RETRY_MS, KEY_WAIT_MS, RETRY_BASE_MS, RETRY_CAP_MS } from "../delivery/limits.ts";
import { orderKey, orderOf, put, remove, readTable } from "../delivery/rows.ts";
import type { Turn } from "../delivery/turn.ts";
import { MAX_GROUP_OUT, MAX_GROUP_OUT_ENVELOPES, MAX_UPLOADS } from "./limits.ts";
import { type OutRow, outRow } from "./rows.ts";

/** What keeps an account's devices from being sent to: its list or its key. */
type Hold = { readonly for: "list" } | { readonly for: "key"; readonly again: Time; readonly until: Time };

interface Upload {
  readonly order: number;
  row: OutRow;
  readonly left: Map<EnvelopeId, DeviceAddress>;
  /** Transmitted, and not answered. */
  readonly awaited: Set<EnvelopeId>;
  readonly holds: Map<AccountId, Hold>;
  at: "staged" | "ready" | "under-way";
  /** When it was transmitted, or may be again. */
  since: Time;
  tries: number;
  /** Envelopes of others; one's own copy says nothing of how it went. */
  accepted: number;
  /** It is for nobody else. */
  readonly isOwn: boolean;
  refusal: RefusalCode | undefined;
}

export interface Ended {
  readonly message: MessageId;
  readonly row: OutRow;
  readonly how: "sent" | "expired" | "refused";
  readonly code: RefusalCode | undefined;
}

export interface GroupOutboxParts {
  readonly self: AccountId;
  readonly chance: Chance;
  /** Uploads that all is settled of. */
  readonly ended: (turn: Turn, ended: Ended) => void;
  /** The list of an account is to be asked for. */
  readonly relist: (turn: Turn, account: AccountId) => void;
  readonly keyOf: (account: AccountId) => Uint8Array | undefined;
}

export class GroupOutbox {
  readonly #parts: GroupOutboxParts;
  readonly #uploads = new Map<number, Upload>();
  readonly #byId = new Map<EnvelopeId, Upload>();
  #nextOrder = 1;

  constructor(parts: GroupOutboxParts, rows: StoredRows) {
    this.#parts = parts;
    for (const [key, row] of readTable(rows, "group-out", outRow)) this.#keep(orderOf(key), row, "ready");
  }

  get size(): number {
    return this.#byId.size;
  }

  get hasRoom(): boolean {
    return this.#uploads.size < MAX_GROUP_OUT && this.#byId.size < MAX_GROUP_OUT_ENVELOPES;
  }

  get wantsConnection(): boolean {
    return this.#uploads.size > 0;
  }

  /** Whom what is left of a message is for, those that have it included; undefined: nothing is left. */
  carriers(message: MessageId): DeviceAddress[] | undefined {
    const uploads = [...this.#uploads.values()].filter(({ row }) => row.message === message);
    if (uploads.length === 0) return undefined;
    return uploads.flatMap(({ row }) =>
      row.recipients.flatMap(({ account, devices }) => devices.map((device) => addressOf(account, device))),
    );
  }

  add(turn: Turn, row: OutRow): void {
    const upload = this.#keep(this.#nextOrder, row, "staged");
    this.#write(turn, upload);
    turn.afterwards({ next: "upload", order: upload.order });
  }

  #keep(order: number, row: OutRow, at: Upload["at"]): Upload {
    const upload: Upload = {
      order,
      row,
      left: new Map(),
      awaited: new Set(),
      holds: new Map(),
      at,
      since: 0 as Time,
      tries: 0,
      accepted: 0,
      isOwn: row.recipients.every(({ account }) => account === this.#parts.self),
      refusal: undefined,
    };
    for (const { account, devices } of row.recipients)
      for (const device of devices) this.#leave(upload, addressOf(account, device));
    this.#uploads.set(order, upload);
    this.#nextOrder = Math.max(this.#nextOrder, order + 1);
    return upload;
  }

  #leave(upload: Upload, device: DeviceAddress): void {
    const id = envelopeIdFor(upload.row.groupEnvelope, device);
    upload.left.set(id, device);
    this.#byId.set(id, upload);
  }

  #write(turn: Turn, { order, row }: Upload): void {
    turn.stage(put("group-out", orderKey(order), outRow, row));
  }

  durable(order: number): void {
    const upload = this.#uploads.get(order);
    if (upload?.at === "staged") upload.at = "ready";
  }

  lost(): void {
    for (const upload of this.#uploads.values()) {
      if (upload.at !== "under-way") continue;
      upload.at = "ready";
      upload.since = 0 as Time;
      upload.awaited.clear();
    }
  }

  pump(now: Time): ClientFrame[] {
    const frames: ClientFrame[] = [];
    let underWay = 0;
    for (const { at } of this.#uploads.values()) if (at === "under-way") underWay += 1;
    for (const upload of this.#uploads.values()) {
      if (underWay >= MAX_UPLOADS) break;
      if (upload.at !== "ready" || upload.since > now) continue;
      const frame = frameOf(upload, now);
      if (frame === undefined) continue;
      upload.at = "under-way";
      upload.since = now;
      underWay += 1;
      frames.push(frame);
    }
    return frames;
  }

  accepted(turn: Turn, ids: readonly EnvelopeId[]): void {
    for (const id of ids) {
      const upload = this.#byId.get(id);
      if (upload === undefined || upload.at === "staged") continue;
      const account = accountOf(upload.left.get(id) as DeviceAddress);
      if (account !== this.#parts.self || upload.isOwn) upload.accepted += 1;
      this.#strike(upload, id);
      this.#answered(turn, upload);
    }
  }

  refused(turn: Turn, { code: number, retryAfter, ids }: FrameOf<"refused">): void {
    const { code, retry } = refusalOf(number);
    for (const id of ids) {
      const upload = this.#byId.get(id);
      const device = upload?.left.get(id);
      if (upload === undefined || device === undefined || upload.at === "staged") continue;
      upload.awaited.delete(id);
      upload.refusal = code;
      if (code === "not-permitted") this.#denied(turn, upload, accountOf(device));
      else if (retry === "after-change") this.#relist(turn, upload, accountOf(device));
      else if (retry === "never") this.#strike(upload, id);
      else this.#postpone(upload, turn.now, retryAfter);
      this.#answered(turn, upload);
    }
  }

  #postpone(upload: Upload, now: Time, retryAfter: number): void {
    const wait = retryAfter + fullJitter(this.#parts.chance, RETRY_BASE_MS, RETRY_CAP_MS, upload.tries);
    upload.since = later(now, wait);
  }

  /** The account may have told us another key already, or be about to. */
  #denied(turn: Turn, upload: Upload, account: AccountId): void {
    const known = upload.holds.get(account);
    const until = known?.for === "key" ? known.until : later(turn.now, KEY_WAIT_MS);
    if (until <= turn.now) this.#strikeAll(upload, account);
    else upload.holds.set(account, { for: "key", again: later(turn.now, KEY_RETRY_MS), until });
  }

  #relist(turn: Turn, upload: Upload, account: AccountId): void {
    upload.holds.set(account, { for: "list" });
    this.#parts.relist(turn, account);
  }

  staleList(turn: Turn, { account, ids }: FrameOf<"stale-list">): void {
    for (const id of ids) {
      const upload = this.#byId.get(id);
      if (upload === undefined || upload.at === "staged") continue;
      upload.awaited.delete(id);
      this.#relist(turn, upload, account);
      this.#answered(turn, upload);
    }
  }

  /**
   * An account's newest list: devices that are gone are struck, and what held it up goes on. Gives what its new devices
   * have missed. `devices` undefined: it cannot be had.
   */
  relisted(
    turn: Turn,
    account: AccountId,
    listVersion: number,
    devices: readonly DeviceAddress[] | undefined,
  ): { readonly row: OutRow; readonly devices: readonly DeviceAddress[] }[] {
    const missed: { row: OutRow; devices: DeviceAddress[] }[] = [];
    for (const upload of this.#uploads.values()) {
      if (upload.holds.get(account)?.for === "list") upload.holds.delete(account);
      const recipient = upload.row.recipients.find((each) => each.account === account);
      if (recipient === undefined || recipient.listVersion === listVersion) continue;
      if (devices === undefined) this.#strikeAll(upload, account);
      else {
        const had = recipient.devices.map((device) => addressOf(account, device));
        for (const [id, device] of upload.left)
          if (accountOf(device) === account && !devices.includes(device)) this.#strike(upload, id);
        const stay = had.filter((device) => devices.includes(device)).map(deviceOf);
        const recipients = upload.row.recipients.map((each) =>
          each === recipient ? { ...recipient, listVersion, devices: stay } : each,
        );
        upload.row = { ...upload.row, recipients };
        this.#write(turn, upload);
        const others = devices.filter((device) => !had.includes(device));
        if (others.length > 0) missed.push({ row: upload.row, devices: others });
      }
      this.#answered(turn, upload);
    }
    return missed;
  }

  #strike(upload: Upload, id: EnvelopeId): void {
    upload.left.delete(id);
    upload.awaited.delete(id);
    this.#byId.delete(id);
  }

  #strikeAll(upload: Upload, account: AccountId): void {
    for (const [id, device] of upload.left) if (accountOf(device) === account) this.#strike(upload, id);
    upload.holds.delete(account);
  }

  /** Everything that was transmitted is answered: what is left goes again, or nothing is left. */
  #answered(turn: Turn, upload: Upload): void {
    if (upload.left.size === 0) return this.#end(turn, upload, upload.accepted > 0 ? "sent" : "refused");
    if (upload.at !== "under-way" || upload.awaited.size > 0) return;
    upload.at = "ready";
    if (upload.since <= turn.now) this.#postpone(upload, turn.now, 0);
    upload.tries += 1;
  }

  #end(turn: Turn, upload: Upload, how: Ended["how"]): void {
    if (!this.#uploads.delete(upload.order)) return;
    for (const id of upload.left.keys()) this.#byId.delete(id);
    turn.stage(remove("group-out", orderKey(upload.order)));
    const { row, refusal } = upload;
    this.#parts.ended(turn, { message: row.message, row, how, code: refusal });
  }

  tick(turn: Turn, relayNow: Time): void {
    for (const upload of this.#uploads.values()) {
      if (upload.row.expiry <= relayNow && upload.at !== "staged") {
        this.#end(turn, upload, upload.accepted > 0 ? "sent" : "expired");
        continue;
      }
      if (upload.at === "under-way" && turn.now - upload.since >= ANSWER_MS) {
        upload.at = "ready";
        upload.awaited.clear();
      }
      for (const [account, hold] of upload.holds)
        if (hold.for === "key") this.#rekey(turn, upload, account, hold);
    }
  }

  /** A key that was refused is tried again for a while, or another one if there is one. */
  #rekey(turn: Turn, upload: Upload, account: AccountId, hold: Hold & { for: "key" }): void {
    const recipient = upload.row.recipients.find((each) => each.account === account);
    const key = this.#parts.keyOf(account);
    if (key !== undefined && recipient !== undefined && !equal(key, recipient.accessKey)) {
      const recipients = upload.row.recipients.map((each) =>
        each === recipient ? { ...each, accessKey: key } : each,
      );
      upload.row = { ...upload.row, recipients };
      upload.holds.delete(account);
      this.#write(turn, upload);
    } else if (hold.until <= turn.now) {
      this.#strikeAll(upload, account);
      this.#answered(turn, upload);
    }
  }

  nextAt(now: Time, offset: number): number {
    let at = Number.POSITIVE_INFINITY;
    for (const upload of this.#uploads.values()) {
      at = soonest(now, at, upload.row.expiry - offset);
      if (upload.at === "under-way") at = soonest(now, at, upload.since + ANSWER_MS);
      else if (upload.at === "ready" && upload.since > now) at = soonest(now, at, upload.since);
      for (const hold of upload.holds.values())
        if (hold.for === "key") at = soonest(now, at, hold.again > now ? hold.again : hold.until);
    }
    return at;
  }
}

/** What is left of an upload and not held up; undefined where that is nothing. */
function frameOf(upload: Upload, now: Time): FrameOf<"submit-group"> | undefined {
  const { row, left, holds, awaited } = upload;
  const devices = new Map<AccountId, DeviceAddress[]>();
  for (const [id, device] of left) {
    const account = accountOf(device);
    const hold = holds.get(account);
    if (hold?.for === "list" || (hold?.for === "key" && hold.again > now)) continue;
    const known = devices.get(account);
    if (known === undefined) devices.set(account, [device]);
    else known.push(device);
    awaited.add(id);
  }
  const recipients = row.recipients.flatMap(({ account, accessKey, listVersion }) => {
    const own = devices.get(account);
    return own === undefined ? [] : [{ account, accessKey, listVersion, devices: own.map(deviceOf) }];
  });
  if (recipients.length === 0) return undefined;
  const { groupEnvelope, expiry, ciphertext } = row;
  return { frame: "submit-group", groupEnvelope, expiry, ciphertext, recipients };
}
