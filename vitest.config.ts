import { defineConfig } from "vitest/config";

// Two projects: quick tests touch neither processes nor many seeds; thorough ones take minutes and real processes. Long
// ones (`*.long.test.ts`) are the thorough ones with more of everything: `npm run verify` runs them, `npm test` does not.
const long = process.env["LETHE_LONG"] === "1" ? [] : ["test/**/*.long.test.ts"];
const thorough = [
  "test/scenarios/**/*.test.ts",
  "test/simulation/**/*.test.ts",
  "test/wire/**/*.test.ts",
  "test/contracts/**/*.test.ts",
  "test/client/{chat,crash,end-to-end,life,store}.test.ts",
  "test/crypto/{attacks-*,twin,olm,judges,reordering}.test.ts",
  "test/queue/directory.test.ts",
  "test/**/*.thorough.test.ts",
  "test/**/*.long.test.ts",
];
const shared = { testTimeout: 120_000, hookTimeout: 60_000, pool: "forks" as const };

export default defineConfig({
  test: {
    maxWorkers: 2,
    reporters: [["default", { summary: false }]],
    projects: [
      { test: { ...shared, name: "quick", include: ["test/**/*.test.ts"], exclude: thorough } },
      { test: { ...shared, name: "thorough", include: thorough, exclude: long, testTimeout: 300_000 } },
    ],
  },
});
