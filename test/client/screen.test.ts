import { describe, expect, it } from "vitest";
import type { Line } from "../../client-lib/cli/happenings.ts";
import { EMPTY, type Editing, press, textOf } from "../../client-lib/cli/editor.ts";
import { harmless, painter, widthOf, wrap } from "../../client-lib/cli/text.ts";
import { draw, type View } from "../../client-lib/cli/view.ts";

const plain = painter(false);
const view: View = {
  user: "anna",
  peer: "ben",
  presence: { state: "unknown", lastSeen: undefined },
  relay: "http://127.0.0.1:8787",
  connection: "online",
  typing: [],
  lines: [],
  before: "",
  after: "",
};
const at = new Date(2026, 0, 2, 9, 5).getTime();
const said = (text: string, state: (Line & { kind: "out" })["state"] = "sent"): Line => ({
  kind: "out",
  number: 1,
  to: "ben",
  text,
  at,
  state,
});
const heard = (text: string): Line => ({ kind: "in", from: "ben", text, at, late: false });

describe("the screen", () => {
  it("shows messages with their ticks above a status line and the input", () => {
    const lines = [said("hi", "read"), heard("hello"), said("there?", "delivered"), said("now", "queued")];
    const { rows, cursor } = draw(
      { ...view, lines, before: "wri", after: "ting" },
      { rows: 7, columns: 60 },
      plain,
    );
    expect(rows).toEqual([
      "",
      "09:05 you  hi ✓✓",
      "09:05 ben  hello",
      "09:05 you  there? ✓✓",
      "09:05 you  now …",
      " ● anna → ben · online                http://127.0.0.1:8787 ",
      "› writing",
    ]);
    expect(cursor).toBe(5);
  });

  it("tells delivered from read by colour, and changes one row only when a tick changes", () => {
    const colour = painter(true);
    const one = draw(
      { ...view, lines: [said("hi", "delivered"), heard("x")] },
      { rows: 5, columns: 60 },
      colour,
    );
    const two = draw({ ...view, lines: [said("hi", "read"), heard("x")] }, { rows: 5, columns: 60 }, colour);
    expect(one.rows.filter((row, i) => row !== two.rows[i])).toHaveLength(1);
    expect(two.rows[1]).toContain("\u001b[94m✓✓");
  });

  it("says whether the other person is there, and when they last were", () => {
    const line = (state: View["presence"]["state"], lastSeen?: number): string =>
      draw({ ...view, presence: { state, lastSeen } }, { rows: 5, columns: 80 }, plain).rows[3] ?? "";
    const today = new Date().setHours(9, 5, 0, 0);
    expect(line("online")).toContain("anna → ben (online) · online");
    expect(line("offline")).toContain("anna → ben (offline) · online");
    expect(line("offline", today)).toContain("anna → ben (last seen 09:05) · online");
    expect(line("offline", new Date(2026, 0, 2, 9, 5).getTime())).toContain("(last seen Jan 02, 09:05)");
    expect(line("unknown")).toContain("anna → ben · online");
  });

  it("says who is writing", () => {
    const { rows } = draw({ ...view, typing: ["ben"] }, { rows: 5, columns: 80 }, plain);
    expect(rows[3]).toContain("ben is writing…");
  });

  it("is as high and never wider than the terminal, whatever is written", () => {
    const lines = [
      heard("word ".repeat(50)),
      heard("長い".repeat(40)),
      heard("x".repeat(300)),
      said("a\nb\nc"),
    ];
    for (const columns of [20, 33, 80, 200])
      for (const height of [3, 10, 40]) {
        const { rows } = draw({ ...view, lines, before: "y".repeat(300) }, { rows: height, columns }, plain);
        expect(rows).toHaveLength(height);
        for (const row of rows) expect(widthOf(row)).toBeLessThanOrEqual(columns);
      }
  });

  it("shows a drawing as it is, where it fits", () => {
    const lines: Line[] = [{ kind: "drawing", columns: 3, rows: ["▄▀█", "█ ▄"] }, heard("x")];
    expect(draw({ ...view, lines }, { rows: 6, columns: 20 }, plain).rows.slice(0, 4)).toEqual([
      "",
      "▄▀█",
      "█ ▄",
      "09:05 ben  x",
    ]);
    const wide: Line[] = [{ kind: "drawing", columns: 30, rows: ["▄▀█".repeat(10)] }, heard("x")];
    expect(draw({ ...view, lines: wide }, { rows: 6, columns: 20 }, plain).rows.join("")).not.toContain(
      "▄▀█",
    );
  });

  it("shows how far a file has come in a row of its own", () => {
    const bar: Line = { kind: "transfer", name: "holiday.jpg", done: 3_195_000, of: 7_100_000 };
    const { rows } = draw({ ...view, lines: [heard("x"), bar] }, { rows: 5, columns: 60 }, plain);
    expect(rows.slice(1, 3)).toEqual(["09:05 ben  x", "holiday.jpg ▕███▌    ▏ 45 % 3.2 of 7.1 MB"]);
    const small = draw({ ...view, lines: [bar] }, { rows: 3, columns: 20 }, plain);
    expect(small.rows[0]).toBe("holiday.jpg ▕███▌   ");
  });

  it("keeps rows for a picture, and says where it is to be drawn as long as all of it is to be seen", () => {
    const image = { id: 1, bytes: new Uint8Array(), width: 100, height: 60 };
    const picture: Line = { kind: "image", key: "", image };
    const show = (rows: number, ...after: Line[]) =>
      draw({ ...view, lines: [heard("x"), picture, ...after] }, { rows, columns: 60 }, plain);
    const { rows, images } = show(8);
    expect(rows.slice(0, 6)).toEqual(["", "", "09:05 ben  x", "", "", ""]);
    expect(images).toEqual([{ row: 3, rows: 3, columns: 10, image }]);
    expect(show(7, heard("y")).images.map(({ row }) => row)).toEqual([1]);
    expect(show(6, heard("y")).images.map(({ row }) => row)).toEqual([0]);
    expect(show(5, heard("y"))).toMatchObject({ images: [], rows: { length: 5 } });
  });

  it("shows nothing that a terminal would obey", () => {
    const lines = [heard("\u001b[31mred\u0007\u009b1m \u202eback")];
    const { rows } = draw({ ...view, lines }, { rows: 5, columns: 60 }, plain);
    expect(rows[2]).toBe("09:05 ben  ·[31mred··1m ·back");
    expect(harmless("a\nb\u0000")).toBe("a·b·");
  });
});

