// What groups cost, CPU µs: `node test/crypto/measure/groups.ts` prints one line of JSON. A group of 256 members of one device
// each, a text of 256 bytes; every message that is opened must read as it was sent. `fanOut` is one message over 255
// pairwise ratchets without seals, `sealedFanOut` with them, `rotation` new keys told to all over sealed pairwise ratchets.
import { parseArgs } from "node:util";
import {
  acceptGroupState,
  changeGroup,
  envelopeIdFor,
  type MadeGroupState,
  ready,
  senderKeys,
} from "../../../crypto/index.ts";
import { type GroupDevice, type GroupMail, groupOf } from "../group-world.ts";
import { cpuOf } from "./cpu.ts";
import { fanOutCost, ratchetsWith, sealedFanOutCost } from "./ours.ts";

const MEMBERS = 256;
const { values } = parseArgs({ options: { scale: { type: "string", default: "1" } } });
const times = (count: number): number => Math.max(10, Math.round(count * Number(values.scale)));
const plain = new Uint8Array(256).fill(0x61);

await ready();
const { people } = groupOf(256, MEMBERS);
const [anna, ben] = people as [GroupDevice, GroupDevice];
anna.prepare();

/** Encryption with signature and seal, and all that is checked of the roster before. Chains are made anew when due. */
function encryptCost(): number {
  const asked = { ...anna.inGroup(), content: "lasting", plaintext: plain, random: anna.random } as const;
  const { groupEnvelope } = anna.encrypt(plain);
  const fresh = anna.keys;
  let own = fresh;
  return cpuOf(times(5_000), () => {
    const made = senderKeys.encrypt({ ...asked, own, groupEnvelope });
    if (made.code === "ok") own = made.own;
    else if (made.code === "rotation-due" && made.reason === "messages") own = fresh;
    else throw new Error(made.code);
  });
}

/** Opening: seal, signature, one step, message. */
function openCost(): number {
  const mail: GroupMail[] = [];
  for (let i = 0; i < 400; i++) mail.push(anna.send(plain));
  const start = new Map(ben.theirs);
  const asked = ben.inGroup();
  return cpuOf(times(2_000), (i) => {
    if (i % mail.length === 0) for (const [address, theirs] of start) ben.theirs.set(address, theirs);
    const { groupEnvelope, ciphertext } = mail[i % mail.length] as GroupMail;
    const envelope = envelopeIdFor(groupEnvelope, ben.address);
    const theirs = (sender: GroupDevice["address"]) => ben.theirs.get(sender);
    const opened = senderKeys.open({ ...asked, ciphertext, envelope, theirs });
    if (opened.code !== "ok" || opened.plaintext.length !== plain.length) throw new Error(opened.code);
    ben.theirs.set(opened.sender, opened.theirs);
  });
}

/** A new chain, and what is told to every device of the group, with no device told before. */
function rotateCost(): number {
  const asked = { ...anna.inGroup(), random: anna.random };
  return cpuOf(times(300), () => {
    const own = senderKeys.rotate(asked);
    const devices = senderKeys.untold(own, asked.roster);
    const told = senderKeys.tell({ ...asked, own, devices });
    if (told.code !== "ok" || devices.length !== MEMBERS - 1) throw new Error(told.code);
  });
}

const fan = ratchetsWith(MEMBERS - 1);

/** New keys, and an envelope that tells them for each of the others. */
function rotationCost(): number {
  const asked = { ...anna.inGroup(), random: anna.random };
  return cpuOf(times(20), () => {
    const own = senderKeys.rotate(asked);
    const told = senderKeys.tell({ ...asked, own, devices: senderKeys.untold(own, asked.roster) });
    if (told.code !== "ok") throw new Error(told.code);
    for (const other of fan.others) fan.sender.send(other, told.told);
  });
}

/** What each of them does with that. */
function hearCost(): number {
  const told = senderKeys.tell({ ...anna.inGroup(), own: anna.keys, devices: [ben.address] });
  if (told.code !== "ok") throw new Error(told.code);
  const asked = { ...ben.inGroup(), told: told.told, teller: anna.address, theirs: undefined };
  return cpuOf(times(1_000), () => {
    const { code } = senderKeys.hear(asked);
    if (code !== "ok") throw new Error(code);
  });
}

/** The state without one member: made and signed, then accepted by another. */
function removeCost(): { readonly make: number; readonly accept: number } {
  const { identity, view } = anna.inGroup();
  const change = { kind: "remove", accounts: [ben.account] } as const;
  const made: MadeGroupState[] = [];
  const make = cpuOf(times(200), () => {
    const next = changeGroup({ identity, state: view.state, change, random: anna.random });
    if (next.code !== "ok") throw new Error(next.code);
    made.push(next);
  });
  const [{ state, sealKey }] = made as [MadeGroupState];
  const asked = { view, bytes: state.bytes, signer: identity.certificate, sealKey, now: anna.world.now };
  const accept = cpuOf(times(200), () => {
    const { code } = acceptGroupState(asked);
    if (code !== "ok") throw new Error(code);
  });
  return { make, accept };
}

const remove = removeCost();
const measured = {
  members: MEMBERS,
  encrypt: encryptCost(),
  open: openCost(),
  rotate: rotateCost(),
  rotation: rotationCost(),
  fanOut: fanOutCost(times(100), fan, plain),
  sealedFanOut: sealedFanOutCost(times(20), fan, plain),
  hear: hearCost(),
  roster: cpuOf(times(200), () => anna.roster()),
  makeRemoval: remove.make,
  acceptRemoval: remove.accept,
  stateBytes: anna.group.state.bytes.length,
  envelopeBytes: anna.send(plain).ciphertext.length,
};
process.stdout.write(`${JSON.stringify(measured)}\n`);
