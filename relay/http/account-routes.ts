// What a device says of itself: registration, prekeys, device list, access key, presence, deletion. Always true: nothing is
// read or changed before the request's signature has been verified with the key on record, or with the key registered.
import { addressOf, type DeviceNumber, deviceOf, isUserName, Refusal } from "@lethe/protocol";
import type { AccountRecord, HeldPrekeys, PublicPrekey } from "@lethe/queue";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { z } from "zod";
import { linkingRoutes, type SignedBy } from "./linking-routes.ts";
import { mediaRoutes } from "./media-routes.ts";
import type { HttpOptions } from "./options.ts";
import { remoteOf } from "./remote.ts";
import { bytesOf, serve } from "./serve.ts";
import { type deviceListBody, deviceParams } from "./shapes.ts";
import { parseAuthorization, SignatureCheck } from "./signed.ts";

type DeviceListBody = z.output<typeof deviceListBody>;

export function accountRoutes(app: FastifyInstance, options: HttpOptions): void {
  const { backend, gateway, terms } = options;
  const { directory } = backend;
  const signatures = new SignatureCheck(options.relay, options.now);

  const signedBy = async (request: FastifyRequest, key: Uint8Array | undefined) => {
    const signed = parseAuthorization(request.headers.authorization);
    await signatures.check(signed, key, request.method, request.url, bytesOf(request));
    return signed;
  };
  const device = async (
    request: FastifyRequest,
  ): Promise<{ record: AccountRecord; address: ReturnType<typeof addressOf> }> => {
    const claimed = parseAuthorization(request.headers.authorization);
    const record = await directory.account(claimed.account);
    const key = record?.devices.find((d) => d.device === claimed.device)?.signingKey;
    await signedBy(request, key);
    if (record === undefined) throw new Refusal("unauthorized");
    return { record, address: addressOf(claimed.account, claimed.device) };
  };

  /** Asking again, because the answer was lost, takes no ticket: it may be used up, by this very registration. */
  const isKnown = async (record: AccountRecord): Promise<boolean> =>
    (await directory.account(record.account)) !== undefined && (await directory.register(record)) === "same";
  const registered = async (record: AccountRecord, ticket: string | undefined) => {
    const { invite } = await terms().registrar.leave(record.name, ticket);
    const outcome = await directory.register(record, invite);
    if (outcome === "invite-invalid") throw new Refusal("ticket-invalid");
    if (outcome === "name-taken" || outcome === "account-exists") throw new Refusal(outcome);
    return outcome;
  };

  serve(app, "register", async (request, reply, checked) => {
    const body = checked();
    const wait = gateway.addresses
      .of(remoteOf(request.raw, terms().trustProxy))
      .registrations.take(1, performance.now());
    if (wait > 0) throw new Refusal("rate-limited", undefined, wait);
    const signed = await signedBy(request, body.signingKey);
    if (signed.account !== body.account || signed.device !== body.device) throw new Refusal("unauthorized");
    if (!isUserName(body.name)) throw new Refusal("name-invalid");
    const { account, name, accountKey, accessKeyHash, listVersion, deviceList, certificate, signingKey } =
      body;
    const devices = [{ device: body.device, signingKey, certificate }];
    const record = { account, name, accountKey, accessKeyHash, listVersion, deviceList, devices };
    const outcome = (await isKnown(record)) ? "same" : await registered(record, body.ticket);
    gateway.changes.made(account, "record");
    return reply.status(outcome === "registered" ? 201 : 200).send({ name, now: options.now() });
  });

  serve(app, "putPrekeys", async (request, _reply, body) => {
    const { address } = await device(request);
    const { signed, lastResort, oneTime, oneTimeKem, replace } = body();
    const keys = (list: PublicPrekey[] | undefined): PublicPrekey[] => list ?? [];
    const upload = {
      signed,
      lastResort,
      oneTime: keys(oneTime),
      oneTimeKem: keys(oneTimeKem),
      replace: replace ?? false,
    };
    const outcome = await directory.putPrekeys(address, upload);
    if (outcome === "too-many") throw new Refusal("too-many-prekeys");
    if (outcome === "no-device") throw new Refusal("unauthorized");
    return { now: options.now() };
  });

  serve(app, "heldPrekeys", async (request) => {
    const { address } = await device(request);
    const held = await directory.heldPrekeys(address);
    if (held === undefined) throw new Refusal("unauthorized");
    return idsOf(held);
  });

  serve(app, "heldPrekeysOf", async (request) => {
    const { record } = await device(request);
    const params = deviceParams.safeParse(request.params);
    if (!params.success) throw new Refusal("bad-request", "device");
    const number = Number(params.data.device) as DeviceNumber;
    const held = await directory.heldPrekeys(addressOf(record.account, number));
    if (held === undefined) throw new Refusal("not-found");
    return idsOf(held);
  });

  serve(app, "putDeviceList", async (request, _reply, body) => {
    const { record, address } = await device(request);
    // The primary device is the account's first, and the one that is never removed: a linked device has no say in the list.
    if (record.devices.some((other) => other.device < deviceOf(address))) throw new Refusal("unauthorized");
    const list = body();
    if (isOnRecord(record, list)) {
      gateway.changes.made(record.account, "record"); // the answer was lost, perhaps with what follows from the list
      return { now: options.now() };
    }
    // The tombstones first: where this ends half-way, the same request is the way on.
    if (list.version === record.listVersion + 1)
      await options.retire(
        record.account,
        record.devices
          .map(({ device: number }) => number)
          .filter((number) => list.devices.every((kept) => kept.device !== number)),
      );
    const put = await directory.putDeviceList(record.account, list);
    if (put.is === "conflict") throw new Refusal("list-conflict");
    if (put.is === "no-account") throw new Refusal("unauthorized");
    gateway.changes.made(record.account, "record");
    await options.retire(record.account, put.removed);
    return { now: options.now() };
  });

  serve(app, "putAccessKey", async (request, _reply, body) => {
    const { record } = await device(request);
    await directory.putAccessKeyHash(record.account, body().accessKeyHash);
    gateway.changes.made(record.account, "access-key");
    return { now: options.now() };
  });

  serve(app, "putPresence", async (request, _reply, body) => {
    const { record } = await device(request);
    const { lastSeen } = body();
    await directory.putHidesLastSeen(record.account, !lastSeen);
    gateway.changes.made(record.account, lastSeen ? "shows-last-seen" : "hides-last-seen");
    return { now: options.now() };
  });

  const accountOf: SignedBy = async (request) => (await device(request)).record.account;
  linkingRoutes(app, options, accountOf);
  mediaRoutes(app, options, accountOf);

  serve(app, "deleteAccount", async (request, reply) => {
    const { record } = await device(request);
    await options.remove(record);
    return reply.status(204).send();
  });
}

function idsOf({ signed, lastResort, oneTime, oneTimeKem }: HeldPrekeys) {
  const text = (id: Uint8Array): string => Buffer.from(id).toString("base64url");
  return {
    signed: signed === undefined ? null : text(signed),
    lastResort: lastResort === undefined ? null : text(lastResort),
    oneTime: oneTime.map(text),
    oneTimeKem: oneTimeKem.map(text),
  };
}

/** The same list again, to the byte, with the same devices. */
function isOnRecord(record: AccountRecord, list: DeviceListBody): boolean {
  const same = (a: Uint8Array, b: Uint8Array | undefined): boolean =>
    b !== undefined && Buffer.compare(a, b) === 0;
  return (
    list.version === record.listVersion &&
    same(list.deviceList, record.deviceList) &&
    list.devices.length === record.devices.length &&
    list.devices.every(({ device, signingKey, certificate }) => {
      const known = record.devices.find((other) => other.device === device);
      return same(signingKey, known?.signingKey) && same(certificate, known?.certificate);
    })
  );
}
