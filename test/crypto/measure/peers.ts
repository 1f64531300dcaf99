// What others cost in the same process: libolm as @matrix-org/olm has it, and the second implementation of the tests.
import Olm, { type Session } from "@matrix-org/olm";
import { START } from "../support.ts";
import { chanceOf } from "../twin/chance.ts";
import { TwinDevice } from "../twin/device.ts";
import { cpuOf } from "./cpu.ts";

/** Two sessions of libolm that have exchanged a message each way. */
function olmSessions(): [Session, Session] {
  const [alice, bob] = [new Olm.Account(), new Olm.Account()];
  alice.create();
  bob.create();
  bob.generate_one_time_keys(1);
  const { curve25519: identity } = JSON.parse(bob.identity_keys()) as { curve25519: string };
  const { curve25519: keys } = JSON.parse(bob.one_time_keys()) as { curve25519: Record<string, string> };
  const [a, b] = [new Olm.Session(), new Olm.Session()];
  a.create_outbound(alice, identity, Object.values(keys)[0] ?? "");
  const first = a.encrypt("one");
  b.create_inbound(bob, first.body);
  b.decrypt(first.type, first.body);
  const reply = b.encrypt("two");
  a.decrypt(reply.type, reply.body);
  return [a, b];
}

export function olmCost(times: number, plain: string, turn: boolean): number {
  const sessions = olmSessions();
  return cpuOf(times, (i) => {
    const from = turn && i % 2 === 1 ? 1 : 0;
    const { type, body } = (sessions[from] as Session).encrypt(plain);
    if ((sessions[1 - from] as Session).decrypt(type, body).length !== plain.length)
      throw new Error("other text");
  });
}

/** A session of libolm from somebody's keys, and from a first message: triple Diffie-Hellman, without signatures. */
export function olmSetUpCost(times: number): { start: number; accept: number } {
  const [alice, bob] = [new Olm.Account(), new Olm.Account()];
  alice.create();
  bob.create();
  bob.generate_one_time_keys(1);
  const { curve25519: identity } = JSON.parse(bob.identity_keys()) as { curve25519: string };
  const { curve25519: keys } = JSON.parse(bob.one_time_keys()) as { curve25519: Record<string, string> };
  const key = Object.values(keys)[0] ?? "";
  const start = cpuOf(times, () => {
    const session = new Olm.Session();
    session.create_outbound(alice, identity, key);
    session.free();
  });
  const session = new Olm.Session();
  session.create_outbound(alice, identity, key);
  const { type, body } = session.encrypt("0123456789abcdef".repeat(16));
  const accept = cpuOf(times, () => {
    const accepted = new Olm.Session();
    accepted.create_inbound(bob, body);
    accepted.decrypt(type, body);
    accepted.free();
  });
  return { start, accept };
}

/** Whole envelopes of the second implementation. */
export function twinCost(times: number, plain: Uint8Array, turn: boolean): number {
  const count = { curve: 1, kem: 1 };
  const [alice, bob] = [new TwinDevice(chanceOf(1), START, count), new TwinDevice(chanceOf(2), START, count)];
  const { certificate, list } = bob.own;
  alice.start(certificate, list.bytes, bob.bundle({ oneTime: true, oneTimeKem: true }));
  bob.read(alice.send(bob.address, plain, "lasting"));
  alice.read(bob.send(alice.address, plain, "lasting"));
  return cpuOf(times, (i) => {
    const [from, to] = turn && i % 2 === 1 ? [bob, alice] : [alice, bob];
    if (to.read(from.send(to.address, plain, "lasting")).length !== plain.length)
      throw new Error("other text");
  });
}
