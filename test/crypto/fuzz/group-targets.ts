// The decoders of groups, with examples of what they take.
import { MalformedError } from "@lethe/protocol";
import {
  decodeGroupView,
  decodeTold,
  encodeGroupView,
  encodeTold,
  parseGroupState,
  type SenderChains,
  senderKeys,
} from "../../../crypto/index.ts";
import { everybody, announcement } from "../group-tools.ts";
import { type GroupDevice, groupOf } from "../group-world.ts";
import type { Target } from "./targets.ts";

export function groupTargets(): Target[] {
  const { people } = groupOf(520, 3);
  const [anna, ben] = people as [GroupDevice, GroupDevice];
  for (let i = 0; i < 2; i++) {
    anna.own = undefined;
    anna.send("skipped");
    ben.read(anna.send("read"));
    everybody(people, anna.made({ kind: "renew" }));
  }
  const { state, sealKey } = ben.group;
  const theirs = ben.theirs.get(anna.address) as SenderChains;
  if (sealKey === undefined || theirs.chains[1]?.skipped.length !== 1) throw new Error("another state");
  const told = (bytes: Uint8Array): unknown => {
    const found = decodeTold(bytes);
    if (found === undefined) throw new MalformedError("refused");
    return found;
  };
  return [
    { name: "group state", example: state.bytes, decode: parseGroupState },
    {
      name: "group view",
      example: encodeGroupView(ben.group),
      decode: decodeGroupView,
      again: encodeGroupView,
    },
    { name: "told chain", example: announcement(anna, ben), decode: told, again: encodeTold },
    {
      name: "told state",
      example: encodeTold({ kind: "state", state: state.bytes, sealKey }),
      decode: told,
      again: encodeTold,
    },
    {
      name: "own sender keys",
      example: senderKeys.encodeOwn(anna.keys),
      decode: senderKeys.decodeOwn,
      again: senderKeys.encodeOwn,
    },
    {
      name: "sender chains",
      example: senderKeys.encodeTheirs(theirs),
      decode: senderKeys.decodeTheirs,
      again: senderKeys.encodeTheirs,
    },
  ].map((target) => ({ ...target, whole: true }) as Target);
}
