// The whole suite: types, lint, format, every test. Its last line counts the tests. Extra arguments go to vitest.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { format, lint, root, step, types } from "./run.mjs";

const extra = process.argv.slice(2);
const report = join(root, "test", ".artifacts", "report.json");
mkdirSync(join(root, "test", ".artifacts"), { recursive: true });
rmSync(report, { force: true });

// Before the tests, which run two at a time: two installations would stand in each other's way.
const servers = () =>
  step("chromium", "node", ["scripts/chromium.mjs"]) &&
  step("redis", "node", ["scripts/redis.mjs"]) &&
  step("swift", "node", ["scripts/swift.mjs"]);
const before = extra.length > 0 || (types() && lint() && format() && servers());
if (before) {
  step("tests", "vitest", [
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    ...extra,
  ]);
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(
      readFileSync(report, "utf8"),
    );
    console.log(
      `${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests + numTodoTests} skipped`,
    );
    if (numPassedTests === 0) process.exitCode = 1;
  } catch {
    console.log("0 passed, 1 failed");
    process.exitCode = 1;
  }
}
