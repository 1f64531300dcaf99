// Settings: where they come from, which counts first, and that all faults are told at once.
import { describe, expect, it } from "vitest";
import { mediaPlaceOf } from "../../relay/media/settings.ts";
import { readSettings, SettingsError, settingsRows } from "../../relay/settings.ts";
import { changes } from "../../relay/terms.ts";

const noFile = (): string => {
  throw new Error("no file was asked for");
};
const files =
  (texts: Readonly<Record<string, string>>) =>
  (path: string): string => {
    const text = texts[path];
    if (text === undefined) throw new Error(`ENOENT: no such file, open '${path}'`);
    return text;
  };
function faultsOf(read: () => unknown): readonly string[] {
  try {
    read();
  } catch (error) {
    if (error instanceof SettingsError) return error.faults;
    throw error;
  }
  return [];
}

describe("settings", () => {
  it("are all there without any", () => {
    const settings = readSettings([], {}, noFile);
    expect([settings.port, settings.host, settings.data]).toEqual([8_787, "127.0.0.1", "lethe-data"]);
    expect(Object.isFrozen(settings)).toBe(true);
  });

  it("count from flags before the environment, before the file, before defaults", () => {
    const file = files({
      "/etc/lethe.env": '# the relay\nLETHE_PORT=1\nLETHE_PING=2000\nLETHE_NAME="file.example"\n',
    });
    const env = { LETHE_CONFIG: "/etc/lethe.env", LETHE_PORT: "2", LETHE_NAME: "env.example" };
    const settings = readSettings(["--port", "3"], env, file);
    expect([settings.port, settings.name, settings.ping, settings.ttl]).toEqual([
      3,
      "env.example",
      2_000,
      2_592_000,
    ]);
  });

  it("tell every fault at once, the file's unknown names among them", () => {
    const file = files({ conf: "LETHE_PROT=1\nLETHE_CONFIG=other\nLETHE_PING=soon\n" });
    const faults = faultsOf(() =>
      readSettings(["--config", "conf", "--port", "99999"], { LETHE_TTL: "-1" }, file),
    );
    expect(faults).toEqual([
      "conf: no setting is called LETHE_CONFIG",
      "conf: no setting is called LETHE_PROT",
      "--port (LETHE_PORT) is a whole number from 0 to 65535",
      "--ttl (LETHE_TTL) is a whole number from 60 to 2592000",
      "--ping (LETHE_PING) is a whole number from 1000 to 600000",
    ]);
  });

  it("say where a file is missing, and which flag is unknown", () => {
    expect(faultsOf(() => readSettings(["--config", "/nowhere"], {}, files({})))).toEqual([
      "--config (LETHE_CONFIG): ENOENT: no such file, open '/nowhere'",
    ]);
    expect(faultsOf(() => readSettings(["--prot", "1"], {}, noFile))[0]).toContain("--prot");
  });

  it("of media go together: an object store needs all of its own, and auto takes what there is", () => {
    const place = (...args: string[]) => mediaPlaceOf(readSettings(args, {}, noFile));
    const secret = ["--cluster-secret", "x".repeat(32)];
    const redis = ["--store", "redis://127.0.0.1:1", ...secret];
    const s3 = [
      "--s3-url",
      "http://s3:1",
      "--s3-bucket",
      "abc",
      "--s3-access-key",
      "a",
      "--s3-secret-key",
      "b",
    ];
    expect([place(), place("--media", "off"), place(...redis), place(...redis, "--media", "files")]).toEqual([
      "files",
      "off",
      "off",
      "files",
    ]);
    expect([place(...s3), place(...redis, ...s3)]).toEqual(["s3", "s3"]);
    expect(faultsOf(() => readSettings(["--media", "s3", "--s3-bucket", "abc"], {}, noFile))).toEqual([
      "--s3-url (LETHE_S3_URL) is needed with --media s3",
      "--s3-access-key (LETHE_S3_ACCESS_KEY) is needed with --media s3",
      "--s3-secret-key (LETHE_S3_SECRET_KEY) is needed with --media s3",
    ]);
    expect(faultsOf(() => readSettings(["--s3-direct", "on"], {}, noFile))).toEqual([
      "--s3-direct (LETHE_S3_DIRECT) is for --media s3",
    ]);
    expect(
      faultsOf(() => readSettings(["--media-days", "1e3", "--s3-prefix", "../x"], {}, noFile)),
    ).toHaveLength(2);
  });

  it("of media that a reload changes are limits and times, never places and keys", () => {
    const before = readSettings([], {}, noFile);
    const after = readSettings(
      ["--media-bytes", "5000", "--media-days", "0.5", "--media", "off", "--s3-region", "x"],
      {},
      noFile,
    );
    const { changed, needRestart, effective } = changes(before, after);
    expect(changed).toEqual(["mediaBytes", "mediaDays"]);
    expect(needRestart).toEqual(["media", "s3Region"]);
    expect([effective.media, effective.mediaBytes]).toEqual(["auto", 5_000]);
  });

  it("have a flag, a variable and a sentence each", () => {
    for (const row of settingsRows()) {
      expect(row.env).toMatch(/^LETHE_[A-Z0-9_]+$/);
      expect(row.says.length).toBeGreaterThan(10);
    }
  });
});
