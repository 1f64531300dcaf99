// Pictures in a terminal: what their first bytes say, what terminals say of themselves, and the escapes, held against the published
// protocols of kitty and iTerm2.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { imageHeader } from "../../client-lib/cli/image-header.ts";
import { ImageLayer, type Placed } from "../../client-lib/cli/image-layer.ts";
import {
  cellsOf,
  imageProtocolOf,
  iterm2Image,
  kittyDelete,
  kittyPlace,
  kittyTransmit,
  MAX_IMAGE_BYTES,
  terminalImage,
} from "../../client-lib/cli/terminal-image.ts";

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));
/** 1×1, and as large as is asked for. */
const PNG = bytes("89504e470d0a1a0a 0000000d 49484452 00000001 00000001 0802000000 90770ce2");
const png = (width: number, height: number, length = PNG.length): Uint8Array => {
  const out = new Uint8Array(length);
  out.set(PNG);
  new DataView(out.buffer).setUint32(16, width);
  new DataView(out.buffer).setUint32(20, height);
  return out;
};
const JPEG = bytes(
  "ffd8 ffe00010 4a46494600010100000100010000 ffff c0 0011 08 0bd0 0fc0 03 011100021101031101",
);
const HEADERS = {
  png: png(4032, 3024),
  jpeg: JPEG,
  gif: bytes("474946383961 c00f d00b f70000"),
  vp8: bytes("52494646 24000000 57454250 56503820 18000000 300100 9d012a c00f d00b 0000"),
  vp8l: bytes("52494646 24000000 57454250 5650384c 18000000 2f bfcff302 0000"),
  vp8x: bytes("52494646 24000000 57454250 56503858 0a000000 10000000 bf0f00 cf0b00"),
};

