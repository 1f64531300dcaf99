// One conversation between two devices as a list of actions, and the two implementations that can live through it. What an
// action gives is hex or text: equal outputs mean equal bytes on the wire and equal messages read.
import { toBytes } from "@lethe/protocol";
import { type Bundle, publicIdentity } from "../../../crypto/index.ts";
import { DAY, type Mail, START } from "../support.ts";
import { type Bytes, hex, join } from "./bytes.ts";
import { type Chance, chanceOf } from "./chance.ts";
import { TwinDevice, type TwinMail } from "./device.ts";
import type { Content } from "./envelope.ts";
import { flipped } from "./flipped.ts";
import { LetheDevice } from "./lethe-device.ts";

export type Side = 0 | 1;
export const other = (side: Side): Side => (side === 0 ? 1 : 0);

export type Action =
  /** Device `by` starts a ratchet with the other one's bundle. */
  | { readonly do: "start"; readonly by: Side; readonly oneTime: boolean; readonly oneTimeKem: boolean }
  | { readonly do: "send"; readonly by: Side; readonly text: string; readonly content: Content }
  /** The envelope of send number `mail` arrives, perhaps again. */
  | { readonly do: "arrive"; readonly mail: number }
  /** The same envelope with one bit changed arrives: it must be refused, and change nothing. */
  | { readonly do: "corrupt"; readonly mail: number; readonly bit: number }
  /** Days pass: both make new sealing keys and signed prekeys, at `list` also new device lists. */
  | { readonly do: "pass"; readonly days: number; readonly list: boolean };

/** What an action gives, by the names that the vectors use. */
export type Output = Readonly<Record<string, string>>;

export interface World {
  do(action: Action): Output;
  /** Ids of the private prekeys that each device still has. */
  prekeys(): readonly string[];
  /** Id of the ratchet that each device sends on, "" for none. */
  inUse(): readonly string[];
}

const COUNT = { curve: 2, kem: 2 };
/** Each device has a chance of its own. */
export const seedsOf = (seed: number): [number, number] => [2 * seed, 2 * seed + 1];

/** What a first contact sees of a device, one behind the other. */
const shown = (certificate: Bytes, list: Bytes, bundle: Bundle) => ({
  certificate: hex(certificate),
  list: hex(list),
  bundle: [bundle.signed, bundle.lastResort, bundle.oneTime, bundle.oneTimeKem]
    .map((item) => (item === undefined ? "" : hex(join(item.id, item.bytes))))
    .join(" "),
});

function refusedBy(read: () => string): string {
  try {
    return read();
  } catch {
    return "!refused";
  }
}

interface Posted<Mail> {
  readonly by: Side;
  readonly mail: Mail;
}

class LetheWorld implements World {
  readonly #devices: [LetheDevice, LetheDevice];
  readonly #mail: Posted<Mail>[] = [];

  constructor(chances: readonly [Chance, Chance]) {
    this.#devices = [new LetheDevice(chances[0], COUNT), new LetheDevice(chances[1], COUNT)];
  }

  prekeys(): string[] {
    return this.#devices.map((device) => device.prekeyIds().map(hex).join(" "));
  }

  inUse(): string[] {
    return this.#devices.map((device) => device.inUse());
  }

  do(action: Action): Output {
    switch (action.do) {
      case "start":
        return this.#start(action);
      case "send": {
        const mail = this.#devices[action.by].send(action.text, action.content);
        this.#mail.push({ by: action.by, mail });
        return { id: hex(toBytes(mail.id)), envelope: hex(mail.ciphertext) };
      }
      case "arrive": {
        const { by, mail } = this.#mail[action.mail] as Posted<Mail>;
        return { read: this.#devices[other(by)].read(mail) };
      }
      case "corrupt": {
        const { by, mail } = this.#mail[action.mail] as Posted<Mail>;
        const ciphertext = flipped(mail.ciphertext, action.bit);
        const read = this.#devices[other(by)].read({ ...mail, ciphertext });
        return { read: read.startsWith("!") && read !== "!duplicate" ? "!refused" : read };
      }
      case "pass":
        if (this.#devices.some((device) => device.pass(action.days) !== action.list))
          throw new Error("another calendar");
        return {};
    }
  }

  #start({ by, ...asked }: Extract<Action, { do: "start" }>): Output {
    const [A, B] = [this.#devices[by], this.#devices[other(by)]];
    const bundle = B.bundle(asked);
    const { certificate, deviceList } = publicIdentity(B.identity);
    const ratchet = A.start(B, bundle);
    return {
      ...shown(certificate, deviceList, bundle),
      ratchetId: hex(toBytes(ratchet.id)),
      headerKey: hex(ratchet.headerKey.reveal()),
      AD0: hex(ratchet.ad),
    };
  }
}

class TwinWorld implements World {
  readonly #devices: [TwinDevice, TwinDevice];
  readonly #mail: Posted<TwinMail>[] = [];

  constructor(chances: readonly [Chance, Chance]) {
    this.#devices = [new TwinDevice(chances[0], START, COUNT), new TwinDevice(chances[1], START, COUNT)];
  }

  prekeys(): string[] {
    return this.#devices.map((device) => device.prekeyIds().map(hex).join(" "));
  }

  inUse(): string[] {
    return this.#devices.map((device) => device.inUse());
  }

  do(action: Action): Output {
    switch (action.do) {
      case "start": {
        const [A, B] = [this.#devices[action.by], this.#devices[other(action.by)]];
        const bundle = B.bundle(action);
        const { certificate, list } = B.own;
        const { id, headerKey, AD0 } = A.start(certificate, list.bytes, bundle).agreed;
        const agreed = { ratchetId: hex(id), headerKey: hex(headerKey), AD0: hex(AD0) };
        return { ...shown(certificate, list.bytes, bundle), ...agreed };
      }
      case "send": {
        const to = this.#devices[other(action.by)].address;
        const plain = new TextEncoder().encode(action.text);
        const mail = this.#devices[action.by].send(to, plain, action.content);
        this.#mail.push({ by: action.by, mail });
        return { id: hex(mail.id), envelope: hex(mail.ciphertext) };
      }
      case "arrive": {
        const { by, mail } = this.#mail[action.mail] as Posted<TwinMail>;
        return { read: this.#devices[other(by)].read(mail) };
      }
      case "corrupt": {
        const { by, mail } = this.#mail[action.mail] as Posted<TwinMail>;
        const ciphertext = flipped(mail.ciphertext, action.bit);
        return { read: refusedBy(() => this.#devices[other(by)].read({ ...mail, ciphertext })) };
      }
      case "pass":
        for (const device of this.#devices) {
          device.now += action.days * DAY;
          device.maintain(action);
          device.makeSignedPrekeys();
        }
        return {};
    }
  }
}

/** The same conversation in both implementations: same chance, same clock. */
export function letheWorld(seed: number): World {
  const [a, b] = seedsOf(seed);
  return new LetheWorld([chanceOf(a), chanceOf(b)]);
}
export function twinWorld(seed: number): World {
  const [a, b] = seedsOf(seed);
  return new TwinWorld([chanceOf(a), chanceOf(b)]);
}
