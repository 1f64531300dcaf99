// A cipher that seals nothing: content travels as it is, so that stories about delivery need no keys. Its one row,
// "stub"/"opened", lets a test see that what it writes is committed with the rest.
import {
  accountOf,
  binary,
  bytes,
  type DeviceAddress,
  decodeAll,
  deviceAddress,
  deviceOf,
  encode,
  fixed,
  list,
  type Of,
  oneOf,
  optional,
  struct,
  text,
  time,
  u64,
} from "@lethe/protocol";
import type { Cipher, Content, MessageId, OpenedContent, StreamId } from "@lethe/client";

const message = binary<MessageId>(16, "message id");
const layout = struct({
  from: deviceAddress,
  message,
  place: optional(struct({ stream: binary<StreamId>(8, "stream id"), sequence: u64 })),
  sentAt: time,
  accessKey: optional(fixed(16)),
  name: optional(text(32)),
  kind: oneOf({ message: 0, receipt: 1, signal: 2, unknown: 3 }),
  body: bytes(70_000),
  delivered: list(message, 255),
  read: list(message, 255),
});
type Plain = Of<typeof layout>;

export const STUB_KEY = new Uint8Array(16).fill(7);

export function stubCipher(self: DeviceAddress, name?: string, accessKey = STUB_KEY): Cipher {
  const known = new Set<string>();
  let opened = 0;
  return {
    peer: (account) =>
      account === accountOf(self)
        ? { listVersion: 1, devices: [] }
        : known.has(account) || account.startsWith("K")
          ? { listVersion: 1, devices: [{ device: deviceOf(self), ready: true }] }
          : undefined,
    learnDevices(account) {
      known.add(account);
      return { code: "ok", writes: [] };
    },
    forgetUnlisted: () => [],
    learnPrekeys: () => ({ code: "ok", writes: [] }),
    seal: (request) => {
      const plain: Plain = {
        from: self,
        message: request.message,
        place: request.place,
        sentAt: request.sentAt,
        accessKey,
        name,
        ...parts(request.content),
      };
      return { code: "ok", ciphertext: encode(layout, plain), writes: [] };
    },
    open({ ciphertext }) {
      let plain: Plain;
      try {
        plain = decodeAll(layout, ciphertext);
      } catch {
        return { outcome: "poison", code: "malformed", writes: [] };
      }
      opened += 1;
      const writes = [{ table: "stub", key: "opened", value: Uint8Array.of(opened & 0xff) }];
      const { kind, body, delivered, read, ...rest } = plain;
      const content: OpenedContent = kind === "receipt" ? { kind, delivered, read } : { kind, body };
      return { outcome: "ok", ...rest, content, writes };
    },
    sealControl: () => ({ code: "not-sealable" }),
    newAccessKey: () => undefined,
    adoptProfileKey: () => ({ is: "same", accessKey, writes: [] }),
    verified: () => undefined,
    verify: () => [],
    renew: () => [],
    goOn: () => false,
    suspect: () => [],
    prove: () => new Uint8Array(64),
  };
}

function parts(content: Content): Pick<Plain, "kind" | "body" | "delivered" | "read"> {
  if (content.kind === "receipt")
    return {
      kind: "receipt",
      body: new Uint8Array(),
      delivered: [...content.delivered],
      read: [...content.read],
    };
  return { kind: content.kind, body: content.body, delivered: [], read: [] };
}
