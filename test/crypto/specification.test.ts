// The numbers in crypto/README.md, held against the code in both directions: the table of limits, and the sizes that stand
// beside the formats.
import { readFileSync } from "node:fs";
import { MAX_DEVICES, MAX_MEDIA_BYTES, MEDIA_PART_BYTES } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import * as crypto from "../../crypto/index.ts";
import { HEADER_BYTES } from "../../crypto/header.ts";
import { PRELUDE_BYTES } from "../../crypto/pqxdh.ts";
import { CHUNK_BYTES, CHUNK_OVERHEAD_BYTES, STREAM_STATE_BYTES } from "../../crypto/secretstream.ts";
import { SEALING_RECORD_BYTES } from "../../crypto/sealing-key.ts";
import { announcement } from "./group-tools.ts";
import { type GroupDevice, groupOf } from "./group-world.ts";
import { DAY, pair } from "./support.ts";

beforeAll(crypto.ready);

const page = readFileSync(new URL("../../crypto/README.md", import.meta.url), "utf8");

/** Second column by the first, of the table under a heading. */
function table(heading: string): ReadonlyMap<string, string> {
  const from = page.indexOf(`## ${heading}\n`);
  const section = page.slice(from, page.indexOf("\n## ", from + 1));
  const rows = [...section.matchAll(/^\| (.+?) \| (.+?) \|$/gm)].map(
    (m) => [m[1] ?? "", m[2] ?? ""] as const,
  );
  return new Map(rows.filter(([first]) => first !== "limit" && first !== "---"));
}

const number = (value: number): string => value.toLocaleString("en");
const days = (ms: number): string => `${number(ms / DAY)} d`;
const hours = (ms: number): string => `${number(ms / 3_600_000)} h`;

describe("the table of limits", () => {
  it("has the code's numbers, and no others", () => {
    const slack = `R + ${days(crypto.RETENTION_SLACK_MS)}`;
    for (const kept of [
      crypto.SKIPPED_LIFETIME_MS,
      crypto.PAST_EPOCH_LIFETIME_MS,
      crypto.SENDER_CHAIN_LIFETIME_MS,
    ])
      expect(kept).toBe(crypto.RETENTION_MS + crypto.RETENTION_SLACK_MS);
    const expected = new Map([
      ["R, the relay's retention", days(crypto.RETENTION_MS)],
      [
        "sealing key",
        `new every ${days(crypto.SEALING_ROTATE_MS)}, used by peers for ${days(crypto.SEALING_LIFETIME_MS)}, private half kept until expiry + ${slack}`,
      ],
      [
        "signed and last-resort prekey",
        `new every ${hours(crypto.SIGNED_PREKEY_ROTATE_MS)} ± ${hours(crypto.SIGNED_PREKEY_JITTER_MS)}, accepted for ${days(crypto.SIGNED_PREKEY_LIFETIME_MS)}, kept until expiry + ${slack}`,
      ],
      [
        "one-time prekeys",
        `${crypto.ONE_TIME_PREKEYS} of X25519 (top up below ${crypto.ONE_TIME_PREKEYS_LOW}), ${crypto.ONE_TIME_KEM_PREKEYS} of ML-KEM (below ${crypto.ONE_TIME_KEM_PREKEYS_LOW}), handed out for ${days(crypto.ONE_TIME_LIFETIME_MS)}`,
      ],
      [
        "device list",
        `used for sending for ${days(crypto.LIST_LIFETIME_MS)} after its issue, issued again every ${days(crypto.LIST_RENEW_MS)}, ${MAX_DEVICES} devices`,
      ],
      [
        "a contact link",
        `${crypto.MAX_CONTACT_LINK} characters after its \`?\`; holds until the access key is changed`,
      ],
      [
        "a linking code",
        `answered within ${crypto.LINKING_LIFETIME_MS / 1_000} s, ${crypto.MAX_LINKING_TEXT} characters; each message ${number(crypto.MAX_LINKING_MESSAGE_BYTES)} bytes`,
      ],
      ["steps that one message may ask for", number(crypto.MAX_JUMP)],
      [
        "kept keys of messages that have not come",
        `${number(crypto.MAX_SKIPPED)} a ratchet, oldest out first, ${slack}`,
      ],
      ["ratchets with a device that only receive", `${crypto.MAX_ARCHIVED}, newest kept, ${slack}`],
      [
        "tags kept to tell a repeat from a copied store",
        `the last ${crypto.TAG_RING} of the current and of the previous chain`,
      ],
      ["past chains known with their counts", number(crypto.MAX_PAST_CHAINS)],
      ["past chains before those, known by name", number(crypto.MAX_OLDER_CHAINS)],
      [
        "a new ratchet is due (`isRenewalDue`)",
        `after ${number(crypto.RENEW_AFTER_MESSAGES)} messages without a reply, ${days(crypto.RENEW_AFTER_MS)}, or ${number(crypto.MAX_OLDER_CHAINS)} past chains known by name`,
      ],
      ["members of a group", number(crypto.MAX_GROUP_MEMBERS)],
      ["name of a group", `${number(crypto.MAX_GROUP_NAME_BYTES)} bytes`],
      [
        "past epochs of a group whose seal keys are kept",
        `${number(crypto.MAX_PAST_EPOCHS)}, newest kept, ${slack}`,
      ],
      [
        "chains kept of a sending device in a group",
        `${crypto.MAX_SENDER_CHAINS}, for ${slack} after the next was told`,
      ],
      [
        "kept keys of a sending device in a group",
        `${number(crypto.MAX_SKIPPED)} over its chains, oldest out first, ${slack}`,
      ],
      [
        "a new chain in a group is due (`rotationDue`)",
        `after ${number(crypto.ROTATE_AFTER_MESSAGES)} messages or ${days(crypto.ROTATE_AFTER_MS)}, beside what removes or changes devices`,
      ],
      ["plaintext", `${number(crypto.MAX_PLAINTEXT_BYTES)} bytes`],
      ["a blob", `${number(MAX_MEDIA_BYTES)} bytes, in parts of ${number(MEDIA_PART_BYTES)}`],
    ]);
    expect(table("Limits")).toEqual(expected);
  });
});

