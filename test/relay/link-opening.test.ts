// How two nodes prove themselves to each other: who has the secret and is who it says it is gets through; whoever repeats,
// turns round or changes what others have said does not.
import { createSecretKey } from "node:crypto";
import { inspect } from "node:util";
import type { NodeId } from "@lethe/queue";
import { describe, expect, it } from "vitest";
import type { WireFrame, WireFrameOf } from "../../relay/link/frames.ts";
import { answer, call, hear, type Opening, type Self, type Step } from "../../relay/link/opening.ts";

function aNode(letter: string, secret = "s".repeat(32)): Self {
  return {
    id: letter.repeat(32) as NodeId,
    address: `ws://${letter}:1`,
    key: createSecretKey(Buffer.from(secret)),
  };
}

let drawn = 0;
/** Another one each time. */
const nonce = (): Uint8Array => Buffer.alloc(32, ++drawn);
const anna = aNode("a");
const ben = aNode("b");

function go(step: Step): Opening {
  if ("end" in step) throw new Error(`ended: ${step.end}`);
  return step.to;
}
function sent(step: Step): WireFrame {
  if ("end" in step || step.send === undefined) throw new Error(`nothing was sent: ${JSON.stringify(step)}`);
  return step.send;
}
const endOf = (step: Step): string | undefined => ("end" in step ? step.end : undefined);

/** The caller's proof to a listener, and the listener waiting for it. */
function untilProof(caller: Self, listener: Self, to: { id: NodeId; address: string } = listener) {
  const calling = call(caller, to, nonce());
  const challenged = hear({ at: "called" }, calling.hello, listener, nonce);
  if ("end" in challenged) return { end: challenged.end };
  const proving = hear(calling, sent(challenged), caller, nonce);
  return {
    hello: calling.hello,
    challenged,
    caller: go(proving),
    listener: go(challenged),
    proof: sent(proving),
  };
}

function untilProved(caller: Self, listener: Self, to?: { id: NodeId; address: string }) {
  const opening = untilProof(caller, listener, to);
  if (opening.end !== undefined) return { end: opening.end };
  const heard = hear(opening.listener, opening.proof, listener, nonce);
  return "end" in heard ? { end: heard.end } : { ...opening, proved: heard.to };
}

describe("two nodes of one cluster", () => {
  it("prove themselves to each other, the caller first, and agree on who they are and on a version", () => {
    const { caller, proved } = untilProved(anna, ben) as {
      caller: Opening;
      proved: Opening & { at: "proved" };
    };
    expect(proved.at).toBe("proved");
    const answered = answer(proved, ben);
    const stands = hear(caller, sent(answered), anna, nonce);
    expect(go(stands)).toEqual({ at: "stands", peer: ben.id, version: 2 });
    const there = hear(answered.to, sent(stands), ben, nonce);
    expect(go(there)).toEqual({ at: "stands", peer: anna.id, version: 2 });
  });

  it("agree on the version of the older one, whichever calls", () => {
    const { hello } = call(anna, ben, nonce());
    const heard = hear({ at: "called" }, { ...hello, max: 1 }, ben, nonce);
    expect("send" in heard && heard.send).toMatchObject({ frame: "challenge", version: 1 });
    const chosen: WireFrame = { frame: "challenge", version: 1, nonce: nonce() };
    expect(go(hear(call(anna, ben, nonce()), chosen, anna, nonce))).toMatchObject({ said: { version: 1 } });
  });
});

