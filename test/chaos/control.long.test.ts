// The control of chaos runs: the judge of real runs sees a relay that breaks its word.
import { expect, it } from "vitest";
import { options, ran, SMALL } from "./a-run.ts";

it("sees it when a relay keeps what was delivered", async () => {
  const chosen = options(
    ...[
      "--minutes",
      "0.4",
      "--seed",
      "3",
      "--rule-off",
      "removeOnAck",
      "--faults",
      "client-kill,client-pause",
    ],
    ...SMALL,
  );
  await ran(chosen, ({ verdict }) => {
    expect(verdict.verdict).toBe("fail");
    expect(verdict.breaches.map(({ kind }) => kind)).toContain("not-empty");
  });
}, 290_000);
