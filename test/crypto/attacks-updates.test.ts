// Attack 44 (Careless Whisper, 2024): reactions, edits and the like that nobody sees, sent to learn from the answers which devices
// somebody has and when they are there. Real cores on the real cryptography; what is compared is every frame that the
// relay gets of the one who is spied on.
import { toBytes } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import { bodyOf } from "../../client-lib/content/content.ts";
import { encodeContent, type Kind } from "../../client-lib/content/wire.ts";
import type { MessageId } from "../../client-lib/delivery/events.ts";
import { type GroupId, ready } from "../../crypto/index.ts";
import { GroupWorld } from "./attack-group-world.ts";
import { AttackWorld } from "./attack-world.ts";

beforeAll(() => ready());

const NOBODYS = new Uint8Array(16).fill(7);
const of = (kind: Kind): Uint8Array => encodeContent({ kind });
/** What shows nowhere: for whoever looks only at the relay all of it must be one. */
const SILENT: Readonly<Record<string, Uint8Array>> = {
  "a reaction to a message that nobody knows": of({
    is: "reaction",
    messageId: NOBODYS,
    author: NOBODYS,
    text: "👍",
  }),
  "a reaction taken back": of({ is: "reaction", messageId: NOBODYS, author: NOBODYS, text: "" }),
  "an edit of what was never said": of({ is: "edit", messageId: NOBODYS, text: "other" }),
  "a deletion of what was never said": of({ is: "delete", messages: [NOBODYS, NOBODYS] }),
  "a timer": of({ is: "timer", ms: 60_000, setAt: 1 }),
  "a timer of the far future": of({ is: "timer", ms: 60_000, setAt: Number.MAX_SAFE_INTEGER }),
  "a kind that no version has": Uint8Array.of(0xfa, 0x07, 3, 1, 2, 3), // field 127, three bytes
  "a reaction too long": of({ is: "reaction", messageId: NOBODYS, author: NOBODYS, text: "a".repeat(65) }),
  "a reaction to half an id": of({
    is: "reaction",
    messageId: NOBODYS.subarray(8),
    author: NOBODYS,
    text: "x",
  }),
  "a deletion of nothing": of({ is: "delete", messages: [] }),
};
const MINUTE = 60_000;

/** Ben with two devices, and Mallory, who is a contact or a stranger. Always the same world. */
function world(who: "contact" | "stranger"): AttackWorld {
  const made = new AttackWorld("mallory", "ben", "cleo");
  made.requests = "ask";
  for (const name of ["mallory", "ben"]) made.start(made.side(name));
  made.befriend("ben", "cleo");
  if (who === "contact") {
    made.step(made.side("ben"), {
      event: "decide",
      account: made.side("mallory").account,
      decision: "accepted",
    });
    made.befriend("mallory", "ben");
  }
  made.link("ben", "laptop");
  made.say("cleo", "ben", "are you there?");
  made.pass(MINUTE);
  return made;
}

let sent = 0;
function spy(on: AttackWorld, body: Uint8Array): string[] {
  const before = on.frames.length;
  const message = `spy ${(sent += 1)}`.padEnd(16, ".") as MessageId;
  on.step(on.side("mallory"), { event: "send", message, to: on.side("ben").account, body });
  on.pass(5 * MINUTE);
  return seenOf(on, before);
}

/** Every frame of ben's devices since: who, on which connection, and what. */
function seenOf(on: AttackWorld, since: number): string[] {
  const own = on.frames.slice(since).filter(({ from }) => from === "ben" || from === "laptop");
  return own.map(({ from, on: socket, frame }) => {
    const ids = frame.frame === "delivered" ? ` of ${frame.ids.length}` : "";
    return `${from} ${socket} ${frame.frame}${ids}`;
  });
}

