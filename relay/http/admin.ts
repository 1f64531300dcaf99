// The operator's door: invites, accounts, figures. Always true: it opens to whoever can read the token's file in the data
// folder, and only from this machine; it says sizes and times, never what anybody wrote or to whom.
import { randomBytes, timingSafeEqual } from "node:crypto";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { addressOf, isUserName, PATHS, Refusal, type Time, toHex, type UserName } from "@lethe/protocol";
import type { AccountRecord, Backend } from "@lethe/queue";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { inviteMark } from "./registration.ts";

export interface AdminOptions {
  readonly backend: Backend;
  readonly token: string;
  readonly now: () => number;
  readonly figures: () => Record<string, number | string>;
  readonly remove: (record: AccountRecord) => Promise<void>;
  readonly parse: <T extends z.ZodType>(shape: T, request: FastifyRequest) => z.output<T>;
}

const DAY_MS = 86_400_000;
const inviteBody = z.strictObject({
  uses: z.int().min(1).max(100_000).default(1),
  days: z.number().positive().max(365).default(7),
});

const TOKEN_FILE = "admin-token";

/** The token of a data folder, made where there is none. Only the relay's own user can read it. */
export async function adminToken(folder: string): Promise<string> {
  const path = join(folder, TOKEN_FILE);
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const token = randomBytes(32).toString("base64url");
  await writeFile(path, `${token}\n`, { mode: 0o600, flag: "wx" });
  await chmod(path, 0o600);
  return token;
}

export function adminRoutes(app: FastifyInstance, options: AdminOptions): void {
  const { backend, now, parse } = options;
  const { directory } = backend;

  const known = async (request: FastifyRequest): Promise<AccountRecord> => {
    const { name } = request.params as { name: string };
    const account = isUserName(name) ? await directory.accountOfName(name as UserName) : undefined;
    const record = account === undefined ? undefined : await directory.account(account);
    if (record === undefined) throw new Refusal("unknown-name");
    return record;
  };

  app.register(async (admin) => {
    admin.addHook("onRequest", async (request) => allow(request, options.token));

    admin.get(PATHS.adminFigures, async () => ({
      ...options.figures(),
      accounts: await directory.count(),
    }));

    admin.post(PATHS.adminInvites, async (request, reply) => {
      const { uses, days } = parse(inviteBody, request);
      const invite = randomBytes(15).toString("base64url");
      const expires = (now() + days * DAY_MS) as Time;
      const outcome = await directory.putInvite({ mark: inviteMark(invite), uses, expires });
      if (outcome === "too-many") throw new Refusal("rate-limited", "as many invites are open as may be");
      return reply.status(201).send({ invite, uses, expires });
    });

    admin.get(PATHS.adminInvites, async () => ({
      invites: (await directory.invites()).map(({ mark, uses, expires }) => ({
        mark: Buffer.from(mark).toString("hex"),
        uses,
        expires,
      })),
    }));

    admin.delete(`${PATHS.adminInvites}/:mark`, async (request, reply) => {
      const { mark } = request.params as { mark: string };
      if (!/^[0-9a-f]{32}$/.test(mark)) throw new Refusal("bad-request", "mark");
      if ((await directory.deleteInvite(Buffer.from(mark, "hex"))) === "no-invite")
        throw new Refusal("not-found");
      return reply.status(204).send();
    });

    admin.get(`${PATHS.adminAccounts}/:name`, async (request) => {
      const record = await known(request);
      const addresses = record.devices.map(({ device }) => addressOf(record.account, device));
      const looks = await backend.mailbox.look(addresses);
      return {
        account: toHex(record.account),
        name: record.name,
        listVersion: record.listVersion,
        devices: record.devices.map(({ device }, i) => {
          const look = looks[i];
          const seen = look?.is === "seen" ? look : undefined;
          return { device, connected: seen?.owner !== undefined, waiting: seen?.waiting ?? 0 };
        }),
      };
    });

    admin.delete(`${PATHS.adminAccounts}/:name`, async (request, reply) => {
      const record = await known(request);
      await options.remove(record);
      return reply.status(204).send();
    });
  });
}

const LOCAL = /^(?:127\.|::1$|::ffff:127\.)/;

function allow(request: FastifyRequest, token: string): void {
  const given = /^Bearer ([\w-]{1,128})$/.exec(request.headers.authorization ?? "")?.[1] ?? "";
  const [a, b] = [Buffer.from(given), Buffer.from(token)];
  const isRight = a.length === b.length && timingSafeEqual(a, b);
  if (!isRight || !LOCAL.test(request.socket.remoteAddress ?? "")) throw new Refusal("unauthorized");
}
