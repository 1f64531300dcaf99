// A struct whose reading and writing are spelled out must be what its fields say: same bytes, same values, same order of
// properties, and the same refusals.
import {
  type Codec,
  encode,
  FRAMES,
  type FrameName,
  MalformedError,
  Reader,
  sealed,
  struct,
} from "@lethe/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { frameOf } from "./arbitrary.ts";

type Fields = Record<string, Codec<unknown>>;

/** The same layout, from the fields alone. */
function byFields(body: { readonly fields: object }): Codec<unknown> {
  return struct(body.fields as Fields) as Codec<unknown>;
}

function outcome(codec: Codec<unknown>, bytes: Uint8Array): unknown {
  try {
    const reader = new Reader(bytes);
    const value = codec.read(reader);
    reader.end();
    return JSON.stringify(value, (_, part: unknown) =>
      part instanceof Uint8Array ? Buffer.from(part).toString("hex") : part,
    );
  } catch (error) {
    return error instanceof MalformedError ? `refused: ${error.message}` : error;
  }
}

function isTheSame(body: { readonly fields: object } & Codec<never>, value: unknown, at: number): void {
  const given = body as unknown as Codec<unknown>;
  const bytes = encode(given, value);
  const same = byFields(body);
  expect(encode(same, value)).toEqual(bytes);
  const spoiled = Uint8Array.from(bytes);
  const spot = at % Math.max(bytes.length, 1);
  if (bytes.length > 0) spoiled[spot] = (spoiled[spot] ?? 0) ^ (1 + (at % 255));
  for (const input of [bytes, bytes.subarray(0, spot), Buffer.concat([bytes, Buffer.of(0)]), spoiled])
    expect(outcome(given, input)).toBe(outcome(same, input));
}

describe("a struct that is spelled out", () => {
  it.each(Object.keys(FRAMES) as FrameName[])("%s reads and writes what its fields say", (name) => {
    fc.assert(
      fc.property(frameOf(name), fc.nat(), (frame, at) => {
        isTheSame(FRAMES[name].body as unknown as { fields: object } & Codec<never>, frame, at);
      }),
      { numRuns: 60 },
    );
  });

  it("an envelope of a submit reads and writes what its fields say", () => {
    fc.assert(
      fc.property(frameOf("submit"), fc.nat(), (frame, at) => {
        for (const one of (frame as { envelopes?: unknown[] }).envelopes ?? [])
          isTheSame(sealed as unknown as { fields: object } & Codec<never>, one, at);
      }),
    );
  });
});
