// Membership of groups: who may change it, and what a relay can do about it. Named by the attacks' numbers.
import type { AccountId } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import {
  acceptGroupState,
  createGroup,
  type GroupChange,
  type GroupMember,
  type GroupState,
  joinGroup,
  MAX_GROUP_MEMBERS,
  MAX_GROUP_NAME_BYTES,
  MAX_GROUP_STATE_BYTES,
  MAX_PAST_EPOCHS,
  type MadeGroupState,
  PAST_EPOCH_LIFETIME_MS,
  parseGroupState,
  ready,
  rosterOf,
  sealIdsOf,
  Secret,
} from "../../crypto/index.ts";
import { accountFingerprint, type GroupStateBody } from "../../crypto/group-state.ts";
import { forgedState, judge, type Three, three } from "./group-tools.ts";
import { type GroupDevice, groupOf, GroupWorld } from "./group-world.ts";
import { later, START, seededRandom } from "./support.ts";

beforeAll(ready);

const accountsIn = ({ members }: GroupStateBody): AccountId[] => members.map(({ account }) => account);
describe("the changes of a group", () => {
  const everywhere = (people: readonly GroupDevice[], made: MadeGroupState): string[] =>
    people.map((each) => each.take(made));

  it("are made by admins and taken by all: add, promote, rename, writers, renew, demote, remove, leave", () => {
    const { world, people } = groupOf(1, 3);
    const [anna, ben, carl] = people as Three;
    const dora = world.person();
    const newer = ["newer", "newer", "newer"];
    expect(everywhere(people, anna.made({ kind: "add", accounts: [world.pinned(dora)] }))).toEqual(newer);
    expect(anna.group.state.members.length).toBe(4);
    expect(everywhere(people, anna.made({ kind: "promote", account: ben.account }))).toEqual(newer);
    expect(everywhere(people, ben.made({ kind: "rename", name: "Ärzte ohne Namen" }))).toEqual(newer);
    expect(carl.group.state.name).toBe("Ärzte ohne Namen");
    expect(everywhere(people, ben.made({ kind: "writers", writers: "admins" }))).toEqual(newer);
    expect(everywhere(people, ben.made({ kind: "renew" }))).toEqual(newer);
    expect(everywhere(people, ben.made({ kind: "demote", account: anna.account }))).toEqual(newer);
    expect(everywhere(people, ben.made({ kind: "remove", accounts: [dora.account] }))).toEqual(newer);
    expect(everywhere(people, carl.made({ kind: "leave" }))).toEqual(newer);
    expect(accountsIn(anna.group.state)).toEqual([anna.account, ben.account].toSorted());
    expect([anna, ben, carl].map(({ group }) => group.state.hash)).toEqual(
      [0, 1, 2].map(() => ben.group.state.hash),
    );
    expect(ben.group.state.epoch).toBe(9);
  });

  it("are told as what they did", () => {
    const { world, people } = groupOf(2, 3);
    const [anna, ben, carl] = people as Three;
    const dora = world.person();
    const { members } = anna.group.state;
    const kept = members.filter(({ account }) => account !== carl.account);
    const newcomer: GroupMember = {
      account: dora.account,
      fingerprint: accountFingerprint(dora.identity.certificate.accountKey),
      role: "member",
    };
    const promoted = kept.map((each): GroupMember => ({ ...each, role: "admin" }));
    const all = [...promoted, newcomer].toSorted((a, b) => (a.account < b.account ? -1 : 1));
    const { state } = forgedState(anna, anna.group.state, { members: all, name: "new", writers: "admins" });
    const view = ben.group;
    const asked = { view, bytes: state.bytes, sealKey: undefined, now: START };
    const accepted = acceptGroupState({ ...asked, signer: anna.identity.certificate });
    expect(accepted).toMatchObject({
      code: "ok",
      changes: {
        added: [dora.account],
        removed: [carl.account],
        promoted: [ben.account],
        demoted: [],
        renamed: true,
        writersChanged: true,
      },
    });
  });

  it("that cannot be are refused, each with its code", () => {
    const { world, people } = groupOf(3, 3);
    const [anna, ben] = people as Three;
    const dora = world.person();
    const pinned = world.pinned(dora);
    const codes = (device: GroupDevice, ...changes: GroupChange[]): unknown[] =>
      changes.map((change) => device.make(change));
    expect(
      codes(
        anna,
        { kind: "add", accounts: [world.pinned(ben)] },
        { kind: "add", accounts: [pinned, pinned] },
        { kind: "add", accounts: [] },
        { kind: "remove", accounts: [dora.account] },
        { kind: "remove", accounts: [] },
        { kind: "remove", accounts: [anna.account] },
        { kind: "leave" },
        { kind: "demote", account: anna.account },
        { kind: "demote", account: ben.account },
        { kind: "promote", account: anna.account },
        { kind: "promote", account: dora.account },
        { kind: "rename", name: "friends" },
        { kind: "rename", name: "é".repeat(MAX_GROUP_NAME_BYTES / 2 + 1) },
        { kind: "writers", writers: "members" },
      ),
    ).toEqual([
      "already-member",
      "already-member",
      "unchanged",
      "unknown-member",
      "unchanged",
      "last-admin",
      "last-admin",
      "last-admin",
      "unchanged",
      "unchanged",
      "unknown-member",
      "unchanged",
      "name-too-long",
      "unchanged",
    ]);
    expect(codes(ben, { kind: "renew" }, { kind: "rename", name: "mine" })).toEqual([
      "not-admin",
      "not-admin",
    ]);
    expect(ben.make({ kind: "leave" })).toMatchObject({ code: "ok" });
    dora.view = anna.group;
    expect(codes(dora, { kind: "leave" })).toEqual(["not-a-member"]);
    expect(anna.make({ kind: "rename", name: "é".repeat(MAX_GROUP_NAME_BYTES / 2) })).toMatchObject({
      code: "ok",
    });
  });

  it("hold 1,024 members and no more, in a state that fits its limit", () => {
    const world = new GroupWorld(4);
    const [anna, ben] = world.people(2) as [GroupDevice, GroupDevice];
    const random = seededRandom(44);
    const accounts = Array.from({ length: MAX_GROUP_MEMBERS - 1 }, () => {
      const account = String.fromCharCode(...random.bytes(16)) as AccountId;
      return { accountKey: random.bytes(32), list: { ...ben.identity.list, account } };
    });
    const name = "n".repeat(MAX_GROUP_NAME_BYTES);
    const asked = { identity: anna.identity, name, writers: "members", random } as const;
    const made = createGroup({ ...asked, accounts });
    if (made.code !== "ok") throw new Error(made.code);
    expect(made.state.members.length).toBe(1_024);
    expect(made.state.bytes.length).toBeLessThanOrEqual(MAX_GROUP_STATE_BYTES);
    expect(anna.take(made)).toBe("joined");
    expect(anna.make({ kind: "add", accounts: [world.pinned(ben)] })).toBe("group-full");
    expect(createGroup({ ...asked, accounts: [...accounts, world.pinned(ben)] })).toEqual({
      code: "group-full",
    });
    expect(createGroup({ ...asked, accounts: [], name: `${name}n` })).toEqual({ code: "name-too-long" });
  });
});

