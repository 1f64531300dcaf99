// The operator's documentation against the code: the table of settings, and the metrics that it tells to watch.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { withTables } from "../../protocol/tables.ts";
import { readSettings, settingsTable } from "../../relay/settings.ts";

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const operations = read("docs/operations.md");

describe("docs/operations.md", () => {
  it("has the table of settings that the code has (`npm run generate` writes it)", () => {
    expect(operations).toBe(withTables(operations, { settings: settingsTable }));
  });

  it("names metrics that the relay has", () => {
    const named = new Set(operations.match(/lethe_[a-z_]+/g));
    const metrics = read("relay/metrics.ts");
    expect(named.size).toBeGreaterThan(8);
    for (const name of named) expect(metrics).toContain(`"${name}"`);
  });
});

describe("deploy/relay.env", () => {
  it("is a file of settings that can be read, also with its comments taken away", () => {
    const text = read("deploy/relay.env");
    expect(readSettings(["--config", "f"], {}, () => text).registration).toBe("invite");
    const all = text.replace(/^#(LETHE_)/gm, "$1");
    expect(readSettings(["--config", "f"], {}, () => all).tlsKey).toBe("/etc/lethe/key.pem");
  });
});
