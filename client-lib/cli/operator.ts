// `lethe status` and `lethe admin`: what the operator sees and does at a running relay, through its door. Always true:
// the token comes from the relay's data folder, so whoever may read that folder is the operator.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { OPERATOR_PATHS } from "@lethe/protocol";
import type { AdminArguments, StatusArguments } from "./arguments.ts";
import { type Figures, statusView } from "./figures.ts";
import { painter } from "./text.ts";

const REFRESH_MS = 1_000;
const PATIENCE_MS = 10_000;

export interface Output {
  write(text: string): void;
  readonly onTerminal: boolean;
  readonly colour: boolean;
}

/** Something that the operator can mend. */
export class OperatorError extends Error {
  override readonly name = "OperatorError";
  readonly advice: string;

  constructor(says: string, advice: string) {
    super(says);
    this.advice = advice;
  }
}

interface Door {
  readonly relay: string;
  readonly data: string;
}

async function ask(
  door: Door,
  method: string,
  path: string,
  body?: object,
): Promise<Record<string, unknown>> {
  const token = await tokenOf(door.data);
  const answer = await fetch(new URL(path, door.relay), {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(PATIENCE_MS),
  }).catch((error: unknown) => {
    const why = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    throw new OperatorError(
      `the relay at ${door.relay} does not answer (${why})`,
      "Is it running? Name another with --relay URL.",
    );
  });
  if (answer.status === 204) return {};
  const json = (await answer.json()) as Record<string, unknown>;
  if (answer.ok) return json;
  throw new OperatorError(
    typeof json["says"] === "string" ? json["says"] : `the relay answers ${answer.status}`,
    json["code"] === "unauthorized"
      ? "The token in the data folder is another relay's: give the folder of this one with --data."
      : "Nothing was changed.",
  );
}

async function tokenOf(data: string): Promise<string> {
  const path = join(data, "admin-token");
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new OperatorError(
      code === "EACCES" ? `you may not read ${path}` : `there is no ${path}`,
      code === "EACCES"
        ? "Run this as the relay's user, for example with sudo -u lethe."
        : "Give the relay's data folder with --data; the token is made when the relay starts.",
    );
  }
}

/** One view in a pipe, or with --json; on a terminal one a second, until Ctrl-C. */
export async function runStatus(args: StatusArguments, out: Output, signal: AbortSignal): Promise<number> {
  const paint = painter(out.colour);
  const read = async (): Promise<Figures> => (await ask(args, "GET", OPERATOR_PATHS.adminFigures)) as Figures;
  if (args.json) {
    out.write(`${JSON.stringify(await read())}\n`);
    return 0;
  }
  let before: Figures | undefined;
  let drawn = 0;
  while (!signal.aborted) {
    const figures = await read();
    const lines = statusView(args.relay, figures, before, paint);
    out.write(`${drawn > 0 ? `\u001b[${drawn}A\u001b[J` : ""}${lines.join("\n")}\n`);
    if (!out.onTerminal || args.once) return 0;
    before = figures;
    drawn = lines.length;
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, REFRESH_MS);
      signal.addEventListener("abort", () => (clearTimeout(timer), resolve(undefined)), { once: true });
    });
  }
  return 0;
}

export async function runAdmin(args: AdminArguments, out: Output): Promise<number> {
  const paint = painter(out.colour);
  const { act } = args;
  switch (act.do) {
    case "invite": {
      const { invite, expires } = await ask(args, "POST", OPERATOR_PATHS.adminInvites, {
        uses: act.uses,
        days: act.days,
      });
      out.write(`${String(invite)}\n`);
      const uses = act.uses === 1 ? "one account" : `${act.uses} accounts`;
      out.write(
        paint(
          "grey",
          `for ${uses}, until ${dateOf(expires)}: lethe chat USER --relay ${args.relay} --ticket ${String(invite)}\n`,
        ),
      );
      return 0;
    }
    case "invites": {
      const { invites } = (await ask(args, "GET", OPERATOR_PATHS.adminInvites)) as {
        invites: { mark: string; uses: number; expires: number }[];
      };
      if (invites.length === 0) out.write(paint("grey", "no invites are open\n"));
      for (const { mark, uses, expires } of invites)
        out.write(`${mark}  ${String(uses).padStart(6)} left  until ${dateOf(expires)}\n`);
      return 0;
    }
    case "withdraw":
      await ask(args, "DELETE", `${OPERATOR_PATHS.adminInvites}/${act.mark}`);
      out.write("withdrawn\n");
      return 0;
    case "show":
      return show(
        await ask(args, "GET", `${OPERATOR_PATHS.adminAccounts}/${encodeURIComponent(act.user)}`),
        out,
      );
    case "remove":
      await ask(args, "DELETE", `${OPERATOR_PATHS.adminAccounts}/${encodeURIComponent(act.user)}`);
      out.write(`${act.user} is removed, with mail, keys and devices; the name is free\n`);
      return 0;
  }
}

function show(account: Record<string, unknown>, out: Output): number {
  const devices = account["devices"] as Device[];
  out.write(`${String(account["name"])}  account ${String(account["account"])}\n`);
  for (const { device, node, waiting } of devices)
    out.write(`  device ${device}  ${whereabouts(node)}  ${waiting} undelivered\n`);
  return 0;
}

interface Device {
  readonly device: number;
  readonly node: string | null;
  readonly waiting: number;
}

function whereabouts(node: string | null): string {
  if (node === null) return "away";
  if (node === "here") return "connected here";
  return node === "gone" ? "at a node that is gone" : `connected at ${node}`;
}

function dateOf(ms: unknown): string {
  return `${new Date(Number(ms)).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
