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

describe("deploy/lethe.service", () => {
  const unit = read("deploy/lethe.service");
  const set = new Map([...unit.matchAll(/^(\w+)=(.*)$/gm)].map(([, key = "", value = ""]) => [key, value]));

  it("lets the relay read the file itself, so that a reload reads it again", () => {
    expect(set.get("Environment")).toContain("LETHE_CONFIG=/etc/lethe/relay.env");
    expect(set.has("EnvironmentFile")).toBe(false); // what stands in the environment counts before the file, and stays
    expect(set.get("ExecReload")).toContain("-HUP");
  });

  it("gives away nothing that the relay does not need, and leaves V8 what it does", () => {
    for (const key of [
      "NoNewPrivileges",
      "PrivateTmp",
      "PrivateDevices",
      "ProtectHome",
      "RestrictNamespaces",
    ])
      expect(set.get(key), key).toBe("yes");
    expect(set.get("ProtectSystem")).toBe("strict");
    expect(set.get("StateDirectory")).toBe("lethe");
    expect(set.get("CapabilityBoundingSet")).toBe("CAP_NET_BIND_SERVICE");
    expect(Number(set.get("LimitNOFILE"))).toBeGreaterThan(15_000);
    expect(set.has("MemoryDenyWriteExecute")).toBe(false);
  });
});
