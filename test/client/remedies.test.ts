// What the specification says that the library does about each code, held against the library's core: each code is given to
// a device that is online, as a refusal of its message or as the end of its connection.
import { PROBLEMS, type ProblemCode } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { REMEDIES, type Reaction } from "../../protocol/remedies.ts";
import { Bench } from "./support/bench-core.ts";

const codes = Object.keys(PROBLEMS) as ProblemCode[];
const metBy = (place: string): ProblemCode[] => codes.filter((code) => REMEDIES[code].met === place);
const told = (anna: Bench): string[] => [...new Set(anna.told.map(({ tell }) => tell))];

/** What it does about a message that the relay refuses with this code, and what it tells. */
function afterRefusal(code: ProblemCode): { library: Reaction; tells: string } {
  const anna = new Bench().online();
  anna.send("Kben", "hello");
  const before = anna.sent.length;
  const frame = { frame: "refused", code: PROBLEMS[code].number, retryAfter: 0, ids: [anna.idOf("hello")] };
  anna.frames("device", frame as Parameters<Bench["frames"]>[1]);
  const asked = anna.sent.slice(before).some((sent) => sent.frame.frame === "ask-devices");
  for (const end of ["refused", "expired"])
    if (told(anna).includes(end)) return { library: "told", tells: end };
  anna.pass(25_000);
  const tells = told(anna).includes("waiting") ? "waiting" : "";
  if (asked) return { library: "mends", tells };
  return { library: anna.submits().length > 1 ? "again" : "ended", tells };
}

/** What it does when its connection ends with this code. */
function afterEnd(code: ProblemCode): Reaction {
  const anna = new Bench().online();
  anna.close("device", PROBLEMS[code].close);
  anna.pass(25_000);
  return anna.opens.length > 1 ? "again" : "ended";
}

describe("the table of remedies", () => {
  // A connection epoch's answer and a stale list come in frames of their own, which the tests of connection and outbox show.
  const OWN_FRAME: readonly ProblemCode[] = ["epoch-behind", "stale-list"];

  it.each(metBy("message").filter((code) => !OWN_FRAME.includes(code)))(
    "says what becomes of a message: %s",
    (code) => {
      const { library, tells } = REMEDIES[code];
      expect(afterRefusal(code)).toEqual({ library, tells: tells.replaceAll("`", "") });
    },
  );

  it.each(metBy("connection").filter((code) => !OWN_FRAME.includes(code)))(
    "says what becomes of a connection: %s",
    (code) => {
      expect(afterEnd(code)).toBe(REMEDIES[code].library);
    },
  );

  it("says that what ends a connection for good is told as that", () => {
    for (const code of metBy("connection").filter((each) => REMEDIES[each].library === "ended")) {
      const anna = new Bench().online();
      anna.close("device", PROBLEMS[code].close);
      const event = REMEDIES[code].tells.replaceAll("`", "");
      expect(told(anna)).toContain(event);
    }
  });

  it("names a close status for everything that is met by a connection", () => {
    for (const code of metBy("connection")) expect(PROBLEMS[code].close, code).toBeDefined();
    for (const code of codes) expect(REMEDIES[code].application, code).toMatch(/^[A-Z].*\.$/);
  });
});
