// Messages that name files, as far as media need them: outboxes, device lists and what is known of them, and delivery. Always true:
// a message is sealed for the devices that its sender knows, and for those that the relay tells it of when it takes the message;
// what was taken comes to every device that is still there.
import {
  type AccountId,
  accountOf,
  addressOf,
  type DeviceAddress,
  type DeviceNumber,
  fromBytes,
} from "@lethe/protocol";
import type { CapabilityMark, MediaId } from "@lethe/queue";
import { capabilityMark, releaseToken, Secret } from "@lethe/crypto";
import { readBody } from "../../../client-lib/content/content.ts";
import type { MessageId } from "../../../client-lib/delivery/events.ts";
import type { MediaFields } from "../../../client-lib/said.ts";
import type { MediaMessage } from "../../../client-lib/media/media-api.ts";
import type { Agenda } from "../agenda.ts";
import { type Dice, type Pace, takes } from "../chance.ts";

export interface Message extends MediaMessage {
  readonly from: DeviceAddress;
  readonly targets: readonly AccountId[];
  state: "queued" | "sent" | "refused";
  isSealed: boolean;
  readonly carriers: Set<DeviceAddress>;
  /** Envelopes that the relay has not taken. */
  readonly out: Set<DeviceAddress>;
  readonly arrived: Set<DeviceAddress>;
}

export interface KnownDevice {
  readonly address: DeviceAddress;
  readonly ready: boolean;
}

export interface MailPort {
  readonly agenda: Agenda;
  readonly dice: Dice;
  readonly pace: Pace;
  readonly rumour: number;
  readonly isUp: (device: DeviceAddress) => boolean;
  /** Something in a device's outbox has changed. */
  readonly stepped: (device: DeviceAddress) => void;
  /** A message comes to a device, again and again until it is taken. */
  readonly arrives: (device: DeviceAddress, message: Message, taken: () => void) => void;
  readonly refuses: (message: Message) => boolean;
}

/** How long whoever is away is waited for, ms. */
const AGAIN_MS = 500;

export class Mail {
  readonly messages = new Map<MessageId, Message>();
  readonly #port: MailPort;
  /** Each account's devices, as they are. */
  readonly #lists = new Map<AccountId, Set<DeviceAddress>>();
  readonly #known = new Map<DeviceAddress, Map<AccountId, KnownDevice[]>>();

  readonly #marks = new Map<string, CapabilityMark>();

  constructor(port: MailPort) {
    this.#port = port;
  }

  addDevice(account: AccountId, number: number): DeviceAddress {
    const device = addressOf(account, number as DeviceNumber);
    const list = this.#lists.get(account) ?? new Set();
    this.#lists.set(account, list.add(device));
    this.#known.set(device, new Map());
    this.#spread(account);
    return device;
  }

  removeDevice(device: DeviceAddress): void {
    this.#lists.get(accountOf(device))?.delete(device);
    this.#spread(accountOf(device));
  }

  isListed(device: DeviceAddress): boolean {
    return this.#lists.get(accountOf(device))?.has(device) === true;
  }

  devicesOf(account: AccountId): readonly DeviceAddress[] {
    return [...(this.#lists.get(account) ?? [])];
  }

  /** Everybody hears of a changed list some time. */
  #spread(account: AccountId): void {
    const { agenda, dice, rumour, stepped } = this.#port;
    for (const owner of this.#known.keys())
      agenda.in(dice.between(0, rumour), () => {
        this.learn(owner, account, false);
        stepped(owner);
      });
  }

  /** @param ready keys were had as well. */
  learn(owner: DeviceAddress, account: AccountId, ready: boolean): void {
    const before = this.#known.get(owner)?.get(account) ?? [];
    const others = this.devicesOf(account).filter((device) => device !== owner);
    const known = others.map((address) => ({
      address,
      ready: ready || before.some((device) => device.address === address && device.ready),
    }));
    this.#known.get(owner)?.set(account, known);
  }

  known(owner: DeviceAddress, account: AccountId): readonly KnownDevice[] | undefined {
    return this.#known.get(owner)?.get(account);
  }

  /** The message that names a blob. */
  of(media: MediaId): Message | undefined {
    return [...this.messages.values()].find((message) => mediaOf(message) === media);
  }

  /** Of a device's release token for a message's file. */
  markOf(message: Message, device: DeviceAddress): CapabilityMark {
    const known = this.#marks.get(message.message + device) ?? markFor(message, device);
    this.#marks.set(message.message + device, known);
    return known;
  }

  /** A message is in its sender's outbox, durably. */
  take(message: Message): void {
    this.messages.set(message.message, message);
    this.#soon(message);
  }

  #soon(message: Message, ms = takes(this.#port.dice, this.#port.pace)): void {
    this.#port.agenda.in(ms, () => this.#goOn(message));
  }

  #goOn(message: Message): void {
    if (message.state !== "queued" || !this.isListed(message.from)) return;
    if (!this.#port.isUp(message.from)) return this.#soon(message, AGAIN_MS);
    if (this.#port.refuses(message)) {
      message.state = "refused";
      return this.#port.stepped(message.from);
    }
    if (!message.isSealed) this.#seal(message);
    else this.#hand(message);
    this.#port.stepped(message.from);
    if (message.state === "queued") this.#soon(message);
  }

  #seal(message: Message): void {
    for (const account of message.targets) {
      if (this.known(message.from, account) === undefined || this.#port.dice.happens(0.5))
        this.learn(message.from, account, true);
      this.#sealFor(message, account);
    }
    message.isSealed = true;
  }

  #sealFor(message: Message, account: AccountId): void {
    for (const { address } of this.known(message.from, account) ?? []) {
      if (address === message.from || message.carriers.has(address)) continue;
      message.carriers.add(address);
      message.out.add(address);
    }
  }

  /** One envelope is taken, or refused for its device is gone; lists that are newer are told of with it. */
  #hand(message: Message): void {
    const [device] = message.out;
    if (device === undefined) {
      message.state = "sent";
      return;
    }
    message.out.delete(device);
    this.learn(message.from, accountOf(device), true);
    this.#sealFor(message, accountOf(device));
    if (this.isListed(device)) this.#bring(message, device);
  }

  #bring(message: Message, device: DeviceAddress, ms = takes(this.#port.dice, this.#port.pace)): void {
    const { agenda, isUp, arrives } = this.#port;
    agenda.in(ms, () => {
      if (!this.isListed(device) || message.arrived.has(device)) return;
      this.#bring(message, device, AGAIN_MS);
      if (isUp(device)) arrives(device, message, () => void message.arrived.add(device));
    });
  }
}

/** What a message says of its file. */
export function saidIn({ body }: MediaMessage): Omit<MediaFields, "thumbnail"> | undefined {
  const said = readBody(body).kind;
  if (said?.is !== "media") return undefined;
  const { thumbnail: _, ...rest } = said;
  return rest;
}

export function mediaOf(message: MediaMessage): MediaId {
  return fromBytes<MediaId>(saidIn(message)?.id ?? new Uint8Array());
}

function markFor(message: Message, device: DeviceAddress): CapabilityMark {
  const said = saidIn(message);
  return said === undefined ? ("" as CapabilityMark) : tokenMark(said, device);
}

/** The mark by which the relay knows a device's release token. */
export function tokenMark(
  { id, key }: Pick<MediaFields, "id" | "key">,
  device: DeviceAddress,
): CapabilityMark {
  return fromBytes(capabilityMark(releaseToken({ id, key: new Secret(key.slice()) }, device)));
}
