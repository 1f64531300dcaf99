// The QR code that a terminal shows: what is drawn is what a camera reads.
import { describe, expect, it } from "vitest";
import decodeQR from "qr/decode.js";
import { drawQr, qrRows } from "../../client-lib/cli/qr.ts";

/** The drawing as a picture of `scale` pixels a module: light where a half block is. */
function photograph(rows: readonly string[], scale = 4): { width: number; height: number; data: Uint8Array } {
  const [columns, lines] = [rows[0]?.length ?? 0, rows.length * 2];
  const [width, height] = [columns * scale, lines * scale];
  const data = new Uint8Array(width * height * 4).fill(255);
  rows.forEach((row, y) =>
    Array.from(row).forEach((block, x) => {
      for (const half of [0, 1]) {
        const isLight = block === "█" || block === (half === 0 ? "▀" : "▄");
        for (let dy = 0; dy < scale; dy++)
          for (let dx = 0; dx < scale; dx++) {
            const at = (((y * 2 + half) * scale + dy) * width + x * scale + dx) * 4;
            data.fill(isLight ? 255 : 0, at, at + 3);
          }
      }
    }),
  );
  return { width, height, data };
}

describe("a QR code in the terminal", () => {
  it.each(["a", "AYc0-_".repeat(25), "x".repeat(700)])(
    "is read by a camera as the text that it was drawn for",
    (text) => {
      expect(decodeQR(photograph(qrRows(text)))).toBe(text);
    },
  );

  it("is square, in a margin of four light modules, in colours of its own", () => {
    const rows = qrRows("hello");
    expect(rows[0]).toMatch(/^█+$/);
    expect(rows[1]).toMatch(/^█+$/);
    for (const row of rows) expect(row).toMatch(/^(?:████.*████|▀+)$/u);
    expect(new Set(rows.map((row) => row.length)).size).toBe(1);
    expect(rows.length).toBe(Math.ceil((rows[0]?.length ?? 0) / 2));
    expect(drawQr("hello")).toBe(rows.map((row) => `\u001b[97;40m${row}\u001b[0m\n`).join(""));
  });
});