describe("somebody else", () => {
  it("with another secret proves nothing, on either side", () => {
    const mallory = aNode("a", "t".repeat(32));
    expect(untilProved(mallory, ben).end).toBe("not-proved");
    const { caller } = untilProof(anna, ben) as { caller: Opening };
    const { proved } = untilProved(mallory, aNode("b", "t".repeat(32))) as {
      proved: Opening & { at: "proved" };
    };
    expect(endOf(hear(caller, sent(answer(proved, aNode("b", "t".repeat(32)))), anna, nonce))).toBe(
      "not-proved",
    );
  });

  it("who repeats what a caller said before is not that caller", () => {
    const first = untilProof(anna, ben) as { hello: WireFrame; proof: WireFrame };
    const again = hear({ at: "called" }, first.hello, ben, nonce);
    expect(endOf(hear(go(again), first.proof, ben, nonce))).toBe("not-proved");
  });

  it("who turns a proof round has not proved anything: neither to its maker nor in another role", () => {
    const { caller, proof } = untilProof(anna, ben) as { caller: Opening; proof: WireFrame };
    expect(endOf(hear(caller, proof, anna, nonce))).toBe("not-proved");
    // Ben calls whoever turns Anna's own words round: his challenge is hers, and so is what she answers.
    const calling = call(ben, anna, nonce());
    const challenged = hear({ at: "called" }, calling.hello, anna, nonce);
    const turned = hear(calling, sent(challenged), ben, nonce);
    const answered = answer(
      go(hear(go(challenged), sent(turned), anna, nonce)) as Opening & { at: "proved" },
      anna,
    );
    const other = untilProof(anna, ben) as { listener: Opening };
    expect(endOf(hear(other.listener, sent(answered), ben, nonce))).toBe("not-proved");
  });

  it("who changes a word on the way is found out", () => {
    const change = <F extends WireFrame>(frame: F, to: Partial<F>): F => ({ ...frame, ...to });
    const calling = call(anna, ben, nonce());
    const words: Partial<WireFrameOf<"hello">>[] = [
      { from: "c".repeat(32) as NodeId },
      { address: "ws://c:1" },
      { nonce: nonce() },
      { max: 9 },
      { min: 0 },
    ];
    for (const word of words) {
      const challenged = hear({ at: "called" }, change(calling.hello, word), ben, nonce);
      const proving = hear(calling, sent(challenged), anna, nonce);
      expect(endOf(hear(go(challenged), sent(proving), ben, nonce)), JSON.stringify(Object.keys(word))).toBe(
        "not-proved",
      );
    }
    const challenged = hear({ at: "called" }, calling.hello, ben, nonce);
    const other = change(sent(challenged) as WireFrameOf<"challenge">, { nonce: nonce() });
    const proving = hear(calling, other, anna, nonce);
    expect(endOf(hear(go(challenged), sent(proving), ben, nonce))).toBe("not-proved");
  });

  it("reached at the address of another is found out", () => {
    expect(untilProved(anna, ben, { id: ben.id, address: "ws://elsewhere:1" }).end).toBe("not-proved");
  });
});

describe("an opening", () => {
  it("ends where the node is not the one that is meant, or is the caller itself", () => {
    expect(untilProof(anna, ben, { id: "c".repeat(32) as NodeId, address: ben.address }).end).toBe(
      "wrong-node",
    );
    expect(untilProof(ben, ben).end).toBe("wrong-node");
  });

  it("ends where no version is common, or one is chosen that was not offered", () => {
    const { hello } = call(anna, ben, nonce());
    expect(endOf(hear({ at: "called" }, { ...hello, min: 3, max: 4 }, ben, nonce))).toBe(
      "version-unsupported",
    );
    const chosen: WireFrame = { frame: "challenge", version: 3, nonce: nonce() };
    expect(endOf(hear(call(anna, ben, nonce()), chosen, anna, nonce))).toBe("version-unsupported");
  });

  it("ends at any frame that is not the next one", () => {
    const proof: WireFrame = { frame: "proof", mac: Buffer.alloc(32) };
    const { caller, listener } = untilProof(anna, ben) as { caller: Opening; listener: Opening };
    for (const [state, frame] of [
      [{ at: "called" }, proof],
      [{ at: "called" }, { frame: "ready" }],
      [listener, { frame: "ready" }],
      [caller, { frame: "ready" }],
      [{ at: "stands", peer: ben.id, version: 1 }, proof],
    ] as [Opening, WireFrame][])
      expect(endOf(hear(state, frame, ben, nonce))).toBe("unexpected");
  });

  it("shows its secret to nobody", () => {
    expect(JSON.stringify(anna)).not.toContain("sss");
    expect(inspect(anna, { depth: 9, showHidden: true })).not.toContain("sss");
  });
});
