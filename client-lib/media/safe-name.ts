// From the name in a message, which is only a claim, to the name of a file. Always true: what comes out names one file in the
// folder that it is put into, on every system, and looks like what it is.

/** Bytes of a name that every file system takes, with room for `.part`. */
const MAX_BYTES = 200;
/** Names of devices, with any extension (Windows). */
const DEVICES = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?:\.|$)/i;
/** Where `saveMedia` writes another file that is not whole yet: this one must not take its place. */
const UNFINISHED = /\.part$/i;
/** Control characters, what separates folders or means something to a shell or to Windows; and what turns the direction of
 *  writing or cannot be seen, so that `exe.gnp` is not shown as a picture. */
const UNSAFE = /[/\\:*?"<>|\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** A file name out of what a message claims: never empty, no path, not hidden, at most 201 bytes of UTF-8. */
export function safeName(claimed: string, otherwise = "file"): string {
  const last = claimed.slice(0, 4_096).split(/[/\\]/).at(-1) ?? "";
  const clean = last
    .replace(UNSAFE, "")
    .normalize("NFC")
    .replace(/^[.\s]+|[.\s]+$/g, "");
  const short = shortened(clean);
  if (short === "") return otherwise;
  if (UNFINISHED.test(short)) return `${short}_`;
  return DEVICES.test(short) ? `_${short}` : short;
}

/** Cut at a character, and with its ending where that is a short one. */
function shortened(name: string): string {
  const utf8 = new TextEncoder();
  if (utf8.encode(name).length <= MAX_BYTES) return name;
  const ending = /\.[A-Za-z0-9]{1,12}$/.exec(name)?.[0] ?? "";
  let stem = "";
  let room = MAX_BYTES - ending.length;
  for (const character of name) {
    room -= utf8.encode(character).length;
    if (room < 0) break;
    stem += character;
  }
  return stem.replace(/[.\s]+$/, "") + ending;
}