describe("the section on groups", () => {
  const section = page.slice(page.indexOf("## Groups\n"), page.indexOf("## Safety number\n"));
  const said = (pattern: RegExp): number => Number(pattern.exec(section)?.[1]?.replaceAll(",", ""));

  it("has the sizes of what the code makes", () => {
    const { people } = groupOf(3, 2);
    const [anna] = people as [GroupDevice];
    const { state } = anna.group;
    expect(state.bytes.length).toBe(
      1 + 16 + 4 + 32 + 18 + 32 + 2 + 2 * 49 + 2 + state.name.length + 1 + 16 + 64,
    );
    expect(said(/or a receipt is (\d+) bytes/)).toBe(anna.send("x".repeat(200)).ciphertext.length);
    const [prefix, head] = [said(/nonce 24 +(\d+) bytes/), said(/state hash 32 +(\d+) bytes/)];
    expect(prefix + 16 + head + 64 + 24 + 256 + 16).toBe(anna.send("x").ciphertext.length);
    expect(said(/1 to ([\d,]+)\) \| count × member/)).toBe(crypto.MAX_GROUP_MEMBERS);
    expect(said(/UTF-8, at most (\d+)/)).toBe(crypto.MAX_GROUP_NAME_BYTES);
  });

  it("shows a chain and a state as they are told, byte by byte", () => {
    const { people } = groupOf(4, 2);
    const [anna, ben] = people as [GroupDevice, GroupDevice];
    anna.prepare();
    const { chain } = anna.keys;
    const { state, sealKey } = anna.group;
    const told = announcement(anna, ben);
    const ids = (...parts: string[]): Buffer => Buffer.from(parts.join(""), "latin1");
    const parts = [
      Uint8Array.of(0x11, ...ids(state.group), 0, 0, 0, state.epoch, ...state.hash),
      Uint8Array.of(...ids(anna.address, chain.id), 3, ...chain.signingKey, 0, 0, 0, 0),
      chain.key.reveal(),
      sealKey?.reveal() ?? new Uint8Array(0),
    ];
    expect(Buffer.from(told)).toEqual(Buffer.concat(parts));
    const length = [state.bytes.length >> 8, state.bytes.length & 0xff];
    const key = sealKey ?? new crypto.Secret(new Uint8Array(0));
    expect(crypto.tellState(state, key, ben.account)).toEqual(
      Uint8Array.of(0x12, 1, ...key.reveal(), ...length, ...state.bytes),
    );
    const stranger = anna.world.person().account;
    expect(crypto.tellState(state, key, stranger)).toEqual(Uint8Array.of(0x12, 0, ...length, ...state.bytes));
  });

  it("names every refusal of a state", () => {
    const named = new Set([...section.matchAll(/`([a-z-]+)`/g)].map((match) => match[1]));
    for (const code of STATE_REFUSALS) expect([code, named.has(code)]).toEqual([code, true]);
  });
});