describe("attack 34: membership by the relay", () => {
  it("refuses a state that no admin has signed, and nobody encrypts to whom it adds", () => {
    const { world, people } = groupOf(34, 3);
    const [anna, ben, carl] = people as Three;
    const mallory = world.person();
    const intruder: GroupMember = {
      account: mallory.account,
      fingerprint: accountFingerprint(mallory.identity.certificate.accountKey),
      role: "admin",
    };
    const members = [...anna.group.state.members, intruder].toSorted((a, b) =>
      a.account < b.account ? -1 : 1,
    );
    const added = forgedState(mallory, anna.group.state, { members });
    expect(judge(ben, added, mallory)).toBe("not-admin");
    expect(judge(ben, added, anna), "with the certificate of an admin").toBe("wrong-signer");
    const inHerName = forgedState(mallory, anna.group.state, { members, signer: anna.address });
    expect(judge(ben, inHerName, anna)).toBe("bad-signature");
    expect(judge(ben, forgedState(carl, anna.group.state, { members }), carl), "by a member").toBe(
      "not-admin",
    );
    expect(ben.roster().devices.has(mallory.address)).toBe(false);
    ben.prepare();
    expect(ben.keys.holders).toEqual(new Set([anna.address, ben.address, carl.address]));
  });

  it("refuses any change of a byte of a genuine state", () => {
    const [anna, ben] = three(341);
    const { state } = anna.made({ kind: "renew" });
    const { certificate: signer } = anna.identity;
    for (let at = 0; at < state.bytes.length; at += 3) {
      const bytes = state.bytes.slice();
      bytes[at] = (bytes[at] as number) ^ 0x10;
      const asked = { view: ben.group, bytes, signer, sealKey: undefined, now: START };
      expect(acceptGroupState(asked).code, `byte ${at}`).not.toBe("ok");
    }
    expect(judge(ben, { state }, anna)).toBe("newer");
  });

  it("refuses the old epoch again, one that leaves states out, and one of another group", () => {
    const [anna, ben] = three(342);
    const first = anna.group.state;
    const second = anna.made({ kind: "renew" });
    for (const each of [anna, ben]) expect(each.take(second)).toBe("newer");
    expect(ben.take(second)).toBe("same");
    expect(judge(ben, { state: first }, anna)).toBe("old-epoch");
    const third = anna.made({ kind: "renew" });
    anna.take(third);
    expect(judge(ben, anna.made({ kind: "renew" }), anna)).toBe("epoch-gap");
    const other = anna.create([ben]);
    expect(judge(ben, other, anna)).toBe("wrong-group");
  });

  it("refuses another account key under a member's id: in a state, and in who is sent to", () => {
    const { world, people } = groupOf(343, 3);
    const [anna, ben, carl] = people as Three;
    const mallory = world.person();
    const fingerprint = accountFingerprint(mallory.identity.certificate.accountKey);
    const members = anna.group.state.members.map((each) =>
      each.account === carl.account ? { ...each, fingerprint } : each,
    );
    expect(judge(ben, forgedState(anna, anna.group.state, { members }), anna)).toBe("key-changed");
    const { accountKey } = mallory.identity.certificate;
    const swapped = { ...carl.identity.certificate, accountKey };
    const asked = {
      view: ben.group,
      bytes: anna.made({ kind: "renew" }).state.bytes,
      sealKey: undefined,
      now: START,
    };
    expect(acceptGroupState({ ...asked, signer: { ...anna.identity.certificate, accountKey } }).code).toBe(
      "wrong-signer",
    );
    const accounts = new Map(world.accounts);
    accounts.set(carl.account, { accountKey: swapped.accountKey, list: carl.identity.list });
    const roster = rosterOf(ben.group.state, accounts, START);
    expect([roster.missing, roster.devices.has(carl.address)]).toEqual([[carl.account], false]);
  });

  it("a member who is no admin can leave, and can do nothing else by it", () => {
    const [anna, ben, carl] = three(344);
    const { state } = anna.group;
    const without = (...gone: GroupDevice[]): GroupMember[] =>
      state.members.filter(({ account }) => gone.every((each) => each.account !== account));
    expect(judge(ben, forgedState(carl, state, { members: without(carl) }), carl)).toBe("newer");
    const promoted = without(carl).map((each): GroupMember => ({ ...each, role: "admin" }));
    for (const change of [
      { members: without(ben) },
      { members: without(ben, carl) },
      { members: promoted },
      { members: without(carl), name: "other" },
      { members: without(carl), writers: "admins" },
      {},
    ] as const)
      expect(judge(ben, forgedState(carl, state, change), carl)).toBe("not-admin");
  });

  it("a state cannot be without an admin, out of order, or first and not first", () => {
    const [anna] = three(345);
    const { state } = anna.group;
    const members = state.members.map((each): GroupMember => ({ ...each, role: "member" }));
    const make = (change: Partial<GroupStateBody>) => () => forgedState(anna, state, change);
    expect(make({ members })).toThrow("without an admin");
    expect(make({ members: state.members.toReversed() })).toThrow("out of order");
    expect(make({ epoch: 0 })).toThrow("start at 1");
    expect(make({ epoch: 1 })).toThrow("the first state alone");
    expect(make({ previousHash: new Uint8Array(32) })).toThrow("the first state alone");
  });

  it("joins only with a state of an admin's that names this device's account and key, once", () => {
    const { world, people } = groupOf(346, 3);
    const [anna, ben] = people as Three;
    const { sealKey } = anna.group;
    if (sealKey === undefined) throw new Error("no seal key");
    const join = (device: GroupDevice, state: GroupState, signer: GroupDevice, key = sealKey): string =>
      joinGroup({
        identity: device.identity,
        bytes: state.bytes,
        signer: signer.identity.certificate,
        sealKey: key,
        known: device.view,
        now: START,
      }).code;
    const stranger = world.person();
    const { state } = anna.group;
    expect(join(stranger, state, anna)).toBe("not-a-member");
    expect(join(ben, state, anna)).toBe("already-joined");
    const fresh = new Map(people.map((each) => [each, each.view]));
    for (const each of people) each.view = undefined;
    expect(join(ben, state, ben)).toBe("wrong-signer");
    expect(join(ben, forgedState(ben, state, { signer: ben.address }).state, ben)).toBe("not-admin");
    expect(join(ben, state, anna, new Secret(new Uint8Array(32)))).toBe("wrong-seal-key");
    expect(join(ben, state, anna)).toBe("ok");
    for (const [each, view] of fresh) each.view = view;
  });

  it("comes back after a removal with a later state only", () => {
    const { world, people } = groupOf(347, 3);
    const [anna, ben, carl] = people as Three;
    const old = { state: anna.group.state, sealKey: anna.group.sealKey as Secret };
    const removed = anna.made({ kind: "remove", accounts: [carl.account] });
    for (const each of people) expect(each.take(removed)).toBe("newer");
    expect(carl.take(old), "the state in which he was a member").toBe("old-epoch");
    const again = anna.made({ kind: "add", accounts: [world.pinned(carl)] });
    for (const each of [anna, ben]) expect(each.take(again)).toBe("newer");
    expect(carl.take(again)).toBe("newer");
    expect(sealIdsOf(carl.group).length, "what was under way before he went is opened").toBe(2);
    const gone = anna.made({ kind: "remove", accounts: [carl.account] });
    for (const each of people) expect(each.take(gone)).toBe("newer");
    const last = anna.made({ kind: "rename", name: "without him" });
    for (const each of [anna, ben]) expect(each.take(last)).toBe("newer");
    const third = anna.made({ kind: "add", accounts: [world.pinned(carl)] });
    for (const each of [anna, ben]) expect(each.take(third)).toBe("newer");
    expect(carl.take(third), "over states that he was not told").toBe("joined");
    expect(carl.take(again)).toBe("old-epoch");
  });
});

