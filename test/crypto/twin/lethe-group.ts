// The library's side of a group's life: each device has a chance of its own, and commits an outcome only as a whole.
import {
  type AccountId,
  type DeviceAddress,
  fromBytes,
  type GroupEnvelopeId,
  type Time,
} from "@lethe/protocol";
import {
  acceptGroupState,
  addressOfIdentity,
  changeGroup,
  type ChangedGroup,
  createGroup,
  createIdentity,
  decodeTold,
  encodeTold,
  envelopeIdFor,
  type GroupChange,
  type GroupRoster,
  type GroupView,
  type Identity,
  joinGroup,
  type MadeGroupState,
  type OwnSenderKeys,
  parseGroupState,
  type PinnedAccount,
  rosterOf,
  type SenderChains,
  senderKeys,
  tellState,
} from "../../../crypto/index.ts";
import { DAY, START } from "../support.ts";
import { hex } from "./bytes.ts";
import { type Chance, chanceOf } from "./chance.ts";
import { flipped } from "./flipped.ts";
import {
  type Change,
  type GroupAction,
  type GroupLife,
  type Output,
  PEOPLE,
  type Who,
} from "./group-script.ts";

interface Device {
  readonly identity: Identity;
  readonly chance: Chance;
  view: GroupView | undefined;
  own: OwnSenderKeys | undefined;
  readonly theirs: Map<DeviceAddress, SenderChains>;
}

interface Mail {
  readonly id: GroupEnvelopeId;
  readonly ciphertext: Uint8Array;
}

export class LetheGroup implements GroupLife {
  readonly #devices: Device[];
  readonly #accounts = new Map<AccountId, PinnedAccount>();
  readonly #mail: Mail[] = [];
  #now: Time = START;

