// The operator's door: invites, accounts, figures. Always true: it opens to whoever can read the token's file in the data
// folder, and only from this machine; it says sizes and times, never what anybody wrote or to whom.
import { randomBytes, timingSafeEqual } from "node:crypto";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { addressOf, isUserName, Refusal, type Time, toHex, type UserName } from "@lethe/protocol";
import type { AccountRecord, Backend, Owner } from "@lethe/queue";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { inviteMark } from "./registration.ts";
import { serve } from "./serve.ts";
import { inviteParams } from "./shapes.ts";

export interface AdminOptions {
  readonly backend: Backend;
  readonly token: string;
  readonly now: () => number;
  readonly figures: () => Record<string, number | string>;
  readonly remove: (record: AccountRecord) => Promise<void>;
  /** The node that a session is at, in words. */
  readonly nodeOf: (owner: Owner) => Promise<string>;
}

const DAY_MS = 86_400_000;

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
  const { backend, now } = options;
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

    serve(admin, "figures", async () => {
      const { blobs, bytes } = await backend.media.totals();
      return {
        ...options.figures(),
        ...{ accounts: await directory.count(), mediaBlobs: blobs, mediaBytes: bytes },
      };
    });

    serve(admin, "makeInvite", async (_request, reply, body) => {
      const { uses, days } = body();
      const invite = randomBytes(15).toString("base64url");
      const expires = (now() + days * DAY_MS) as Time;
      const outcome = await directory.putInvite({ mark: inviteMark(invite), uses, expires });
      if (outcome === "too-many") throw new Refusal("rate-limited", "as many invites are open as may be");
      return reply.status(201).send({ invite, uses, expires });
    });

    serve(admin, "invites", async () => ({
      invites: (await directory.invites()).map(({ mark, uses, expires }) => ({
        mark: Buffer.from(mark).toString("hex"),
        uses,
        expires,
      })),
    }));

    serve(admin, "withdrawInvite", async (request, reply) => {
      const { mark } = request.params as { mark: string };
      if (!inviteParams.safeParse(request.params).success) throw new Refusal("bad-request", "mark");
      if ((await directory.deleteInvite(Buffer.from(mark, "hex"))) === "no-invite")
        throw new Refusal("not-found");
      return reply.status(204).send();
    });

    serve(admin, "account", async (request) => {
      const record = await known(request);
      const addresses = record.devices.map(({ device }) => addressOf(record.account, device));
      const looks = await backend.mailbox.look(addresses);
      return {
        account: toHex(record.account),
        name: record.name,
        listVersion: record.listVersion,
        devices: await Promise.all(
          record.devices.map(async ({ device }, i) => {
            const look = looks[i];
            const { owner, waiting = 0 } = look?.is === "seen" ? look : {};
            const node = owner === undefined ? null : await options.nodeOf(owner);
            return { device, connected: owner !== undefined, node, waiting };
          }),
        ),
      };
    });

    serve(admin, "removeAccount", async (request, reply) => {
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
