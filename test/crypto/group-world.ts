// Devices in groups, for tests: each keeps its states in memory and commits an outcome only as a whole. What one tells another
// goes by hand, under the teller's address, as a pairwise ratchet would prove it. Chance and time are given.
import {
  type AccountId,
  type DeviceAddress,
  type DeviceNumber,
  fromBytes,
  type GroupEnvelopeId,
  type Time,
} from "@lethe/protocol";
import { certificateHash, makeCertificate } from "../../crypto/certificate.ts";
import { makeDeviceList } from "../../crypto/device-list.ts";
import {
  acceptGroupState,
  addressOfIdentity,
  changeGroup,
  createGroup,
  createIdentity,
  decodeTold,
  envelopeIdFor,
  type GroupChange,
  type GroupContentKind,
  type GroupRoster,
  type GroupView,
  type Identity,
  joinGroup,
  type MadeGroupState,
  type OpenedInGroup,
  type OwnSenderKeys,
  parseGroupState,
  type PinnedAccount,
  type Random,
  rosterOf,
  Secret,
  type SenderChains,
  senderKeys,
  tellState,
} from "../../crypto/index.ts";
import { ed25519Public, x25519Base } from "../../crypto/primitives.ts";
import { accountOf } from "@lethe/protocol";
import { START, seededRandom, text } from "./support.ts";

export interface GroupMail {
  readonly groupEnvelope: GroupEnvelopeId;
  readonly ciphertext: Uint8Array;
}

export class GroupWorld {
  now: Time = START;
  readonly random: ReturnType<typeof seededRandom>;
  /** The newest lists, one's own included, as every device has verified them. */
  readonly accounts = new Map<AccountId, PinnedAccount>();
  readonly devices = new Map<DeviceAddress, GroupDevice>();

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  person(): GroupDevice {
    return this.#add(createIdentity({ random: this.random, now: this.now }));
  }

  people(count: number): GroupDevice[] {
    return Array.from({ length: count }, () => this.person());
  }

  #add(identity: Identity): GroupDevice {
    const device = new GroupDevice(this, identity);
    this.devices.set(device.address, device);
    this.publish(identity);
    return device;
  }

  publish({ certificate, list }: Identity): void {
    this.accounts.set(certificate.account, { accountKey: certificate.accountKey, list });
  }

  /** Another device of the account, in a new list that all devices of it have. */
  link(primary: GroupDevice, number = 2): GroupDevice {
    const { certificate, accountSeed, list, profileKey } = primary.identity;
    const [signing, dh] = [this.random.bytes(32), this.random.bytes(32)];
    const device = number as DeviceNumber;
    const said = { ...certificate, device, signingKey: ed25519Public(signing), dhKey: x25519Base(dh) };
    const certificateBytes = makeCertificate(said, { account: seedOf(accountSeed), signing });
    const devices = [...list.devices, { device, certificateHash: certificateHash(certificateBytes) }];
    this.#relist(primary, devices);
    return this.#add({
      ...primary.identity,
      certificate: said,
      certificateBytes,
      list: primary.identity.list,
      accountSeed: undefined,
      signingSeed: new Secret(signing),
      dhSecret: new Secret(dh),
      profileKey,
    });
  }

  unlink(primary: GroupDevice, gone: GroupDevice): void {
    const { device } = gone.identity.certificate;
    this.#relist(
      primary,
      primary.identity.list.devices.filter((entry) => entry.device !== device),
    );
  }

  #relist(primary: GroupDevice, devices: Identity["list"]["devices"]): void {
    const { list, accountSeed } = primary.identity;
    const { account, version, hash: previousHash } = list;
    const said = { account, version: version + 1, previousHash, issuedAt: this.now, devices };
    const next = makeDeviceList(said, seedOf(accountSeed));
    primary.identity = { ...primary.identity, list: next };
    this.publish(primary.identity);
  }

  pinned(device: GroupDevice): PinnedAccount {
    const found = this.accounts.get(accountOf(device.address));
    if (found === undefined) throw new Error("nobody");
    return found;
  }
}

function seedOf(secret: Secret | undefined): Uint8Array {
  if (secret === undefined) throw new Error("not the primary device");
  return secret.reveal();
}

export class GroupDevice {
  readonly world: GroupWorld;
  identity: Identity;
  view: GroupView | undefined;
  own: OwnSenderKeys | undefined;
  readonly theirs = new Map<DeviceAddress, SenderChains>();

  constructor(world: GroupWorld, identity: Identity) {
    this.world = world;
    this.identity = identity;
  }

  get address(): DeviceAddress {
    return addressOfIdentity(this.identity);
  }

  get account(): AccountId {
    return this.identity.certificate.account;
  }

  get random(): Random {
    return this.world.random;
  }

  get group(): GroupView {
    if (this.view === undefined) throw new Error("in no group");
    return this.view;
  }

  get keys(): OwnSenderKeys {
    if (this.own === undefined) throw new Error("no keys");
    return this.own;
  }

  roster(): GroupRoster {
    return rosterOf(this.group.state, this.world.accounts, this.world.now);
  }

  /** What every step of the cipher takes. */
  inGroup() {
    return { identity: this.identity, view: this.group, roster: this.roster(), now: this.world.now };
  }

