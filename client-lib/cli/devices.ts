// `lethe link` on a new device, and `lethe devices` on the account's first one. Always true: a code is what the person gave on the
// command line, and a device is linked only after they have said that the digits are the same.
import { existsSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import type { Readable } from "node:stream";
import { Client } from "../client.ts";
import { accountOptions } from "./account.ts";
import { type AccountArguments, type DevicesAct, UsageError } from "./arguments.ts";
import { drawQr } from "./qr.ts";

interface Face {
  readonly write: (text: string) => void;
  readonly onTerminal: boolean;
  readonly signal: AbortSignal;
}

export async function runLink({
  write,
  onTerminal,
  signal,
  ...account
}: AccountArguments & Face): Promise<number> {
  const client = await Client.createLinked(await accountOptions(account), {
    signal,
    show: (code) => write(onTerminal ? shown(account.user, code) : `code ${code}\n`),
    compare: (digits, user) =>
      write(
        onTerminal
          ? `\nDoes the first device of ${user} show  ${spaced(digits)}  too?\n`
          : `digits ${digits}\n`,
      ),
  });
  await client.close();
  write(
    onTerminal
      ? `This is a device of ${client.user} now: lethe chat ${client.user}\n`
      : `linked ${client.user}\n`,
  );
  return 0;
}

function shown(user: string, code: string): string {
  return `${drawQr(code)}\nOn the first device of ${user}, within two minutes: lethe devices ${user} add CODE\n\n${code}\n`;
}

/** Easier to read, and to read out. */
function spaced(digits: string): string {
  return `${digits.slice(0, 3)} ${digits.slice(3)}`;
}

export async function runDevices(
  { write, onTerminal, signal, stdin, ...account }: AccountArguments & Face & { readonly stdin: Readable },
  act: DevicesAct,
): Promise<number> {
  if (!existsSync(account.store))
    throw new UsageError(`there is no store ${account.store}; lethe devices --help`);
  const client = await Client.create(await accountOptions(account));
  try {
    if (act.do === "list") write(listOf(client));
    if (act.do === "remove") {
      await client.devices.remove(act.number);
      write(`removed ${act.number}\n`);
    }
    if (act.do !== "add") return 0;
    const linking = await client.devices.link(act.code, { signal });
    write(
      onTerminal
        ? `The new device shows  ${spaced(linking.digits)}  too? (y/N) `
        : `digits ${linking.digits}\n`,
    );
    if (!(await saysYes(stdin, signal))) {
      await linking.cancel();
      write("not linked\n");
      return 1;
    }
    await linking.confirm();
    write(`linked ${Math.max(...client.devices.list().map(({ number }) => number))}\n`);
    return 0;
  } finally {
    await client.close();
  }
}

export function listOf({ devices }: Pick<Client, "devices">): string {
  return devices
    .list()
    .map(({ number, createdAt, isPrimary, isThis }) => {
      const since = createdAt === undefined ? "" : ` since ${new Date(createdAt).toISOString().slice(0, 10)}`;
      return `${number}${since}${isPrimary ? ", the first one" : ""}${isThis ? ", this one" : ""}\n`;
    })
    .join("");
}

/** The next line, where there is one. */
async function saysYes(stdin: Readable, signal: AbortSignal): Promise<boolean> {
  const lines = createInterface({ input: stdin, signal });
  try {
    for await (const line of lines) return /^y(?:es)?$/i.test(line.trim());
    return false;
  } finally {
    lines.close();
  }
}