describe("text", () => {
  it("measures what a terminal shows", () => {
    expect(["abc", "é", "e\u0301", "日本", "👍🏽", "👩‍👩‍👧"].map(widthOf)).toEqual([3, 1, 1, 4, 2, 2]);
  });

  it("wraps at spaces where it can", () => {
    expect(wrap("one two three", 8)).toEqual(["one two ", "three"]);
    expect(wrap("abcdefghij", 4)).toEqual(["abcd", "efgh", "ij"]);
    expect(wrap("", 4)).toEqual([""]);
  });
});

describe("the editor", () => {
  const type = (text: string, from: Editing = EMPTY): Editing =>
    Array.from(text).reduce((editing, typed) => press(editing, typed, { name: typed }), from);
  const key =
    (name: string, ctrl = false) =>
    (editing: Editing) =>
      press(editing, undefined, { name, ctrl });

  it("inserts at the cursor and takes back one grapheme", () => {
    let editing = key("left")(type("helo"));
    editing = type("l", editing);
    expect(textOf(editing)).toBe("hello");
    expect(textOf(key("backspace")(type("👩‍👩‍👧")))).toBe("");
    expect(textOf(key("delete")(key("home")(type("abc"))))).toBe("bc");
  });

  it("moves and erases by ctrl", () => {
    const editing = type("one two  ");
    expect(textOf(key("w", true)(editing))).toBe("one ");
    expect(textOf(key("u", true)(editing))).toBe("");
    expect(key("a", true)(editing).before).toEqual([]);
    expect(textOf(key("k", true)(key("home")(editing)))).toBe("");
  });

  it("takes no control characters", () => {
    expect(textOf(press(EMPTY, "\u001b", { name: "escape" }))).toBe("");
  });
});
