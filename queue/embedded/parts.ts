// What the parts of an open mail store share.
import type { Time } from "@lethe/protocol";
import type { StoreEvent } from "../backend.ts";
import type { Tuning } from "./limits.ts";
import type { SegmentLog } from "./log.ts";
import type { Mail } from "./mail.ts";
import type { Reading } from "./reading.ts";

export interface StoreParts {
  readonly mail: Mail;
  readonly log: SegmentLog;
  readonly reading: Reading;
  readonly tuning: Tuning;
  readonly now: () => Time;
  readonly report: (event: StoreEvent) => void;
}
