// The numbers in crypto/README.md, held against the code in both directions: the table of limits, and the sizes that stand
// beside the formats.
import { readFileSync } from "node:fs";
import { MAX_DEVICES } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import * as crypto from "../../crypto/index.ts";
import { HEADER_BYTES } from "../../crypto/header.ts";
import { PRELUDE_BYTES } from "../../crypto/pqxdh.ts";
import { SEALING_RECORD_BYTES } from "../../crypto/sealing-key.ts";
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
    expect(crypto.SKIPPED_LIFETIME_MS).toBe(crypto.RETENTION_MS + crypto.RETENTION_SLACK_MS);
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
      ["plaintext", `${number(crypto.MAX_PLAINTEXT_BYTES)} bytes`],
    ]);
    expect(table("Limits")).toEqual(expected);
  });
});

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