describe("attack 44: what shows nowhere is answered by nobody", () => {
  it.each(["contact", "stranger"] as const)("says the same of all of it, of a %s", (who) => {
    const acknowledged = ["ben device delivered of 1", "laptop device delivered of 1"];
    for (const [what, body] of Object.entries(SILENT)) {
      const on = world(who);
      const confirmed = on.side("mallory").receipts.length;
      // A stranger's unknown kind may be a message of a later version: it is a request, and as silent.
      const seen = spy(on, body).filter((frame) => !frame.endsWith(" ping"));
      expect([what, seen]).toEqual([what, acknowledged]);
      expect(on.side("mallory").receipts.length).toBe(confirmed);
    }
  });

  it("says the same of all of it in a group", () => {
    const on = new GroupWorld("mallory", "ben", "cleo").found("room", "mallory", "ben", "cleo");
    on.link("ben", "laptop");
    on.tell("mallory", "hello all");
    on.pass(5 * MINUTE);
    const say = (body: Uint8Array): string[] => {
      const before = on.frames.length;
      const message = `spy ${(sent += 1)}`.padEnd(16, ".") as MessageId;
      const group = on.group as GroupId;
      on.step(on.side("mallory"), { event: "group-send", message, group, body });
      on.pass(5 * MINUTE);
      return seenOf(on, before).filter((frame) => !frame.endsWith(" ping"));
    };
    const confirmed = on.side("mallory").receipts.length;
    const acknowledged = ["ben device delivered of 1", "laptop device delivered of 1"];
    for (const [what, body] of Object.entries(SILENT))
      expect([what, say(body)]).toEqual([what, acknowledged]);
    expect(on.side("mallory").receipts.length).toBe(confirmed);
    expect(say(bodyOf({ is: "text", text: "and this?" })).length).toBeGreaterThan(acknowledged.length);
    expect(on.side("mallory").receipts.length).toBeGreaterThan(confirmed);
  });

  it("answers a message of a contact, so that the comparison means something", () => {
    const on = world("contact");
    const seen = spy(on, bodyOf({ is: "text", text: "hello" }));
    expect(seen.filter((frame) => frame.endsWith("anonymous submit")).length).toBeGreaterThan(0);
  });

  it("makes no request of it, and keeps it behind one that is there", () => {
    const on = world("stranger");
    const [ben, mallory] = [on.side("ben"), on.side("mallory")];
    const requests = (): number => ben.told.filter(({ tell }) => tell === "request").length;
    for (const body of Object.values(SILENT).slice(0, 6)) spy(on, body);
    expect([requests(), ben.core.view.requests()]).toEqual([0, []]);
    const handed = ben.entries.length;
    spy(on, bodyOf({ is: "text", text: "hello" }));
    spy(on, SILENT["a reaction taken back"] as Uint8Array);
    expect([requests(), ben.entries.length]).toEqual([1, handed]);
    on.step(ben, { event: "decide", account: mallory.account, decision: "accepted" });
    on.pass(MINUTE);
    expect(ben.texts.slice(-2)).toEqual(["hello", "reaction"]);
  });

  it("takes no stranger for a contact by it where all are taken", () => {
    const on = world("stranger");
    on.requests = "accept";
    const ben = on.side("ben");
    on.start(ben);
    on.run();
    spy(on, SILENT["a timer"] as Uint8Array);
    expect(ben.core.view.contact(on.side("mallory").account).decision).toBe("none");
    expect(ben.core.view.timer({ conversation: on.side("mallory").account }).ms).toBe(0);
    spy(on, bodyOf({ is: "text", text: "hello" }));
    expect(ben.core.view.contact(on.side("mallory").account).decision).toBe("accepted");
  });

  it("names whose message is meant, so that nobody edits or deletes another's", () => {
    const on = world("contact");
    const [ben, cleo] = [on.side("ben"), on.side("cleo")];
    const cleos = on.say("cleo", "ben", "cleo's own");
    spy(on, bodyOf({ is: "delete", messages: [toBytes(cleos)] }));
    const last = ben.entries.at(-1);
    expect(last?.content.kind).toBe("update");
    expect(last?.from).toBe(on.deviceOf("mallory")); // the author of what is meant, whatever id it names
    expect(last?.from).not.toBe(cleo.address);
  });
});
