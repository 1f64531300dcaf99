// A linking as crypto/README.md says it, on other primitives: both sides in one function, every byte that is shown or sent.
import { ascii, type Bytes, E, join, L, lv16, lv32, u16, u32, u64, u8, X } from "./bytes.ts";
import type { Chance } from "./chance.ts";
import { addr, makeIdentity } from "./keys.ts";
import {
  blake2b,
  ed25519Public,
  ed25519Sign,
  hpkeSender,
  sha512,
  x25519Public,
  xchachaSeal,
} from "./primitives.ts";

export interface TwinLinking {
  readonly text: string;
  readonly offer: Bytes;
  readonly join: Bytes;
  readonly grant: Bytes;
  readonly digits: string;
}

const DAY = 24 * 3_600_000;
const DEVICE = 2;
const transcript = (a: Bytes, b: Bytes): Bytes => sha512(L("linking-transcript"), lv32(a), lv32(b));

/** Chance is drawn as the library draws it: the account, the code, the offer, the new device's keys, the grant. */
export function linking(
  chance: Chance,
  now: number,
  { relay, name }: { relay: string; name: string },
): TwinLinking {
  const drawn: Bytes[] = [];
  const bytes = (length: number): Bytes => {
    drawn.push(chance.bytes(length));
    return drawn.at(-1) as Bytes;
  };
  const own = makeIdentity({ bytes }, now);
  const profileKey = drawn[4] as Bytes;
  const { account, AK, secrets } = own;

  const [mailbox, nk, r] = [bytes(16), bytes(32), bytes(32)];
  const S = blake2b(32, L("linking-secret"), r);
  const NK = x25519Public(nk);
  const code = join(u8(1), mailbox, X(NK), S, lv16(ascii(relay)));
  const check = blake2b(32, L("linking-check"), code).slice(0, 4);
  const text = Buffer.from(join(code, check)).toString("base64url");

  const { enc, seal, exported } = hpkeSender(NK, bytes(32), L("linking"), { key: S, id: mailbox });
  const body = join(account, u16(DEVICE), E(AK), lv16(ascii(name)), lv16(ascii(relay)));
  const offer = join(u8(1), enc, seal(code, body));
  const th1 = transcript(code, offer);

  const [ds, di, sealing] = [bytes(32), bytes(32), bytes(32)];
  const [DS, DI] = [ed25519Public(ds), x25519Public(di)];
  const lived = join(X(x25519Public(sealing)), u64(now), u64(now + 35 * DAY));
  const record = join(lived, ed25519Sign(ds, L("sig/sealing-key"), u8(1), addr(account, DEVICE), lived));
  const possession = ed25519Sign(ds, L("sig/device-possession"), E(AK), addr(account, DEVICE));
  const front = join(r, E(DS), X(DI), record, possession);
  const answer = join(front, ed25519Sign(ds, L("sig/device-linking"), th1, front));
  const nonce = bytes(24);
  const joined = join(u8(2), nonce, xchachaSeal(exported(L("linking-join"), 32), nonce, th1, answer));

  const said = join(u8(1), account, u16(DEVICE), E(AK), E(DS), X(DI), u64(now));
  const certificate = join(said, ed25519Sign(secrets.AK, L("sig/device-certificate"), said), possession);
  const entries = [own.certificate, certificate].map((of, i) => join(u16(i + 1), blake2b(32, of)));
  const previous = blake2b(32, own.list.bytes);
  const listed = join(u8(1), account, u32(2), previous, u64(now), u16(2), ...entries);
  const list = join(listed, ed25519Sign(secrets.AK, L("sig/device-list"), listed));
  const last = bytes(24);
  const granted = join(lv16(certificate), lv16(list), profileKey);
  const th2 = transcript(th1, joined);
  const grant = join(u8(3), last, xchachaSeal(exported(L("linking-grant"), 32), last, th2, granted));

  const six = exported(join(L("linking-digits"), r), 6);
  const digits = String(Number(BigInt(`0x${Buffer.from(six).toString("hex")}`) % 1_000_000n)).padStart(
    6,
    "0",
  );
  return { text, offer, join: joined, grant, digits };
}
