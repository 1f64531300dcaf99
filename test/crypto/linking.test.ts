// Linking a device: honest runs, and what a code says. The attacks are in linking-attacks.test.ts.
import type { DeviceNumber, Time } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import {
  accessKey,
  acceptGrant,
  answerOffer,
  blake2b,
  certificateHash,
  confirmLinking,
  decodeIdentity,
  encodeIdentity,
  hearJoining,
  linkingText,
  LINKING_LIFETIME_MS,
  LIST_RENEW_MS,
  maintainIdentity,
  MAX_LINKING_TEXT,
  readLinkingText,
  ready,
  showLinkingCode,
  signAsAccount,
  verifyCertificate,
  verifyPeer,
} from "../../crypto/index.ts";
import { encodeLinkingCode } from "../../crypto/linking-code.ts";
import { answered, compared, done, good, inOffer, RELAY, scan, SECOND, shown } from "./linking-support.ts";
import { Device, later, START, text } from "./support.ts";

beforeAll(ready);

describe("linking a device", () => {
  it("shows the same six digits on both, and makes the new device one of the account", () => {
    const { awaiting, comparing, primary, after, linked, certificate } = done(1);
    expect(comparing.digits).toMatch(/^[0-9]{6}$/);
    expect(awaiting.digits).toBe(comparing.digits);
    expect(awaiting.offered.name).toBe("anna");
    expect(after.list.version).toBe(primary.list.version + 1);
    expect(after.list.previousHash).toEqual(primary.list.hash);
    expect(after.list.devices).toEqual([
      ...primary.list.devices,
      { device: SECOND, certificateHash: certificateHash(certificate) },
    ]);
    expect(linked.list.bytes).toEqual(after.list.bytes);
    expect(linked.certificateBytes).toEqual(certificate);
    expect(verifyCertificate(certificate)).toEqual(linked.certificate);
    expect(accessKey(linked)).toEqual(accessKey(primary));
    expect(encodeIdentity(decodeIdentity(encodeIdentity(linked)))).toEqual(encodeIdentity(linked));
  });

  it("gives the new device no account key: it issues no list and certifies nobody", () => {
    const { linked, random } = done(2);
    expect(linked.accountSeed).toBe(undefined);
    expect(() => signAsAccount(linked, "request", text("tuple"))).toThrow("primary");
    expect(() => scan({ identity: linked, random, text: "", device: 3 as DeviceNumber })).toThrow("primary");
    const now = later(START, LIST_RENEW_MS);
    expect(maintainIdentity(linked, { random, now }).list).toBe(linked.list);
  });

  it("lets a contact verify both devices under the new list, and talk to the new one", () => {
    const { after, linked, random } = done(3);
    const [contact, second] = [new Device(random), new Device(random)];
    second.identity = linked;
    const asked = { identity: contact.identity, pinned: undefined, address: undefined, now: START };
    for (const { certificateBytes: certificate } of [after, linked])
      expect(verifyPeer({ ...asked, certificate, deviceList: after.list.bytes })).toMatchObject({
        code: "ok",
        change: { added: [1, 2], removed: [] },
      });
    second.start(contact);
    expect(contact.read(second.send(contact, "from the new device"))).toBe("from the new device");
    expect(second.read(contact.send(second, "to the new device"))).toBe("to the new device");
  });

  it("links a third device, though the list was issued again between the scan and the yes", () => {
    const { after, random } = done(5);
    const showing = showLinkingCode({ relay: RELAY, random, now: START });
    const device = 3 as DeviceNumber;
    const offered = good(scan({ identity: after, random, text: linkingText(showing.code), device }));
    const joined = good(answerOffer(showing, { message: offered.message, random, now: START }));
    const { state } = good(hearJoining(offered.state, { message: joined.message, now: START }));
    const reissued = maintainIdentity(after, { random, now: later(START, LIST_RENEW_MS) });
    const confirmed = good(confirmLinking(state, { identity: reissued, random, now: START }));
    const linked = good(acceptGrant(joined.state, { message: confirmed.message, now: START })).identity;
    expect(linked.list.version).toBe(4);
    expect(linked.list.previousHash).toEqual(reissued.list.hash);
    expect(linked.list.devices.map((entry) => entry.device)).toEqual([1, 2, 3]);
  });

  it("takes a number above all that are listed, and no more than 16 devices", () => {
    const { primary, random, text: code } = shown(6);
    const entry = primary.list.devices[0]?.certificateHash as Uint8Array;
    const full = (count: number): typeof primary.list => ({
      ...primary.list,
      devices: Array.from({ length: count }, (_, i) => ({
        device: (i + 1) as DeviceNumber,
        certificateHash: blake2b(32, entry, Uint8Array.of(i)),
      })),
    });
    const adding = (count: number, device: number): string =>
      scan({
        identity: { ...primary, list: full(count) },
        random,
        text: code,
        device: device as DeviceNumber,
      }).code;
    const gap = [1, 3].map((device) => ({ device: device as DeviceNumber, certificateHash: entry }));
    const behindGap = { ...primary, list: { ...primary.list, devices: gap } };
    expect(scan({ identity: behindGap, random, text: code }).code).toBe("device-number-used");
    expect([adding(15, 15), adding(15, 16), adding(16, 17)]).toEqual([
      "device-number-used",
      "ok",
      "too-many-devices",
    ]);
  });

  it("is refused at the yes where the number was used, or the account is another, since the scan", () => {
    const { comparing, primary, random } = compared(7);
    const confirm = (identity: typeof primary): string =>
      confirmLinking(comparing, { identity, random, now: START }).code;
    const { after } = done(7);
    expect(confirm(after)).toBe("device-number-used");
    expect(confirm(shown(8).primary)).toBe("other-account");
    expect(
      confirm({ ...primary, certificate: { ...primary.certificate, accountKey: new Uint8Array(32) } }),
    ).toBe("other-account");
    const { account } = shown(8).primary.certificate;
    expect(confirm({ ...primary, certificate: { ...primary.certificate, account } })).toBe("other-account");
    expect(confirm(primary)).toBe("ok");
  });

  it("has bytes that do not change without notice", () => {
    const { text: code, offer, join, grant, comparing } = done(9);
    const name = (bytes: Uint8Array): string => Buffer.from(blake2b(16, bytes)).toString("hex");
    expect([code, name(offer), name(join), name(grant), comparing.digits]).toEqual([
      "AWGAxjaBJKmj_ohjIRbm-BsBSyfQa9WdLzDKmSccmHPcrNn39kfBdrcNnsL2wYq1d2CnbyVnxdq5vIfinlCw4Obw8K4vy7bZtkBVsZcwiTVNMgANcmVsYXkuZXhhbXBsZQoTJXQ",
      "7e4906db8305d89ca7bff78d10e999dc",
      "c5b57da55e66469ef51833e5e8e38753",
      "9bb499f41e43d4ae452513ef16f46602",
      "505952",
    ]);
  });

  it("waits for 120 s on each side, and not a moment more", () => {
    const [last, end] = [later(START, LINKING_LIFETIME_MS - 1), later(START, LINKING_LIFETIME_MS)];
    const before = (START - 1) as Time;
    const codes = (step: (now: Time) => { code: string }): string[] =>
      [before, end, last].map((now) => step(now).code);
    const expected = ["expired", "expired", "ok"];
    const a = inOffer(10);
    expect(codes((now) => answerOffer(a.showing, { message: a.offer, random: a.random, now }))).toEqual(
      expected,
    );
    const b = answered(11);
    expect(codes((now) => hearJoining(b.offering, { message: b.join, now }))).toEqual(expected);
    const c = compared(12);
    expect(
      codes((now) => confirmLinking(c.comparing, { identity: c.primary, random: c.random, now })),
    ).toEqual(expected);
    const d = compared(13);
    const { message } = good(
      confirmLinking(d.comparing, { identity: d.primary, random: d.random, now: START }),
    );
    expect(codes((now) => acceptGrant(d.awaiting, { message, now }))).toEqual(expected);
  });
});

