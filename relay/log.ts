// Logs: codes and counts, one JSON line each, never ids of people, addresses of peers or content.
import { pino } from "pino";

export type Level = "debug" | "info" | "warn" | "error" | "silent";

export interface Log {
  debug(fields: Record<string, string | number | boolean>, says: string): void;
  info(fields: Record<string, string | number | boolean>, says: string): void;
  warn(fields: Record<string, string | number | boolean>, says: string): void;
  /** We have a bug. */
  error(fields: Record<string, string | number | boolean>, says: string): void;
}

export function openLog(level: Level): Log {
  return pino(
    { level, base: null, redact: ["account", "address", "name", "ip"] },
    pino.destination({ fd: 2, sync: false }),
  );
}
