// What is left in libsodium's memory: after each primitive, and after a whole conversation, none of the secrets that went
// in, and none that came out. Searched for in pieces of 16 bytes, so that a part that stays is found too.
import { beforeAll, describe, expect, it } from "vitest";
import { HpkeContext } from "../../crypto/hpke.ts";
import {
  acceptGrant,
  answerOffer,
  confirmLinking,
  createIdentity,
  hearJoining,
  linkingText,
  showLinkingCode,
} from "../../crypto/index.ts";
import * as primitives from "../../crypto/primitives.ts";
import { ready } from "../../crypto/ready.ts";
import { CHUNK_BYTES, pullChunks, pushChunks, streamState } from "../../crypto/secretstream.ts";
import { lib } from "../../crypto/sodium.ts";
import { type GroupDevice, groupOf } from "./group-world.ts";
import { good, RELAY, scan } from "./linking-support.ts";
import { openFile, sealFile } from "./media-support.ts";
import { Device, seededRandom, seedOf, START, text } from "./support.ts";

beforeAll(ready);

const random = seededRandom(seedOf("memory", 50));
const fresh = (): Uint8Array => random.bytes(32);
const PIECE = 16;

/** The wasm memory, without the zeros at its end. */
function heap(): Buffer {
  const { HEAPU8 } = lib();
  let end = HEAPU8.length;
  while (end > 0 && HEAPU8[end - 1] === 0) end--;
  return Buffer.from(HEAPU8.subarray(0, end));
}

/** How many 16-byte pieces of the secrets are in the memory. */
function piecesLeft(...secrets: (Uint8Array | undefined)[]): number {
  const memory = heap();
  let found = 0;
  for (const secret of secrets)
    for (let at = 0; secret !== undefined && at + PIECE <= secret.length; at += PIECE)
      if (memory.includes(Buffer.from(secret.subarray(at, at + PIECE)))) found++;
  return found;
}

type Name = Exclude<keyof typeof primitives, `${string}_BYTES`>;
type Secrets = (Uint8Array | undefined)[];

/** One use of each primitive: what must not be left behind. */
const USES: Record<Name, () => Secrets> = {
  sha512: () => hashed((secret) => primitives.sha512(text("x"), secret)),
  blake2b: () => hashed((secret) => primitives.blake2b(32, secret)),
  hmacSha512: () => hashed((secret) => primitives.hmacSha512(secret, text("label"))),
  hmacSha256: () => hashed((secret) => primitives.hmacSha256(secret, text("label"))),
  hkdfSha256Expand: () => hashed((secret) => primitives.hkdfSha256Expand(secret, [text("info")], 64)),
  hkdfSha512() {
    const [salt, ikm] = [fresh(), fresh()];
    return [salt, ikm, primitives.hkdfSha512({ salt, ikm: [ikm], info: [text("info")], length: 112 })];
  },
  x25519Base() {
    const own = fresh();
    primitives.x25519Base(own);
    return [own];
  },
  x25519() {
    const own = fresh();
    return [own, primitives.x25519(own, primitives.x25519Base(fresh()))];
  },
  ed25519Public() {
    const seed = fresh();
    primitives.ed25519Public(seed);
    return [seed];
  },
  ed25519Sign() {
    const seed = fresh();
    primitives.ed25519Sign(seed, text("said"));
    return [seed];
  },
  ed25519Verify() {
    const [seed, said] = [fresh(), random.bytes(200)];
    const signature = primitives.ed25519Sign(seed, said);
    primitives.ed25519Verify(primitives.ed25519Public(seed), signature, said);
    return [seed, said];
  },
  kemPublic() {
    const seed = random.bytes(64);
    primitives.kemPublic(seed);
    return [seed];
  },
  kemEncapsulate() {
    const chance = fresh();
    return [chance, primitives.kemEncapsulate(primitives.kemPublic(random.bytes(64)), chance)?.shared];
  },
  kemDecapsulate() {
    const seed = random.bytes(64);
    const made = primitives.kemEncapsulate(primitives.kemPublic(seed), fresh());
    return [seed, primitives.kemDecapsulate(seed, made?.ciphertext ?? new Uint8Array(0))];
  },
  xchachaSeal: () => sealed(24, (input, plain) => primitives.xchachaSeal(input, plain)),
  xchachaOpen: () =>
    sealed(24, (input, plain) => primitives.xchachaOpen(input, primitives.xchachaSeal(input, plain))),
  chachaSeal: () => sealed(12, (input, plain) => primitives.chachaSeal(input, plain)),
  chachaOpen: () =>
    sealed(12, (input, plain) => primitives.chachaOpen(input, primitives.chachaSeal(input, plain))),
  equal: () => [],
};

