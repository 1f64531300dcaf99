// The window against a Map, which does the same more slowly: any order of additions and removals, few entries and many.
import type { EnvelopeId } from "@lethe/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Window } from "../../relay/delivery/window.ts";

const step = (ids: number) =>
  fc.record({ put: fc.boolean(), id: fc.nat(ids - 1).map((n) => `id ${n}` as EnvelopeId) });

describe("a window", () => {
  it.each([4, 90, 400])("holds what a Map would hold, in the same order, with up to %i entries", (ids) => {
    fc.assert(
      fc.property(fc.array(step(ids), { maxLength: ids * 4, size: "max" }), (steps) => {
        const window = new Window<number>();
        const map = new Map<EnvelopeId, number>();
        steps.forEach(({ put, id }, i) => {
          expect(window.has(id)).toBe(map.has(id));
          if (put) {
            window.set(id, i);
            map.set(id, i);
          } else {
            expect(window.take(id)).toBe(map.get(id));
            map.delete(id);
          }
          expect(window.size).toBe(map.size);
          expect(window.get(id)).toBe(map.get(id));
          expect(window.oldest).toBe(map.values().next().value);
        });
        expect(window.values()).toEqual([...map.values()]);
      }),
      { numRuns: Math.ceil(400 / ids) * 3 },
    );
  });

  it("fills up past its index and empties from either end", () => {
    const ids = Array.from({ length: 1_000 }, (_, n) => `id ${n}` as EnvelopeId);
    const window = new Window<number>(ids.map((id, n) => [id, n]));
    for (let i = 0; i < 500; i++) {
      expect(window.take(ids[i] as EnvelopeId)).toBe(i);
      expect(window.take(ids[999 - i] as EnvelopeId)).toBe(999 - i);
      expect(window.has(ids[i] as EnvelopeId)).toBe(false);
      expect(window.values().length).toBe(998 - 2 * i);
    }
    expect(window.oldest).toBeUndefined();
  });
});
