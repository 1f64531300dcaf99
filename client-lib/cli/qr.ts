// A text as a QR code of half blocks, for a terminal. Always true: it stands in a light margin of four modules, which a
// camera needs; light is drawn and dark is left out, in colours of its own, so that the terminal's theme does not matter.
import encodeQR from "qr";

/** ISO/IEC 18004, 6.3.8: modules of margin. */
const MARGIN = 4;
/** White on black. */
const [COLOURS, PLAIN] = ["\u001b[97;40m", "\u001b[0m"];
const BLOCKS = [" ", "▄", "▀", "█"] as const;

/** The rows without colours: a block is light. Two modules stand above one another in each character. */
export function qrRows(text: string): string[] {
  const dark = encodeQR(text, "raw", { ecc: "low", border: MARGIN });
  const rows: string[] = [];
  for (let y = 0; y < dark.length; y += 2)
    rows.push(
      (dark[y] ?? [])
        .map((above, x) => BLOCKS[(above ? 0 : 2) + (dark[y + 1]?.[x] === false ? 1 : 0)])
        .join(""),
    );
  return rows;
}

/** The whole drawing, each row ended. @throws Error where the text is too long for any QR code (2,953 bytes) */
export function drawQr(text: string): string {
  return qrRows(text)
    .map((row) => `${COLOURS}${row}${PLAIN}\n`)
    .join("");
}
