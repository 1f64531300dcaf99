// The Range header of a request for a part (RFC 9110 sections 14.1 to 14.4). Always true: what is answered is one stretch of
// the part, never more than the whole; what asks for several, or is no range of bytes, is as if it were not there.

export type PartRange = { readonly from: number; readonly to: number } | "whole" | "unsatisfiable";

const ONE_RANGE = /^bytes=[ \t]*(\d{0,20})-(\d{0,20})[ \t]*$/i;

/** @param length of the part, bytes. `to` of what comes back is exclusive. */
export function rangeOf(header: string | undefined, length: number): PartRange {
  const found = ONE_RANGE.exec(header ?? "");
  if (found === null) return "whole";
  const [, first = "", last = ""] = found;
  if (first === "") return suffix(last, length);
  const [from, until] = [Number(first), last === "" ? length - 1 : Number(last)];
  if (last !== "" && until < from) return "whole"; // section 14.1.1: an invalid range is ignored
  return from < length ? { from, to: Math.min(until, length - 1) + 1 } : "unsatisfiable";
}

/** The last so many bytes: section 14.1.2 gives the whole where there are fewer, and nothing for none. */
function suffix(count: string, length: number): PartRange {
  if (count === "") return "whole";
  const bytes = Number(count);
  return bytes === 0 ? "unsatisfiable" : { from: Math.max(0, length - bytes), to: length };
}
