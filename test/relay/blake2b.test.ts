// The relay's own BLAKE2b against the one of other people: libsodium's.
import { blake2b, ready } from "@lethe/crypto";
import { type DeviceAddress, encode, type GroupEnvelopeId, groupIdTuple } from "@lethe/protocol";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { groupIdOf, payloadIdOf } from "../../relay/blake2b.ts";

beforeAll(ready);

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
const binary = (length: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map(latin1);

describe("BLAKE2b", () => {
  it("names a ciphertext of any length as libsodium does, at the edges of blocks and of what an envelope holds too", () => {
    const check = (bytes: Uint8Array): void => {
      expect(payloadIdOf(bytes)).toBe(latin1(blake2b(32, bytes)));
    };
    for (const length of [0, 1, 127, 128, 129, 255, 256, 257, 73_728]) check(Buffer.alloc(length, length));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 1_000 }), check), { numRuns: 300 });
  });

  it("derives the ids of a group's envelopes as libsodium does, whatever was hashed before", () => {
    fc.assert(
      fc.property(binary(16), binary(18), fc.uint8Array({ maxLength: 300 }), (group, device, before) => {
        const tuple = { groupEnvelope: group as GroupEnvelopeId, address: device as DeviceAddress };
        payloadIdOf(before);
        expect(groupIdOf(tuple.groupEnvelope, tuple.address)).toBe(
          latin1(blake2b(16, encode(groupIdTuple, tuple))),
        );
      }),
      { numRuns: 300 },
    );
  });
});
