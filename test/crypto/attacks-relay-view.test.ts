// Attack 42 and 46: what a real relay process is given, keeps and writes while two contacts talk. Every byte of their
// sockets is recorded on the client's side of the wire; files and log of the relay are searched.
import {
  type ConnectionKind,
  decodeFrames,
  type FrameOf,
  MAX_VERSION,
  type ClientFrame,
} from "@lethe/protocol";
import { Client, type ClientStore, openMemoryStore, type OpenSocket } from "@lethe/client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openNodeSocket } from "../../client-lib/edge/socket.ts";
import { KEY_TABLES, type KeyState, loadKeys } from "../../client-lib/keys/key-rows.ts";
import { accessKey, accessKeyHash, publicIdentity, ratchetsOf, ready } from "../../crypto/index.ts";
import { aFolder, contentsOf, type Folder } from "../support/folder.ts";
import { RelayProcess } from "../support/relay-process.ts";

interface Recorded {
  readonly who: string;
  readonly on: ConnectionKind;
  readonly frame: ClientFrame;
}

const TEXTS = [1, 2, 20, 80, 120, 150, 180, 199, 200];

let folder: Folder;
let relay: RelayProcess;
const open: Client[] = [];
const stores = new Map<string, ClientStore>();
let recording: Recorded[] = [];

beforeAll(async () => {
  await ready();
  folder = await aFolder();
  relay = await RelayProcess.start({ data: folder.path, log: "debug" });
});
afterAll(async () => {
  for (const client of open) await client.close();
  await relay.stop();
  await folder[Symbol.asyncDispose]();
});

/** A socket whose messages are recorded as they go out. */
function tapped(who: string): OpenSocket {
  return (url, events) => {
    const on: ConnectionKind = url.endsWith("/v1/anonymous") ? "anonymous" : "device";
    const socket = openNodeSocket(url, events);
    return {
      send(bytes) {
        for (const frame of decodeFrames(bytes.slice(), { from: "client", on, version: MAX_VERSION }))
          recording.push({ who, on, frame });
        socket.send(bytes);
      },
      close: () => socket.close(),
    };
  };
}

async function person(user: string): Promise<Client> {
  const store = openMemoryStore();
  stores.set(user, store);
  const made = await Client.create({
    relay: relay.url,
    user,
    store,
    requests: "accept",
    receiptJitterMs: 10,
    openSocket: tapped(user),
  });
  open.push(made);
  return made;
}

async function keysOf(user: string): Promise<KeyState> {
  const store = stores.get(user);
  if (store === undefined) throw new Error(`who is ${user}?`);
  const rows: Record<string, { key: string; value: Uint8Array }[]> = {};
  for (const table of KEY_TABLES) rows[table] = [...(await store.list(table))];
  const keys = loadKeys(rows);
  if (keys === undefined) throw new Error("no keys");
  return keys;
}

/** Says something and waits until it was read, and the other side knows that it knows. */
async function say(from: Client, to: Client, text: string): Promise<void> {
  const arrived = to.once("message", (message) => message.text === text);
  const sent = await from.send(to.user, text);
  (await arrived).read();
  await sent.read;
}

/** What a socket's device or anybody on its account must not show on an anonymous connection. */
async function namesOf(user: string): Promise<Map<string, Uint8Array>> {
  const { identity, ratchets } = await keysOf(user);
  const own = publicIdentity(identity);
  const bytes = (id: string): Uint8Array => Uint8Array.from(id, (c) => c.charCodeAt(0));
  const out = new Map<string, Uint8Array>([
    ["account", bytes(own.account)],
    ["account key", own.accountKey],
    ["signing key", own.signingKey],
    ["identity key", identity.certificate.dhKey],
    ["list hash", own.listHash.subarray(0, 8)],
    ["access key hash", own.accessKeyHash],
    ["name", new TextEncoder().encode(user)],
  ]);
  for (const kept of ratchets.values())
    for (const ratchet of ratchetsOf(kept)) {
      out.set(`ratchet ${out.size}`, bytes(ratchet.id));
      const { sending, receiving } = ratchet.core;
      if (sending.at === "chain") out.set(`ratchet key ${out.size}`, sending.own.publicKey);
      out.set(`ratchet key ${out.size}`, receiving.peer);
    }
  return out;
}

