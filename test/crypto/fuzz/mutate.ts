// Changes to a good value that parsers get wrong: bits, numbers at their limits, pieces cut, doubled, moved, or taken from
// another value, bytes behind the end.
import type { Random } from "../../../crypto/index.ts";

type Dice = Random & { below(bound: number): number };
type Change = (bytes: Uint8Array, dice: Dice, others: readonly Uint8Array[]) => Uint8Array;

const LIMITS = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function place(bytes: Uint8Array, at: number, what: Uint8Array): Uint8Array {
  return join(bytes.subarray(0, at), what, bytes.subarray(at + what.length)).subarray(0, bytes.length);
}

/** A number at its limit in one, two or four bytes, big endian. */
function limit(dice: Dice): Uint8Array {
  const value = LIMITS[dice.below(LIMITS.length)] as number;
  const whole = Buffer.alloc(4);
  whole.writeUInt32BE(value);
  return new Uint8Array(whole.subarray([0, 2, 3][dice.below(3)]));
}

const CHANGES: readonly Change[] = [
  (bytes, dice) => {
    const [at, out] = [dice.below(bytes.length), bytes.slice()];
    out[at] = (out[at] as number) ^ (1 << dice.below(8));
    return out;
  },
  (bytes, dice) => place(bytes, dice.below(bytes.length), dice.bytes(1)),
  (bytes, dice) => place(bytes, dice.below(bytes.length), limit(dice)),
  (bytes, dice) => bytes.slice(0, dice.below(bytes.length)),
  (bytes, dice) => join(bytes, dice.bytes(1 + dice.below(4))),
  (bytes, dice) => {
    const [from, at] = [dice.below(bytes.length), dice.below(bytes.length)];
    const piece = bytes.subarray(from, from + 1 + dice.below(40));
    return join(bytes.subarray(0, at), piece, bytes.subarray(at));
  },
  (bytes, dice) => {
    const at = dice.below(bytes.length);
    return join(bytes.subarray(0, at), bytes.subarray(at + 1 + dice.below(40)));
  },
  (bytes, dice, others) => {
    const other = others[dice.below(others.length)] ?? bytes;
    const from = dice.below(other.length);
    return place(bytes, dice.below(bytes.length), other.subarray(from, from + 1 + dice.below(64)));
  },
];

/** One to four changes. */
export function mutate(example: Uint8Array, others: readonly Uint8Array[], dice: Dice): Uint8Array {
  let bytes = example;
  for (let times = 1 + dice.below(4); times > 0 && bytes.length > 0; times--)
    bytes = (CHANGES[dice.below(CHANGES.length)] as Change)(bytes, dice, others);
  return bytes;
}