describe("the section on media", () => {
  const section = page.slice(page.indexOf("## Media\n"), page.indexOf("## Contact link\n"));
  const said = (pattern: RegExp): number => Number(pattern.exec(section)?.[1]?.replaceAll(",", ""));

  it("has the sizes of what the code makes", () => {
    expect(said(/at least ([\d,]+) bytes/)).toBe(crypto.paddedSize(0));
    expect(said(/in chunks of ([\d,]+) bytes/)).toBe(CHUNK_BYTES);
    expect(said(/each (\d+) longer when sealed/)).toBe(CHUNK_OVERHEAD_BYTES);
    expect(said(/part += (\d+) sealed chunks/) * (CHUNK_BYTES + CHUNK_OVERHEAD_BYTES)).toBe(MEDIA_PART_BYTES);
    expect(said(/sealed chunks, ([\d,]+) bytes/)).toBe(MEDIA_PART_BYTES);
    expect(said(/digest 32`, (\d+) bytes/)).toBe(1 + 4 + STREAM_STATE_BYTES + crypto.MEDIA_DIGEST_BYTES);
    expect(said(/id 16, key (\d+) /)).toBe(crypto.MEDIA_KEY_BYTES);
  });

  it("names every fault, and no other", () => {
    const rows = [...section.matchAll(/^\| `([a-z-]+)` \|/gm)].map((match) => match[1]);
    expect(rows).toEqual(Object.keys(MEDIA_FAULTS));
  });
});

const MEDIA_FAULTS = {
  "media-corrupt": 0,
  "media-truncated": 0,
  "media-too-long": 0,
  "media-size-differs": 0,
  "media-digest-differs": 0,
} satisfies Record<crypto.MediaFault, 0>;

const STATE_REFUSALS = Object.keys({
  malformed: 0,
  "wrong-group": 0,
  "old-epoch": 0,
  "epoch-gap": 0,
  forked: 0,
  lost: 0,
  "wrong-signer": 0,
  "bad-signature": 0,
  "not-admin": 0,
  "key-changed": 0,
  "not-a-member": 0,
  "already-joined": 0,
  "wrong-seal-key": 0,
} satisfies Record<crypto.GroupStateRefusal, 0>);

describe("the sizes beside the formats", () => {
  const said = (pattern: RegExp): number => Number(pattern.exec(page)?.[1]?.replaceAll(",", ""));

  it("are those of what the code makes", () => {
    const { bob } = pair(1);
    const { certificate } = crypto.publicIdentity(bob.identity);
    expect(said(/Certificate, (\d+) bytes/)).toBe(certificate.length);
    expect(said(/Sealing key, (\d+) bytes/)).toBe(SEALING_RECORD_BYTES);
    expect(said(/ct 1088 +([\d,]+) bytes/)).toBe(PRELUDE_BYTES);
    expect(said(/\| front\)\[0\.\.16\) +(\d+) bytes/)).toBe(HEADER_BYTES);
    expect(said(/peer's fingerprint\[0\.\.32\) +(\d+) bytes/)).toBe(crypto.SAFETY_CODE_BYTES);
    expect(said(/up to ([\d,]+) bytes;/)).toBe(crypto.MAX_PADDED_BYTES);
  });

  it("of envelopes are those on the wire", () => {
    const { alice, bob } = pair(2);
    const first = alice.send(bob, "hello");
    expect(said(/first message of an account with up to six devices ([\d,]+)/)).toBe(first.ciphertext.length);
    bob.read(first);
    expect(said(/typing notice is (\d+) bytes/)).toBe(bob.send(alice, "x".repeat(200)).ciphertext.length);
  });
});