function hashed(hash: (secret: Uint8Array) => Uint8Array): Secrets {
  const secret = fresh();
  return [secret, hash(secret)];
}

/** Whole blocks of 64 bytes, as padded messages are: the rest of a shorter one passes through libsodium's stack. */
function sealed(
  nonceBytes: number,
  use: (input: primitives.AeadInput, plain: Uint8Array) => unknown,
): Secrets {
  const input = { key: fresh(), nonce: random.bytes(nonceBytes), ad: [text("ad")] };
  const plain = random.bytes(256);
  use(input, plain);
  return [input.key, plain];
}

/** Chance, with a copy of every secret that it has given. */
function aWatchedChance() {
  const drawn: Uint8Array[] = [];
  const watched = {
    bytes(length: number) {
      const bytes = random.bytes(length);
      if (length >= 32) drawn.push(bytes.slice());
      return bytes;
    },
  };
  return { drawn, watched };
}

describe("attack 50: the wasm memory", () => {
  it.each(Object.entries(USES))("holds no secret after %s", (_, use) => {
    expect(piecesLeft(...use())).toBe(0);
  });

  it("is looked at after every primitive", () => {
    const functions = Object.entries(primitives).filter(([, value]) => typeof value === "function");
    expect(functions.map(([name]) => name).toSorted()).toEqual(Object.keys(USES).toSorted());
  });

  it("holds no secret after an envelope was sealed and opened", () => {
    const [secret, ephemeral, plain] = [fresh(), fresh(), random.bytes(256)];
    const recipient = primitives.x25519Base(secret);
    const kept = ephemeral.slice();
    const sender = new HpkeContext(text("info")).sender(recipient, ephemeral);
    const [aad, enc] = [text("aad"), sender?.enc ?? new Uint8Array(0)];
    const ciphertext = sender?.seal(aad, plain) ?? new Uint8Array(0);
    const opened = new HpkeContext(text("info")).open({ enc, secret, recipient, aad, ciphertext });
    expect(opened).toEqual(plain);
    expect(piecesLeft(secret, kept, plain)).toBe(0);
  });

  it("holds no key, no state and no text after a stream's chunks were sealed, opened and refused", () => {
    const [key, plain, ad] = [fresh(), random.bytes(CHUNK_BYTES + 4_096), text("ad")];
    const said = endsOf(plain);
    const states = [streamState(key, random.bytes(24))];
    expect(piecesLeft(key, ...states)).toBe(0);
    const [sealing, opening] = [(states[0] as Uint8Array).slice(), (states[0] as Uint8Array).slice()];
    // Not final: then libsodium makes a key for what would follow, and leaves it on its stack. Nothing is sealed under it.
    const pushing = { ad, final: false, plain: [plain], length: plain.length };
    const sealed = pushChunks(sealing, pushing);
    expect(piecesLeft(key, ...states, sealing, ...said)).toBe(0);
    const forged = sealed.with(sealed.length - 1, (sealed.at(-1) as number) ^ 1);
    expect(pullChunks(opening, ad, forged)).toBeUndefined();
    expect([piecesLeft(key, ...states, ...said), opening]).toEqual([0, states[0]]);
    expect(pullChunks(opening, ad, sealed)?.plain).toEqual(plain);
    expect([piecesLeft(key, ...states, opening, ...said), opening]).toEqual([0, sealing]);
  });

  it("holds no key, no state and no text after a file was sealed and opened", async () => {
    const { drawn, watched } = aWatchedChance();
    const file = await sealFile(random.bytes(2 * CHUNK_BYTES - 8), watched);
    const states = file.positions.map(({ state }) => state).filter((state) => state.some((byte) => byte > 0));
    expect([drawn.length, states.length]).toEqual([1, 1]);
    expect((await openFile(file, file.parts)).done).toBe(true);
    expect(piecesLeft(...drawn, ...states, ...endsOf(file.data.subarray(8)))).toBe(0);
  });

  it("holds no chance, no key of any state and no text after a conversation", () => {
    const { drawn, watched } = aWatchedChance();
    const [alice, bob] = [new Device(watched), new Device(watched)];
    alice.start(bob);
    const states: Uint8Array[] = [];
    const texts: Uint8Array[] = [];
    for (let i = 0; i < 6; i++) {
      const [from, to] = i % 3 === 1 ? [bob, alice] : [alice, bob];
      const said = random.bytes(200);
      expect(to.receive(from.send(to, said)).code).toBe("ok");
      texts.push(said);
      states.push(...secretsOf(from, to));
    }
    expect(drawn.length).toBeGreaterThan(30);
    expect(piecesLeft(...drawn)).toBe(0);
    expect(piecesLeft(...states)).toBe(0);
    expect(piecesLeft(...texts)).toBe(0);
  });

  it("holds no chance, and no secret of the account, after a linking", () => {
    const { drawn, watched } = aWatchedChance();
    const primary = createIdentity({ random: watched, now: START });
    const showing = showLinkingCode({ relay: RELAY, random: watched, now: START });
    const secret = showing.code.secret.reveal().slice();
    const offered = good(scan({ identity: primary, random: watched, text: linkingText(showing.code) }));
    const joined = good(answerOffer(showing, { message: offered.message, random: watched, now: START }));
    const { state } = good(hearJoining(offered.state, { message: joined.message, now: START }));
    const confirmed = good(confirmLinking(state, { identity: primary, random: watched, now: START }));
    const linked = acceptGrant(joined.state, { message: confirmed.message, now: START });
    expect([linked.code, drawn.length]).toEqual(["ok", 11]);
    expect(piecesLeft(...drawn, secret)).toBe(0);
  });

  it("holds no chance, no key of any state and no text after a group's conversation", () => {
    const { people } = groupOf(50, 2);
    const [anna, ben] = people as [GroupDevice, GroupDevice];
    const secrets: Uint8Array[] = [];
    for (let i = 0; i < 6; i++) {
      const [from, to] = i % 3 === 1 ? [ben, anna] : [anna, ben];
      const said = random.bytes(200);
      const { code } = to.look(from.send(said));
      expect(code).toBe("ok");
      const { chain } = from.keys;
      const theirs = to.theirs.get(from.address)?.chains.map(({ key }) => key.reveal().slice()) ?? [];
      secrets.push(said, chain.key.reveal().slice(), chain.signingSeed.reveal().slice(), ...theirs);
      secrets.push(from.group.sealKey?.reveal().slice() ?? new Uint8Array(0));
    }
    expect(secrets.length).toBe(30);
    expect(piecesLeft(...secrets)).toBe(0);
  });

  it("is searched well: what a use without the scratch area leaves there is found", () => {
    const own = fresh();
    const [out, secret] = [lib()._malloc(own.length), lib()._malloc(own.length)];
    lib().HEAPU8.set(own, secret);
    lib()._crypto_scalarmult_base(out, secret);
    expect(piecesLeft(own)).toBe(own.length / PIECE);
  });
});

/** What is searched of a long text. */
const endsOf = (bytes: Uint8Array): Uint8Array[] => [bytes.subarray(0, 1_024), bytes.slice(-1_024)];

/** The keys of both sides' ratchet between them, as they are now. */
function secretsOf(a: Device, b: Device): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (const ratchet of [a.ratchet(b), b.ratchet(a)]) {
    const { core, headerKey } = ratchet;
    out.push(core.root.reveal().slice(), headerKey.reveal().slice());
    if (core.sending.at === "chain") out.push(core.sending.key.reveal().slice());
    if (core.sending.at === "chain") out.push(core.sending.own.secret.reveal().slice());
    if (core.receiving.at === "chain") out.push(core.receiving.key.reveal().slice());
  }
  out.push(a.peer(b).tagKey.reveal().slice(), b.peer(a).tagKey.reveal().slice());
  return out;
}
