// Parsers of groups behind a cipher: bytes of a member's choice, in a good seal, and in a message that its chain has signed.
import { encodeGroupView, senderKeys } from "../../../crypto/index.ts";
import { pad } from "../../../crypto/padding.ts";
import { xchachaOpen, xchachaSeal } from "../../../crypto/primitives.ts";
import { forge } from "../group-tools.ts";
import { type GroupDevice, groupOf } from "../group-world.ts";
import { text } from "../support.ts";
import type { Layer } from "./layers.ts";

/** Version, seal id, group envelope id, nonce. */
const PREFIX_BYTES = 49;

export function groupLayers(): Layer[] {
  const { people } = groupOf(64, 2);
  const [anna, ben] = people as [GroupDevice, GroupDevice];
  return [insideSeal(anna, ben), insideMessage(anna, ben)];
}

function kept(device: GroupDevice): Buffer {
  return Buffer.concat([
    encodeGroupView(device.group),
    ...[...device.theirs.values()].map(senderKeys.encodeTheirs),
  ]);
}

function insideSeal(anna: GroupDevice, ben: GroupDevice): Layer {
  const name = "inside a group's seal";
  const mail = anna.send("hello");
  const prefix = mail.ciphertext.slice(0, PREFIX_BYTES);
  const key = anna.group.sealKey?.reveal() ?? new Uint8Array(0);
  const input = { key, nonce: prefix.slice(-24), ad: [prefix] };
  const example = xchachaOpen(input, mail.ciphertext.subarray(PREFIX_BYTES)) ?? new Uint8Array(0);
  return {
    name,
    example,
    check(bytes) {
      const before = kept(ben);
      const ciphertext = Uint8Array.of(...prefix, ...xchachaSeal(input, bytes));
      const { code } = ben.look({ ...mail, ciphertext });
      const same = Buffer.compare(bytes, example) === 0;
      if ((code === "ok") !== same)
        throw new Error(`${name}: ${code} for ${same ? "the example" : "other bytes"}`);
      if (!before.equals(kept(ben))) throw new Error(`${name}: kept`);
    },
  };
}

function insideMessage(anna: GroupDevice, ben: GroupDevice): Layer {
  const name = "inside a group's message";
  return {
    name,
    example: pad(Uint8Array.of(1, ...text("hello"))),
    check(bytes) {
      const opened = ben.look(forge(anna, { padded: bytes }));
      const again = opened.code === "ok" ? packed(opened.content, opened.plaintext) : undefined;
      if (again === undefined ? opened.code !== "malformed-content" : Buffer.compare(again, bytes) !== 0)
        throw new Error(`${name}: ${opened.code}`);
    },
  };
}

function packed(content: "lasting" | "passing", plaintext: Uint8Array): Uint8Array {
  return pad(Uint8Array.of(content === "lasting" ? 1 : 2, ...plaintext));
}
