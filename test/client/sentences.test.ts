// How an error reads: a sentence in Node, the code in a browser, where the sentence is there for whoever asks.
import { ClientError, sentenceOf, STORE_ERRORS, StoreError } from "@lethe/client";
import { PROBLEMS } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import * as page from "../../client-lib/edge/wording-browser.ts";

describe("the message of an error", () => {
  it("is a sentence in Node, with the detail behind it", () => {
    expect(new ClientError("link-own").message).toBe(sentenceOf("link-own"));
    expect(new ClientError("replayed", "twice").message).toBe("The request was seen before. (twice)");
    expect(new StoreError("store-closed").message).toBe("The store is closed.");
  });

  it("is the code in a browser, with the detail behind it", () => {
    expect(page.wordingOf("name-taken", undefined)).toBe("name-taken");
    expect(page.wordingOf("name-taken", "anna")).toBe("name-taken (anna)");
  });

  it("has a sentence for every code of the relay and of a store", () => {
    for (const code of [...Object.keys(PROBLEMS), ...Object.keys(STORE_ERRORS)])
      expect(sentenceOf(code), code).toMatch(/^[A-Z][^]*\.$/);
    expect(sentenceOf("of-a-later-version")).toBe("Refused: of-a-later-version.");
    for (const code of Object.keys(PROBLEMS)) expect(sentenceOf(code)).not.toContain("Refused: ");
  });
});
