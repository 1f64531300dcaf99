// The `lethe` command as a process: arguments, exit codes, what to do when something is wrong. With `relay.ts` the only
// file here that knows `process`. Exit codes: 0 well, 1 failed, 2 not understood.
import { createRequire } from "node:module";
import { HELP, parseCommand, UsageError } from "./arguments.ts";
import { painter } from "./text.ts";

async function main(): Promise<number> {
  const command = parseCommand(process.argv.slice(2), process.env);
  switch (command.run) {
    case "help":
      process.stdout.write(HELP[command.of]);
      return 0;
    case "version":
      process.stdout.write(`lethe ${version()}\n`);
      return 0;
    case "relay":
    case "doctor": {
      const { runRelay } = await import("./relay.ts");
      return runRelay(command.run === "relay" ? "main" : "doctor", command.flags);
    }
    case "status": {
      const { runStatus } = await import("./operator.ts");
      return runStatus(command.status, output(), untilStopped());
    }
    case "admin": {
      const { runAdmin } = await import("./operator.ts");
      return runAdmin(command.admin, output());
    }
    case "contact": {
      const { runContact } = await import("./chat.ts");
      return runContact(command.contact, output());
    }
    case "link": {
      const { runLink } = await import("./devices.ts");
      return runLink({ ...command.link, ...output(), signal: untilStopped() });
    }
    case "devices": {
      const { runDevices } = await import("./devices.ts");
      return runDevices(
        { ...command.devices, ...output(), stdin: process.stdin, signal: untilStopped() },
        command.act,
      );
    }
    case "chat": {
      const { stdin, stdout } = process;
      const onTerminal = stdin.isTTY === true && stdout.isTTY === true;
      const { colour } = output();
      const signal = untilStopped();
      // Loaded only here: cryptography takes its time to start.
      const { runChat } = await import("./chat.ts");
      const { imageProtocolOf } = await import("./terminal-image.ts");
      const images = onTerminal && command.chat.images ? imageProtocolOf(process.env) : undefined;
      return runChat({ ...command.chat, stdin, stdout, onTerminal, colour, images, signal });
    }
  }
}

function output(): { write(text: string): void; onTerminal: boolean; colour: boolean } {
  const onTerminal = process.stdout.isTTY === true;
  const colour = onTerminal && (process.env["NO_COLOR"] ?? "") === "";
  return { onTerminal, colour, write: (text) => void process.stdout.write(text) };
}

function untilStopped(): AbortSignal {
  const stopped = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => stopped.abort());
  return stopped.signal;
}

function version(): string {
  const found: unknown = createRequire(import.meta.url)("../package.json");
  return typeof found === "object" && found !== null && "version" in found
    ? String(found.version)
    : "unknown";
}

async function complain(error: unknown): Promise<number> {
  const { adviceFor } = await import("./advice.ts");
  const paint = painter(process.stderr.isTTY === true && (process.env["NO_COLOR"] ?? "") === "");
  const usage = error instanceof UsageError;
  const { says, advice } = usage ? { says: error.message, advice: undefined } : adviceFor(error);
  process.stderr.write(`${paint("red", "lethe:")} ${says}\n`);
  if (advice !== undefined) process.stderr.write(`${advice}\n`);
  return usage ? 2 : 1;
}

main().then(
  (code) => process.exit(code),
  async (error: unknown) => process.exit(await complain(error)),
);
