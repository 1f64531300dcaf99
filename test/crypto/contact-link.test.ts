// Contact links: what one says, and what is refused. What the library does with them is in attacks-links.test.ts.
import { beforeAll, describe, expect, it } from "vitest";
import {
  accessKey,
  accountFingerprint,
  blake2b,
  contactLink,
  LABELS,
  MAX_CONTACT_LINK,
  readContactLink,
  readLinkingText,
  ready,
} from "../../crypto/index.ts";
import { shown } from "./linking-support.ts";
import { Device, seededRandom } from "./support.ts";

beforeAll(ready);

const RELAY = "relay.example";
const anna = (): Device => new Device(seededRandom(1));
const link = (name = "anna", relay = RELAY): string => contactLink(anna().identity, relay, name);

/** A link of these bytes, with a check that is right. */
function linkOf(bytes: Uint8Array): string {
  const check = blake2b(32, LABELS.contactLinkCheck, bytes).subarray(0, 4);
  return `lethe:contact?${Buffer.concat([bytes, check]).toString("base64url")}`;
}

const bytesOf = (said: string): Buffer =>
  Buffer.from(said.slice(said.indexOf("?") + 1), "base64url").subarray(0, -4);

describe("a contact link", () => {
  it("says account, fingerprint of the account key, access key, relay and name", () => {
    const { identity } = anna();
    const { account, accountKey } = identity.certificate;
    expect(readContactLink(link(), RELAY)).toEqual({
      code: "ok",
      link: {
        account,
        fingerprint: accountFingerprint(accountKey),
        accessKey: accessKey(identity),
        relay: RELAY,
        name: "anna",
      },
    });
  });

  it("has the bytes of the specification", () => {
    const { identity } = anna();
    const { account, accountKey } = identity.certificate;
    const written = Buffer.concat([
      Buffer.of(1),
      Buffer.from(account, "latin1"),
      accountFingerprint(accountKey),
      accessKey(identity),
      Buffer.of(0, RELAY.length),
      Buffer.from(RELAY),
      Buffer.of(0, 4),
      Buffer.from("anna"),
    ]);
    expect(bytesOf(link()).toString("hex")).toBe(written.toString("hex"));
    expect(link()).toBe(linkOf(written));
  });

  it("is malformed with anything around it, a slip of one character, a part missing, or too long", () => {
    const said = link();
    const refuse = (text: string): void =>
      expect(readContactLink(text, RELAY), text).toEqual({ code: "malformed" });
    for (const text of ["", "lethe:contact?", ` ${said}`, `${said} `, `${said}=`, said.toUpperCase()])
      refuse(text);
    for (let at = 0; at < said.length; at++) {
      const other = said[at] === "A" ? "B" : "A";
      refuse(said.slice(0, at) + other + said.slice(at + 1));
      refuse(said.slice(0, at));
    }
    refuse(`lethe:contact?${"A".repeat(MAX_CONTACT_LINK + 1)}`);
    refuse(linkOf(Buffer.concat([bytesOf(said), Buffer.of(0)])));
    refuse(link("No Name!"));
  });

  it("of another version, or for another relay, says that", () => {
    const later = Buffer.concat([Buffer.of(2), Buffer.from("what a later version may say")]);
    expect(readContactLink(linkOf(later), RELAY)).toEqual({ code: "other-version" });
    expect(readContactLink(link("anna", "elsewhere.example"), RELAY)).toEqual({ code: "other-relay" });
  });

  it("fits the longest relay name, and is no linking code, nor the reverse", () => {
    const relay = "r".repeat(255);
    const longest = link("a".repeat(32), relay);
    expect(longest.length - "lethe:contact?".length).toBeLessThanOrEqual(MAX_CONTACT_LINK);
    expect(readContactLink(longest, relay).code).toBe("ok");
    expect(readLinkingText(link(), RELAY).code).toBe("malformed");
    expect(readLinkingText(link().slice("lethe:contact?".length), RELAY).code).toBe("malformed");
    const code = shown(2).text;
    expect(readContactLink(code, RELAY).code).toBe("malformed");
    expect(readContactLink(`lethe:contact?${code}`, RELAY).code).toBe("malformed");
  });
});
