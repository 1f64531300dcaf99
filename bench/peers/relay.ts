// The relay as it is, with garbage collection on demand.
import "../../relay/main.ts";
import { collectOnSignal } from "./collecting.ts";

collectOnSignal();