describe("an image's header", () => {
  it("says its kind and size", () => {
    expect(imageHeader(HEADERS.png)).toEqual({ type: "image/png", width: 4032, height: 3024 });
    expect(imageHeader(HEADERS.jpeg)).toEqual({ type: "image/jpeg", width: 4032, height: 3024 });
    expect(imageHeader(HEADERS.gif)).toEqual({ type: "image/gif", width: 4032, height: 3024 });
    for (const each of [HEADERS.vp8, HEADERS.vp8l, HEADERS.vp8x])
      expect(imageHeader(each)).toEqual({ type: "image/webp", width: 4032, height: 3024 });
  });

  it("is of no picture where it is cut, of another kind, or of no size", () => {
    const others = [
      new Uint8Array(),
      bytes("ffd8"),
      bytes("ffd8ffd9"),
      bytes("ffd8ffe00001"),
      png(0, 1),
      png(1, 65_536),
    ];
    for (const each of others) expect(imageHeader(each)).toBeUndefined();
    expect(
      imageHeader(new TextEncoder().encode("<svg xmlns='http://www.w3.org/2000/svg'/>")),
    ).toBeUndefined();
    for (const whole of Object.values(HEADERS)) expect(imageHeader(whole.subarray(0, 9))).toBeUndefined();
  });

  it("is looked for in any bytes without harm", () => {
    const start = fc.constantFrom(...Object.values(HEADERS));
    const changed = fc.tuple(start, fc.uint8Array({ maxLength: 80 }), fc.nat(40)).map(([head, tail, at]) => {
      const out = new Uint8Array(head.length + tail.length);
      out.set(head);
      out.set(tail, Math.min(at, head.length));
      return out;
    });
    fc.assert(
      fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 400 })), (any) => {
        const found = imageHeader(any);
        if (found === undefined) return true;
        return found.width >= 1 && found.width <= 65_535 && found.height >= 1 && found.height <= 65_535;
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("a terminal", () => {
  it("is known by what it says of itself", () => {
    expect(imageProtocolOf({ TERM: "xterm-kitty", KITTY_WINDOW_ID: "1" })).toBe("kitty");
    expect(imageProtocolOf({ TERM: "xterm-ghostty", TERM_PROGRAM: "ghostty" })).toBe("kitty");
    expect(imageProtocolOf({ TERM: "xterm-256color", KONSOLE_VERSION: "220401" })).toBe("kitty");
    for (const program of ["iTerm.app", "WezTerm", "mintty"])
      expect(imageProtocolOf({ TERM: "xterm-256color", TERM_PROGRAM: program })).toBe("iterm2");
    expect(imageProtocolOf({ TERM: "xterm-256color", LC_TERMINAL: "iTerm2" })).toBe("iterm2");
  });

  it("shows no pictures where that is not certain", () => {
    const others = [
      {},
      { TERM: "xterm-256color" },
      { TERM: "xterm-256color", TERM_PROGRAM: "Apple_Terminal" },
      { TERM: "xterm-256color", KONSOLE_VERSION: "210800" },
      // Started from kitty, but another.
      { TERM: "xterm-256color", TERM_PROGRAM: "vscode", KITTY_WINDOW_ID: "1" },
      // Inside tmux and screen, here or at the other end of ssh.
      { TERM: "xterm-kitty", TMUX: "/tmp/tmux-0/default,1,0", KITTY_WINDOW_ID: "1" },
      { TERM: "screen-256color", LC_TERMINAL: "iTerm2" },
      { TERM: "tmux-256color", TERM_PROGRAM: "WezTerm" },
      { TERM: "xterm-kitty", STY: "1.pts-0" },
    ];
    for (const env of others) expect(imageProtocolOf(env)).toBeUndefined();
  });

  it("is given pictures that it can show, and none that are too large", () => {
    expect(terminalImage("kitty", png(10, 20), 7)).toEqual({
      id: 7,
      bytes: png(10, 20),
      width: 10,
      height: 20,
    });
    expect(terminalImage("kitty", JPEG, 7)).toBeUndefined();
    expect(terminalImage("iterm2", JPEG, 7)).toMatchObject({ width: 4032, height: 3024 });
    expect(terminalImage("iterm2", png(10_000, 10_000), 7)).toBeUndefined();
    for (const protocol of ["kitty", "iterm2"] as const) {
      const most = MAX_IMAGE_BYTES[protocol];
      expect(terminalImage(protocol, png(1, 1, most), 7)).toBeDefined();
      expect(terminalImage(protocol, png(1, 1, most + 1), 7)).toBeUndefined();
    }
  });

  it("takes so many cells for one, never more than are there", () => {
    const cells = (width: number, height: number, columns = 80) => {
      const { rows, columns: wide } = cellsOf({ id: 1, bytes: PNG, width, height }, columns);
      return [rows, wide];
    };
    expect(cells(100, 100)).toEqual([5, 10]);
    expect(cells(4032, 3024)).toEqual([12, 32]);
    expect(cells(4000, 400)).toEqual([4, 80]);
    expect(cells(1, 1)).toEqual([1, 1]);
    expect(cells(65_535, 1, 20)).toEqual([1, 20]);
  });
});

describe("the escapes", () => {
  it("give kitty a PNG in chunks of 4,096 characters, once, and show it where the cursor is", () => {
    const image = { id: 7, bytes: png(1, 1, 7_000), width: 1, height: 1 };
    const base64 = Buffer.from(image.bytes).toString("base64");
    expect(kittyTransmit(image)).toBe(
      `\u001b_Ga=t,f=100,t=d,i=7,q=2,m=1;${base64.slice(0, 4_096)}\u001b\\` +
        `\u001b_Gq=2,m=1;${base64.slice(4_096, 8_192)}\u001b\\` +
        `\u001b_Gq=2,m=0;${base64.slice(8_192)}\u001b\\`,
    );
    const small = Buffer.from(PNG).toString("base64");
    expect(kittyTransmit({ ...image, bytes: PNG })).toBe(
      `\u001b_Ga=t,f=100,t=d,i=7,q=2,m=0;${small}\u001b\\`,
    );
    expect(kittyPlace(image, { rows: 3, columns: 9 })).toBe("\u001b_Ga=p,i=7,p=1,c=9,r=3,C=1,q=2\u001b\\");
    expect(kittyDelete(7, false)).toBe("\u001b_Ga=d,d=i,i=7,q=2\u001b\\");
    expect(kittyDelete(7, true)).toBe("\u001b_Ga=d,d=I,i=7,q=2\u001b\\");
  });

  it("give iTerm2 the file with its size and cells", () => {
    const image = { id: 7, bytes: JPEG, width: 1, height: 1 };
    expect(iterm2Image(image, { rows: 3, columns: 9 })).toBe(
      `\u001b]1337;File=size=${JPEG.length};width=9;height=3;preserveAspectRatio=1;inline=1:${Buffer.from(JPEG).toString("base64")}\u0007`,
    );
  });
});

describe("the pictures on a screen", () => {
  const one: Placed = { row: 5, rows: 3, columns: 9, image: { id: 1, bytes: PNG, width: 1, height: 1 } };
  const other: Placed = { ...one, row: 10, image: { ...one.image, id: 2 } };
  const moved: Placed = { ...one, row: 4 };

  it("are deleted and placed again by kitty when they move, and given to it once", () => {
    const layer = new ImageLayer("kitty");
    expect(layer.turn([one], false)).toEqual({
      first: "",
      rewrite: new Set(),
      last: [{ row: 5, text: kittyTransmit(one.image) + kittyPlace(one.image, one) }],
    });
    expect(layer.turn([one], false)).toEqual({ first: "", rewrite: new Set(), last: [] });
    const { first, last } = layer.turn([moved, other], false);
    expect(first).toBe(kittyDelete(1, false));
    expect(last.map(({ row }) => row)).toEqual([4, 10]);
    expect(last[0]?.text).toBe(kittyPlace(one.image, one));
    expect(layer.turn([other], false)).toEqual({
      first: kittyDelete(1, false),
      rewrite: new Set(),
      last: [],
    });
    expect(layer.turn([other], true).first).toBe(kittyDelete(2, false));
    expect(layer.end()).toBe(kittyDelete(1, true) + kittyDelete(2, true));
  });

  it("are drawn again by iTerm2 when they move, and the rows written that they leave", () => {
    const layer = new ImageLayer("iterm2");
    expect(layer.turn([one], false).last).toEqual([{ row: 5, text: iterm2Image(one.image, one) }]);
    expect(layer.turn([moved], false)).toEqual({
      first: "",
      rewrite: new Set([5, 6, 7]),
      last: [{ row: 4, text: iterm2Image(one.image, one) }],
    });
    expect(layer.turn([], false)).toEqual({ first: "", rewrite: new Set([4, 5, 6]), last: [] });
    expect(layer.end()).toBe("");
  });
});
