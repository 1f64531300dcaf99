// `lethe chat` as a process of its own with pipes, as a script uses it.
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const LETHE = fileURLToPath(new URL("../../../client-lib/bin/lethe.js", import.meta.url));

export class ChatProcess {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly lines: string[] = [];
  readonly exit: Promise<number | null>;
  says = "";
  #waiting: { line: RegExp; resolve: (line: string) => void }[] = [];
  /** Lines up to here have been waited for. */
  #at = 0;

  /** @param command another of the commands that read lines and print them. */
  constructor(args: readonly string[], env: Record<string, string> = {}, command = "chat") {
    this.#child = spawn(process.execPath, [LETHE, command, ...args], { env: { ...process.env, ...env } });
    this.#child.stderr.on("data", (text: Buffer) => {
      this.says += text.toString();
    });
    this.exit = new Promise((resolve) => this.#child.on("close", (code) => resolve(code)));
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      this.lines.push(line);
      this.#look();
    });
  }

  #look(): void {
    for (const waiting of [...this.#waiting]) {
      const found = this.lines.findIndex((line, i) => i >= this.#at && waiting.line.test(line));
      if (found < 0) return;
      this.#waiting.shift();
      this.#at = found + 1;
      waiting.resolve(this.lines[found] ?? "");
    }
  }

  /** The next line like this, after the one waited for last. Rejects when the process ends without it. */
  line(line: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line, resolve });
      this.#look();
      this.exit.then(
        () => reject(new Error(`ended without ${line}:\n${this.lines.join("\n")}\n${this.says}`)),
        reject,
      );
    });
  }

  type(...lines: string[]): void {
    this.#child.stdin.write(lines.map((line) => `${line}\n`).join(""));
  }

  end(): Promise<number | null> {
    this.#child.stdin.end();
    return this.exit;
  }

  kill(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal);
    return this.exit;
  }
}