describe("what is signed in time", () => {
  it("comes in time, however late the code was scanned", () => {
    const { primary, random, showing, text: code } = shown(14);
    const scanned = later(START, LINKING_LIFETIME_MS - 1);
    const offered = good(scan({ identity: primary, random, text: code, now: scanned }));
    const joined = good(answerOffer(showing, { message: offered.message, random, now: scanned }));
    const { state } = good(hearJoining(offered.state, { message: joined.message, now: scanned }));
    const yes = later(scanned, LINKING_LIFETIME_MS - 1);
    const { message } = good(confirmLinking(state, { identity: primary, random, now: yes }));
    expect(acceptGrant(joined.state, { message, now: yes }).code).toBe("ok");
  });
});

describe("a linking code", () => {
  it("comes back from its text, for its own relay alone", () => {
    const { showing, text: code } = shown(20);
    const read = good(readLinkingText(code, RELAY)).linking;
    expect(encodeLinkingCode(read)).toEqual(encodeLinkingCode(showing.code));
    expect(readLinkingText(code, "relay.example.").code).toBe("other-relay");
    expect(readLinkingText(code, "other.example").code).toBe("other-relay");
  });

  it("has a text that is safe in URLs, and takes the longest name of a relay", () => {
    expect(shown(21).text).toMatch(/^[A-Za-z0-9_-]{135}$/);
    const longest = "r".repeat(255);
    const { showing, text: code } = shown(22, longest);
    expect(readLinkingText(code, longest).code).toBe("ok");
    expect(code.length).toBe(458);
    expect(() => linkingText({ ...showing.code, relay: `${longest}r` })).toThrow(RangeError);
  });

  it("is refused where anything stands around it, or one character is another", () => {
    const { text: code } = shown(23);
    const links = [
      `https://relay.example/#${code}`,
      `lethe:${code}`,
      ` ${code}`,
      `${code}\n`,
      `${code}=`,
      "",
    ];
    const changed = Array.from(
      code,
      (is, i) => code.slice(0, i) + (is === "A" ? "B" : "A") + code.slice(i + 1),
    );
    const cut = Array.from(code, (_, i) => code.slice(0, i));
    const codes = [...links, ...changed, ...cut].map((said) => readLinkingText(said, RELAY).code);
    expect(new Set(codes)).toEqual(new Set(["malformed"]));
    // 100 bytes: the last character has bits that no byte needs, and one value of them is the right one.
    const loose = shown(24, "relay.exampl").text;
    const bytesOf = (said: string): Buffer => Buffer.from(said, "base64url");
    const sames = Array.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
      .map((last) => loose.slice(0, -1) + last)
      .filter((said) => said !== loose && bytesOf(said).equals(bytesOf(loose)));
    expect(sames.length).toBe(15);
    expect(new Set(sames.map((said) => readLinkingText(said, "relay.exampl").code))).toEqual(
      new Set(["malformed"]),
    );
    expect(readLinkingText(loose, "relay.exampl").code).toBe("ok");
  });

  it("of another version is told from a malformed one, whatever is in it", () => {
    const checked = (bytes: Uint8Array): string => {
      const check = blake2b(32, text("Lethe/E2EE/v1/linking-check\0"), bytes).subarray(0, 4);
      return Buffer.from(Uint8Array.of(...bytes, ...check)).toString("base64url");
    };
    const bytes = encodeLinkingCode(shown(25).showing.code);
    expect(readLinkingText(checked(bytes), RELAY).code).toBe("ok");
    expect(readLinkingText(checked(Uint8Array.of(2, ...bytes.subarray(1))), RELAY).code).toBe(
      "other-version",
    );
    expect(readLinkingText(checked(Uint8Array.of(2)), RELAY).code).toBe("other-version");
    expect(readLinkingText(checked(Uint8Array.of(...bytes, 0)), RELAY).code).toBe("malformed");
    expect(readLinkingText(checked(new Uint8Array(0)), RELAY).code).toBe("malformed");
    const most = (MAX_LINKING_TEXT / 4) * 3 - 4;
    expect(checked(new Uint8Array(most)).length).toBe(MAX_LINKING_TEXT);
    expect(readLinkingText(checked(new Uint8Array(most)), RELAY).code).toBe("other-version");
    expect(readLinkingText(checked(new Uint8Array(most + 1)), RELAY).code).toBe("malformed");
  });
});
