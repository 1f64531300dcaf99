import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { mediaTypeOf } from "../../client-lib/cli/file-kinds.ts";
import { moveToFree } from "../../client-lib/cli/file-places.ts";
import { barText, fileText, pathAndRest, percentOf, sizeText } from "../../client-lib/cli/file-text.ts";
import { widthOf } from "../../client-lib/cli/text.ts";

const unsaid = { width: undefined, height: undefined };

describe("a file in words", () => {
  it("is its name, type, size and pixels", () => {
    const about = { name: "holiday.jpg", type: "image/jpeg", size: 7_100_000, width: 4032, height: 3024 };
    expect(fileText(about)).toBe("📎 holiday.jpg, image/jpeg, 7.1 MB, 4032×3024");
    expect(fileText({ ...unsaid, name: "x", type: "", size: 3 })).toBe("📎 x, 3 bytes");
  });

  it("is nothing that its sender could draw with", () => {
    const about = { ...unsaid, name: "../a\u001b[2J\nb", type: "x/\u001b[2J", size: 1 };
    expect(fileText(about)).toBe("📎 a[2Jb, 1 byte");
  });

  it("has a size in the unit that fits, and percents that never say too much", () => {
    expect([0, 999, 1_000, 999_999, 7_100_000, 2.5e9, 5e12].map(sizeText)).toEqual([
      ...["0 bytes", "999 bytes", "1.0 kB", "1.0 MB", "7.1 MB", "2.5 GB", "5000.0 GB"],
    ]);
    expect([percentOf(0, 0), percentOf(0, 3), percentOf(999, 1_000), percentOf(3, 3)]).toEqual([
      100, 0, 99, 100,
    ]);
  });

  it("has a bar of eight cells that fills in eighths", () => {
    expect(barText("holiday.jpg", 3_195_000, 7_100_000)).toBe("holiday.jpg ▕███▌    ▏ 45 % 3.2 of 7.1 MB");
    expect(barText("a", 0, 10)).toBe("a ▕        ▏ 0 % 0 of 10 bytes");
    expect(barText("a", 10, 10)).toBe("a ▕████████▏ 100 % 10 of 10 bytes");
    for (let done = 0; done <= 100; done++) expect(widthOf(barText("a", done, 100))).toBeLessThanOrEqual(40);
    expect(barText("長い".repeat(40), 0, 1)).toMatch(/^(?:長い)+長?… ▕/);
  });
});

describe("a path that was typed", () => {
  it("ends at a space that is not in quotes or behind a backslash", () => {
    const cases: [string, string, string][] = [
      ["a.jpg", "a.jpg", ""],
      ["a.jpg the  beach ", "a.jpg", "the  beach"],
      ['"my holiday.jpg" the beach', "my holiday.jpg", "the beach"],
      ["my\\ holiday.jpg x", "my holiday.jpg", "x"],
      ["'a\\b \"c\"' x", 'a\\b "c"', "x"],
      ['"a \\"b\\"".jpg', 'a "b".jpg', ""],
      ["a\\", "a\\", ""],
      ["", "", ""],
    ];
    for (const [text, path, rest] of cases) expect(pathAndRest(text, "/")).toEqual({ path, rest });
    expect(pathAndRest('"C:\\my files\\a.jpg" x', "\\")).toEqual({ path: "C:\\my files\\a.jpg", rest: "x" });
    expect(() => pathAndRest("don't.txt", "/")).toThrow("no second '");
  });

  it("says by its ending what it is", () => {
    expect(["a.JPG", "b.tar.gz", "c", "d.xyz", ".png"].map(mediaTypeOf)).toEqual([
      ...[
        "image/jpeg",
        "application/gzip",
        "application/octet-stream",
        "application/octet-stream",
        "image/png",
      ],
    ]);
  });
});

describe("a file that gets its name", () => {
  it("takes the first free one, and leaves what is there", async () => {
    const folder = await mkdtemp(join(tmpdir(), "lethe-name-"));
    const wanted = join(folder, "a.b.txt");
    const paths: string[] = [];
    for (const text of ["one", "two", "three"]) {
      await writeFile(join(folder, "new"), text);
      paths.push(await moveToFree(join(folder, "new"), wanted));
    }
    expect(paths).toEqual(["a.b.txt", "a.b (1).txt", "a.b (2).txt"].map((name) => join(folder, name)));
    expect(await Promise.all(paths.map((path) => readFile(path, "utf8")))).toEqual(["one", "two", "three"]);
    await expect(moveToFree(join(folder, "nothing"), wanted)).rejects.toThrow("ENOENT");
    expect(await readdir(folder)).toHaveLength(3);
    await rm(folder, { recursive: true });
  });
});
