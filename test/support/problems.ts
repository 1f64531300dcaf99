// What every answer that is not a success has in common.
import { HTTP_STATUSES, type ProblemCode, SENTENCES } from "@lethe/protocol";
import { expect } from "vitest";
import type { Answer } from "./person.ts";

/** The answer is this problem of the table, with its status, its sentence and the relay's clock. */
export function expectProblem(answer: Answer, code: ProblemCode): void {
  expect([answer.code, answer.status]).toEqual([code, HTTP_STATUSES[code]]);
  expect(answer.body["says"]).toMatch(SENTENCES[code].slice(0, 20));
  expect(Math.abs(Number(answer.body["now"]) - Date.now())).toBeLessThan(60_000);
}