describe("seal keys of past epochs", () => {
  it("are kept for mail under way: 128 of them, until R + 2 d after their epoch", () => {
    const { world, people } = groupOf(5, 2);
    const [anna] = people as [GroupDevice];
    for (let i = 0; i < MAX_PAST_EPOCHS + 3; i++) anna.take(anna.made({ kind: "renew" }));
    expect(sealIdsOf(anna.group).length).toBe(MAX_PAST_EPOCHS + 1);
    expect(new Set(sealIdsOf(anna.group)).size).toBe(MAX_PAST_EPOCHS + 1);
    world.now = later(START, PAST_EPOCH_LIFETIME_MS - 1);
    anna.take(anna.made({ kind: "renew" }));
    expect(sealIdsOf(anna.group).length).toBe(MAX_PAST_EPOCHS + 1);
    world.now = later(START, PAST_EPOCH_LIFETIME_MS);
    anna.take(anna.made({ kind: "renew" }));
    expect(sealIdsOf(anna.group).length).toBe(3);
  });

  it("are each the state's own: another one with a state is refused", () => {
    const [anna, ben] = three(6);
    const { state } = anna.made({ kind: "renew" });
    expect(ben.take({ state, sealKey: new Secret(new Uint8Array(32)) })).toBe("wrong-seal-key");
    expect(parseGroupState(state.bytes).epoch).toBe(ben.group.state.epoch + 1);
  });
});
