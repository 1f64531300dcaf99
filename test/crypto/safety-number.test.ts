// Safety numbers: the published vector, what both sides see, and codes that were scanned.
import { createHash } from "node:crypto";
import { type AccountId, fromBytes } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import {
  compareSafetyCode,
  type NumberedAccount,
  ready,
  SAFETY_CODE_BYTES,
  safetyNumber,
} from "../../crypto/index.ts";
import { fingerprintDigits, fingerprintOf, sortedDigits } from "../../crypto/safety-number.ts";
import { hex, seededRandom, text } from "./support.ts";

beforeAll(ready);

const ALICE = {
  key: hex("0506863bc66d02b40d27b8d49ca7c09e9239236f9d7d25d6fcca5ce13c7064d868"),
  id: text("+14152222222"),
};
const BOB = {
  key: hex("05f781b6fb32fed9ba1cf2de978d4d5da28dc34046ae814402b5c0dbd96fda907b"),
  id: text("+14153333333"),
};

/** The algorithm once more, on node:crypto. */
function slowly(key: Uint8Array, id: Uint8Array): string {
  let hash = createHash("sha512").update(Buffer.of(0, 0)).update(key).update(id).update(key).digest();
  for (let i = 1; i < 5_200; i++) hash = createHash("sha512").update(hash).update(key).digest();
  const groups = [0, 5, 10, 15, 20, 25].map((at) => hash.readUIntBE(at, 5) % 100_000);
  return groups.map((group) => String(group).padStart(5, "0")).join("");
}

const random = seededRandom(4);
const account = (): NumberedAccount => ({
  account: fromBytes<AccountId>(random.bytes(16)),
  accountKey: random.bytes(32),
});

describe("the numeric form", () => {
  it("is the published one, whoever asks", () => {
    const [a, b] = [fingerprintOf(ALICE.key, ALICE.id), fingerprintOf(BOB.key, BOB.id)];
    const published = "300354477692869396892869876765458257569162576843440918079131";
    expect([sortedDigits(a, b), sortedDigits(b, a)]).toEqual([published, published]);
  });

  it("is over 03, the account key and the account id, sorted", () => {
    const [own, peer] = [account(), account()];
    const halves = [own, peer].map(({ accountKey, account: id }) =>
      slowly(Uint8Array.of(3, ...accountKey), Buffer.from(id, "latin1")),
    );
    expect(safetyNumber(own, peer).digits).toBe(halves.toSorted().join(""));
    expect(safetyNumber(peer, own).digits).toBe(halves.toSorted().join(""));
  });

  it("keeps leading zeros: every half has 30 digits", () => {
    expect(fingerprintDigits(new Uint8Array(64))).toBe("0".repeat(30));
    expect(fingerprintDigits(Uint8Array.of(0, 0, 0, 0, 7, ...new Uint8Array(59)))).toBe(
      `00007${"0".repeat(25)}`,
    );
  });

  it("is another one for another key or another id", () => {
    const [own, peer] = [account(), account()];
    const { digits } = safetyNumber(own, peer);
    const otherKey = { ...peer, accountKey: account().accountKey };
    const otherId = { ...peer, account: "\x01".repeat(16) as AccountId };
    expect(
      new Set([digits, safetyNumber(own, otherKey).digits, safetyNumber(own, otherId).digits]).size,
    ).toBe(3);
  });
});

describe("a scanned code", () => {
  const [own, peer, other] = [0, 1, 2].map(account) as [NumberedAccount, NumberedAccount, NumberedAccount];
  const codeOf = (a: NumberedAccount, b: NumberedAccount): Uint8Array => safetyNumber(a, b).code;

  it("is the same where each holds the other's key", () => {
    const mine = codeOf(own, peer);
    expect(mine.length).toBe(SAFETY_CODE_BYTES);
    expect(compareSafetyCode(mine, codeOf(peer, own))).toBe("same");
  });

  it("is different where one of the two holds another key, and where one scans one's own", () => {
    const mine = codeOf(own, peer);
    for (const scanned of [codeOf(peer, other), codeOf(other, own), codeOf(other, peer), mine])
      expect(compareSafetyCode(mine, scanned)).toBe("different");
  });

  it("is different for every bit that is changed, and malformed in another version or length", () => {
    const [mine, theirs] = [codeOf(own, peer), codeOf(peer, own)];
    for (let at = 1; at < theirs.length; at++) {
      const changed = theirs.slice();
      changed[at] = (changed[at] as number) ^ (1 << (at % 8));
      expect(compareSafetyCode(mine, changed)).toBe("different");
    }
    const version2 = Uint8Array.of(2, ...theirs.subarray(1));
    for (const scanned of [version2, theirs.slice(0, -1), Uint8Array.of(...theirs, 0), new Uint8Array(0)])
      expect(compareSafetyCode(mine, scanned)).toBe("malformed");
  });
});
