// What people of a crowd say: each text names its sender, its recipient or group, and its number, and ends with the hash of
// all that. Always true: a text that was cut, mixed or made up says nothing.
import { createHash } from "node:crypto";

export interface Said {
  readonly from: string;
  /** To somebody, or in a group. */
  readonly how: "to" | "in";
  readonly to: string;
  readonly seq: number;
  readonly hash: string;
}

export function textOf({ from, how, to, seq }: Omit<Said, "hash">, padding: string): string {
  return `${from} ${how} ${to} #${seq} ${padding}`;
}

/** What a text says of itself, if it is whole. */
export function saidIn(text: string): Said | undefined {
  const said = /^((\S+) (to|in) (\S+) #(\d+) \S*) ([0-9a-f]{16})$/.exec(text);
  if (said === null) return undefined;
  const [, whole = "", from = "", how, to = "", seq = "", hash = ""] = said;
  return hashOf(whole) === hash ? { from, how: how as Said["how"], to, seq: Number(seq), hash } : undefined;
}

export function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