const includes = (where: Uint8Array, what: Uint8Array): boolean =>
  Buffer.from(where.buffer, where.byteOffset, where.byteLength).includes(Buffer.from(what));

/** Version and id of the recipient's sealing key: the same for whoever writes to that device (crypto/README.md). */
const SEAL_PREFIX_BYTES = 9;
const WINDOW = 8;

type Carried = FrameOf<"submit">["envelopes"][number];
const carriersIn = (recorded: readonly Recorded[]) =>
  recorded.flatMap(({ who, on, frame }) =>
    frame.frame === "submit" || frame.frame === "signal" ? [{ who, on, frame }] : [],
  );

describe("attack 42: what the relay sees of two contacts", () => {
  let anna: Client;
  let ben: Client;
  let names: Map<string, Map<string, Uint8Array>>;
  let talk: Recorded[] = [];

  beforeAll(async () => {
    [anna, ben] = [await person("anna-of-the-hill"), await person("ben-by-the-river")];
    // First contact is a request, and known to the relay as one; what comes after it is not.
    await say(anna, ben, "may I?");
    await say(ben, anna, "yes");
    await say(anna, ben, "good");
    await say(ben, anna, "good");
    await say(anna, ben, "so");
    recording = [];
    for (const length of TEXTS) {
      await say(anna, ben, `${length}`.padEnd(length, "x").slice(0, length));
      await say(ben, anna, `${length}`.padEnd(length, "y").slice(0, length));
      const typing = ben.once("typing");
      await anna.typing(ben.user);
      await typing;
    }
    talk = recording;
    names = new Map([
      ["anna", await namesOf(anna.user)],
      ["ben", await namesOf(ben.user)],
    ]);
  }, 120_000);

  it("mail to contacts goes over anonymous connections alone, with the access key, never naming who sends", () => {
    const carriers = carriersIn(talk);
    expect(carriers.length).toBeGreaterThan(4 * TEXTS.length);
    expect(new Set(carriers.map(({ on }) => on))).toEqual(new Set(["anonymous"]));
    expect(carriers.every(({ frame }) => frame.accessKey !== undefined)).toBe(true);
  });

  it("no account, name, key, ratchet key, ratchet id or list hash of the sender stands in what it sends there", () => {
    const own = new Map([
      [anna.user, names.get("anna")],
      [ben.user, names.get("ben")],
    ]);
    const recipients = new Map([
      [anna.user, names.get("ben")],
      [ben.user, names.get("anna")],
    ]);
    for (const { who, frame } of carriersIn(talk)) {
      const said = frame.envelopes.map(({ ciphertext, id }) =>
        Buffer.concat([Buffer.from(id, "latin1"), ciphertext]),
      );
      for (const bytes of said)
        for (const of of [own, recipients])
          for (const [name, value] of of.get(who) ?? [])
            expect(includes(bytes, value), `${name} in an envelope of ${who}`).toBe(false);
      const sender = own.get(who)?.get("account") ?? new Uint8Array();
      expect(includes(Buffer.from(frame.recipient, "latin1"), sender)).toBe(false);
    }
    const said = talk.filter(({ on }) => on === "anonymous").map(({ frame }) => frame.frame);
    expect(new Set(said)).toEqual(new Set(["submit", "signal"]));
  });

  it("nothing of 8 bytes or more occurs twice, but what delivery needs: recipient, its access key, its list version and sealing key", () => {
    const allowed = new Map<string, Set<string>>();
    const seen = new Map<string, number>();
    const opened = (envelope: Carried, at: number): void => {
      const { ciphertext } = envelope;
      expect(ciphertext[0], "version").toBe(1);
      const bytes = Buffer.concat([
        Buffer.from(envelope.id, "latin1"),
        ciphertext.subarray(SEAL_PREFIX_BYTES),
      ]);
      for (let i = 0; i + WINDOW <= bytes.length; i++) {
        const window = bytes.toString("latin1", i, i + WINDOW);
        expect(seen.has(window), `bytes ${i} of an envelope stood in envelope ${seen.get(window)}`).toBe(
          false,
        );
        seen.set(window, at);
      }
    };
    carriersIn(talk).forEach(({ frame }, at) => {
      const fixed = [frame.accessKey?.join(), frame.frame === "submit" ? frame.listVersion : 0].join("/");
      const seal = frame.envelopes
        .map(({ ciphertext }) => ciphertext.subarray(1, SEAL_PREFIX_BYTES).join())
        .join();
      const known = allowed.get(frame.recipient) ?? new Set();
      allowed.set(frame.recipient, known.add(fixed).add(seal));
      expect(new Set(Object.keys(frame))).toEqual(
        new Set(
          frame.frame === "submit"
            ? ["frame", "recipient", "accessKey", "listVersion", "expiry", "envelopes"]
            : ["frame", "recipient", "accessKey", "envelopes"],
        ),
      );
      for (const envelope of frame.envelopes) opened(envelope, at);
    });
    // The same for all that is sent to one recipient, so they say nothing of who sends.
    for (const values of allowed.values()) expect(values.size).toBeLessThanOrEqual(3);
    const expiries = carriersIn(talk).flatMap(({ frame }) =>
      frame.frame === "submit" ? [frame.expiry] : [],
    );
    expect(expiries.length).toBeGreaterThan(0);
  });

  it("attack 46: texts of 1 to 200 bytes, receipts and typing have one size", () => {
    const sizes = carriersIn(talk).flatMap(({ frame }) =>
      frame.envelopes.map(({ ciphertext }) => ciphertext.length),
    );
    expect(sizes.length).toBeGreaterThan(4 * TEXTS.length);
    expect(new Set(sizes)).toEqual(new Set([487]));
  });

  it("attack 46: first messages of 1 to 200 bytes have one size of their own", async () => {
    recording = [];
    for (const [i, length] of [1, 100, 200].entries()) {
      const writer = await person(`writer-${i}-with-quite-a-long-name`);
      const arrived = ben.once("message");
      await writer.send(ben.user, "x".repeat(length));
      await arrived;
      await writer.close();
      open.splice(open.indexOf(writer), 1);
    }
    const first = carriersIn(recording).filter(({ who }) => who.startsWith("writer"));
    const sizes = first.flatMap(({ frame }) => frame.envelopes.map(({ ciphertext }) => ciphertext.length));
    expect(new Set(sizes)).toEqual(new Set([2_659]));
  });

  it("nothing of the conversation is in the relay's files and log, nor is an access key; what waits there does not name its sender", async () => {
    const both = await Promise.all([anna.user, ben.user].map(keysOf));
    const accessKeys = both.map(({ identity }) => accessKey(identity));
    await ben.close();
    open.splice(open.indexOf(ben), 1);
    await anna.send(ben.user, "for later");
    const mail = recording.findLast(({ who, frame }) => who === anna.user && frame.frame === "submit")?.frame;
    if (mail?.frame !== "submit") throw new Error("nothing was sent");
    const waiting = mail.envelopes[0]?.ciphertext ?? new Uint8Array();
    const files = await contentsOf(folder.path);
    const holding = files.filter(({ bytes }) => bytes.includes(Buffer.from(waiting)));
    expect(holding, "the envelope waits in one file").toHaveLength(1);
    const annas = names.get("anna") ?? new Map<string, Uint8Array>();
    for (const { path, bytes } of holding)
      for (const [name, value] of annas) expect(includes(bytes, value), `${name} in ${path}`).toBe(false);
    const holds = (value: Uint8Array): boolean => files.some(({ bytes }) => includes(bytes, value));
    expect(accessKeys.map((key) => holds(key))).toEqual([false, false]);
    expect(accessKeys.map((key) => holds(accessKeyHash(key)))).toEqual([true, true]);
    const [log, secrets] = [relay.output, [...annas, ...(names.get("ben") ?? [])]];
    const hexOf = (value: Uint8Array): Uint8Array => Buffer.from(Buffer.from(value).toString("hex"));
    for (const [name, value] of secrets)
      for (const form of [value, hexOf(value), Buffer.from(Buffer.from(value).toString("base64url"))])
        expect(includes(log, form), `${name} in the log`).toBe(false);
  });
});
