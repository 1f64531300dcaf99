// What a run says while it goes on and when it is done: a moving line and colours on a terminal, plain lines in a pipe.
import type { Machine } from "./machine.ts";
import { type Figure, keepsBar, type Result } from "./results.ts";

export interface Report {
  readonly note: (text: string) => void;
  done(text: string): void;
  table(results: readonly Result[], on: Machine): void;
}

export function openReport(out: NodeJS.WriteStream, colours: boolean): Report {
  const paint = (code: number, text: string): string => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);
  const clear = (): void => {
    if (out.isTTY) out.write("\r\u001b[K");
  };
  const line = (text: string): void => {
    clear();
    out.write(`${text}\n`);
  };
  return {
    note(text) {
      if (!out.isTTY) return;
      clear();
      out.write(paint(2, `… ${text}`.slice(0, out.columns - 1)));
    },
    done: (text) => line(paint(2, text)),
    table(results, on) {
      line("");
      line(
        paint(2, `${on.processor}, ${on.cores} cores, ${on.system}, Node ${on.node}, commit ${on.commit}`),
      );
      for (const result of results) {
        line("");
        line(paint(1, result.title));
        for (const figure of result.figures) line(row(figure, paint));
      }
      line("");
    },
  };
}

function row(figure: Figure, paint: (code: number, text: string) => string): string {
  const value = `${number(figure.median)} ${figure.unit}`.padStart(16);
  const spread = `${number(figure.least)} to ${number(figure.most)}`.padStart(20);
  const kept = keepsBar(figure);
  const sign = figure.better === "less" ? "≤" : "≥";
  const bar =
    kept === undefined
      ? ""
      : paint(kept ? 32 : 31, `${kept ? "✓" : "✗"} bar ${sign} ${number(figure.bar ?? 0)} ${figure.unit}`);
  return `  ${figure.says.padEnd(46)}${value}${paint(2, spread)}   ${bar}`.trimEnd();
}

export function number(value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
