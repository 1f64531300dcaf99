// Who is watched, on a connection of its own, in simulated time.
import { describe, expect, it } from "vitest";
import { MAX_WATCHES, PROBLEMS, type RelayFrame, type Time } from "@lethe/protocol";
import { account, Bench, STUB_KEY } from "./support/bench-core.ts";

const NEW_KEY = new Uint8Array(16).fill(9);
const MINUTE = 1_700_000_040_000 as Time;

/** Somebody who knows ben, and watches him. */
function watch(bench: Bench, user: string): void {
  bench.step({ event: "watch", ask: 1, account: account(user) });
}

function watching(): Bench {
  const anna = new Bench().online();
  anna.hears("Kben", "hi");
  watch(anna, "Kben");
  anna.pass(500);
  anna.accept("presence");
  return anna;
}

const notice = (state: "online" | "offline" | "denied", lastSeen = 0, of = "Kben"): RelayFrame => ({
  frame: "notice",
  account: account(of),
  state,
  lastSeen: lastSeen as Time,
});
const onPresence = (bench: Bench): string[] =>
  bench.sent.flatMap(({ socket, frame }) => (socket === "presence" ? [frame.frame] : []));
const watches = (bench: Bench): number => onPresence(bench).filter((frame) => frame === "watch").length;
const told = (bench: Bench): (string | number | undefined)[][] =>
  bench.tellsOf("presence").map(({ presence: { state, lastSeen } }) => [state, lastSeen]);
/** Time goes by with a relay that is there. */
function alive(bench: Bench, ms: number): void {
  for (let at = 0; at < ms; at += 1_000) {
    bench.pass(Math.min(1_000, ms - at));
    for (const socket of ["device", "presence"] as const) bench.frames(socket, { frame: "pong", token: 0 });
  }
}
const closes = (bench: Bench): number => bench.closes.filter(({ socket }) => socket === "presence").length;
const opens = (bench: Bench): number => bench.opens.filter(({ socket }) => socket === "presence").length;

describe("the connection that watches", () => {
  it("is a second anonymous one, opened when somebody is watched, and not together with another", () => {
    const anna = new Bench().online();
    anna.hears("Kben", "hi");
    watch(anna, "Kben");
    expect(opens(anna)).toBe(0);
    anna.pass(500);
    anna.accept("presence");
    expect(onPresence(anna)).toEqual(["hello-anonymous", "watch"]);
    const frame = anna.sent.at(-1)?.frame;
    expect(frame).toEqual({ frame: "watch", account: account("Kben"), accessKey: STUB_KEY });
  });

  it("is closed soon after nobody is watched, and not while somebody turns to another conversation", () => {
    const anna = watching();
    anna.hears("Kcleo", "hello");
    anna.frames("presence", notice("online"));
    anna.step({ event: "unwatch", account: account("Kben") });
    alive(anna, 4_000);
    watch(anna, "Kcleo");
    expect(onPresence(anna).slice(1)).toEqual(["watch", "unwatch", "watch"]);
    alive(anna, 60_000);
    expect(closes(anna)).toBe(0);
    anna.step({ event: "unwatch", account: account("Kcleo") });
    alive(anna, 5_000);
    expect(closes(anna)).toBe(1);
    alive(anna, 60_000);
    expect(opens(anna)).toBe(1);
  });

  it("carries no mail, and the one that carries mail no watch", () => {
    const anna = watching();
    anna.send("Kben", "hello");
    anna.accept("anonymous");
    anna.pass(100);
    expect(anna.submits()).toContain("anonymous: hello");
    expect(
      anna.sent.filter(({ socket, frame }) => socket === "presence" && frame.frame === "submit"),
    ).toEqual([]);
    expect(anna.sent.filter(({ socket, frame }) => socket !== "presence" && frame.frame === "watch")).toEqual(
      [],
    );
  });

  it("takes notices on no other connection", () => {
    const anna = watching();
    anna.send("Kben", "hello");
    anna.accept("anonymous");
    anna.frames("anonymous", notice("online"));
    expect(told(anna)).toEqual([]);
  });

  it("waits as long as goaway says, also when nobody was watched in between", () => {
    const anna = watching();
    const code = PROBLEMS["shutting-down"].number;
    anna.frames("presence", { frame: "goaway", code, retryAfter: 60_000 });
    anna.close("presence", PROBLEMS["shutting-down"].close);
    anna.step({ event: "unwatch", account: account("Kben") });
    anna.pass(1_000);
    watch(anna, "Kben");
    anna.pass(58_000);
    expect(opens(anna)).toBe(1);
    anna.pass(62_000);
    expect(opens(anna)).toBeGreaterThan(1);
  });
});

