import { defineConfig } from "vitest/config";

// Two projects: quick tests touch neither processes nor many seeds; thorough ones take minutes and real processes.
const thorough = [
  "test/scenarios/**/*.test.ts",
  "test/simulation/**/*.test.ts",
  "test/wire/**/*.test.ts",
  "test/contracts/**/*.test.ts",
  "test/client/{chat,crash,end-to-end,life,store}.test.ts",
  "test/crypto/attacks-*.test.ts",
  "test/queue/directory.test.ts",
  "test/**/*.thorough.test.ts",
];
const shared = { testTimeout: 120_000, hookTimeout: 60_000, pool: "forks" as const };

export default defineConfig({
  test: {
    maxWorkers: 2,
    reporters: [["default", { summary: false }]],
    projects: [
      { test: { ...shared, name: "quick", include: ["test/**/*.test.ts"], exclude: thorough } },
      { test: { ...shared, name: "thorough", include: thorough, testTimeout: 300_000 } },
    ],
  },
});
