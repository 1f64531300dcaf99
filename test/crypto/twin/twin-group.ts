// The second implementation's side of a group's life.
import { DAY, START } from "../support.ts";
import { ascii, type Bytes, hex, same } from "./bytes.ts";
import { chanceOf } from "./chance.ts";
import { flipped } from "./flipped.ts";
import {
  fingerprintOf,
  makeState,
  type Member,
  type Said,
  type State,
  tellState,
  TwinMember,
  WRITERS,
} from "./group.ts";
import {
  type Change,
  type GroupAction,
  type GroupLife,
  type Output,
  PEOPLE,
  type Who,
} from "./group-script.ts";
import { makeIdentity, type Own } from "./keys.ts";

interface Mail {
  readonly id: Bytes;
  readonly envelope: Bytes;
}

const utf8 = new TextDecoder();

export class TwinGroup implements GroupLife {
  readonly #devices: TwinMember[];
  readonly #mail: Mail[] = [];
  #now: number = START;

  constructor(seeds: readonly number[]) {
    this.#devices = seeds.slice(0, PEOPLE).map((seed) => {
      const chance = chanceOf(seed);
      return new TwinMember(makeIdentity(chance, START), chance);
    });
  }

  #of(who: Who): TwinMember {
    return this.#devices[who] as TwinMember;
  }

  do(action: GroupAction): Output {
    switch (action.do) {
      case "create":
        return this.#create(action);
      case "change": {
        const { state } = this.#of(action.by);
        return this.#changed(action.by, state as State, action.change);
      }
      case "send":
        return this.#send(action);
      case "arrive":
        return { read: this.#read(action.at, this.#mail[action.mail] as Mail) };
      case "corrupt": {
        const { id, envelope } = this.#mail[action.mail] as Mail;
        return { read: this.#read(action.at, { id, envelope: flipped(envelope, action.bit) }) };
      }
      case "pass":
        this.#now += action.days * DAY;
        return {};
    }
  }

  #create({ by, members, name }: GroupAction & { do: "create" }): Output {
    const { chance } = this.#of(by);
    const said: Said = {
      group: chance.bytes(16),
      epoch: 1,
      members: [
        memberFor(this.#of(by).own, true),
        ...members.map((who) => memberFor(this.#of(who).own, false)),
      ],
      name: ascii(name),
      writers: WRITERS.members,
    };
    return this.#tell(by, makeState(this.#of(by).own, chance, said, new Uint8Array(32)));
  }

  #changed(by: Who, before: State, change: Change): Output {
    const { own, chance } = this.#of(by);
    const said: Said = { ...before, epoch: before.epoch + 1, ...this.#change(by, before, change) };
    return this.#tell(by, makeState(own, chance, said, before.hash));
  }

  #change(by: Who, { members }: State, change: Change): Partial<Said> {
    const isOf = (who: Who) => (member: Member) => same(member.account, this.#of(who).own.account);
    const without = (who: Who) => ({ members: members.filter((member) => !isOf(who)(member)) });
    const as = (who: Who, admin: boolean) => ({
      members: members.map((member) => (isOf(who)(member) ? { ...member, admin } : member)),
    });
    switch (change.kind) {
      case "add":
        return { members: [...members, memberFor(this.#of(change.whom).own, false)] };
      case "remove":
        return without(change.whom);
      case "leave":
        return without(by);
      case "promote":
        return as(change.whom, true);
      case "demote":
        return as(change.whom, false);
      case "rename":
        return { name: ascii(change.name) };
      case "writers":
        return { writers: WRITERS[change.writers] };
      case "renew":
        return {};
    }
  }

  #tell(by: Who, { state, sealKey }: { readonly state: State; readonly sealKey: Bytes }): Output {
    const told = new Set<string>();
    for (const device of this.#devices) {
      const isIn = state.members.some(({ account }) => same(account, device.own.account));
      if (!isIn && device.state === undefined) continue;
      const bytes = tellState(state, sealKey, device.own.account);
      told.add(hex(bytes));
      device.takeState(bytes, this.#of(by).own.DS);
    }
    return { state: hex(state.bytes), told: [...told].sort().join(" ") };
  }

  #send({ by, text, content }: GroupAction & { do: "send" }): Output {
    const sender = this.#of(by);
    const { members } = sender.state as State;
    const devices = this.#devices.filter(({ own }) =>
      members.some(({ account }) => same(account, own.account)),
    );
    const telling = sender.prepare(
      devices.map(({ address }) => address),
      this.#now,
    );
    for (const device of devices)
      if (device !== sender && telling?.to.includes(hex(device.address)) === true)
        device.hear(telling.told, sender.address);
    const mail = sender.send(text, content);
    this.#mail.push(mail);
    return { told: telling === undefined ? "" : hex(telling.told), envelope: hex(mail.envelope) };
  }

  #read(at: Who, { id, envelope }: Mail): string {
    try {
      const read = this.#of(at).read(id, envelope);
      return read === undefined ? "!duplicate" : `${read.content} ${read.epoch} ${utf8.decode(read.text)}`;
    } catch {
      return "!refused";
    }
  }
}

const memberFor = ({ account, AK }: Own, admin: boolean): Member => ({
  account,
  fingerprint: fingerprintOf(AK),
  admin,
});
