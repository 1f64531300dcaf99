// Who looks at single messages of a load, for their times. The benchmarks of CPU look at none.
import type { EnvelopeId } from "@lethe/protocol";

export interface Watch {
  sent(id: EnvelopeId): void;
  arrived(id: EnvelopeId): void;
  accepted(ids: readonly EnvelopeId[]): void;
}

const nothing = (): void => undefined;

export const NO_WATCH: Watch = { sent: nothing, arrived: nothing, accepted: nothing };