  create(others: readonly GroupDevice[], writers: "members" | "admins" = "members"): MadeGroupState {
    const accounts = [...new Set(others.map((other) => this.world.pinned(other)))];
    const made = createGroup({
      identity: this.identity,
      name: "friends",
      writers,
      accounts,
      random: this.random,
    });
    if (made.code !== "ok") throw new Error(made.code);
    return made;
  }

  /** The next state, not yet accepted by anybody, or why there is none. */
  make(change: GroupChange, state = this.group.state): MadeGroupState | string {
    const made = changeGroup({ identity: this.identity, state, change, random: this.random });
    return made.code === "ok" ? made : made.code;
  }

  made(change: GroupChange, state = this.group.state): MadeGroupState {
    const made = this.make(change, state);
    if (typeof made === "string") throw new Error(made);
    return made;
  }

  /** Takes a state as it comes over a pairwise ratchet: joins with it, or accepts it. Says what came of it. */
  take({ state, sealKey }: Pick<MadeGroupState, "state" | "sealKey">): string {
    const told = decodeTold(tellState(state, sealKey, this.account));
    if (told?.kind !== "state") throw new Error("not told");
    const maker = this.world.devices.get(parseGroupState(told.state).signer);
    if (maker === undefined) throw new Error("made by nobody");
    const { now } = this.world;
    const asked = { bytes: told.state, signer: maker.identity.certificate, sealKey: told.sealKey, now };
    const accepted = this.view === undefined ? undefined : acceptGroupState({ ...asked, view: this.view });
    if (accepted?.code === "ok") {
      this.view = accepted.view;
      return accepted.how;
    }
    const mayJoin = accepted === undefined || accepted.code === "forked" || accepted.code === "epoch-gap";
    if (!mayJoin || told.sealKey === undefined) return accepted?.code ?? "left out";
    const joining = { ...asked, sealKey: told.sealKey, identity: this.identity, known: this.view };
    const joined = joinGroup(joining);
    if (joined.code === "ok") this.view = joined.view;
    return joined.code === "ok" ? "joined" : joined.code;
  }

  /** New keys if they are due, told to everybody who lacks them. Says why, if so. */
  prepare(except: readonly GroupDevice[] = []): string | undefined {
    const due = senderKeys.rotationDue({ ...this.inGroup(), own: this.own });
    if (due !== undefined) this.own = senderKeys.rotate({ ...this.inGroup(), random: this.random });
    const devices = senderKeys.untold(this.keys, this.roster());
    const told = senderKeys.tell({ ...this.inGroup(), own: this.keys, devices });
    if (told.code !== "ok") throw new Error(told.code);
    this.own = told.own;
    for (const address of devices) {
      const other = this.world.devices.get(address);
      if (other !== undefined && !except.includes(other) && other !== this) other.hear(this, told.told);
    }
    return due;
  }

  hear(teller: GroupDevice, told: Uint8Array): string {
    if (this.view === undefined) return "in no group";
    const theirs = this.theirs.get(teller.address);
    const heard = senderKeys.hear({ ...this.inGroup(), theirs, told, teller: teller.address });
    if (!("theirs" in heard)) return heard.code;
    this.theirs.set(teller.address, heard.theirs);
    this.view = heard.view;
    return heard.code;
  }

  /** Encrypts with the keys there are. */
  encrypt(said: string | Uint8Array, content: GroupContentKind = "lasting") {
    const groupEnvelope = fromBytes<GroupEnvelopeId>(this.random.bytes(16));
    const plaintext = typeof said === "string" ? text(said) : said;
    const asked = {
      ...this.inGroup(),
      own: this.keys,
      content,
      plaintext,
      groupEnvelope,
      random: this.random,
    };
    return { groupEnvelope, made: senderKeys.encrypt(asked) };
  }

  send(said: string | Uint8Array, content: GroupContentKind = "lasting"): GroupMail {
    this.prepare();
    const { groupEnvelope, made } = this.encrypt(said, content);
    if (made.code !== "ok") throw new Error(made.code);
    this.own = made.own;
    return { groupEnvelope, ciphertext: made.ciphertext };
  }

  look({ groupEnvelope, ciphertext }: GroupMail): OpenedInGroup<SenderChains> {
    const envelope = envelopeIdFor(groupEnvelope, this.address);
    const theirs = (sender: DeviceAddress): SenderChains | undefined => this.theirs.get(sender);
    return senderKeys.open({ ...this.inGroup(), ciphertext, envelope, theirs });
  }

  /** What an envelope says, or the code of why it does not. */
  read(mail: GroupMail): string {
    const opened = this.look(mail);
    if ("theirs" in opened) this.theirs.set(opened.sender, opened.theirs);
    return opened.code === "ok" ? new TextDecoder().decode(opened.plaintext) : `!${opened.code}`;
  }
}

/** A group of so many people, of one device each; the first is its admin. */
export function groupOf(seed: number, count: number): { world: GroupWorld; people: GroupDevice[] } {
  const world = new GroupWorld(seed);
  const people = world.people(count);
  const [first, ...others] = people as [GroupDevice, ...GroupDevice[]];
  const made = first.create(others);
  for (const each of people) {
    const how = each.take(made);
    if (how !== "joined") throw new Error(how);
  }
  return { world, people };
}
