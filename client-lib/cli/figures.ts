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
/** Bytes of delivered mail that are in a file for longer are a fault. */
const FORGET_MS = 60_000;
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
    row("forget lag", spanOf(lag), lag > FORGET_MS ? paint("red", "over the bound of 60 s") : ""),
    row("under way", bytesOf(number("unsettledBytes"))),
    ...TOTALS.map(([name, label]) => row(label, whole(number(name)), rate(name))),
  ];
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