describe("somebody who is watched", () => {
  it("is told once for each change", () => {
    const anna = watching();
    anna.frames("presence", notice("offline", MINUTE));
    anna.frames("presence", notice("offline", MINUTE));
    anna.frames("presence", notice("online"), notice("online"));
    anna.frames("presence", notice("offline"));
    expect(told(anna)).toEqual([
      ["offline", MINUTE],
      ["online", undefined],
      ["offline", undefined],
    ]);
    expect(anna.core.view.presence(account("Kben"))).toEqual({ state: "offline", lastSeen: undefined });
  });

  it("stays what was known during a reconnect, and is asked for again", () => {
    const anna = watching();
    anna.frames("presence", notice("online"));
    anna.close("presence");
    anna.reconnect("presence");
    expect(watches(anna)).toBe(2);
    anna.frames("presence", notice("online"));
    alive(anna, 60_000);
    expect(told(anna)).toEqual([["online", undefined]]);
  });

  it("who was online and is not after a reconnect is gone a moment later, unless they have come back too", () => {
    const anna = watching();
    anna.frames("presence", notice("online"));
    anna.close("presence");
    anna.reconnect("presence");
    anna.frames("presence", notice("offline", MINUTE));
    anna.pass(3_999);
    anna.frames("presence", notice("online"));
    alive(anna, 60_000);
    expect(told(anna)).toEqual([["online", undefined]]);
    anna.close("presence");
    anna.reconnect("presence");
    anna.frames("presence", notice("offline", MINUTE));
    anna.pass(3_999);
    expect(told(anna)).toHaveLength(1);
    anna.pass(1);
    expect(told(anna).at(-1)).toEqual(["offline", MINUTE]);
  });

  it("is unknown, once, when the connection stays away", () => {
    const anna = watching();
    anna.frames("presence", notice("online"));
    const lost = anna.now;
    anna.close("presence");
    while (anna.tellsOf("presence").length === 1) {
      anna.pass(100);
      anna.close("presence"); // a new one each time, and none of them lives
    }
    expect(anna.now - lost).toBeGreaterThanOrEqual(10_000);
    expect(anna.now - lost).toBeLessThan(10_200);
    anna.pass(60_000);
    expect(told(anna)).toEqual([
      ["online", undefined],
      ["unknown", undefined],
    ]);
  });

  it("is unknown when nothing is heard of them at all", () => {
    const anna = new Bench().online();
    anna.hears("Kben", "hi");
    watch(anna, "Kben");
    anna.pass(9_999);
    expect(told(anna)).toEqual([]);
    anna.pass(1);
    expect(told(anna)).toEqual([["unknown", undefined]]);
  });

  it("is unknown while the client is stopped, and watched again when it connects", () => {
    const anna = watching();
    anna.frames("presence", notice("online"));
    anna.close("device", PROBLEMS.displaced.close);
    anna.pass(60_000);
    expect(told(anna).at(-1)).toEqual(["unknown", undefined]);
    expect(opens(anna)).toBe(1);
    anna.step({ event: "connect" });
    anna.reconnect("presence");
    anna.frames("presence", notice("offline", MINUTE));
    expect(told(anna).at(-1)).toEqual(["offline", MINUTE]);
  });

  it("is nobody's business any more once they are unwatched", () => {
    const anna = watching();
    anna.frames("presence", notice("online"));
    anna.step({ event: "unwatch", account: account("Kben") });
    anna.frames("presence", notice("offline"));
    expect(told(anna)).toEqual([["online", undefined]]);
    expect(anna.core.view.presence(account("Kben")).state).toBe("unknown");
  });
});

