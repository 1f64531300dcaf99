// One small valid frame of every name, with values drawn anew each time. The type makes a frame that the table gains
// and nobody draws here a compile error.
import {
  type AccountId,
  type ClientFrame,
  type ConnectionKind,
  type DeviceNumber,
  type EnvelopeId,
  FRAMES,
  type FrameName,
  type FrameOf,
  type GroupEnvelopeId,
  MAX_VERSION,
  MIN_VERSION,
  PROBLEMS,
  type RelayFrame,
  type Time,
} from "@lethe/protocol";
import type { Chance } from "./chance.ts";
import type { Person } from "./person.ts";

type Draw = {
  readonly [N in FrameName]: (chance: Chance, person: () => Person) => Omit<FrameOf<N>, "frame">;
};

const later = (chance: Chance): Time => (Date.now() + chance.between(-1_000, 3_600_000)) as Time;
const small = (chance: Chance): Uint8Array => chance.bytes(chance.below(24));
const code = (chance: Chance): number => chance.pick(Object.values(PROBLEMS)).number;
const ids = (chance: Chance): EnvelopeId[] => several(chance, 4, () => chance.id<EnvelopeId>());
const prekey = (chance: Chance) => ({ id: chance.bytes(8), bytes: small(chance) });
const several = <T>(chance: Chance, most: number, one: () => T): T[] =>
  Array.from({ length: chance.between(1, most) }, one);

function envelopes(chance: Chance, person: Person) {
  const one = (device: DeviceNumber) => ({
    device,
    id: chance.id<EnvelopeId>(),
    ciphertext: small(chance),
  });
  return chance.oneIn(4)
    ? several(chance, 3, () => one(chance.between(1, 4) as DeviceNumber))
    : [one(person.device)];
}

/** Mostly the right key, sometimes another or none. */
function keyOf(chance: Chance, person: Person): Uint8Array | undefined {
  if (chance.oneIn(8)) return undefined;
  return chance.oneIn(4) ? chance.bytes(16) : person.accessKey;
}

const listOf = (chance: Chance, person: Person): number =>
  chance.oneIn(8) ? chance.u32() : person.listVersion;

const DRAW: Draw = {
  hello: (c, p) => ({ ...versions, account: p().account, device: p().device, epoch: c.u32() }),
  "hello-anonymous": () => versions,
  challenge: (c) => ({ version: 1, relay: "relay.test", nonce: c.bytes(32) }),
  proof: (c) => ({ signature: c.bytes(64) }),
  welcome: (c) => ({
    version: 1,
    relay: "relay.test",
    now: later(c),
    maxEnvelopeBytes: c.u32(),
    maxTtlMs: c.u32(),
    pingMs: c.u32(),
  }),
  "epoch-behind": (c) => ({ last: c.u32() }),
  submit: (c, p) => {
    const person = p();
    return {
      recipient: person.account,
      accessKey: keyOf(c, person),
      listVersion: listOf(c, person),
      expiry: later(c),
      envelopes: envelopes(c, person),
    };
  },
  "submit-group": (c, p) => ({
    groupEnvelope: c.id<GroupEnvelopeId>(),
    expiry: later(c),
    ciphertext: small(c),
    recipients: [...new Set(several(c, 3, p))].map((person) => {
      const devices = several(c, 2, () => (c.oneIn(4) ? (c.between(1, 4) as DeviceNumber) : person.device));
      return {
        account: person.account,
        accessKey: keyOf(c, person),
        listVersion: listOf(c, person),
        devices,
      };
    }),
  }),
  accepted: (c) => ({ ids: ids(c) }),
  refused: (c) => ({ code: code(c), retryAfter: c.u32(), ids: ids(c) }),
  "stale-list": (c, p) => ({
    account: p().account,
    version: c.u32(),
    missing: [],
    extra: several(c, 2, () => c.between(1, 9) as DeviceNumber),
    ids: ids(c),
  }),
  signal: (c, p) => {
    const person = p();
    return {
      recipient: person.account,
      accessKey: keyOf(c, person),
      envelopes: envelopes(c, person),
    };
  },
  push: (c) => ({
    id: c.id<EnvelopeId>(),
    kind: c.pick(["pairwise", "group", "signal"] as const),
    ciphertext: small(c),
  }),
  delivered: (c) => ({ ids: ids(c) }),
  drained: () => ({}),
  watch: (c, p) => {
    const person = p();
    return { account: person.account, accessKey: keyOf(c, person) ?? c.bytes(16) };
  },
  unwatch: (_c, p) => ({ account: p().account }),
  notice: (c, p) => ({
    account: p().account,
    state: c.pick(["denied", "offline", "online"] as const),
    lastSeen: later(c),
  }),
  "ask-name": (c, p) => ({ request: c.u32(), name: c.oneIn(3) ? "?!" : p().name }),
  "ask-devices": (c, p) => {
    const person = p();
    return { request: c.u32(), account: person.account, accessKey: keyOf(c, person) };
  },
  "ask-prekeys": (c, p) => {
    const person = p();
    const { account, device } = person;
    return { request: c.u32(), account, device, accessKey: keyOf(c, person), requestId: c.bytes(16) };
  },
  "is-account": (c) => ({ request: c.u32(), account: c.id<AccountId>() }),
  "has-devices": (c) => ({
    request: c.u32(),
    version: c.u32(),
    deviceList: small(c),
    certificates: several(c, 3, () => small(c)),
  }),
  "has-prekeys": (c) => ({
    request: c.u32(),
    signed: prekey(c),
    lastResort: prekey(c),
    oneTime: c.oneIn(2) ? prekey(c) : undefined,
    oneTimeKem: undefined,
  }),
  "ask-refused": (c) => ({ request: c.u32(), code: code(c), retryAfter: c.u32() }),
  ping: (c) => ({ token: c.u32() }),
  pong: (c) => ({ token: c.u32() }),
  goaway: (c) => ({ code: code(c), retryAfter: c.u32() }),
  error: (c) => ({ code: code(c) }),
};

const versions = { minVersion: MIN_VERSION, maxVersion: MAX_VERSION };

const NAMES = Object.keys(FRAMES) as FrameName[];

/** The names of the frames that a client may send on this kind of connection. */
export function clientFrames(on: ConnectionKind): FrameName[] {
  return NAMES.filter((name) => FRAMES[name].from !== "relay" && [on, "both"].includes(FRAMES[name].on));
}

/** The names of the frames that a client may not send on this kind of connection. */
export function forbiddenFrames(on: ConnectionKind): FrameName[] {
  const allowed = new Set(clientFrames(on));
  return NAMES.filter((name) => !allowed.has(name));
}

export function draw(name: FrameName, chance: Chance, person: () => Person): ClientFrame | RelayFrame {
  return { frame: name, ...DRAW[name](chance, person) } as ClientFrame | RelayFrame;
}