  constructor(seeds: readonly number[]) {
    this.#devices = seeds.slice(0, PEOPLE).map((seed) => {
      const chance = chanceOf(seed);
      const identity = createIdentity({ random: chance, now: START });
      const { account, accountKey } = identity.certificate;
      this.#accounts.set(account, { accountKey, list: identity.list });
      return { identity, chance, view: undefined, own: undefined, theirs: new Map() };
    });
  }

  #of(who: Who): Device {
    return this.#devices[who] as Device;
  }

  #pinned(who: Who): PinnedAccount {
    return this.#accounts.get(this.#of(who).identity.certificate.account) as PinnedAccount;
  }

  do(action: GroupAction): Output {
    switch (action.do) {
      case "create": {
        const { identity, chance } = this.#of(action.by);
        const accounts = action.members.map((who) => this.#pinned(who));
        const { name } = action;
        return this.#made(createGroup({ identity, name, writers: "members", accounts, random: chance }));
      }
      case "change": {
        const { identity, chance, view } = this.#of(action.by);
        const { state } = view as GroupView;
        return this.#made(
          changeGroup({ identity, state, change: this.#changeOf(action.change), random: chance }),
        );
      }
      case "send":
        return this.#send(action);
      case "arrive":
        return { read: this.#read(action.at, this.#mail[action.mail] as Mail) };
      case "corrupt": {
        const mail = this.#mail[action.mail] as Mail;
        return { read: this.#read(action.at, { ...mail, ciphertext: flipped(mail.ciphertext, action.bit) }) };
      }
      case "pass":
        this.#now = (this.#now + action.days * DAY) as Time;
        return {};
    }
  }

  #changeOf(change: Change): GroupChange {
    const account = (who: Who): AccountId => this.#of(who).identity.certificate.account;
    switch (change.kind) {
      case "add":
        return { kind: "add", accounts: [this.#pinned(change.whom)] };
      case "remove":
        return { kind: "remove", accounts: [account(change.whom)] };
      case "promote":
      case "demote":
        return { kind: change.kind, account: account(change.whom) };
      default:
        return change as GroupChange;
    }
  }

  #made(made: ChangedGroup): Output {
    if (made.code !== "ok") throw new Error(made.code);
    const told: string[] = [];
    for (const device of this.#devices) {
      const { account } = device.identity.certificate;
      const isIn = made.state.members.some((member) => member.account === account);
      if (!isIn && device.view === undefined) continue;
      const bytes = tellState(made.state, made.sealKey, account);
      told.push(hex(bytes));
      this.#take(device, bytes);
    }
    return {
      state: hex((made satisfies MadeGroupState).state.bytes),
      told: [...new Set(told)].sort().join(" "),
    };
  }

  #take(device: Device, bytes: Uint8Array): void {
    const told = decodeTold(bytes);
    if (told?.kind !== "state") throw new Error("not told");
    const { signer } = parseGroupState(told.state);
    const by = this.#devices.find(({ identity }) => addressOfIdentity(identity) === signer) as Device;
    const asked = { bytes: told.state, signer: by.identity.certificate, now: this.#now };
    const { sealKey } = told;
    if (device.view !== undefined) {
      const accepted = acceptGroupState({ ...asked, view: device.view, sealKey });
      // Who has left hears no more of it.
      if (accepted.code === "ok") device.view = accepted.view;
    } else if (sealKey !== undefined) {
      const joined = joinGroup({ ...asked, identity: device.identity, sealKey, known: undefined });
      if (joined.code !== "ok") throw new Error(joined.code);
      device.view = joined.view;
    }
  }

  #in(device: Device) {
    const view = device.view as GroupView;
    const roster: GroupRoster = rosterOf(view.state, this.#accounts, this.#now);
    return { identity: device.identity, view, roster, now: this.#now };
  }

  #send({ by, text, content }: GroupAction & { do: "send" }): Output {
    const device = this.#of(by);
    const due = senderKeys.rotationDue({ ...this.#in(device), own: device.own });
    if (due !== undefined) device.own = senderKeys.rotate({ ...this.#in(device), random: device.chance });
    const told = this.#tell(device);
    const id = fromBytes<GroupEnvelopeId>(device.chance.bytes(16));
    const made = senderKeys.encrypt({
      ...this.#in(device),
      own: device.own as OwnSenderKeys,
      content,
      plaintext: new TextEncoder().encode(text),
      groupEnvelope: id,
      random: device.chance,
    });
    if (made.code !== "ok") throw new Error(made.code);
    device.own = made.own;
    this.#mail.push({ id, ciphertext: made.ciphertext });
    return { told, envelope: hex(made.ciphertext) };
  }

  #tell(device: Device): string {
    const own = device.own as OwnSenderKeys;
    const devices = senderKeys.untold(own, this.#in(device).roster);
    if (devices.length === 0) return "";
    const told = senderKeys.tell({ ...this.#in(device), own, devices });
    if (told.code !== "ok") throw new Error(told.code);
    device.own = told.own;
    const teller = addressOfIdentity(device.identity);
    for (const other of this.#devices) {
      const address = addressOfIdentity(other.identity);
      if (other === device || !devices.includes(address)) continue;
      const theirs = other.theirs.get(teller);
      const heard = senderKeys.hear({ ...this.#in(other), theirs, told: told.told, teller });
      if (!("theirs" in heard)) throw new Error(heard.code);
      other.theirs.set(teller, heard.theirs);
      other.view = heard.view;
    }
    if (hex(encodeTold(decodeTold(told.told) as never)) !== hex(told.told)) throw new Error("read otherwise");
    return hex(told.told);
  }

  #read(at: Who, { id, ciphertext }: Mail): string {
    const device = this.#of(at);
    if (device.view === undefined) return "!refused";
    const envelope = envelopeIdFor(id, addressOfIdentity(device.identity));
    const theirs = (sender: DeviceAddress): SenderChains | undefined => device.theirs.get(sender);
    const opened = senderKeys.open({ ...this.#in(device), ciphertext, envelope, theirs });
    if (opened.code === "duplicate") return "!duplicate";
    if (opened.code !== "ok") return "!refused";
    device.theirs.set(opened.sender, opened.theirs);
    return `${opened.content} ${opened.epoch} ${new TextDecoder().decode(opened.plaintext)}`;
  }
}
