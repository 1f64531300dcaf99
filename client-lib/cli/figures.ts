// A relay's figures as lines for a terminal. Pure: rates come from two readings.
import type { Paint } from "./text.ts";

/** What the relay's door shows: numbers by name. Times in ms, sizes in bytes; totals since its start. */
export type Figures = Readonly<Record<string, unknown>>;

const TOTALS = [
  ["accepted", "accepted"],
  ["delivered-live", "live, never stored"],
  ["stored", "stored"],
  ["pushed", "pushed"],
  ["refused", "refused"],
  ["expired", "expired undelivered"],
] as const;
/** A clock that is further from this node's is a fault of the machines, ms. */
const CLOCK_MS = 1_000;
const HOUR_MS = 3_600_000;

export function statusView(
  relay: string,
  figures: Figures,
  before: Figures | undefined,
  paint: Paint,
): string[] {
  const number = (name: string): number => Number(figures[name] ?? 0);
  const row = (label: string, value: string, more = ""): string =>
    `  ${paint("grey", label.padEnd(20))}${value.padStart(12)}${more === "" ? "" : `  ${more}`}`;
  const seconds = before === undefined ? 0 : (number("now") - Number(before["now"] ?? 0)) / 1_000;
  const rate = (name: string): string => {
    if (seconds <= 0) return "";
    const each = (number(name) - Number(before?.[name] ?? 0)) / seconds;
    return paint(each > 0 ? "green" : "grey", `${whole(each)}/s`);
  };
  const lag = number("forgetLagMs");
  const bound = number("forgetBoundMs");
  const oldest = number("oldestMs");
  return [
    `${paint("bold", relay)}  up ${spanOf(number("uptimeMs"))}, ${bytesOf(number("residentBytes"))} of memory`,
    row("accounts", whole(number("accounts"))),
    row("connections", whole(number("connections")), `${whole(number("sessions"))} devices`),
    row(
      "mailboxes",
      whole(number("mailboxes")),
      `${whole(number("envelopes"))} undelivered, ${bytesOf(number("mailboxBytes"))}`,
    ),
    row(
      "oldest undelivered",
      spanOf(oldest),
      oldest > 24 * HOUR_MS ? paint("yellow", "more than a day") : "",
    ),
    row("forget lag", spanOf(lag), lag > bound ? paint("red", `over the bound of ${spanOf(bound)}`) : ""),
    row("under way", bytesOf(number("unsettledBytes"))),
    row("files that wait", whole(number("mediaBlobs")), bytesOf(number("mediaBytes"))),
    ...clusterRows(figures, row, paint),
    ...TOTALS.map(([name, label]) => row(label, whole(number(name)), rate(name))),
  ];
}

/** Nothing where there are no other nodes and the store is as it should be. */
function clusterRows(
  figures: Figures,
  row: (label: string, value: string, more?: string) => string,
  paint: Paint,
): string[] {
  const [nodes, links] = [Number(figures["nodes"] ?? 0), Number(figures["links"] ?? 0)];
  const word = (name: string): string => (typeof figures[name] === "string" ? figures[name] : "");
  const doubts = word("storeDoubts");
  const rows: string[] = [];
  if (nodes > 0) {
    const unlinked = links < nodes ? paint("red", `${nodes - links} without a link`) : "a link to each";
    rows.push(row("other nodes", whole(nodes), unlinked));
    rows.push(row("devices there", word("otherSessions")));
    const ahead = Number(figures["clockAheadMs"] ?? 0);
    if (Math.abs(ahead) > CLOCK_MS)
      rows.push(row("clocks apart", `${whole(ahead)} ms`, paint("red", "set them by NTP")));
  }
  if (doubts !== "") rows.push(row("store", paint("yellow", doubts), "lethe doctor says more"));
  return rows;
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

export function bytesOf(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit] ?? ""}`;
}

export function spanOf(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