describe("a watch that is refused", () => {
  it("is tried again for a while, and the person is unknown", () => {
    const anna = watching();
    anna.frames("presence", notice("denied"));
    for (let i = 0; i < 60; i++) {
      const before = watches(anna);
      alive(anna, 1_000);
      if (watches(anna) > before) anna.frames("presence", notice("denied"));
    }
    expect(told(anna)).toEqual([["unknown", undefined]]);
    expect(watches(anna)).toBe(10);
    expect(closes(anna)).toBe(1);
  });

  it("goes on with the new key, without a flicker, when the contact has given it before the relay refuses the old one", () => {
    const anna = watching();
    anna.frames("presence", notice("online"));
    anna.hears("Kben", "my new key", NEW_KEY);
    expect(watches(anna)).toBe(1);
    anna.frames("presence", notice("denied"));
    expect(anna.sent.at(-1)?.frame).toMatchObject({ frame: "watch", accessKey: NEW_KEY });
    anna.frames("presence", notice("online"));
    alive(anna, 60_000);
    expect(told(anna)).toEqual([["online", undefined]]);
  });

  it("goes on with the new key when the contact gives it much later", () => {
    const anna = watching();
    anna.frames("presence", notice("online"));
    anna.frames("presence", notice("denied"));
    for (let i = 0; i < 40; i++) {
      const before = watches(anna);
      alive(anna, 1_000);
      if (watches(anna) > before) anna.frames("presence", notice("denied"));
    }
    expect(told(anna).at(-1)).toEqual(["unknown", undefined]);
    anna.hears("Kben", "my new key", NEW_KEY);
    anna.reconnect("presence");
    expect(anna.sent.at(-1)?.frame).toMatchObject({ frame: "watch", accessKey: NEW_KEY });
    anna.frames("presence", notice("online"));
    expect(told(anna).at(-1)).toEqual(["online", undefined]);
  });

  it("is tried again when the application asks once more", () => {
    const anna = watching();
    for (let i = 0; i < 40; i++) {
      anna.frames("presence", notice("denied"));
      alive(anna, 1_000);
    }
    const before = opens(anna);
    watch(anna, "Kben");
    anna.reconnect("presence");
    expect(opens(anna)).toBe(before + 1);
  });
});

describe("nobody is watched", () => {
  const codes = (bench: Bench): string[] =>
    bench.tellsOf("watching").flatMap(({ code }) => (code === "ok" ? [] : [code]));

  it("who is no contact, or has not given an access key", () => {
    const anna = new Bench({ requests: "ask" }).online();
    watch(anna, "Kstranger");
    anna.hears("Kben", "may I?");
    watch(anna, "Kben");
    anna.send("Kcleo", "hello");
    watch(anna, "Kcleo");
    expect(codes(anna)).toEqual(["not-a-contact", "not-a-contact", "not-a-contact"]);
    anna.step({ event: "decide", account: account("Kben"), decision: "accepted" });
    watch(anna, "Kben");
    expect(codes(anna)).toHaveLength(3);
    expect(anna.tellsOf("watching").at(-1)?.code).toBe("ok");
  });

  it("who is blocked: the watch ends with the blocking", () => {
    const anna = watching();
    anna.frames("presence", notice("online"));
    anna.step({ event: "decide", account: account("Kben"), decision: "blocked" });
    expect(anna.sent.at(-1)).toMatchObject({ socket: "presence", frame: { frame: "unwatch" } });
    expect(anna.core.view.presence(account("Kben")).state).toBe("unknown");
    watch(anna, "Kben");
    expect(codes(anna)).toEqual(["blocked"]);
  });

  it("over the cap, and whoever is watched already may be watched", () => {
    const anna = new Bench().online();
    const name = (i: number): string => `K${i}`;
    for (let i = 0; i <= MAX_WATCHES; i++) {
      anna.hears(name(i), `hi ${i}`);
      anna.step({ event: "settled", entry: anna.handed.at(-1)?.entry ?? 0 });
      watch(anna, name(i));
    }
    expect(codes(anna)).toEqual(["too-many-watched"]);
    watch(anna, name(0));
    anna.step({ event: "unwatch", account: account(name(1)) });
    watch(anna, name(MAX_WATCHES));
    expect(codes(anna)).toHaveLength(1);
    anna.pass(500);
    anna.accept("presence");
    expect(watches(anna)).toBe(MAX_WATCHES);
  });
});
