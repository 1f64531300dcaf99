// What was struck and healed, and when: one append-only file of JSON lines, by the clocks of the histories.
import { appendFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { monotonic } from "../support/crowd/history.ts";
import type { FaultGroup } from "./faults/fault.ts";

export interface Strike {
  readonly kind: string;
  readonly group: FaultGroup;
  readonly says: string;
  /** Monotonic, ms. */
  readonly begun: number;
  readonly healed: number;
  /** It was the only fault of its round. */
  readonly alone: boolean;
}

type StrikeLine =
  | ({ readonly is: "begun"; readonly n: number } & Omit<Strike, "begun" | "healed">)
  | { readonly is: "healed"; readonly n: number }
  | { readonly is: "phase"; readonly phase: "faults" | "calm" | "over" };

type StampedLine = StrikeLine & { readonly wall: number; readonly mono: number };

export class NemesisLog {
  readonly #path: string;
  #count = 0;

  constructor(path: string) {
    this.#path = path;
  }

  #write(line: StrikeLine): void {
    appendFileSync(this.#path, `${JSON.stringify({ wall: Date.now(), mono: monotonic(), ...line })}\n`);
  }

  phase(phase: "faults" | "calm" | "over"): void {
    this.#write({ is: "phase", phase });
  }

  begun(strike: Omit<Strike, "begun" | "healed">): number {
    const n = ++this.#count;
    this.#write({ is: "begun", n, ...strike });
    return n;
  }

  healed(n: number): void {
    this.#write({ is: "healed", n });
  }
}

export interface Nemeses {
  readonly strikes: readonly Strike[];
  /** Monotonic, ms. */
  readonly began: number;
  readonly calm: number;
  readonly over: number;
}

export async function readNemeses(path: string): Promise<Nemeses> {
  const lines = (await readFile(path, "utf8"))
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as StampedLine);
  const phase = (wanted: string): number =>
    lines.find((line) => line.is === "phase" && line.phase === wanted)?.mono ?? lines.at(-1)?.mono ?? 0;
  const healed = new Map(lines.flatMap((line) => (line.is === "healed" ? [[line.n, line.mono]] : [])));
  const strikes = lines.flatMap((line): Strike[] => {
    if (line.is !== "begun") return [];
    const { kind, group, says, alone, n, mono } = line;
    return [{ kind, group, says, alone, begun: mono, healed: healed.get(n) ?? phase("calm") }];
  });
  return { strikes, began: phase("faults"), calm: phase("calm"), over: phase("over") };
}
